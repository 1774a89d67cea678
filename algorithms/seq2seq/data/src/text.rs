//! Lines and tokens of text files, plain or gzip-compressed.
//!
//! A line ends at `\n`; a `\r` is white space, so files with `\r\n` read the same. A byte order mark at the
//! start of a file is passed over. Whether a file is gzip-compressed is seen from its first bytes, not its name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use kokanee_formats::compression;

use crate::error::{DataError, TextFault};

/// The tokens of a line: what lies between white space, as Python's `str.split()` sees it.
pub fn tokens(line: &str) -> Tokens<'_> {
    Tokens { line, at: 0 }
}

/// Iterator of [`tokens`].
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.line.as_bytes();
        let mut start = self.at;
        loop {
            match space_at(bytes, start) {
                0 => break,
                width => start += width,
            }
        }
        let mut end = next_candidate(bytes, start);
        while end < bytes.len() && space_at(bytes, end) == 0 {
            end = next_candidate(bytes, end + 1);
        }
        self.at = end;
        (start < end).then(|| &self.line[start..end])
    }
}

/// The first place from `at` on where white space could begin: a byte up to the space or beyond ASCII; or the end.
/// Eight bytes at a time, since a loop by bytes ends at another count for every word and is mispredicted.
#[inline]
fn next_candidate(bytes: &[u8], mut at: usize) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    while let Some(&eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(eight);
        // Subtraction borrows beyond a byte only where that byte is a candidate, so the lowest mark is right.
        let up_to_space = word.wrapping_sub(EACH * 0x21) & !word;
        let marks = (up_to_space | word) & (EACH * 0x80);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte > b' ' && byte.is_ascii()) {
        at += 1;
    }
    at
}

/// What a byte can be the beginning of.
const ORDINARY: u8 = 0;
const SPACE: u8 = 1;
const PERHAPS_SPACE: u8 = 2;

/// The kind of every byte: one load tells nearly all of them.
static KINDS: [u8; 256] = {
    let mut kinds = [ORDINARY; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'\t'..=b'\r' | 0x1c..=0x1f | b' ' => SPACE,
            0xc2 | 0xe1..=0xe3 => PERHAPS_SPACE,
            _ => ORDINARY,
        };
        byte += 1;
    }
    kinds
};

/// Bytes of the white space that begins at `at`: 0 if there is none. Beside Unicode's White_Space these are the
/// separators U+001C to U+001F, which Python counts among them.
#[inline]
fn space_at(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at).map(|&byte| KINDS[byte as usize]) {
        Some(SPACE) => 1,
        Some(PERHAPS_SPACE) => wide_space_at(&bytes[at..]),
        _ => 0,
    }
}

/// The same for white space of several bytes. In UTF-8 their first bytes only ever begin a character, so looking
/// at every byte in turn finds no white space inside another character.
fn wide_space_at(bytes: &[u8]) -> usize {
    match bytes {
        [0xc2, 0x85 | 0xa0, ..] => 2,
        [0xe1, 0x9a, 0x80, ..]
        | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
        | [0xe2, 0x81, 0x9f, ..]
        | [0xe3, 0x80, 0x80, ..] => 3,
        _ => 0,
    }
}

/// The lines of a chunk's text, of which each ends in `\n`.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    memchr::memchr_iter(b'\n', text.as_bytes())
        .map(move |end| &text[std::mem::replace(&mut begin, end + 1)..end])
}

/// The most bytes a line may have. Far beyond any sentence; it keeps a file without line breaks out of memory.
pub const MAX_LINE_BYTES: usize = 1 << 20;

const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
const BUFFER_BYTES: usize = 1 << 18;

/// How much text is taken at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkSize {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

/// Whole lines of a file, each ending in `\n`.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    first_line: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    /// The lines as text.
    pub(crate) fn text<'a>(&'a self, path: &Path) -> Result<&'a str, DataError> {
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let valid = &self.bytes[..error.valid_up_to()];
            let line_start = valid.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            DataError::Text {
                path: path.to_owned(),
                line: self.first_line + valid.iter().filter(|&&byte| byte == b'\n').count() as u64,
                byte: (valid.len() - line_start) as u64 + 1,
                fault: TextFault::NotUtf8 { byte: self.bytes[error.valid_up_to()] },
            }
        })
    }

    pub(crate) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// The bytes of a text: those of the input, or what gzip makes of them. The first bytes decide, not the name.
pub struct TextBytes {
    input: Box<dyn BufRead + Send>,
    is_gzip: bool,
}

