//! How a file is compressed or packed, by its first bytes.

/// A way to compress or pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// What it is called.
    pub name: &'static str,
    /// The command that unpacks an archive of this kind.
    pub unpack: &'static str,
}

/// gzip, the one compression that is read.
pub const GZIP: Compression = Compression { name: "gzip", unpack: "tar xzf" };

const KINDS: [(&[u8], Compression); 11] = [
    (&[0x1f, 0x8b], GZIP),
    (b"BZh", Compression { name: "bzip2", unpack: "tar xjf" }),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], Compression { name: "xz", unpack: "tar xJf" }),
    (&[0x28, 0xb5, 0x2f, 0xfd], Compression { name: "zstd", unpack: "tar --zstd -xf" }),
    (&[0x5d, 0, 0], Compression { name: "lzma", unpack: "tar --lzma -xf" }),
    (b"LZIP", Compression { name: "lzip", unpack: "tar --lzip -xf" }),
    (&[0x04, 0x22, 0x4d, 0x18], Compression { name: "lz4", unpack: "tar -I lz4 -xf" }),
    (&[0x1f, 0x9d], Compression { name: "compress", unpack: "tar xZf" }),
    (b"PK\x03\x04", Compression { name: "zip", unpack: "unzip" }),
    (&[b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c], Compression { name: "7-Zip", unpack: "7z x" }),
    (b"Rar!", Compression { name: "RAR", unpack: "unrar x" }),
];

/// What a file that begins so is compressed with; `None` where that is nothing known.
pub fn of(start: &[u8]) -> Option<Compression> {
    KINDS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, compression)| *compression)
}

/// Whether a file that begins so is a tar archive. Its first header holds a checksum, also where it has no magic number.
pub fn is_tar(start: &[u8]) -> bool {
    /// Where a header holds its checksum, in octal digits; as blanks these bytes are part of the sum.
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

    #[test]
    fn files_are_known_by_their_first_bytes() {
        assert_eq!(of(b"BZh91AY&SY").map(|kind| kind.name), Some("bzip2"));
        assert_eq!(of(b"PK\x03\x04\x14").map(|kind| kind.unpack), Some("unzip"));
        assert_eq!(of(&[0x1f, 0x8b, 8]), Some(GZIP));
        assert_eq!(of(b"text"), None);
        assert!(!is_tar(&[0; 512]) && !is_tar(b"short") && !is_tar(&[b' '; 512]));
    }
}
