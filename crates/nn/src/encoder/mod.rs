//! Encoders: source tokens to vectors.

mod rnn;

pub(crate) use rnn::RnnEncoder;

use kokanee_tensor::{Rows, Var};

/// What an encoder leaves for the decoder.
pub(crate) struct Encoded {
    /// S x H_enc, in token order.
    pub(crate) states: Var,
    /// The last token of each sentence.
    pub(crate) last: Rows,
}
