//! Recognises compressed and packed files by their first bytes.
//!
//! Gzip is read where text is; of the others it is said what they are, instead of where they stop being text.

use std::fmt;

/// A way to compress files or to pack several into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// `.gz`, RFC 1952.
    Gzip,
    /// `.bz2`.
    Bzip2,
    /// `.xz`.
    Xz,
    /// `.zst`, RFC 8878.
    Zstandard,
    /// `.lz4`, a frame.
    Lz4,
    /// `.Z`, of the program compress.
    Compress,
    /// `.zip`.
    Zip,
    /// `.7z`.
    SevenZip,
    /// `.rar`.
    Rar,
    /// `.tar`, of POSIX or GNU.
    Tar,
}

/// The first bytes of each, at an offset.
const MAGIC: &[(Packing, usize, &[u8])] = &[
    (Packing::Gzip, 0, &[0x1f, 0x8b]),
    (Packing::Xz, 0, b"\xfd7zXZ\0"),
    (Packing::Zstandard, 0, &[0x28, 0xb5, 0x2f, 0xfd]),
    (Packing::Lz4, 0, &[0x04, 0x22, 0x4d, 0x18]),
    (Packing::Compress, 0, &[0x1f, 0x9d]),
    (Packing::Zip, 0, b"PK\x03\x04"),
    (Packing::Zip, 0, b"PK\x05\x06"),
    (Packing::SevenZip, 0, b"7z\xbc\xaf\x27\x1c"),
    (Packing::Rar, 0, b"Rar!\x1a\x07"),
    (Packing::Tar, 257, b"ustar"),
    // After `BZh` and the level 1 to 9: the first block, or the end of an empty file.
    (Packing::Bzip2, 4, &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59]),
    (Packing::Bzip2, 4, &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]),
];

impl Packing {
    /// What a file with this beginning is, if it is any of these.
    pub fn of(begin: &[u8]) -> Option<Self> {
        let fits = |&&(packing, at, magic): &&(Packing, usize, &[u8])| {
            begin.get(at..).is_some_and(|rest| rest.starts_with(magic))
                && (packing != Packing::Bzip2 || begin.starts_with(b"BZh"))
        };
        MAGIC.iter().find(fits).map(|&(packing, ..)| packing)
    }

    /// How the file came to be, as `compressed with xz`.
    fn how(self) -> &'static str {
        match self {
            Packing::Gzip => "compressed with gzip",
            Packing::Bzip2 => "compressed with bzip2",
            Packing::Xz => "compressed with xz",
            Packing::Zstandard => "compressed with zstd",
            Packing::Lz4 => "compressed with lz4",
            Packing::Compress => "compressed with compress",
            Packing::Zip => "a zip archive",
            Packing::SevenZip => "a 7z archive",
            Packing::Rar => "a rar archive",
            Packing::Tar => "a tar archive",
        }
    }

    /// The command that undoes it.
    pub fn undo(self) -> &'static str {
        match self {
            Packing::Gzip | Packing::Compress => "gunzip",
            Packing::Bzip2 => "bunzip2",
            Packing::Xz => "unxz",
            Packing::Zstandard => "unzstd",
            Packing::Lz4 => "unlz4",
            Packing::Zip => "unzip",
            Packing::SevenZip => "7z x",
            Packing::Rar => "unrar x",
            Packing::Tar => "tar -xf",
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.how())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(begin: &[u8], expected: Option<Packing>) {
        assert_eq!(Packing::of(begin), expected, "{begin:?}");
    }

    #[test]
    fn files_are_known_by_their_first_bytes() {
        check(&[0x1f, 0x8b, 8, 0], Some(Packing::Gzip));
        check(b"BZh91AY&SYxx", Some(Packing::Bzip2));
        check(b"BZh9\x17rE8P\x90\0\0\0\0", Some(Packing::Bzip2));
        check(b"\xfd7zXZ\0\0\x04", Some(Packing::Xz));
        check(b"PK\x03\x04\x14\0", Some(Packing::Zip));
        check(&[0x28, 0xb5, 0x2f, 0xfd, 0x24], Some(Packing::Zstandard));
        let mut tar = vec![b'a'; 257];
        tar.extend_from_slice(b"ustar\x0000");
        check(&tar, Some(Packing::Tar));
    }

    #[test]
    fn text_is_none_of_them() {
        for text in [
            "",
            "B",
            "BZh is a word",
            "PKs are cars",
            "7z",
            "a b c\n",
            "ein hund läuft\n",
            "1AY&SY1AY&SY1AY&SY",
        ] {
            check(text.as_bytes(), None);
        }
    }
}
