//! Bodies as they arrive: chunks are decoded, checksums are verified, and the content of objects is written to disk piece by piece.

use std::sync::Arc;

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use kokanee_http::memory::Arrival;
use kokanee_http::{Code, Incoming, ServeError, Share};
use tokio::task::JoinHandle;

use super::service::{Service, joined};
use crate::s3::aws_chunked::AwsChunked;
use crate::s3::checksums::{Algorithm, Checksum, Digests, Hashes, hex};
use crate::s3::error::{ErrorCode, Result, S3Error};
use crate::s3::staging::{Staged, Staging};
use crate::signature::{ChunkSignatures, Proof};

/// The maximum bytes of one request.
pub(super) const MAX_BODY_BYTES: u64 = 5 << 30;

/// The properties of a body that the head announces.
#[derive(Debug, Default)]
pub(super) struct Announced {
    is_chunked: bool,
    /// Length without chunk framing.
    length: Option<u64>,
    md5: Option<[u8; 16]>,
    sha256: Option<String>,
    checksum: Option<Checksum>,
    /// The algorithm of the checksum in a trailer.
    trailer: Option<Algorithm>,
    /// The algorithm of a checksum that is requested without a value.
    asked: Option<Algorithm>,
    /// The signatures of the chunks, if the server has keys.
    signatures: Option<ChunkSignatures>,
}

impl Announced {
    /// Reads the headers.
    ///
    /// # Errors
    /// `InvalidDigest`, `InvalidRequest`, `InvalidArgument`.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signed = text("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD");
        let is_chunked =
            signed.starts_with("STREAMING-") || text("content-encoding").is_some_and(has_aws_chunked);
        let length_name = if is_chunked { "x-amz-decoded-content-length" } else { "content-length" };
        let length = match text(length_name) {
            Some(length) => Some(
                length
                    .parse::<u64>()
                    .map_err(|_| S3Error::argument(length_name, length, "A length is a number of bytes."))?,
            ),
            None => None,
        };
        let md5 = match text("content-md5") {
            Some(md5) => {
                Some(BASE64.decode(md5).ok().and_then(|md5| md5.try_into().ok()).ok_or_else(|| {
                    S3Error::new(ErrorCode::InvalidDigest, "The Content-MD5 you specified was invalid.")
                })?)
            }
            None => None,
        };
        let is_hash = signed.len() == 64 && signed.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash && signed != "UNSIGNED-PAYLOAD" && !signed.starts_with("STREAMING-") {
            let message =
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-..., or a valid sha256 value.";
            return Err(S3Error::argument("x-amz-content-sha256", signed, message));
        }
        let mut checksums = Algorithm::ALL.into_iter().filter_map(|algorithm| {
            let value = text(algorithm.header())?;
            Some(algorithm.check_value(value).map(|()| Checksum { algorithm, value: value.to_owned() }))
        });
        let checksum = checksums.next().transpose()?;
        if checksums.next().is_some() {
            let message =
                "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
        let trailer = text("x-amz-trailer").map(|name| {
            Algorithm::of_header(name.trim()).ok_or_else(|| {
                let message = "The value specified in the x-amz-trailer header is not supported";
                S3Error::new(ErrorCode::InvalidRequest, message)
            })
        });
        let asked = text("x-amz-sdk-checksum-algorithm").map(Algorithm::parse).transpose()?;
        Ok(Self {
            is_chunked,
            length,
            md5,
            sha256: is_hash.then(|| signed.to_ascii_lowercase()),
            checksum,
            trailer: trailer.transpose()?,
            asked,
            signatures: None,
        })
    }

    /// Adds the properties of the body that a signature contains.
    pub(super) fn proven(mut self, proof: &Proof) -> Self {
        self.sha256 = self.sha256.or_else(|| proof.sha256.clone());
        self.signatures = proof.chunks.clone();
        self
    }

