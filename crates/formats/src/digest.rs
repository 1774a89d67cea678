//! Checksums that distinguish files.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// Size and checksum of a file: a guard against accidents, not against attacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDigest {
    /// Its size.
    pub bytes: u64,
    /// CRC-32 of its content (IEEE, as in gzip), 8 hexadecimal digits.
    pub crc32: String,
}

impl FileDigest {
    /// The digest of this content.
    pub fn of(content: &[u8]) -> Self {
        let mut digesting = Digesting::new(io::sink());
        digesting.count(content);
        digesting.digest()
    }
}

/// CRC-32 (IEEE, as in gzip).
pub fn crc32(content: &[u8]) -> u32 {
    crc32fast::hash(content)
}

/// A hash of numbers, or of bytes as numbers: FNV-1a with 64 bits (Fowler, Noll, Vo). It never changes, and guards only against accidents.
pub fn fnv1a(items: impl IntoIterator<Item = u64>) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    items.into_iter().fold(BASIS, |hash, item| (hash ^ item).wrapping_mul(PRIME))
}

/// A reader or writer that computes the digest of the bytes that pass through it.
#[derive(Debug)]
pub struct Digesting<T> {
    inner: T,
    bytes: u64,
    crc: crc32fast::Hasher,
}

impl<T> Digesting<T> {
    /// A digest of `inner`, still empty.
    pub fn new(inner: T) -> Self {
        Self { inner, bytes: 0, crc: crc32fast::Hasher::new() }
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> FileDigest {
        FileDigest { bytes: self.bytes, crc32: format!("{:08x}", self.crc.clone().finalize()) }
    }

    /// The reader or writer itself.
    pub fn into_inner(self) -> T {
        self.inner
    }

    fn count(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.count(&buffer[..got]);
        Ok(got)
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.count(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_gzip_however_bytes_pass() {
        let digest = FileDigest::of(b"123456789");
        assert_eq!((digest.bytes, &*digest.crc32), (9, "cbf43926"));
        let mut writer = Digesting::new(Vec::new());
        writer.write_all(b"1234").unwrap();
        writer.write_all(b"56789").unwrap();
        assert_eq!(writer.digest(), digest);
        let mut reader = Digesting::new(&b"123456789"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.digest(), digest);
        assert_ne!(FileDigest::of(b"12345678"), digest);
    }

    #[test]
    fn hashes_are_the_published_ones() {
        // From the page of FNV, and the check value of CRC-32.
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(fnv1a(text.bytes().map(u64::from)), hash);
        }
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
