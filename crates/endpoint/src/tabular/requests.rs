//! Decoding of request bodies into blocks of rows.

use std::fmt;
use std::io::BufRead as _;
use std::io::Read as _;
use std::path::Path;

use kokanee_contract::{ContentType, MediaType};
use kokanee_formats::csv::{CsvError, CsvFormat, CsvReader, MAX_LINE_BYTES};
use kokanee_formats::json_instances::{
    JsonError, JsonPlace, MAX_CONFIGURATION_BYTES, read_json, read_json_line,
};
use kokanee_formats::numeric::{Echo, take_record};
use kokanee_formats::recordio::{MAGIC, RecordIoError, RecordReader};
use kokanee_formats::rows::{Limits, Row, Rows};
use kokanee_http::{Code, Rope, ServeError};

use super::inlet::{Inlet, Outlet};
use crate::head::Head;

/// Types of bodies that are read, in the order in which errors name them.
pub(super) const ACCEPTS: [MediaType; 4] =
    [MediaType::Json, MediaType::JsonLines, MediaType::Csv, MediaType::RecordIo];

/// The text with which the real containers refuse a body.
pub const REFUSED: &str = "unable to evaluate payload provided: ";
/// Allowance for parts of a line or a record besides its values: names, identifiers, labels.
const ITEM_MARGIN_BYTES: usize = 1 << 20;
/// Bytes of lines or records after which a block is large enough.
const BLOCK_BYTES: usize = 4 << 20;
/// Bytes that a byte of a record may become when decoded; an empty map entry is the worst case.
const DECODED_BYTES: usize = 32;
/// Bytes that a byte of a configuration may become: a map of one entry has room for eleven.
pub(super) const CONFIGURATION_BYTES: usize = 130;
/// Bytes of a row besides its values.
const ROW_BYTES: usize = 64;
/// Requests are limited only by the memory for them.
const LIMITS: Limits = Limits { rows: usize::MAX, values: usize::MAX };
/// The shortest row of any form: an empty frame.
const LEAST_ROW_BYTES: usize = 8;

/// A block of rows, and the parts of them that their answers repeat.
pub(super) struct Block {
    pub(super) rows: Rows,
    /// One for each row of RecordIO; otherwise empty.
    pub(super) echoes: Vec<Echo>,
    /// The position of the first row.
    pub(super) first: u64,
}

/// Reads a body block by block.
pub(super) struct Requests {
    source: Source,
    width: usize,
    inlet: Inlet,
    /// Bytes of the longest line or record, where it is known.
    longest: Option<usize>,
    /// Number of rows returned so far.
    given: u64,
}

enum Source {
    Csv {
        reader: CsvReader<Outlet>,
        labels: Vec<f32>,
    },
    RecordIo(RecordReader<Outlet>),
    Lines {
        reader: Outlet,
        line: u64,
        buffer: Vec<u8>,
    },
    /// All rows of an object, and the index of the next one to return.
    Object {
        rows: Rows,
        next: usize,
    },
}

impl Requests {
    /// A reader of a body, or of its first whole lines or records. The types of [`ACCEPTS`] only.
    ///
    /// # Errors
    /// When the body does not match its type. A JSON body is read completely.
    pub(super) fn new(
        content: &ContentType,
        body: Rope,
        width: usize,
    ) -> Result<(Self, Option<serde_json::Value>), ServeError> {
        let mut head = Head::default();
        body.pieces().take(1).for_each(|piece| head.push(piece));
        head.check(content.media != MediaType::RecordIo)?;
        let mut configuration = None;
        let (inlet, reader) = Inlet::new();
        inlet.put(body);
        let source = match content.media {
            MediaType::Csv => {
                let format = CsvFormat { label_size: label_size(content)?, width: Some(width) };
                Source::Csv { reader: CsvReader::new(reader, Path::new("body"), format), labels: Vec::new() }
            }
            MediaType::RecordIo => Source::RecordIo(RecordReader::new(reader, "body")),
            MediaType::JsonLines => Source::Lines { reader, line: 0, buffer: Vec::new() },
            MediaType::Json => {
                let mut whole = Vec::with_capacity(inlet.unread());
                let mut reader = reader;
                // Reading memory cannot fail.
                let _ = reader.read_to_end(&mut whole);
                let instances = read_json(&whole, width, LIMITS).map_err(json_refused)?;
                no_configuration(&instances.configurations, Place::Instance)?;
                configuration = instances.configuration;
                Source::Object { rows: instances.rows, next: 0 }
            }
            MediaType::Libsvm | MediaType::Text | MediaType::Model => {
                let message = format!("{} is not read here", content.media);
                return Err(ServeError::new(Code::UnsupportedMediaType, message));
            }
        };
        Ok((Self { source, width, inlet, longest: None, given: 0 }, configuration))
    }

    /// Continues with more whole lines or records, once all earlier ones were read. `longest` is the length of the longest so far.
    pub(super) fn put(&mut self, bytes: Rope, longest: usize) {
        self.inlet.put(bytes);
        self.longest = Some(longest);
    }

