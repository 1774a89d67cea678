//! Kernels for the CPU.

#[macro_use]
pub mod isa;
pub mod attention;
pub mod conv;
pub mod cross_entropy;
pub mod dropout;
pub mod elementwise;
pub mod gather;
pub mod gemm;
#[cfg(test)]
mod independence;
pub mod math;
pub mod optimizer;
pub mod pages;
pub mod reduce;
pub mod rnn_cell;
pub mod softmax;
pub mod threads;
pub mod work;

/// Number of `f32` values that one step of a vectorised loop handles: one AVX-512 register, two AVX2 registers.
/// Sums keep this many partial sums on every machine, so that only the rounding of fused operations differs between
/// instruction sets.
pub(crate) const LANES: usize = 16;
