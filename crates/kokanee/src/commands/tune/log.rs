//! Reading of the objective from a trial's log, as it grows.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use regex::bytes::Regex;

/// The largest number of bytes of an unfinished line that are kept; a longer line contains no metric.
const LONGEST_LINE_BYTES: usize = 1 << 16;
/// The number of bytes at the end of a log in which its error is searched for.
const ERROR_BYTES: u64 = 1 << 14;
/// The largest number of characters of an error that are kept.
const LONGEST_ERROR_CHARS: usize = 1000;

/// Reads new lines of a log.
pub(super) struct LogReader {
    path: PathBuf,
    pattern: Regex,
    offset: u64,
    line: Vec<u8>,
}

impl LogReader {
    /// A reader of the lines that are added from now on; the pattern's first group is the value. A resumed training reports its
    /// earlier values again.
    ///
    /// # Errors
    /// When the pattern is invalid, or the length of the log is not known.
    pub(super) fn new(path: &Path, pattern: &str) -> Result<Self> {
        let pattern = Regex::new(pattern).context("the pattern of the objective is damaged")?;
        let mut reader = Self { path: path.to_owned(), pattern, offset: 0, line: Vec::new() };
        reader.offset = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error).with_context(|| reader.problem()),
        };
        Ok(reader)
    }

    /// The values in lines that were written since the last call. A missing log has none.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(super) fn new_values(&mut self) -> Result<Vec<f64>> {
        let mut values = Vec::new();
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(values),
            Err(error) => return Err(error).with_context(|| self.problem()),
        };
        file.seek(SeekFrom::Start(self.offset)).with_context(|| self.problem())?;
        let mut piece = [0; 1 << 14];
        loop {
            let count = file.read(&mut piece).with_context(|| self.problem())?;
            if count == 0 {
                return Ok(values);
            }
            self.offset += count as u64;
            for part in piece[..count].split_inclusive(|byte| *byte == b'\n') {
                if self.line.len() < LONGEST_LINE_BYTES {
                    self.line.extend_from_slice(part);
                }
                if part.ends_with(b"\n") {
                    values.extend(self.value());
                    self.line.clear();
                }
            }
        }
    }

    fn value(&self) -> Option<f64> {
        let found = self.pattern.captures(&self.line)?.get(1)?.as_bytes();
        std::str::from_utf8(found).ok()?.parse().ok()
    }

    fn problem(&self) -> String {
        format!("cannot read {}", self.path.display())
    }
}

/// The last message of a failed training: its error, otherwise its last line.
pub(super) fn last_words(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(ERROR_BYTES))).ok()?;
    let mut bytes = Vec::new();
    file.take(ERROR_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end();
    let words = match text.rfind("\nerror: ") {
        Some(place) => &text[place + "\nerror: ".len()..],
        None => text.strip_prefix("error: ").or_else(|| text.lines().next_back())?,
    };
    let cut: String = words.chars().take(LONGEST_ERROR_CHARS).collect();
    (!cut.is_empty()).then_some(cut)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn values_are_found_once_also_in_lines_that_come_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.log");
        let mut reader = LogReader::new(&path, r"loss=(\S+)").unwrap();
        assert!(reader.new_values().unwrap().is_empty());
        let mut file = File::create(&path).unwrap();
        file.write_all(b"begin\nloss=1.5\nlo").unwrap();
        assert_eq!(reader.new_values().unwrap(), [1.5]);
        file.write_all(b"ss=2\xff\nloss=x\nloss=nan\nloss=3").unwrap();
        let values = reader.new_values().unwrap();
        assert!(values[0] == 2.0 && values[1].is_nan() && values.len() == 2, "{values:?}");
        file.write_all(b"\n").unwrap();
        assert_eq!(reader.new_values().unwrap(), [3.0]);
    }

    #[test]
    fn what_a_log_had_before_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.log");
        // The training was killed within a line.
        std::fs::write(&path, "loss=1\nloss=2").unwrap();
        let mut reader = LogReader::new(&path, r"^loss=(\S+)").unwrap();
        assert!(reader.new_values().unwrap().is_empty());
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b"goes on\nloss=1\nloss=2\n").unwrap();
        assert_eq!(reader.new_values().unwrap(), [1.0, 2.0]);
    }

    #[test]
    fn a_very_long_line_takes_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.log");
        let mut reader = LogReader::new(&path, r"loss=(\S+)").unwrap();
        std::fs::write(&path, [vec![b'x'; 1 << 20], b"\nloss=1\n".to_vec()].concat()).unwrap();
        assert_eq!(reader.new_values().unwrap(), [1.0]);
        assert!(reader.line.capacity() < 1 << 18);
    }

    #[test]
    fn the_last_error_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train.log");
        let check = |text: &str, want: Option<&str>| {
            std::fs::write(&path, text).unwrap();
            assert_eq!(last_words(&path).as_deref(), want);
        };
        check("a\nerror: x\nmore\nerror: y\n  z\n", Some("y\n  z"));
        check("error: x\n", Some("x"));
        check("a\nb\n", Some("b"));
        check("", None);
    }
}
