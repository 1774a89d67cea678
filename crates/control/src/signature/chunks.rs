//! The signatures of a body's chunks: each depends on the one before, the first on the request's own.

use sha2::{Digest as _, Sha256};

use super::mac::{hex, is_signed, sha256};
use super::refusal::Refusal;
use super::scope::Scope;

const CHUNK: &str = "AWS4-HMAC-SHA256-PAYLOAD";
const TRAILER: &str = "AWS4-HMAC-SHA256-TRAILER";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// The trailer with the signature of the trailers before it.
pub(crate) const SIGNATURE_TRAILER: &str = "x-amz-trailer-signature";

/// Follows a body's chunks, and verifies the signature of each.
#[derive(Clone)]
pub struct ChunkSignatures {
    key: Vec<u8>,
    date: String,
    scope: Scope,
    /// The previous signature, and that of the current chunk.
    previous: String,
    current: String,
    hash: Sha256,
    has_trailer: bool,
}

impl std::fmt::Debug for ChunkSignatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkSignatures").field("has_trailer", &self.has_trailer).finish_non_exhaustive()
    }
}

impl ChunkSignatures {
    pub(super) fn new(key: Vec<u8>, date: &str, scope: &Scope, seed: &str, has_trailer: bool) -> Self {
        Self {
            key,
            date: date.to_owned(),
            scope: scope.clone(),
            previous: seed.to_owned(),
            current: String::new(),
            hash: Sha256::new(),
            has_trailer,
        }
    }

    /// Begins a chunk with this line: `400;chunk-signature=...`.
    ///
    /// # Errors
    /// If it has no signature.
    pub fn begin(&mut self, line: &str) -> Result<(), Refusal> {
        let signature = line.split(';').find_map(|part| part.trim().strip_prefix("chunk-signature="));
        self.current = signature.ok_or_else(Refusal::mismatch)?.to_owned();
        self.hash = Sha256::new();
        Ok(())
    }

    /// Adds bytes of the chunk.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
    }

    /// Ends the chunk.
    ///
    /// # Errors
    /// If its signature is wrong.
    pub fn end(&mut self) -> Result<(), Refusal> {
        let hash = hex(&std::mem::take(&mut self.hash).finalize());
        let rest = format!("{}\n{EMPTY}\n{hash}", self.previous);
        self.previous = std::mem::take(&mut self.current);
        self.check(CHUNK, &rest, &self.previous)
    }

    /// Verifies all trailers, in their order.
    ///
    /// # Errors
    /// If their signature is wrong or missing.
    pub fn finish(&self, trailers: &[(String, String)]) -> Result<(), Refusal> {
        if !self.has_trailer {
            // No trailers were announced, so none are signed.
            return if trailers.is_empty() { Ok(()) } else { Err(Refusal::mismatch()) };
        }
        let (last, signed) = trailers.split_last().ok_or_else(Refusal::mismatch)?;
        if last.0 != SIGNATURE_TRAILER {
            return Err(Refusal::mismatch());
        }
        let text: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        self.check(TRAILER, &format!("{}\n{}", self.previous, sha256(text.as_bytes())), &last.1)
    }

    fn check(&self, algorithm: &str, rest: &str, signature: &str) -> Result<(), Refusal> {
        let text = self.scope.string_to_sign(algorithm, &self.date, rest);
        if is_signed(&self.key, &text, signature) { Ok(()) } else { Err(Refusal::mismatch()) }
    }
}
