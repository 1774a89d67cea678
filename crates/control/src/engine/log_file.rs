//! The log file of a task's output: `<milliseconds since 1970>\t<line>\n`, each line with its time of arrival.
//!
//! Times never decrease from one line to the next, so a line is found by its time without an index. Its position in the file never changes
//! and serves as its name.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::store::now_ms;

/// The longest line; the rest of a longer one becomes a line of its own. The limit is that of an event in CloudWatch Logs.
pub const LONGEST_LINE_BYTES: usize = 256 << 10;
/// The most bytes of a line in addition to its text: the time, a tab, and the line break.
const MARKS_BYTES: usize = 24;
/// A search reads lines one by one if at most this many bytes are left.
const SEARCH_BYTES: u64 = 4 << 10;

/// Writes lines to a log.
#[derive(Debug)]
pub struct LogWriter {
    file: File,
    /// The beginning of a line that has not ended yet.
    open: Vec<u8>,
    last_ms: i64,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The offset of its beginning in the file, in bytes.
    pub offset: u64,
    /// The offset of the next line.
    pub end: u64,
    /// Its time of arrival, in milliseconds since 1970.
    pub at_ms: i64,
    /// Its text.
    pub text: String,
}

impl LogWriter {
    /// Opens a log; new lines are appended.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
        // A machine that stopped may have left half a line.
        let length = file.metadata()?.len();
        if length > 0 {
            file.seek(SeekFrom::Start(length - 1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
            }
        }
        let last_ms = last_ms(path)?.unwrap_or_default();
        Ok(Self { file, open: Vec::new(), last_ms })
    }

    /// Adds output, which may begin and end within lines. Complete lines are in the file when this returns.
    ///
    /// # Errors
    /// When the system refuses; the lines are lost then.
    pub fn write(&mut self, output: &[u8]) -> io::Result<()> {
        let mut lines = String::new();
        self.last_ms = self.last_ms.max(now_ms());
        for part in output.split_inclusive(|&byte| byte == b'\n') {
            let mut part = part;
            while self.open.len() + part.len() > LONGEST_LINE_BYTES {
                let (first, rest) = part.split_at(LONGEST_LINE_BYTES - self.open.len());
                self.open.extend_from_slice(first);
                self.take_line(&mut lines);
                part = rest;
            }
            self.open.extend_from_slice(part);
            if self.open.ends_with(b"\n") {
                self.take_line(&mut lines);
            }
        }
        self.file.write_all(lines.as_bytes())
    }

    /// Writes the rest of a line without an end, and syncs the log to the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.open.is_empty() {
            self.write(b"\n")?;
        }
        self.file.sync_all()
    }

    fn take_line(&mut self, lines: &mut String) {
        let text = String::from_utf8_lossy(&self.open);
        lines.push_str(&format!("{}\t{}\n", self.last_ms, text.trim_end_matches(['\n', '\r'])));
        self.open.clear();
    }
}

/// Reads the complete lines from `offset`, where a line must begin: up to `most_lines`, and up to `most_bytes` unless the first line alone
/// has more. A missing file has no lines.
///
/// # Errors
/// When the system refuses.
pub fn read_from(path: &Path, offset: u64, most_lines: usize, most_bytes: u64) -> io::Result<Vec<Line>> {
    let Some(mut file) = open(path)? else { return Ok(Vec::new()) };
    file.seek(SeekFrom::Start(offset))?;
    let mut lines = Vec::new();
    let mut reader = BufReader::new(file);
    let mut at = offset;
    while lines.len() < most_lines {
        let Some(line) = next(&mut reader, at)? else { break };
        if line.end - offset > most_bytes && !lines.is_empty() {
            break;
        }
        at = line.end;
        lines.push(line);
    }
    Ok(lines)
}

