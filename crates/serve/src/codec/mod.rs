//! Request bodies to instances, answers to response bodies: one table of content types.

mod configuration;
mod json;
mod json_lines;
mod lines;
mod media_type;
mod record_io;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use serde_json::Value;

pub use configuration::{Configuration, KEYS as CONFIGURATION_KEYS, MAX_BEAM_SIZE, MAX_PREFIX_BYTES};
pub use media_type::MediaType;

use crate::answered::Answered;
use crate::error::ServeError;

/// The longest line, or record, of a request, in bytes.
pub const MAX_ITEM_BYTES: usize = 1 << 20;
/// The most tokens of one instance. A sentence has some dozens; what is longer than any that was trained on is translated in
/// pieces, so the limit is one of patience.
pub const MAX_INSTANCE_TOKENS: usize = 4096;

/// One thing to translate.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// What to translate.
    pub input: Input,
    /// How.
    pub configuration: Configuration,
}

/// A source sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Tokens with white space between them.
    Text(String),
    /// Word ids.
    Ids(Vec<u32>),
}

/// An instance and where it stood.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Where.
    pub place: Place,
    /// What.
    pub instance: Instance,
}

/// Where in a body something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Index in `instances`, from 0.
    Instance(u64),
    /// Line, from 1.
    Line(u64),
    /// Record, from 1.
    Record {
        /// Its number.
        number: u64,
        /// Where it begins, in bytes from the start of the body.
        byte: u64,
    },
}

impl Place {
    /// A 400 about this place. `field` is a path within the instance, such as `configuration.nbest`.
    pub(crate) fn bad(self, field: Option<&str>, problem: impl fmt::Display) -> ServeError {
        let named = match (self, field) {
            (Place::Instance(_), Some(field)) => format!("{self}.{field}"),
            (_, Some(field)) => format!("{self}: {field}"),
            (_, None) => self.to_string(),
        };
        let error = self.detail(ServeError::bad(format!("{named}: {problem}")));
        match field {
            Some(field) => error.with("field", field),
            None => error,
        }
    }

    fn detail(self, error: ServeError) -> ServeError {
        match self {
            Place::Instance(index) => error.with("instance", index),
            Place::Line(line) => error.with("line", line),
            Place::Record { number, byte } => error.with("record", number).with("byte", byte),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Instance(index) => write!(f, "instances[{index}]"),
            Place::Line(line) => write!(f, "line {line}"),
            Place::Record { number, byte } => write!(f, "record {number} at byte {byte} of the body"),
        }
    }
}

/// Takes a body in pieces of any size and gives instances as soon as they are whole.
pub struct Reader {
    kind: Kind,
}

enum Kind {
    Json(json::Reader),
    JsonLines(json_lines::Reader),
    RecordIo(record_io::Reader),
    Text(text::Reader),
}

impl Reader {
    /// A reader of bodies of this type.
    pub fn new(media: MediaType) -> Self {
        let kind = match media {
            MediaType::Json => Kind::Json(json::Reader::default()),
            MediaType::JsonLines => Kind::JsonLines(json_lines::Reader::default()),
            MediaType::RecordIo => Kind::RecordIo(record_io::Reader::default()),
            MediaType::Text => Kind::Text(text::Reader::default()),
        };
        Self { kind }
    }

    /// Takes more of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.kind {
            Kind::Json(reader) => reader.push(bytes),
            Kind::JsonLines(reader) => reader.push(bytes),
            Kind::RecordIo(reader) => reader.push(bytes),
            Kind::Text(reader) => reader.push(bytes),
        }
    }

    /// Says that the body has ended.
    pub fn finish(&mut self) {
        match &mut self.kind {
            Kind::Json(reader) => reader.finish(),
            Kind::JsonLines(reader) => reader.finish(),
            Kind::RecordIo(reader) => reader.finish(),
            Kind::Text(reader) => reader.finish(),
        }
    }

    /// The next instance; none while more bytes are needed, and at the end.
    ///
    /// # Errors
    /// When the body is not what its type says. Nothing can be read after that.
    pub fn read(&mut self) -> Result<Option<Placed>, ServeError> {
        match &mut self.kind {
            Kind::Json(reader) => reader.read(),
            Kind::JsonLines(reader) => reader.read(),
            Kind::RecordIo(reader) => reader.read(),
            Kind::Text(reader) => reader.read(),
        }
    }

    /// All instances of a whole body.
    ///
    /// # Errors
    /// When the body is not what its type says.
    pub fn read_all(media: MediaType, body: &[u8]) -> Result<Vec<Placed>, ServeError> {
        let mut reader = Self::new(media);
        reader.push(body);
        reader.finish();
        let mut all = Vec::new();
        while let Some(placed) = reader.read()? {
            all.push(placed);
        }
        Ok(all)
    }
}

/// Writes answers one after another.
pub struct Writer {
    media: MediaType,
    written: u64,
}

impl Writer {
    /// A writer of bodies of this type.
    pub fn new(media: MediaType) -> Self {
        Self { media, written: 0 }
    }

    /// Appends an answer to `out`.
    pub fn write(&mut self, answered: &Answered, out: &mut Vec<u8>) {
        let first = self.written == 0;
        self.written += 1;
        match self.media {
            MediaType::Json => {
                out.extend_from_slice(if first { json::OPENING } else { b"," });
                json::write(answered, out);
            }
            MediaType::JsonLines => {
                json::write(answered, out);
                out.push(b'\n');
            }
            MediaType::RecordIo => record_io::write(answered, out),
            MediaType::Text => {
                out.extend_from_slice(answered.target().as_bytes());
                out.push(b'\n');
            }
        }
    }

    /// Appends what stands behind the last answer.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.media == MediaType::Json {
            out.extend_from_slice(if self.written == 0 { json::OPENING } else { b"" });
            out.extend_from_slice(json::CLOSING);
        }
    }
}

impl MediaType {
    /// Whether answers of this type have room for what a configuration asks for.
    ///
    /// # Errors
    /// The key that has no place, and why.
    pub(crate) fn has_room_for(self, configuration: &Configuration) -> Result<(), (&'static str, String)> {
        let wishes: &[(&'static str, bool)] = match self {
            MediaType::Json | MediaType::JsonLines => &[],
            MediaType::RecordIo => {
                &[("nbest", configuration.nbest.is_some()), ("replace_unk", configuration.replace_unk)]
            }
            MediaType::Text => &[
                ("nbest", configuration.nbest.is_some()),
                ("attention_matrix", configuration.attention_matrix),
                ("alignments", configuration.alignments),
                ("scores", configuration.scores),
            ],
        };
        match wishes.iter().find(|(_, wished)| *wished) {
            None => Ok(()),
            Some((key, _)) => Err((
                key,
                format!("an answer of type {self} has no room for it; ask for Accept: application/json"),
            )),
        }
    }
}

/// What a JSON value is, in words, for messages.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
