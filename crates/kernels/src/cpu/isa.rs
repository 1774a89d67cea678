//! Which instructions this machine has, and the macro that compiles one kernel body for each of them.

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

impl Isa {
    /// The best instruction set of this machine, found once. The environment variable `KOKANEE_ISA`
    /// (`portable`, `avx2`, `avx512`) can only lower it: for tests and for comparing machines.
    pub fn detect() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let wanted = match std::env::var("KOKANEE_ISA").as_deref() {
                Ok("portable") => Isa::Portable,
                Ok("avx2") => Isa::Avx2,
                _ => Isa::Avx512,
            };
            wanted.min(Self::of_machine())
        })
    }

    /// Whether this machine multiplies bf16 numbers in 512-bit registers. `KOKANEE_ISA` at any level takes it away.
    pub fn has_avx512_bf16() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Self::has_extensions() && is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether this machine multiplies 8-bit integers in 512-bit registers. `KOKANEE_ISA` at any level takes it away.
    pub fn has_avx512_vnni() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Self::has_extensions() && is_x86_feature_detected!("avx512vnni");
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether extensions of AVX-512 may be used where the machine has them; found once.
    #[cfg(target_arch = "x86_64")]
    fn has_extensions() -> bool {
        static ALLOWED: OnceLock<bool> = OnceLock::new();
        *ALLOWED.get_or_init(|| {
            Isa::detect() == Isa::Avx512 && std::env::var_os("KOKANEE_ISA").is_none_or(|isa| isa != "avx512")
        })
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
