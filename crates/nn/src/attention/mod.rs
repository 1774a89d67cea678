//! Attention: which source tokens a decoder step looks at.

mod mlp;

pub(crate) use mlp::{MlpAttention, MlpMemory};
