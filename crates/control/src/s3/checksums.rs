//! Checksums of bodies: those that clients send or request, and MD5 for ETags.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, checksum_combine};
use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::Sha256;

use super::error::{ErrorCode, Result, S3Error};

/// A checksum that S3 keeps for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// CRC-32 of IEEE 802.3, as in gzip.
    Crc32,
    /// CRC-32 of Castagnoli.
    Crc32c,
    /// CRC-64 of NVM Express.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The table: name in headers and XML, name of the header, name of the XML element, length in bytes.
    const fn row(self) -> (&'static str, &'static str, &'static str, usize) {
        match self {
            Self::Crc32 => ("CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 4),
            Self::Crc32c => ("CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 4),
            Self::Crc64Nvme => ("CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 8),
            Self::Sha1 => ("SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", 20),
            Self::Sha256 => ("SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", 32),
        }
    }

    /// Name in headers and in XML: `CRC32`.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The header of its value: `x-amz-checksum-crc32`.
    pub const fn header(self) -> &'static str {
        self.row().1
    }

    /// The XML element of its value: `ChecksumCRC32`.
    pub const fn element(self) -> &'static str {
        self.row().2
    }

    /// The algorithm with this name.
    ///
    /// # Errors
    /// `InvalidRequest` for any other.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let message = "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, \
                           CRC64NVME, SHA1, SHA256]";
            S3Error::new(ErrorCode::InvalidRequest, message)
        })
    }

    /// The algorithm of this header or trailer.
    pub fn of_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Checks that a value is well formed for this algorithm.
    ///
    /// # Errors
    /// `InvalidRequest` if it is not base64 of the right length.
    pub fn check_value(self, value: &str) -> Result<()> {
        let (_, header, _, length) = self.row();
        if BASE64.decode(value).is_ok_and(|bytes| bytes.len() == length) {
            return Ok(());
        }
        Err(S3Error::new(ErrorCode::InvalidRequest, format!("Value for {header} header is invalid.")))
    }
}

/// Whether the checksum of an object in parts covers its bytes, or the checksums of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChecksumType {
    /// Of all bytes.
    FullObject,
    /// Of the checksums of the parts.
    Composite,
}

impl ChecksumType {
    /// Name in headers and in XML.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FullObject => "FULL_OBJECT",
            Self::Composite => "COMPOSITE",
        }
    }
}

/// A checksum with its algorithm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The value in base64, with `-N` at the end if it covers the checksums of N parts.
    pub value: String,
}

impl Checksum {
    /// The data that it covers.
    pub fn kind(&self) -> ChecksumType {
        if self.value.contains('-') { ChecksumType::Composite } else { ChecksumType::FullObject }
    }
}

enum Running {
    Crc(crc_fast::Digest),
    Sha1(Sha1),
    Sha256(Sha256),
}

/// Computes the checksum of a stream of bytes.
struct Hasher {
    algorithm: Algorithm,
    running: Running,
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        let running = match (algorithm.crc(), algorithm) {
            (Some(crc), _) => Running::Crc(crc_fast::Digest::new(crc)),
            (None, Algorithm::Sha1) => Running::Sha1(Sha1::new()),
            (None, _) => Running::Sha256(Sha256::new()),
        };
        Self { algorithm, running }
    }

    fn update(&mut self, bytes: &[u8]) {
        match &mut self.running {
            Running::Crc(digest) => digest.update(bytes),
            Running::Sha1(digest) => digest.update(bytes),
            Running::Sha256(digest) => digest.update(bytes),
        }
    }

    fn finish(self) -> Checksum {
        let value = match self.running {
            Running::Crc(digest) => encode_crc(self.algorithm, digest.finalize()),
            Running::Sha1(digest) => BASE64.encode(digest.finalize()),
            Running::Sha256(digest) => BASE64.encode(digest.finalize()),
        };
        Checksum { algorithm: self.algorithm, value }
    }
}

fn encode_crc(algorithm: Algorithm, crc: u64) -> String {
    let bytes = crc.to_be_bytes();
    BASE64.encode(&bytes[bytes.len() - algorithm.row().3..])
}

/// The checksum of a few bytes.
pub(super) fn checksum_of(algorithm: Algorithm, bytes: &[u8]) -> Checksum {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

/// All checksums computed from a stream of bytes.
pub(super) struct Hashes {
    md5: Md5,
    others: Vec<Hasher>,
}

/// The results.
#[derive(Clone, Debug)]
pub struct Digests {
    /// MD5.
    pub md5: [u8; 16],
    /// The other requested checksums.
    pub others: Vec<Checksum>,
}

impl Hashes {
    /// MD5, and these algorithms.
    pub(super) fn new(algorithms: &[Algorithm]) -> Self {
        Self { md5: Md5::new(), others: algorithms.iter().map(|&algorithm| Hasher::new(algorithm)).collect() }
    }

    /// Adds bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.others.iter_mut().for_each(|hasher| hasher.update(bytes));
    }

    /// Ends the computation.
    pub(super) fn finish(self) -> Digests {
        Digests {
            md5: self.md5.finalize().into(),
            others: self.others.into_iter().map(Hasher::finish).collect(),
        }
    }
}

