//! One file an operation: shapes, forward, what is kept, backward with its derivation.

mod attention;
mod cross_entropy;
mod embedding;
mod linear;
mod lstm_cell;
mod recurrent_linear;
mod rows;
mod tanh;

pub use attention::{Attended, mlp_attention};
pub use cross_entropy::{CrossEntropy, cross_entropy};
pub use embedding::embedding;
pub use linear::{Weight, linear};
pub use lstm_cell::lstm_cell;
pub use recurrent_linear::{RecurrentWeight, recurrent_linear};
pub use rows::{concat_columns, first_rows, gather_rows, stack_rows};
pub use tanh::tanh;
