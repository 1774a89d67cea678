//! Lines of text files, plain or gzip-compressed.
//!
//! A line ends at `\n`; a `\r` is kept, since readers treat it as white space. A byte order mark at the start of a file is skipped. The
//! first bytes decide whether a file is gzip-compressed, not its name.

mod error;

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use error::{TextError, TextFault};

use crate::FileError;
use crate::decompressed::Decompressed;

/// The lines of a chunk's text, each of which ends in `\n`.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    memchr::memchr_iter(b'\n', text.as_bytes())
        .map(move |end| &text[std::mem::replace(&mut begin, end + 1)..end])
}

/// The maximum bytes of a line. It is far beyond any sentence, and protects memory from files without line breaks.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// The mark that some programs put before UTF-8; it is not part of the text.
pub const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The amount of text to read at a time.
#[derive(Debug, Clone, Copy)]
pub struct ChunkSize {
    /// Maximum number of lines.
    pub lines: usize,
    /// Number of bytes after which to stop; the line that reaches it is included.
    pub bytes: usize,
}

/// Whole lines of a file, each ending in `\n`.
#[derive(Debug, Default)]
pub struct Chunk {
    first_line: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    /// The lines as text; `path` is used in errors.
    ///
    /// # Errors
    /// When they are not UTF-8; the error names the line and the byte.
    pub fn text<'a>(&'a self, path: &Path) -> Result<&'a str, TextError> {
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let valid = &self.bytes[..error.valid_up_to()];
            let line_start = valid.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            TextError::Line {
                path: path.to_owned(),
                line: self.first_line + valid.iter().filter(|&&byte| byte == b'\n').count() as u64,
                byte: (valid.len() - line_start) as u64 + 1,
                fault: TextFault::NotUtf8 { byte: self.bytes[error.valid_up_to()] },
            }
        })
    }

    /// Bytes of the lines, including line ends.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A text file being read line by line.
pub struct TextFile {
    path: PathBuf,
    input: Decompressed<Counting<File>>,
    lines: u64,
    consumed: Arc<AtomicU64>,
    reported: u64,
}

impl TextFile {
    /// Opens a file and detects its compression.
    ///
    /// # Errors
    /// When it cannot be opened, is a folder, or has an unsupported compression or archive form.
    pub fn open(path: &Path) -> Result<Self, TextError> {
        let unreadable = || FileError::io(path, "open the text file");
        let file = File::open(path).map_err(unreadable())?;
        if file.metadata().map_err(unreadable())?.is_dir() {
            return Err(unreadable()(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")).into());
        }
        let consumed = Arc::new(AtomicU64::new(0));
        let counting = Counting { input: file, count: Arc::clone(&consumed) };
        let mut input = Decompressed::new(counting).map_err(|fault| TextError::Line {
            path: path.to_owned(),
            line: 1,
            byte: 1,
            fault: fault.into(),
        })?;
        if input.fill_buf().is_ok_and(|begin| begin.starts_with(&BYTE_ORDER_MARK)) {
            input.consume(BYTE_ORDER_MARK.len());
        }
        Ok(Self { path: path.to_owned(), input, lines: 0, consumed, reported: 0 })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of lines read so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Bytes of the file (as on disk) read since the last call.
    pub fn newly_consumed(&mut self) -> u64 {
        let consumed = self.consumed.load(Ordering::Relaxed);
        consumed - std::mem::replace(&mut self.reported, consumed)
    }

    /// An empty chunk for [`append_lines`](Self::append_lines).
    pub fn begin_chunk(&self) -> Chunk {
        Chunk { first_line: self.lines + 1, bytes: Vec::new() }
    }

    /// Adds the next lines to `chunk`, until the limit of lines or bytes is reached or the file ends. Returns the number of lines added, 0
    /// only at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read or decompressed, or a line is longer than [`MAX_LINE_BYTES`].
    pub fn append_lines(&mut self, chunk: &mut Chunk, size: ChunkSize) -> Result<usize, TextError> {
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
                    let fault = TextFault::of_reading(&self.input, &error);
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
            // Whole lines are copied together; a line without its end is copied alone.
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
    ///
    /// # Errors
    /// As [`append_lines`](Self::append_lines).
    pub fn read_chunk(&mut self, size: ChunkSize) -> Result<Option<Chunk>, TextError> {
        let mut chunk = self.begin_chunk();
        let lines = self.append_lines(&mut chunk, size)?;
        Ok((lines > 0).then_some(chunk))
    }

    fn fault(&self, byte: usize, fault: TextFault) -> TextError {
        TextError::Line { path: self.path.clone(), line: self.lines + 1, byte: byte as u64, fault }
    }
}

/// Counts the bytes read through it, for the progress bar.
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