impl TextBytes {
    /// Looks at the first bytes of `input`.
    ///
    /// # Errors
    /// When they cannot be read, or are those of another compression or of an archive.
    pub fn new(input: impl Read + Send + 'static) -> Result<Self, TextFault> {
        let unreadable = |error: io::Error| TextFault::Unreadable { problem: error.to_string() };
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, input);
        match compression::of_or_tar(filled(&mut raw).map_err(unreadable)?) {
            None => Ok(Self { input: Box::new(raw), is_gzip: false }),
            Some(compression::GZIP) => {
                let mut inner = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw));
                // A fault in compressed data shows again, with its place, when lines are read.
                match inner.fill_buf().ok().and_then(compression::of_or_tar) {
                    None => Ok(Self { input: Box::new(inner), is_gzip: true }),
                    Some(packing) => Err(TextFault::PackedTwice(packing)),
                }
            }
            Some(packing) => Err(TextFault::Packed(packing)),
        }
    }

    /// What it means that reading failed.
    pub fn fault(&self, error: &io::Error) -> TextFault {
        let problem = error.to_string();
        // The decompressor's errors have no number of the system's.
        if self.is_gzip && error.raw_os_error().is_none() {
            TextFault::DamagedGzip { problem }
        } else {
            TextFault::Unreadable { problem }
        }
    }
}

impl Read for TextBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl BufRead for TextBytes {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.input.consume(amount);
    }
}

/// As `fill_buf`, begun again where a signal interrupts it.
fn filled(input: &mut impl BufRead) -> io::Result<&[u8]> {
    loop {
        match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    input.fill_buf()
}

/// A text file being read line by line.
pub(crate) struct TextFile {
    path: PathBuf,
    input: TextBytes,
    lines: u64,
    consumed: Arc<AtomicU64>,
    reported: u64,
}

impl TextFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let unreadable = || DataError::io(path, "open the text file");
        let file = File::open(path).map_err(unreadable())?;
        if file.metadata().map_err(unreadable())?.is_dir() {
            return Err(unreadable()(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")));
        }
        let consumed = Arc::new(AtomicU64::new(0));
        let counting = Counting { input: file, count: Arc::clone(&consumed) };
        let mut input = TextBytes::new(counting).map_err(|fault| DataError::Text {
            path: path.to_owned(),
            line: 1,
            byte: 1,
            fault,
        })?;
        if input.fill_buf().is_ok_and(|begin| begin.starts_with(&BYTE_ORDER_MARK)) {
            input.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Self { path: path.to_owned(), input, lines: 0, consumed, reported: 0 })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lines read so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes of the file (as it lies on disk) read since the last call.
    pub(crate) fn newly_consumed(&mut self) -> u64 {
        let consumed = self.consumed.load(Ordering::Relaxed);
        consumed - std::mem::replace(&mut self.reported, consumed)
    }

    /// A chunk to which [`append_lines`](Self::append_lines) adds the coming lines.
    pub(crate) fn begin_chunk(&self) -> Chunk {
        Chunk { first_line: self.lines + 1, bytes: Vec::new() }
    }

    /// Adds the coming lines to `chunk`: so many, or until it holds so many bytes, or all there are. Returns how
    /// many were added, 0 only at the end of the file.
    pub(crate) fn append_lines(&mut self, chunk: &mut Chunk, size: ChunkSize) -> Result<usize, DataError> {
        let mut lines = 0;
        let mut line_begin = chunk.bytes.len();
        while lines < size.lines && (chunk.bytes.len() < size.bytes || line_begin < chunk.bytes.len()) {
            let partial = chunk.bytes.len() - line_begin;
            if partial > MAX_LINE_BYTES {
                return Err(self.fault(MAX_LINE_BYTES, TextFault::TooLong { limit: MAX_LINE_BYTES as u64 }));
            }
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let fault = self.input.fault(&error);
                    return Err(self.fault(partial + 1, fault));
                }
            };
            if available.is_empty() {
                if partial > 0 {
                    chunk.bytes.push(b'\n');
                    self.lines += 1;
                    lines += 1;
                }
                break;
            }
            // Whole lines are copied together; what a line's end is missing from comes alone.
            let room = size.bytes.saturating_sub(chunk.bytes.len()).max(1);
            let mut taken = 0;
            for end in memchr::memchr_iter(b'\n', available) {
                let before = if taken == 0 { partial } else { 0 };
                if before + end - taken > MAX_LINE_BYTES {
                    break;
                }
                taken = end + 1;
                lines += 1;
                self.lines += 1;
                if lines == size.lines || taken >= room {
                    break;
                }
            }
            if taken > 0 {
                chunk.bytes.extend_from_slice(&available[..taken]);
                line_begin = chunk.bytes.len();
            } else {
                taken = available.len();
                chunk.bytes.extend_from_slice(available);
            }
            self.input.consume(taken);
        }
        Ok(lines)
    }

    /// The next lines, or `None` at the end of the file.
    pub(crate) fn read_chunk(&mut self, size: ChunkSize) -> Result<Option<Chunk>, DataError> {
        let mut chunk = self.begin_chunk();
        let lines = self.append_lines(&mut chunk, size)?;
        Ok((lines > 0).then_some(chunk))
    }

    fn fault(&self, byte: usize, fault: TextFault) -> DataError {
        DataError::Text { path: self.path.clone(), line: self.lines + 1, byte: byte as u64, fault }
    }
}

/// Counts what is read through it, for the progress bar.
struct Counting<R> {
    input: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.count.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

#[cfg(test)]
mod tests;
