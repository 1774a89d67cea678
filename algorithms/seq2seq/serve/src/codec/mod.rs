//! Conversion of request bodies to instances, and of answers to response bodies: one table of content types.

mod answered;
mod configuration;
mod form;
mod json;
mod json_lines;
mod lines;
mod record_io;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use kokanee_endpoint::Head;
use kokanee_http::{Rope, ServeError};
use serde_json::Value;

pub use answered::Answered;
pub use configuration::{Configuration, KEYS as CONFIGURATION_KEYS, MAX_BEAM_SIZE, MAX_PREFIX_BYTES};
pub use form::Form;
pub(crate) use form::MEDIA_TYPES;

/// The longest line, or record, of a request, in bytes.
pub const MAX_ITEM_BYTES: usize = 1 << 20;
/// The largest number of tokens of one instance. A sentence has some dozens; one longer than any that was trained on is translated
/// in pieces, so the limit only bounds the waiting time.
pub const MAX_INSTANCE_TOKENS: usize = 4096;
/// The largest number of instances of a body that is held as a whole, whatever its type.
pub const MAX_INSTANCES: usize = 1 << 16;
/// The largest number of tokens of such a body, in all instances together.
pub const MAX_BODY_TOKENS: usize = 64 * MAX_INSTANCES;
/// Bytes of overhead per allocation.
const ALLOCATION_BYTES: usize = 32;

/// One input to translate.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// The input.
    pub input: Input,
    /// The options.
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

impl Input {
    /// The number of tokens.
    pub fn tokens(&self) -> usize {
        match self {
            Input::Text(text) => kokanee_seq2seq_data::text::tokens(text).count(),
            Input::Ids(ids) => ids.len(),
        }
    }
}

/// An instance and its place in the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The place.
    pub place: Place,
    /// The instance.
    pub instance: Instance,
}

impl Placed {
    /// Bytes of heap memory that it owns.
    pub(crate) fn heap_bytes(&self) -> usize {
        let input = match &self.instance.input {
            Input::Text(text) => text.capacity(),
            Input::Ids(ids) => size_of::<u32>() * ids.capacity(),
        };
        input + self.instance.configuration.prefix.capacity() + ALLOCATION_BYTES
    }
}

/// A place in a body.
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
        /// Byte offset of its beginning from the start of the body.
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

/// Reads a body in pieces of any size, and returns instances as soon as they are complete.
pub struct Reader {
    form: Form,
    kind: Kind,
    head: Head,
    has_ended: bool,
    /// None for a stream.
    totals: Option<Totals>,
}

enum Kind {
    Json(json::Reader),
    JsonLines(json_lines::Reader),
    RecordIo(record_io::Reader),
    Text(text::Reader),
}

/// Counts over a body that is held as a whole.
#[derive(Default)]
struct Totals {
    instances: usize,
    tokens: usize,
}

impl Reader {
    /// A reader of bodies of this type, with at most [`MAX_INSTANCES`] instances and [`MAX_BODY_TOKENS`] tokens.
    pub fn new(form: Form) -> Self {
        let kind = match form {
            Form::Json => Kind::Json(json::Reader::default()),
            Form::JsonLines => Kind::JsonLines(json_lines::Reader::default()),
            Form::RecordIo => Kind::RecordIo(record_io::Reader::default()),
            Form::Text => Kind::Text(text::Reader::default()),
        };
        Self { form, kind, head: Head::default(), has_ended: false, totals: Some(Totals::default()) }
    }

    /// A reader of bodies that are answered as they arrive: they may have any length, since nothing of them is kept.
    pub fn of_stream(form: Form) -> Self {
        Self { totals: None, ..Self::new(form) }
    }

