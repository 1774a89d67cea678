//! Inputs that may be compressed with gzip; the first bytes decide, not the name.

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;

use crate::compression::{self, Compression};

/// Buffer size for reading and decompressing.
pub const BUFFER_BYTES: usize = 1 << 18;
/// Bytes needed to recognise an input: a tar archive is recognised by its first header.
const LOOKED_AT: usize = 512;

/// The bytes of an input, decompressed if it is gzip.
pub struct Decompressed<R> {
    input: Input<R>,
}

/// The inspected bytes, followed by the others.
type Whole<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

enum Input<R> {
    Plain(Whole<R>),
    Gzip(BufReader<MultiGzDecoder<Whole<R>>>),
}

/// The reason why an input cannot be read.
#[derive(Debug, Error)]
pub enum PackingFault {
    /// The system refused to read.
    #[error("cannot read: {0}")]
    Unreadable(#[from] io::Error),
    /// The input has another compression, or is an archive.
    #[error(
        "the file is {0}; files are read plain or compressed with gzip: unpack it first ({undo})", undo = .0.undo
    )]
    Packed(Compression),
    /// The decompressed data is itself compressed, or an archive.
    #[error(
        "the file is compressed with gzip, and what comes out of it is {0}; files are read plain or compressed with gzip once: \
         unpack it first (gunzip, then {undo})", undo = .0.undo
    )]
    PackedTwice(Compression),
}

impl<R: Read> Decompressed<R> {
    /// Inspects the first bytes of `input`. On a pipe it waits for one byte, and for a second only if the first is gzip's.
    ///
    /// # Errors
    /// When they cannot be read, or indicate another compression or an archive.
    pub fn new(mut input: R) -> Result<Self, PackingFault> {
        let mut begin = vec![0; LOOKED_AT];
        let mut got = 0;
        while got == 0 || begin[..got] == compression::GZIP_MAGIC[..1] {
            match input.read(&mut begin[got..]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        begin.truncate(got);
        let packing = compression::of_or_tar(&begin);
        let whole = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(begin).chain(input));
        match packing {
            None => Ok(Self { input: Input::Plain(whole) }),
            Some(compression::GZIP) => {
                let mut inner = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(whole));
                // A fault in compressed data occurs again, with its position, when the data is read.
                match inner.fill_buf().ok().and_then(compression::of_or_tar) {
                    None => Ok(Self { input: Input::Gzip(inner) }),
                    Some(packing) => Err(PackingFault::PackedTwice(packing)),
                }
            }
            Some(packing) => Err(PackingFault::Packed(packing)),
        }
    }

    /// Whether a read error means that the compressed data is damaged: unlike the system's errors, the decompressor's errors have no
    /// number.
    pub fn is_damage(&self, error: &io::Error) -> bool {
        matches!(self.input, Input::Gzip(_)) && error.raw_os_error().is_none()
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.input {
            Input::Plain(input) => input.read(buffer),
            Input::Gzip(input) => input.read(buffer),
        }
    }
}

impl<R: Read> BufRead for Decompressed<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match &mut self.input {
            Input::Plain(input) => input.fill_buf(),
            Input::Gzip(input) => input.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match &mut self.input {
            Input::Plain(input) => input.consume(amount),
            Input::Gzip(input) => input.consume(amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Returns one byte at a time, as a slow pipe does.
    struct Trickle(Cursor<Vec<u8>>);

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let room = buffer.len().min(1);
            self.0.read(&mut buffer[..room])
        }
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[track_caller]
    fn check(input: &[u8], expected: Result<&[u8], &str>) {
        let read = |input: &mut dyn Read| {
            let mut bytes = Vec::new();
            Decompressed::new(input)
                .map_err(|fault| fault.to_string())
                .and_then(|mut input| input.read_to_end(&mut bytes).map_err(|error| error.to_string()))
                .map(|_| bytes)
        };
        let of_expected = expected.map(<[u8]>::to_vec).map_err(str::to_owned);
        assert_eq!(read(&mut &*input), of_expected);
        if expected.is_ok() {
            assert_eq!(read(&mut Trickle(Cursor::new(input.to_vec()))), of_expected, "byte by byte");
        }
    }

    #[test]
    fn inputs_are_read_plain_or_compressed() {
        for bytes in [&b""[..], b"\x1f", b"1,2\n", &[7; 1000]] {
            check(bytes, Ok(bytes));
            check(&gzip(bytes), Ok(bytes));
            check(&[gzip(bytes), gzip(b"more")].concat(), Ok(&[bytes, b"more"].concat()));
        }
    }

    #[test]
    fn what_is_packed_otherwise_is_refused_with_what_to_do() {
        check(
            b"PK\x03\x04",
            Err(
                "the file is a zip archive; files are read plain or compressed with gzip: unpack it first (unzip)",
            ),
        );
        check(
            &gzip(&gzip(b"x")),
            Err(
                "the file is compressed with gzip, and what comes out of it is compressed with gzip; files are read plain or \
                 compressed with gzip once: unpack it first (gunzip, then gunzip)",
            ),
        );
        let cut = gzip(b"some words");
        let mut input = Decompressed::new(&cut[..cut.len() - 3]).unwrap();
        let error = input.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(input.is_damage(&error));
    }
}