    /// The checksum algorithm of the object.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|checksum| checksum.algorithm).or(self.trailer).or(self.asked)
    }

    fn algorithms(&self, also: Option<Algorithm>) -> Vec<Algorithm> {
        let sha256 = self.sha256.is_some().then_some(Algorithm::Sha256);
        let mut all: Vec<Algorithm> = [self.algorithm(), sha256, also].into_iter().flatten().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Compares the received content with the announced properties.
    pub(super) fn check(&self, digests: &Digests, trailers: &[(String, String)]) -> Result<()> {
        let bad = |what: &str| {
            let message = format!("The {what} you specified did not match what we received.");
            Err(S3Error::new(ErrorCode::BadDigest, message))
        };
        if self.md5.is_some_and(|md5| md5 != digests.md5) {
            return bad("Content-MD5");
        }
        let value = |algorithm| digests.of(algorithm).map(|checksum| checksum.value.as_str());
        if let Some(want) = &self.sha256 {
            let found = value(Algorithm::Sha256).and_then(|value| BASE64.decode(value).ok());
            if found.map(|bytes| hex(&bytes)).as_ref() != Some(want) {
                let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
                return Err(S3Error::new(ErrorCode::XAmzContentSHA256Mismatch, message));
            }
        }
        if let Some(Checksum { algorithm, value: want }) = &self.checksum
            && value(*algorithm) != Some(want)
        {
            return bad(&format!("{} checksum", algorithm.name()));
        }
        if let Some(algorithm) = self.trailer {
            let brought = trailers.iter().find(|(name, _)| name == algorithm.header());
            let Some((_, want)) = brought else {
                let message = "The trailer that x-amz-trailer announced did not come.";
                return Err(S3Error::new(ErrorCode::InvalidRequest, message));
            };
            if value(algorithm) != Some(want) {
                return bad(&format!("{} checksum", algorithm.name()));
            }
        }
        Ok(())
    }
}

pub(super) fn has_aws_chunked(encoding: &str) -> bool {
    encoding.split(',').any(|one| one.trim().eq_ignore_ascii_case("aws-chunked"))
}

/// A body, with chunks decoded.
struct Arriving {
    body: Incoming,
    arrival: std::sync::Arc<Arrival>,
    chunked: Option<AwsChunked>,
    /// Bytes that have arrived and are not used yet.
    input: Bytes,
    left: u64,
    trailers: Vec<(String, String)>,
}

impl Arriving {
    fn new(body: Incoming, share: &Share, announced: &Announced, limit: u64) -> Result<Self> {
        let Some(left) = announced.length else {
            let message = if announced.is_chunked {
                "You must provide the x-amz-decoded-content-length HTTP header."
            } else {
                "You must provide the Content-Length HTTP header."
            };
            return Err(S3Error::new(ErrorCode::MissingContentLength, message));
        };
        if left > limit {
            let error = S3Error::new(
                ErrorCode::EntityTooLarge,
                "Your proposed upload exceeds the maximum allowed size",
            );
            return Err(error
                .with("ProposedSize", left.to_string())
                .with("MaxSizeAllowed", limit.to_string()));
        }
        let chunked = announced.is_chunked.then(|| match &announced.signatures {
            Some(signatures) => AwsChunked::signed(signatures.clone()),
            None => AwsChunked::default(),
        });
        Ok(Self { body, arrival: share.arrival(), chunked, input: Bytes::new(), left, trailers: Vec::new() })
    }

    /// The next bytes; `None` at the announced end.
    async fn next(&mut self, held: usize) -> Result<Option<Bytes>> {
        loop {
            let data = match &mut self.chunked {
                Some(chunked) => chunked.next_data(&mut self.input)?,
                None => Some(std::mem::take(&mut self.input)).filter(|data| !data.is_empty()),
            };
            if let Some(data) = data {
                self.left = self.left.checked_sub(data.len() as u64).ok_or_else(incomplete)?;
                return Ok(Some(data));
            }
            match self.body.next_of(&self.arrival).await.map_err(of_shell)? {
                Some(bytes) => {
                    self.arrival.received(bytes.len(), held + bytes.len());
                    self.input = bytes;
                }
                None if self.left > 0 => return Err(incomplete()),
                None => {
                    if let Some(chunked) = self.chunked.take() {
                        self.trailers = chunked.finish()?;
                    }
                    return Ok(None);
                }
            }
        }
    }
}

fn incomplete() -> S3Error {
    let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
    S3Error::new(ErrorCode::IncompleteBody, message)
}

/// Turns an error of the server shell into an S3 error.
pub(super) fn of_shell(error: ServeError) -> S3Error {
    let code = match error.code {
        Code::RequestTimeout => ErrorCode::RequestTimeout,
        Code::PayloadTooLarge => ErrorCode::EntityTooLarge,
        Code::TooManyRequests | Code::Unavailable => ErrorCode::SlowDown,
        Code::Internal => ErrorCode::InternalError,
        _ => ErrorCode::IncompleteBody,
    };
    S3Error::new(code, error.message)
}