    /// Bytes of memory needed at once, before the first block, to read such a body into rows; `body` is the whole body.
    pub(super) fn opening_bytes(content: &ContentType, body: &Rope, width: usize) -> usize {
        if content.media != MediaType::Json {
            return 0;
        }
        let mut signs = [0_usize; 3];
        for piece in body.pieces() {
            signs[0] += piece.iter().filter(|&&byte| byte == b',').count();
            signs[1] += piece.iter().filter(|&&byte| byte == b'[').count();
            signs[2] += piece.iter().filter(|&&byte| byte == b'g' || byte == b'\\').count();
        }
        let [commas, brackets, hints] = signs;
        // Of the recognised names, only "configuration" contains a g or an escape for it.
        let configuration =
            if hints > 0 { CONFIGURATION_BYTES * body.len().min(MAX_CONFIGURATION_BYTES) } else { 0 };
        // A comma follows every value but the last of a row, and every key; every row has an array. Vectors grow by doubling, while the old
        // allocation still exists.
        3 * (size_of::<f32>() * (commas + brackets) + ROW_BYTES / 2 * brackets)
            + 2 * size_of::<f32>() * width
            + configuration
    }

    /// The number of rows that a block may have.
    pub(super) fn most_rows(&self, most: usize) -> usize {
        match &self.source {
            Source::Object { rows, next } => most.min(rows.len() - next),
            Source::Csv { .. } => most.min(self.unread() / (2 * self.width.max(1)) + 1),
            Source::RecordIo(_) | Source::Lines { .. } => most.min(self.unread() / LEAST_ROW_BYTES + 1),
        }
    }

    /// Bytes of memory needed to read a block of so many rows.
    pub(super) fn block_bytes(&self, rows: usize) -> usize {
        let unread = self.unread();
        let values = size_of::<f32>() * (rows * self.width);
        let item = unread.min(self.longest.unwrap_or(usize::MAX));
        let read = match &self.source {
            Source::Object { .. } => 0,
            Source::Csv { .. } => 3 * item.min(MAX_LINE_BYTES),
            Source::Lines { .. } => 8 * item.min(self.most_item_bytes()),
            // The echoed parts of records are not longer than the records.
            Source::RecordIo(_) => {
                DECODED_BYTES * item.min(ITEM_MARGIN_BYTES)
                    + 4 * unread.min(BLOCK_BYTES + self.most_item_bytes())
            }
        };
        2 * values.min(2 * size_of::<f32>() * unread.max(self.width)) + rows * ROW_BYTES + read
    }

    /// Bytes of the body, or of its decoded form, that are held between blocks.
    pub(super) fn held_bytes(&self) -> usize {
        let object = match &self.source {
            Source::Object { rows, .. } => rows.len() * (ROW_BYTES + size_of::<f32>() * self.width),
            _ => 0,
        };
        // Readers that continue keep their buffers, which have grown by doubling.
        let buffers = self.longest.map_or(0, |longest| 2 * (longest + size_of::<f32>() * self.width));
        self.unread() + object + buffers
    }

    /// The next rows, at most `most`; an empty block at the end.
    ///
    /// # Errors
    /// 400, naming the position of anything that is not a row of the model's width.
    pub(super) fn read(&mut self, most: usize) -> Result<Block, ServeError> {
        let mut block = Block { rows: Rows::new(self.width), echoes: Vec::new(), first: self.given };
        let (width, item_bytes) = (self.width, self.most_item_bytes());
        let (inlet, before) = (&self.inlet, self.unread());
        let has_enough =
            |rows: &Rows| rows.len() == most || (!rows.is_empty() && before - inlet.unread() >= BLOCK_BYTES);
        match &mut self.source {
            Source::Csv { reader, labels } => {
                reader.read(&mut block.rows, labels, most).map_err(csv_refused)?;
                labels.clear();
            }
            Source::RecordIo(reader) => {
                while !has_enough(&block.rows) {
                    let seen = reader.see_record(|record| {
                        let place = Place::Record { number: record.number, byte: record.offset };
                        let bytes = record.payload.len();
                        if bytes > item_bytes {
                            return Err(long_record(place, bytes, item_bytes));
                        }
                        take_record(record.payload, &mut block.rows).map_err(|fault| place.refused(fault))
                    });
                    let Some(echo) = seen.map_err(frame_refused)? else { break };
                    block.echoes.push(echo?);
                }
            }
            Source::Lines { reader, line, buffer } => {
                while !has_enough(&block.rows) && next_line(reader, line, buffer, item_bytes)? {
                    if buffer.trim_ascii().is_empty() {
                        continue;
                    }
                    let place = Place::Line(*line);
                    let instance =
                        read_json_line(buffer, width, LIMITS).map_err(|error| place.refused(error))?;
                    no_configuration(&instance.configurations, |_| place)?;
                    copy_row(&instance.rows, 0, &mut block.rows);
                }
            }
            Source::Object { rows, next } => {
                let end = rows.len().min(*next + most);
                for index in *next..end {
                    copy_row(rows, index, &mut block.rows);
                }
                *next = end;
            }
        }
        self.given += block.rows.len() as u64;
        Ok(block)
    }

