//! The operations, one file each: shapes, forward, what is kept, backward with its derivation.

mod add;
mod attention;
mod convolution;
mod cross_entropy;
mod dropout;
mod embedding;
mod gru_cell;
mod linear;
mod lstm_cell;
mod recurrent_linear;
mod rows;
mod span_means;
mod tanh;

pub use add::add;
pub use attention::{Attended, dot_attention, mlp_attention};
pub use convolution::{Filters, activation, convolution};
pub use cross_entropy::{CrossEntropy, cross_entropy, logit_rows};
pub use dropout::{dropout, sequence_dropout, sequence_dropout_key};
pub use embedding::{Table, embedding};
pub use gru_cell::gru_cell;
pub use linear::{Columns, Weight, linear};
pub use lstm_cell::lstm_cell;
pub use recurrent_linear::{RecurrentWeight, recurrent_linear};
pub use rows::{concat_columns, first_rows, gather_rows, stack_rows};
pub use span_means::span_means;
pub use tanh::tanh;
