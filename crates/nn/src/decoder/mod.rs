//! Decoders: from encoded sources and the words so far to the vector that the output layer reads.

mod rnn;

pub(crate) use rnn::RnnDecoder;
