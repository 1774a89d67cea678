//! Lines of text from a file (plain or gzip-compressed) or from stdin.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use kokanee_formats::decompressed::Decompressed;
use kokanee_formats::text_lines::{MAX_LINE_BYTES, TextError, TextFault};

const BUFFER_BYTES: usize = 1 << 17;

/// Reads lines one after the other. A byte order mark at the start and `\r` at a line's end are removed.
pub(crate) struct TextInput {
    name: PathBuf,
    input: BufReader<Decompressed<Box<dyn Read + Send>>>,
    lines: u64,
}

impl TextInput {
    /// Opens a file; `None` and `-` mean stdin.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        match path.filter(|path| *path != Path::new("-")) {
            None => Self::new("stdin", io::stdin()),
            Some(path) if path.is_dir() => bail!("{} is a folder; expected a text file", path.display()),
            Some(path) => {
                let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
                Self::new(path, file)
            }
        }
    }

    fn new(name: impl Into<PathBuf>, input: impl Read + Send + 'static) -> Result<Self> {
        let name = name.into();
        match Decompressed::new(Box::new(input) as Box<dyn Read + Send>) {
            Ok(input) => Ok(Self { name, input: BufReader::with_capacity(BUFFER_BYTES, input), lines: 0 }),
            Err(fault) => Err(TextError::Line { path: name, line: 1, byte: 1, fault: fault.into() }.into()),
        }
    }

    /// The name of the input for messages.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Number of lines read so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines
    }

    /// The next line without its end; `None` after the last.
    ///
    /// # Errors
    /// When it is not UTF-8, extremely long, or cannot be read; the error names the line and byte.
    pub(crate) fn next_line(&mut self) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        let limit = MAX_LINE_BYTES as u64;
        // The line's end is added to the limit.
        let result = (&mut self.input).take(limit + 1).read_until(b'\n', &mut bytes);
        if let Err(error) = result {
            let fault = TextFault::of_reading(self.input.get_ref(), &error);
            return Err(self.fault(bytes.len() as u64 + 1, fault));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() as u64 > limit {
            return Err(self.fault(limit, TextFault::TooLong { limit }));
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            self.fault(at as u64 + 1, TextFault::NotUtf8 { byte: error.as_bytes()[at] })
        })?;
        self.lines += 1;
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) if self.lines == 1 => rest.to_owned(),
            _ => text,
        };
        Ok(Some(text))
    }

    /// Returns the next lines, at most `most`; empty at the end. Never waits for more than one line: lines that have arrived are
    /// returned, so that a person who types, or a program at the other end of a pipe, gets an answer to each line.
    ///
    /// # Errors
    /// As [`TextInput::next_line`]. A fault comes after the lines before it: a call that has lines returns them, and the next call
    /// fails.
    pub(crate) fn next_chunk(&mut self, most: usize) -> Result<Vec<String>> {
        let mut chunk = Vec::new();
        while chunk.len() < most && (chunk.is_empty() || self.input.buffer().contains(&b'\n')) {
            match self.next_line()? {
                Some(line) => chunk.push(line),
                None => break,
            }
        }
        Ok(chunk)
    }

    fn fault(&self, byte: u64, fault: TextFault) -> anyhow::Error {
        TextError::Line { path: self.name.clone(), line: self.lines + 1, byte, fault }.into()
    }
}

/// Reads all lines of a file.
///
/// # Errors
/// As [`TextInput::next_line`].
pub(crate) fn read_lines(path: &Path) -> Result<Vec<String>> {
    let mut input = TextInput::open(Some(path))?;
    let mut lines = Vec::new();
    while let Some(line) = input.next_line()? {
        lines.push(line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Yields its parts one at a time, as a pipe does.
    struct Pipe(Vec<&'static [u8]>);

    impl Read for Pipe {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let part = self.0.remove(0);
            buffer[..part.len()].copy_from_slice(part);
            Ok(part.len())
        }
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&[&str], &str>) {
        let input = TextInput::new("in", io::Cursor::new(bytes.to_vec()));
        let lines = input.and_then(|mut input| {
            let mut lines = Vec::new();
            while let Some(line) = input.next_line()? {
                lines.push(line);
            }
            Ok(lines)
        });
        match (lines, expected) {
            (Ok(lines), Ok(expected)) => assert_eq!(lines, expected),
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (lines, expected) => panic!("{lines:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn lines_of_all_kinds_of_files() {
        check(b"", Ok(&[]));
        check(b"a b\n\nc", Ok(&["a b", "", "c"]));
        check(b"\xef\xbb\xbfa\r\n\xef\xbb\xbfb\r\n", Ok(&["a", "\u{feff}b"]));
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"x\ny\n").unwrap();
        let packed = packed.finish().unwrap();
        check(&packed, Ok(&["x", "y"]));
        let cut = TextInput::new("in", io::Cursor::new(packed[..packed.len() / 2].to_vec()));
        let error = cut.and_then(|mut input| input.next_line()).unwrap_err().to_string();
        assert!(
            error.contains(": cannot decompress the rest: ") && error.contains("copy it again"),
            "{error}"
        );
        check(
            b"ok\nab\xffc\n",
            Err(
                "in:2:3: byte 0xff is not valid UTF-8 here; save the file as UTF-8 (iconv -f \u{2026} -t utf-8)",
            ),
        );
    }

    #[test]
    fn a_chunk_takes_what_has_arrived_and_no_more() {
        let pipe = Pipe(vec![b"a\nb\nc", b"d\n", b"e\n", b"f"]);
        let mut input = TextInput::new("pipe", pipe).unwrap();
        for expected in [&["a", "b"][..], &["cd"], &["e"], &["f"], &[]] {
            assert_eq!(input.next_chunk(10).unwrap(), expected);
        }
        let mut input = TextInput::new("many", io::Cursor::new(b"1\n2\n3\n".to_vec())).unwrap();
        assert_eq!(input.next_chunk(2).unwrap(), ["1", "2"]);
        assert_eq!(input.lines(), 2);
    }
}