/// Receives a body that becomes an object or a part, with the checksum `also` besides the announced ones.
pub(super) async fn receive(
    service: &Service,
    body: Incoming,
    announced: &Announced,
    also: Option<Algorithm>,
) -> Result<Staged> {
    let mut share = service.memory.share();
    let mut arriving = Arriving::new(body, &share, announced, MAX_BODY_BYTES)?;
    let length = usize::try_from(arriving.left).unwrap_or(usize::MAX);
    share.grow(length.min(Writer::HELD_BYTES)).await.map_err(of_shell)?;
    let mut writer = Writer::new(service, announced.algorithms(also), length);
    while let Some(data) = arriving.next(share.bytes()).await? {
        writer.write(&data).await?;
    }
    let staged = writer.finish().await?;
    announced.check(&staged.digests, &arriving.trailers)?;
    Ok(staged)
}

/// A file that is being written, and the piece that was written last.
type Writing = JoinHandle<Result<(Staging, Vec<u8>)>>;

/// Writes one piece while the next one arrives.
pub(super) struct Writer {
    staging: Option<Writing>,
    piece: Vec<u8>,
    /// Bytes since the last sync was started.
    unsynced: usize,
    syncing: Option<JoinHandle<()>>,
}

impl Writer {
    /// Sync interval, so that the disk writes while more arrives, instead of everything at the end.
    const SYNC_BYTES: usize = 16 << 20;
    /// Bytes written at a time.
    pub(super) const PIECE_BYTES: usize = 512 << 10;
    /// Maximum bytes held in memory.
    pub(super) const HELD_BYTES: usize = 2 * Self::PIECE_BYTES;

    /// Begins a file for up to `length` bytes.
    pub(super) fn new(service: &Service, algorithms: Vec<Algorithm>, length: usize) -> Self {
        let piece = Vec::with_capacity(length.min(Self::PIECE_BYTES));
        Self { staging: Some(service.stage(algorithms)), piece, unsynced: 0, syncing: None }
    }

    async fn ready(&mut self) -> Result<(Staging, Vec<u8>)> {
        let handle = self.staging.take().ok_or_else(|| {
            // An earlier error has ended the file.
            S3Error::new(
                ErrorCode::InternalError,
                "a body is written after its end: a bug in Kokanee; please report it",
            )
        })?;
        joined(handle.await)
    }

    pub(super) async fn write(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let (now, later) = data.split_at((Self::PIECE_BYTES - self.piece.len()).min(data.len()));
            self.piece.extend_from_slice(now);
            data = later;
            if self.piece.len() == Self::PIECE_BYTES {
                let (mut staging, spare) = self.ready().await?;
                let piece = std::mem::replace(&mut self.piece, spare);
                self.piece.clear();
                self.unsynced += piece.len();
                if self.unsynced >= Self::SYNC_BYTES
                    && self.syncing.as_ref().is_none_or(JoinHandle::is_finished)
                {
                    self.unsynced = 0;
                    self.syncing = staging.begin_sync().map(tokio::task::spawn_blocking);
                }
                self.staging = Some(tokio::task::spawn_blocking(move || {
                    staging.write_and_hash(&piece)?;
                    Ok((staging, piece))
                }));
            }
        }
        Ok(())
    }

    /// Syncs the file to disk.
    pub(super) async fn finish(&mut self) -> Result<Staged> {
        let (mut staging, _) = self.ready().await?;
        let piece = std::mem::take(&mut self.piece);
        let finish = tokio::task::spawn_blocking(move || {
            staging.write(&piece)?;
            staging.finish()
        });
        joined(finish.await)
    }
}

/// Receives a small body as a whole.
pub(super) async fn receive_small(
    service: &Service,
    body: Incoming,
    announced: &Announced,
    limit: u64,
) -> Result<(Vec<u8>, Share)> {
    let mut share = service.memory.share();
    let mut arriving = Arriving::new(body, &share, announced, limit)?;
    let length = usize::try_from(arriving.left).unwrap_or(usize::MAX);
    // The parsed form takes a few times its size.
    share.grow(length.saturating_mul(4)).await.map_err(of_shell)?;
    let mut whole = Vec::with_capacity(length);
    while let Some(data) = arriving.next(whole.len()).await? {
        whole.extend_from_slice(&data);
    }
    let mut hashes = Hashes::new(&announced.algorithms(None));
    hashes.update(&whole);
    announced.check(&hashes.finish(), &arriving.trailers)?;
    Ok((whole, share))
}

impl Service {
    /// Begins a file in the background; the empty vector is the first free piece buffer.
    fn stage(&self, algorithms: Vec<Algorithm>) -> Writing {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || Ok((store.stage(&algorithms)?, Vec::new())))
    }
}
