//! Detection of compression and archives by their first bytes.

use std::fmt;

/// A way to compress a file or to pack several into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Its name.
    pub name: &'static str,
    /// Whether it packs several files into one.
    pub is_archive: bool,
    /// The command that decompresses or unpacks it.
    pub undo: &'static str,
    /// The command that unpacks a tar archive with this compression, or an archive of this kind.
    pub unpack: &'static str,
}

const fn compressed(name: &'static str, undo: &'static str, unpack: &'static str) -> Compression {
    Compression { name, is_archive: false, undo, unpack }
}

const fn archive(name: &'static str, unpack: &'static str) -> Compression {
    Compression { name, is_archive: true, undo: unpack, unpack }
}

/// The first bytes of gzip.
pub const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// gzip, the only compression that is read.
pub const GZIP: Compression = compressed("gzip", "gunzip", "tar xzf");
/// tar, the only archive that is read.
pub const TAR: Compression = archive("tar", "tar xf");
const BZIP2: Compression = compressed("bzip2", "bunzip2", "tar xjf");
const ZIP: Compression = archive("zip", "unzip");

/// The first bytes of each kind; seven bytes distinguish all.
const KINDS: &[(&[u8], Compression)] = &[
    (&GZIP_MAGIC, GZIP),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], compressed("xz", "unxz", "tar xJf")),
    (&[0x28, 0xb5, 0x2f, 0xfd], compressed("zstd", "unzstd", "tar --zstd -xf")),
    (&[0x5d, 0, 0], compressed("lzma", "unlzma", "tar --lzma -xf")),
    (b"LZIP\x01", compressed("lzip", "lzip -d", "tar --lzip -xf")),
    (&[0x04, 0x22, 0x4d, 0x18], compressed("lz4", "unlz4", "tar -I lz4 -xf")),
    (&[0x1f, 0x9d], compressed("compress", "uncompress", "tar xZf")),
    // A file, an empty archive, and a spanned archive.
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"PK\x07\x08", ZIP),
    (&[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c], archive("7z", "7z x")),
    (b"Rar!\x1a\x07", archive("rar", "unrar x")),
];

/// The compression or archive of a file that begins with these bytes; `None` if it is unknown, or tar.
pub fn of(start: &[u8]) -> Option<Compression> {
    // The digit is the block size; the bytes after it are half of pi, or its square root in an empty file.
    if let [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, ..]
    | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, ..] = start
    {
        return Some(BZIP2);
    }
    KINDS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, compression)| *compression)
}

/// As [`of`], including tar, which takes 512 bytes to recognise.
pub fn of_or_tar(start: &[u8]) -> Option<Compression> {
    of(start).or_else(|| is_tar(start).then_some(TAR))
}

/// `compressed with xz`, `a zip archive`.
impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_archive {
            write!(f, "a {} archive", self.name)
        } else {
            write!(f, "compressed with {}", self.name)
        }
    }
}

/// Whether a file that begins with these bytes is a tar archive. Its first header holds a checksum, even if it has no magic number.
pub fn is_tar(start: &[u8]) -> bool {
    /// The position of the checksum in a header, in octal digits; these bytes count as blanks in the sum.
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let Some(header) = start.get(..512) else { return false };
    let digits =
        header[CHECKSUM].split(|byte| !(b'0'..=b'7').contains(byte)).find(|digits| !digits.is_empty());
    let written = digits.and_then(|digits| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
    let byte = |(place, byte): (usize, &u8)| u64::from(if CHECKSUM.contains(&place) { b' ' } else { *byte });
    written == Some(header.iter().enumerate().map(byte).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(start: &[u8], expected: Option<&str>) {
        assert_eq!(of(start).map(|kind| kind.to_string()).as_deref(), expected, "{start:?}");
    }

    #[test]
    fn files_are_known_by_their_first_bytes() {
        check(&[0x1f, 0x8b, 8], Some("compressed with gzip"));
        check(b"BZh91AY&SY", Some("compressed with bzip2"));
        check(b"BZh9\x17rE8P\x90", Some("compressed with bzip2"));
        check(b"\xfd7zXZ\0\0\x04", Some("compressed with xz"));
        check(b"\x28\xb5\x2f\xfd\x24", Some("compressed with zstd"));
        check(b"PK\x03\x04\x14", Some("a zip archive"));
        check(b"PK\x05\x06\0\0", Some("a zip archive"));
    }

    #[test]
    fn text_is_none_of_them() {
        for text in [
            "",
            "B",
            "BZh is a word",
            "BZh9 is one",
            "PKs are cars",
            "7z",
            "LZIP",
            "a b\n",
            "ein hund läuft\n",
        ] {
            check(text.as_bytes(), None);
        }
        assert!(!is_tar(&[0; 512]) && !is_tar(b"short") && !is_tar(&[b' '; 512]));
    }

    #[test]
    fn tar_is_known_by_its_checksum() {
        let mut header = [0; 512];
        header[..4].copy_from_slice(b"name");
        let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum::<u64>() + 8 * u64::from(b' ');
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert_eq!(of_or_tar(&header), Some(TAR));
        header[0] = b'N';
        assert_eq!(of_or_tar(&header), None);
    }
}