impl Digests {
    /// The value of a requested algorithm.
    pub fn of(&self, algorithm: Algorithm) -> Option<&Checksum> {
        self.others.iter().find(|checksum| checksum.algorithm == algorithm)
    }

    /// The ETag of an object that was uploaded in one request.
    pub fn etag(&self) -> String {
        hex(&self.md5)
    }
}

/// The ETag of an object whose parts have these MD5s.
pub(super) fn etag_of_parts(md5s: &[[u8; 16]]) -> String {
    format!("{}-{}", hex(&Md5::digest(md5s.concat())), md5s.len())
}

/// The checksum of an object whose parts have these sizes in bytes and values in base64.
///
/// # Errors
/// `InvalidRequest` if the algorithm has no checksum of this kind, or a value is invalid.
pub(super) fn checksum_of_parts(
    algorithm: Algorithm,
    kind: ChecksumType,
    parts: &[(u64, String)],
) -> Result<Checksum> {
    let decode = |value: &str| {
        BASE64
            .decode(value)
            .map_err(|_| S3Error::new(ErrorCode::InvalidRequest, "a part's checksum is not base64"))
    };
    let value = match (kind, algorithm.crc()) {
        (ChecksumType::Composite, _) => {
            let mut all = Vec::new();
            for (_, value) in parts {
                all.extend_from_slice(&decode(value)?);
            }
            format!("{}-{}", checksum_of(algorithm, &all).value, parts.len())
        }
        (ChecksumType::FullObject, Some(crc)) => {
            let mut whole = crc_fast::checksum(crc, b"");
            for (bytes, value) in parts {
                let value = decode(value)?.iter().fold(0, |crc, &byte| crc << 8 | u64::from(byte));
                whole = checksum_combine(crc, whole, value, *bytes);
            }
            encode_crc(algorithm, whole)
        }
        (ChecksumType::FullObject, None) => {
            let message = format!(
                "The FULL_OBJECT checksum type cannot be used with the {} checksum algorithm.",
                algorithm.name()
            );
            return Err(S3Error::new(ErrorCode::InvalidRequest, message));
        }
    };
    Ok(Checksum { algorithm, value })
}

/// Bytes as lowercase hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Parses an MD5 in hexadecimal digits.
pub(super) fn parse_md5(text: &str) -> Option<[u8; 16]> {
    let mut md5 = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in md5.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(md5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &[u8] = b"123456789";

    #[test]
    fn values_are_those_that_the_standards_give_for_their_test_string() {
        let value = |algorithm| checksum_of(algorithm, CHECK).value;
        assert_eq!(value(Algorithm::Crc32), BASE64.encode(0xcbf4_3926_u32.to_be_bytes()));
        assert_eq!(value(Algorithm::Crc32c), BASE64.encode(0xe306_9283_u32.to_be_bytes()));
        assert_eq!(value(Algorithm::Crc64Nvme), BASE64.encode(0xae8b_1486_0a79_9888_u64.to_be_bytes()));
        assert_eq!(value(Algorithm::Sha1), "98O8HYCOBHMq32eZZczDTKeuNEE=");
        assert_eq!(value(Algorithm::Sha256), "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=");
        for algorithm in Algorithm::ALL {
            algorithm.check_value(&value(algorithm)).unwrap();
            assert!(algorithm.check_value("AAA=").is_err());
            assert_eq!(Algorithm::parse(&algorithm.name().to_lowercase()).unwrap(), algorithm);
            assert_eq!(Algorithm::of_header(algorithm.header()), Some(algorithm));
        }
    }

    #[test]
    fn checksums_of_parts_are_those_of_the_whole_or_of_the_checksums() {
        let parts: Vec<&[u8]> = vec![b"1234", b"", b"56789"];
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let of_parts: Vec<(u64, String)> =
                parts.iter().map(|part| (part.len() as u64, checksum_of(algorithm, part).value)).collect();
            let full = checksum_of_parts(algorithm, ChecksumType::FullObject, &of_parts).unwrap();
            assert_eq!((full.kind(), &full), (ChecksumType::FullObject, &checksum_of(algorithm, CHECK)));
            let composite = checksum_of_parts(algorithm, ChecksumType::Composite, &of_parts).unwrap();
            assert!(composite.value.ends_with("-3") && composite.kind() == ChecksumType::Composite);
        }
        assert!(checksum_of_parts(Algorithm::Sha1, ChecksumType::FullObject, &[]).is_err());
    }

    #[test]
    fn etags_are_md5s() {
        let mut hashes = Hashes::new(&[Algorithm::Crc32]);
        hashes.update(b"a");
        hashes.update(b"bc");
        let digests = hashes.finish();
        assert_eq!(digests.etag(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(parse_md5(&digests.etag()), Some(digests.md5));
        assert_eq!(digests.of(Algorithm::Crc32), Some(&checksum_of(Algorithm::Crc32, b"abc")));
        assert!(digests.of(Algorithm::Sha1).is_none());
        // md5sum of the 16 bytes, twice.
        assert_eq!(etag_of_parts(&[digests.md5, digests.md5]), {
            hex(&Md5::digest([digests.md5, digests.md5].concat())) + "-2"
        });
        assert_eq!((parse_md5("9"), parse_md5(&"é".repeat(16))), (None, None));
    }
}
