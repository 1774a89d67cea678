//! The number format of products.

use kokanee_contract::algorithms::seq2seq::{Hyperparameters, Precision as Wanted};
use kokanee_kernels::Precision;

/// The format of the hyperparameter `precision`, or `f32` if this machine has no instructions for it.
pub fn usable(h: &Hyperparameters) -> Precision {
    let wanted = wanted(h);
    if wanted.is_native() { wanted } else { Precision::F32 }
}

/// The warning for the user if the two differ.
pub fn warning(h: &Hyperparameters) -> Option<String> {
    (usable(h) != wanted(h)).then(|| {
        "precision=bf16: this CPU has no AVX-512 BF16 instructions, which is what makes it fast; training in f32 instead"
            .to_owned()
    })
}

fn wanted(h: &Hyperparameters) -> Precision {
    match h.precision {
        Wanted::F32 => Precision::F32,
        Wanted::Bf16 => Precision::Bf16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_used_where_it_is_fast_and_otherwise_said_not_to_be() {
        let of = |precision| Hyperparameters { precision, ..Hyperparameters::default() };
        assert_eq!((usable(&of(Wanted::F32)), warning(&of(Wanted::F32))), (Precision::F32, None));
        let h = of(Wanted::Bf16);
        match usable(&h) {
            Precision::Bf16 => assert!(Precision::Bf16.is_native() && warning(&h).is_none()),
            Precision::F32 => assert!(warning(&h).is_some_and(|text| text.contains("AVX-512 BF16"))),
        }
    }
}