    /// Takes more of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.head.push(bytes);
        match &mut self.kind {
            Kind::Json(reader) => reader.push(bytes),
            Kind::JsonLines(reader) => reader.push(bytes),
            Kind::RecordIo(reader) => reader.push(bytes),
            Kind::Text(reader) => reader.push(bytes),
        }
    }

    /// Marks the end of the body.
    pub fn finish(&mut self) {
        self.has_ended = true;
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
    /// When the body does not have the format of its type. Nothing can be read after that.
    pub fn read(&mut self) -> Result<Option<Placed>, ServeError> {
        if self.has_ended && self.head.is_empty() {
            return Err(empty(self.form));
        }
        self.head.check(self.form != Form::RecordIo)?;
        let placed = match &mut self.kind {
            Kind::Json(reader) => reader.read(),
            Kind::JsonLines(reader) => reader.read(),
            Kind::RecordIo(reader) => reader.read(),
            Kind::Text(reader) => reader.read(),
        }?;
        if let (Some(totals), Some(placed)) = (&mut self.totals, &placed) {
            totals.add(placed)?;
        }
        Ok(placed)
    }

    /// The number of bytes that were pushed and not yet returned as instances.
    pub(crate) fn buffered_bytes(&self) -> usize {
        match &self.kind {
            Kind::Json(reader) => reader.buffered_bytes(),
            Kind::JsonLines(reader) => reader.buffered_bytes(),
            Kind::RecordIo(reader) => reader.buffered_bytes(),
            Kind::Text(reader) => reader.buffered_bytes(),
        }
    }

    /// All instances of a whole body.
    ///
    /// # Errors
    /// When the body does not have the format of its type, or has too many instances.
    pub fn read_all(form: Form, body: &[u8]) -> Result<Vec<Placed>, ServeError> {
        if form == Form::Json {
            return Self::read_json(body);
        }
        // Read in pieces, so that no second copy of the body is made.
        const PIECE_BYTES: usize = 1 << 16;
        Self::new(form).gather(body.chunks(PIECE_BYTES))
    }

    /// The same of a body in pieces.
    pub(crate) fn read_rope(form: Form, body: Rope) -> Result<Vec<Placed>, ServeError> {
        if form == Form::Json {
            return Self::read_json(&body.into_vec());
        }
        Self::new(form).gather(body.pieces())
    }

    /// Reads JSON in place.
    fn read_json(body: &[u8]) -> Result<Vec<Placed>, ServeError> {
        let mut reader = Self::new(Form::Json);
        reader.head.push(body);
        if let Kind::Json(json) = &mut reader.kind
            && !body.is_empty()
        {
            reader.head.check(true)?;
            json.take_whole(body)?;
        }
        reader.gather([])
    }

    fn gather<'a>(mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Placed>, ServeError> {
        let mut all = Vec::new();
        for piece in pieces {
            self.push(piece);
            while let Some(placed) = self.read()? {
                all.push(placed);
            }
        }
        self.finish();
        while let Some(placed) = self.read()? {
            all.push(placed);
        }
        Ok(all)
    }

    /// An upper bound of the memory for the instances of a body, without parsing it.
    pub(crate) fn most_bytes<'a>(form: Form, pieces: impl Iterator<Item = &'a [u8]>) -> usize {
        let (mut bytes, mut signs) = (0, 0);
        let sign = match form {
            Form::Json => Some(b'{'),
            Form::JsonLines | Form::Text => Some(b'\n'),
            Form::RecordIo => None,
        };
        for piece in pieces {
            bytes += piece.len();
            signs += sign.map_or(0, |sign| piece.iter().filter(|&&byte| byte == sign).count());
        }
        // A record has at least a frame.
        let instances = if sign.is_some() { signs + 1 } else { bytes / 8 }.min(MAX_INSTANCES);
        // An id may be a byte in a record, and is four bytes here.
        let ids = if form == Form::RecordIo { bytes.min(MAX_BODY_TOKENS + MAX_ITEM_BYTES) } else { 0 };
        // A vector grows by doubling, from a few, and its old content exists for a moment too.
        let room = (2 * instances).clamp(8, MAX_INSTANCES) * size_of::<Placed>();
        room + room / 2 + instances * ALLOCATION_BYTES + bytes + size_of::<u32>() * ids
    }
}

impl Totals {
    fn add(&mut self, placed: &Placed) -> Result<(), ServeError> {
        self.instances += 1;
        if self.instances > MAX_INSTANCES {
            return Err(placed.place.bad(None, one_too_many()));
        }
        self.tokens += placed.instance.input.tokens();
        if self.tokens > MAX_BODY_TOKENS {
            let problem = format!(
                "with it the request has more than {MAX_BODY_TOKENS} tokens; expected at most that many: send several requests"
            );
            return Err(placed.place.bad(None, problem));
        }
        Ok(())
    }
}

fn one_too_many() -> String {
    format!("one too many: a request may have {MAX_INSTANCES} instances; send several requests")
}

fn empty(form: Form) -> ServeError {
    let expected = match form {
        Form::Json => r#"an object, {"instances": [{"data": "..."}]}"#,
        Form::JsonLines => r#"an object a line, {"source": "..."}"#,
        Form::RecordIo => "RecordIO records",
        Form::Text => "a sentence a line",
    };
    ServeError::bad(format!("the body is empty; expected {expected}"))
}

/// Writes answers one after the other.
pub struct Writer {
    form: Form,
    written: u64,
}

impl Writer {
    /// A writer of bodies of this type.
    pub fn new(form: Form) -> Self {
        Self { form, written: 0 }
    }

    /// Appends an answer to `out`.
    pub fn write(&mut self, answered: &Answered, out: &mut Vec<u8>) {
        let first = self.written == 0;
        self.written += 1;
        match self.form {
            Form::Json => {
                out.extend_from_slice(if first { json::OPENING } else { b"," });
                json::write(answered, out);
            }
            Form::JsonLines => {
                json::write(answered, out);
                out.push(b'\n');
            }
            Form::RecordIo => record_io::write(answered, out),
            Form::Text => {
                out.extend_from_slice(answered.target().as_bytes());
                out.push(b'\n');
            }
        }
    }

    /// Appends the text after the last answer.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.form == Form::Json {
            out.extend_from_slice(if self.written == 0 { json::OPENING } else { b"" });
            out.extend_from_slice(json::CLOSING);
        }
    }
}

impl Form {
    /// Checks that answers of this type have room for what a configuration asks for.
    ///
    /// # Errors
    /// Returns the key for which there is no room, and the reason.
    pub(crate) fn has_room_for(self, configuration: &Configuration) -> Result<(), (&'static str, String)> {
        let wishes: &[(&'static str, bool)] = match self {
            Form::Json | Form::JsonLines => &[],
            Form::RecordIo => {
                &[("nbest", configuration.nbest.is_some()), ("replace_unk", configuration.replace_unk)]
            }
            Form::Text => &[
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

/// Describes the type of a JSON value, for messages.
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