/// Reads back from `high`: the last complete lines between the offsets `low` and `high`, up to `most_lines`, and up to `most_bytes` unless
/// the last line alone has more. Also returns the end of the last of them, or `low` if there are none.
///
/// # Errors
/// When the system refuses.
pub fn read_back(
    path: &Path,
    low: u64,
    high: u64,
    most_lines: usize,
    most_bytes: u64,
) -> io::Result<(Vec<Line>, u64)> {
    let Some(mut file) = open(path)? else { return Ok((Vec::new(), low)) };
    let high = high.min(file.metadata()?.len()).max(low);
    let most_bytes = most_bytes.max((LONGEST_LINE_BYTES + MARKS_BYTES) as u64);
    let mut window = SEARCH_BYTES.min(most_bytes);
    let mut lines = loop {
        let from = high.saturating_sub(window).max(low);
        let lines = lines_between(&mut file, from, low, high)?;
        if lines.len() >= most_lines || from == low || window == most_bytes {
            break lines;
        }
        window = (window * 4).min(most_bytes);
    };
    lines.drain(..lines.len().saturating_sub(most_lines));
    let end = lines.last().map_or(low, |line| line.end);
    Ok((lines, end))
}

/// Whether a line begins, or would begin, at this offset.
///
/// # Errors
/// When the system refuses.
pub fn is_start(path: &Path, at: u64) -> io::Result<bool> {
    let Some(mut file) = open(path)? else { return Ok(at == 0) };
    if at == 0 || at > file.metadata()?.len() {
        return Ok(at == 0);
    }
    file.seek(SeekFrom::Start(at - 1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The offset of the first line that came at `at_ms` or later; the end of the file if there is none.
///
/// # Errors
/// When the system refuses.
pub fn find(path: &Path, at_ms: i64) -> io::Result<u64> {
    let Some(mut file) = open(path)? else { return Ok(0) };
    // Lines that begin before `low` came earlier; the line searched for is not after `high`.
    let (mut low, mut high) = (0, file.metadata()?.len());
    while high.saturating_sub(low) > SEARCH_BYTES {
        let middle = low + (high - low) / 2;
        match first_after(&mut file, middle)? {
            Some(line) if line.offset < high && line.at_ms < at_ms => low = line.end,
            _ => high = middle,
        }
    }
    // A line that begins before `high` may end after it.
    file.seek(SeekFrom::Start(low))?;
    let mut reader = BufReader::new(file);
    loop {
        match next(&mut reader, low)? {
            Some(line) if line.at_ms < at_ms => low = line.end,
            _ => return Ok(low),
        }
    }
}

/// The time of the last line; none if the log is empty.
///
/// # Errors
/// When the system refuses.
pub fn last_ms(path: &Path) -> io::Result<Option<i64>> {
    let (lines, _) = read_back(path, 0, u64::MAX, 1, 0)?;
    Ok(lines.last().map(|line| line.at_ms))
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        file => Ok(Some(file?)),
    }
}

/// The first line with a time that begins after `at`, which may be within another line.
fn first_after(file: &mut File, at: u64) -> io::Result<Option<Line>> {
    file.seek(SeekFrom::Start(at))?;
    let mut reader = BufReader::new(file);
    let mut begin = at + reader.skip_until(b'\n')? as u64;
    loop {
        match next(&mut reader, begin)? {
            Some(line) if line.at_ms == 0 => begin = line.end,
            line => return Ok(line),
        }
    }
}

/// The complete lines that begin at `from` or later, and end at `high` or earlier. A line begins at `low`.
fn lines_between(file: &mut File, from: u64, low: u64, high: u64) -> io::Result<Vec<Line>> {
    let mut at = from;
    if from > low {
        file.seek(SeekFrom::Start(from - 1))?;
        at = from - 1 + BufReader::new(&*file).skip_until(b'\n')? as u64;
    }
    file.seek(SeekFrom::Start(at))?;
    let mut reader = BufReader::new(file);
    let mut lines = Vec::new();
    while let Some(line) = next(&mut reader, at)?.filter(|line| line.end <= high) {
        at = line.end;
        lines.push(line);
    }
    Ok(lines)
}

/// Reads the line at `offset`, where the reader is; none if no complete line is left.
fn next(reader: &mut BufReader<impl io::Read>, offset: u64) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let length = reader.read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    // A line without a time was written by another program.
    let (at_ms, text) = match text.split_once('\t').map(|(at, text)| (at.parse(), text)) {
        Some((Ok(at_ms), text)) => (at_ms, text.to_owned()),
        _ => (0, text.into_owned()),
    };
    Ok(Some(Line { offset, end: offset + length as u64, at_ms, text }))
}