    /// The number of bytes not read yet.
    pub(super) fn unread(&self) -> usize {
        self.inlet.unread()
    }

    /// The maximum bytes of a line or a record.
    pub(super) fn most_item_bytes(&self) -> usize {
        // Ten bytes for a key, eight for a value, and the same for labels.
        ITEM_MARGIN_BYTES + 32 * self.width
    }
}

/// Guesses the type of a body without `Content-Type` from its first bytes.
pub(super) fn guess(head: &[u8]) -> MediaType {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let has = |word: &[u8]| head.windows(word.len()).any(|window| window == word);
    match head.trim_ascii_start() {
        _ if head.starts_with(&MAGIC.to_le_bytes()) => MediaType::RecordIo,
        [b'{', ..] if has(b"\"instances\"") => MediaType::Json,
        [b'{', ..] if has(b"\"features\"") || has(b"\"data\"") => MediaType::JsonLines,
        [b'{', ..] => MediaType::Json,
        [b'[', ..] => MediaType::JsonLines,
        _ => MediaType::Csv,
    }
}

/// A position in a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// Index in `instances`, from 0.
    Instance(u64),
    /// Line, from 1.
    Line(u64),
    /// Record from 1, and where it begins in the body.
    Record { number: u64, byte: u64 },
}

impl Place {
    /// A 400 error for this position.
    pub(super) fn refused(self, problem: impl fmt::Display) -> ServeError {
        let (named, error) = match self {
            Place::Instance(index) => (format!("instances[{index}]: "), [("instance", index), ("", 0)]),
            Place::Line(line) => (format!("line {line}: "), [("line", line), ("", 0)]),
            Place::Record { number, byte } => {
                let named = format!("record {number} at byte {byte} of the body: ");
                (named, [("record", number), ("byte", byte)])
            }
        };
        let details = error.into_iter().filter(|(name, _)| !name.is_empty());
        details.fold(refused(format!("{named}{problem}")), |error, (name, value)| error.with(name, value))
    }
}

/// A 400 error in the real containers' words.
pub(super) fn refused(problem: impl fmt::Display) -> ServeError {
    ServeError::bad(format!("{REFUSED}{problem}"))
}

/// The error for a line of more than `most` bytes.
pub(super) fn long_line(line: u64, most: usize) -> ServeError {
    Place::Line(line).refused(format!("longer than {most} bytes; expected one instance per line"))
}

/// The error for a record of more than `most` bytes.
pub(super) fn long_record(place: Place, bytes: usize, most: usize) -> ServeError {
    place.refused(format!("{bytes} bytes; expected at most {most} for the features of this model"))
}

fn label_size(content: &ContentType) -> Result<usize, ServeError> {
    let Some(text) = content.parameter("label_size") else { return Ok(0) };
    text.trim().parse().ok().filter(|&size| size <= MAX_LINE_BYTES).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        let message = format!(
            "Content-Type label_size={shown:?}: expected how many columns in front are labels, such as 0"
        );
        ServeError::new(Code::UnsupportedMediaType, message)
    })
}

fn csv_refused(error: CsvError) -> ServeError {
    match error {
        CsvError::Line { line, fault, .. } => Place::Line(line).refused(fault),
        other => refused(other),
    }
}

fn frame_refused(error: RecordIoError) -> ServeError {
    match error {
        RecordIoError::Frame { record, offset, fault, .. } => {
            Place::Record { number: record, byte: offset }.refused(fault.of_body())
        }
        other => refused(other),
    }
}

fn json_refused(error: JsonError) -> ServeError {
    let refused = refused(&error);
    match error.place {
        JsonPlace::Instance(index) => refused.with("instance", index),
        JsonPlace::Line(line) => refused.with("line", line),
        JsonPlace::Alone => refused,
    }
}

/// Refuses configurations of instances: a configuration applies to the whole body, so one of an instance would be ignored.
fn no_configuration(
    configurations: &[(usize, serde_json::Value)],
    place: impl Fn(u64) -> Place,
) -> Result<(), ServeError> {
    match configurations.first() {
        None => Ok(()),
        Some((index, _)) => {
            let problem = "this model takes no configuration of an instance; put it beside \"instances\"";
            Err(place(*index as u64).refused(problem))
        }
    }
}

/// Reads a line into the buffer; false at the end.
fn next_line(
    reader: &mut Outlet,
    line: &mut u64,
    buffer: &mut Vec<u8>,
    most: usize,
) -> Result<bool, ServeError> {
    buffer.clear();
    let read = reader.take(most as u64 + 1).read_until(b'\n', buffer).map_err(refused)?;
    if read == 0 {
        return Ok(false);
    }
    *line += 1;
    if read > most {
        return Err(long_line(*line, most));
    }
    Ok(true)
}

fn copy_row(from: &Rows, index: usize, to: &mut Rows) {
    match from.row(index) {
        Row::Dense(values) => to.push_dense(values),
        Row::Sparse(columns, values) => to.push_sparse(columns, values),
    }
}
