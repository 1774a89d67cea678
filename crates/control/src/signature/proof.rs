//! What a right signature says of the body.

use super::chunks::ChunkSignatures;

/// A request that was signed with the keys.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// The hash that the body must have, in hexadecimal digits, where it was signed.
    pub sha256: Option<String>,
    /// The signatures that the chunks of the body must have, where they have some.
    pub chunks: Option<ChunkSignatures>,
}
