//! The properties of the body in a verified signature.

use super::chunks::ChunkSignatures;

/// A request that was signed with the keys.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// The required hash of the body, in hexadecimal digits, if it was signed.
    pub sha256: Option<String>,
    /// The required signatures of the body's chunks, if it has chunks.
    pub chunks: Option<ChunkSignatures>,
}
