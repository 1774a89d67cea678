//! The instruction sets of this machine, and the macro that compiles one kernel body for each of them.

use std::sync::OnceLock;

/// The instruction sets that kernels are compiled for, best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Whatever the target guarantees (SSE2 on x86-64, NEON on AArch64).
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 F, VL, BW and DQ.
    Avx512,
}

/// An error in the environment variable `KOKANEE_ISA`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// The variable names no instruction set.
    #[error(
        "{VARIABLE} is \"{got}\", which is no instruction set: expected portable, avx2 or avx512; without it the best one is used"
    )]
    Unknown {
        /// The value of the variable.
        got: String,
    },
    /// The machine lacks the instruction set that the variable names.
    #[error(
        "{VARIABLE} asks for {}, which this machine does not have: its best instruction set is {}; name that or a lesser one, or \
         leave the variable out", .asked.name(), .best.name()
    )]
    Lacking {
        /// The instruction set that the variable names.
        asked: Isa,
        /// The best instruction set of the machine.
        best: Isa,
    },
}

const VARIABLE: &str = "KOKANEE_ISA";

impl Isa {
    /// Every instruction set, best last.
    const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// The name in `KOKANEE_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// The best instruction set of this machine, found once. The environment variable `KOKANEE_ISA` can only lower it: for tests
    /// and for comparing machines.
    ///
    /// # Panics
    /// When [`Isa::asked_for`] is an error: programs check that first.
    pub fn detect() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| match Isa::asked_for() {
            Ok(asked) => asked.unwrap_or_else(Self::of_machine),
            Err(error) => panic!("{error}"),
        })
    }

    /// The instruction set that the environment variable `KOKANEE_ISA` (`portable`, `avx2`, `avx512`, in upper or lower case) asks
    /// for; none if it is not set or empty.
    ///
    /// # Errors
    /// When it is another word, or this machine lacks the instruction set.
    pub fn asked_for() -> Result<Option<Isa>, IsaError> {
        let text = std::env::var_os(VARIABLE);
        Self::named(&text.unwrap_or_default().to_string_lossy(), Self::of_machine())
    }

    fn named(text: &str, best: Isa) -> Result<Option<Isa>, IsaError> {
        let name = text.trim();
        if name.is_empty() {
            return Ok(None);
        }
        match Isa::ALL.into_iter().find(|isa| isa.name().eq_ignore_ascii_case(name)) {
            None => Err(IsaError::Unknown { got: text.escape_debug().to_string() }),
            Some(asked) if asked > best => Err(IsaError::Lacking { asked, best }),
            asked => Ok(asked),
        }
    }

    /// Whether this machine multiplies bf16 numbers in 512-bit registers. `KOKANEE_ISA` at any level disables it.
    pub fn has_avx512_bf16() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Self::has_extensions() && is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether this machine multiplies 8-bit integers in 512-bit registers. `KOKANEE_ISA` at any level disables it.
    pub fn has_avx512_vnni() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Self::has_extensions() && is_x86_feature_detected!("avx512vnni");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether extensions of AVX-512 may be used if the machine has them; determined once.
    #[cfg(target_arch = "x86_64")]
    fn has_extensions() -> bool {
        static ALLOWED: OnceLock<bool> = OnceLock::new();
        *ALLOWED.get_or_init(|| Isa::detect() == Isa::Avx512 && Isa::asked_for() == Ok(None))
    }

    #[cfg(target_arch = "x86_64")]
    fn of_machine() -> Isa {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        match (avx2, avx512) {
            (true, true) => Isa::Avx512,
            (true, false) => Isa::Avx2,
            _ => Isa::Portable,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn of_machine() -> Isa {
        Isa::Portable
    }
}

/// Compiles a function body once for each instruction set and picks the best at run time.
///
/// Inside the body the constant `FMA` says whether fused multiply-add is an instruction (it must not be used otherwise:
/// in software it is a hundred times slower). The body is ordinary safe Rust that the compiler vectorises.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident ( $($arg:ident : $ty:ty),* $(,)? ) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::extra_unused_type_parameters)]
            fn body<const FMA: bool>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? { body::<true>($($arg),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { body::<true>($($arg),*) }

                match $crate::cpu::isa::Isa::detect() {
                    // SAFETY: `Isa::detect` returns these only where the machine has the features enabled above.
                    $crate::cpu::isa::Isa::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::cpu::isa::Isa::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::cpu::isa::Isa::Portable => {}
                }
            }
            body::<false>($($arg),*)
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_asks_for_nothing_there_is_an_error() {
        let best = Isa::Avx2;
        for (text, want) in [
            ("", None),
            ("portable", Some(Isa::Portable)),
            ("avx2", Some(Isa::Avx2)),
            ("AVX2", Some(Isa::Avx2)),
            (" Portable ", Some(Isa::Portable)),
        ] {
            assert_eq!(Isa::named(text, best), Ok(want), "{text:?}");
        }
        for text in ["avx", "avx-2", "sse2", "avx512f", "none", "1", "\u{fffd}"] {
            let error = Isa::named(text, Isa::Avx512).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("expected portable, avx2 or avx512"), "{error}");
        }
        let error = Isa::named("avx512", best).unwrap_err().to_string();
        assert!(
            error.contains("asks for avx512") && error.contains("its best instruction set is avx2"),
            "{error}"
        );
    }
}
