//! Numerical kernels for the hardware of this machine; the only crate with unsafe code.
//!
//! Every kernel works on plain row-major `f32` slices, asserts its preconditions and returns no errors: input from outside is
//! checked before it gets here. Kernels that can share work take a [`Team`] of threads. A result depends on the machine's
//! instruction set and on the number of threads, and on nothing else: no kernel lets timing decide the order of a sum. The kernels
//! of decoding promise more: a row of the result depends on its own rows of the operands alone, not on how many others there are or
//! how many threads work. Those kernels are the products of [`packed`] (not [`gemm()`]), and the forward kernels of attention,
//! cells, activations and softmax.

pub mod cpu;
mod memory_limit;
mod new_thread;

pub use cpu::gemm::{Mat, MatMut, Precision, Side, gemm, gemm_all, packed, peak};
pub use cpu::isa::{Isa, IsaError};
pub use cpu::threads::{Team, TeamError};
pub use cpu::{
    attention, conv, cross_entropy, dropout, elementwise, gather, optimizer, pages, reduce, rnn_cell,
    softmax, work,
};
pub use memory_limit::{MemoryLimit, MemoryOrigin};
pub use new_thread::start_thread;
