//! Operations, their derivatives and the tape that replays them.
//!
//! Shapes in this crate: R rows, N and K widths, T tokens of all sentences of a batch one after the other, V vocabulary, H
//! units of a layer, A attention units. All matrices are row-major; padding does not exist: a batch is the list of its real
//! tokens, and recurrent loops shrink as sentences end.

mod buffer;
pub mod ops;
mod shape;
mod tape;
mod tensor;

pub use shape::Shape;
pub use tape::{Gradient, Gradients, RowGradient, Slot, Tape, Var};
pub use tensor::Tensor;

/// Row numbers of a matrix, shared between the steps that use them.
pub type Rows = std::sync::Arc<[u32]>;
