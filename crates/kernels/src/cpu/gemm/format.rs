//! Number formats of weights, and the kernels of each.

use std::sync::OnceLock;

use super::kernel::Kernel;
use super::{bf16, f32, int8};

/// Number format of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Weights as they are: 4 bytes each.
    F32,
    /// The upper half of an `f32`: 8 bits of precision, 2 bytes each.
    Bf16,
    /// Integers from -127 to 127 with one scale per output: 1 byte each.
    Int8,
}

impl Format {
    /// Bytes per number.
    pub fn bytes(self) -> usize {
        4 / self.group()
    }

    /// The largest number of inputs that a product in this format sums up; none where there is no limit.
    pub fn most_inputs(self) -> Option<usize> {
        (self == Format::Int8).then_some(int8::MAX_INPUTS)
    }

    /// Inputs that share one 32-bit word.
    pub(super) fn group(self) -> usize {
        match self {
            Format::F32 => 1,
            Format::Bf16 => 2,
            Format::Int8 => 4,
        }
    }

    /// The best kernel for this machine.
    pub(super) fn kernel(self) -> Kernel {
        static BEST: [OnceLock<Kernel>; 3] = [const { OnceLock::new() }; 3];
        let best = || *self.kernels().last().expect("there is always the portable kernel");
        *BEST[self as usize].get_or_init(best)
    }

    /// The kernels that this machine can run, best last.
    pub(super) fn kernels(self) -> Vec<Kernel> {
        match self {
            Format::F32 => f32::kernels(),
            Format::Bf16 => bf16::kernels(),
            Format::Int8 => int8::kernels(),
        }
    }
}
