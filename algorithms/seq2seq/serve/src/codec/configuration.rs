//! The `configuration` of an instance: the options of its answer.

use kokanee_contract::nearest;
use kokanee_http::ServeError;
use serde_json::{Map, Value};

use super::{Place, kind_of};

/// The widest beam that a request may ask for: each hypothesis costs a row of the batch.
pub const MAX_BEAM_SIZE: usize = 64;
/// The longest output that a request may ask for, in words.
const MAX_LENGTH: usize = 4096;
/// The longest prefix, in bytes.
pub const MAX_PREFIX_BYTES: usize = 1 << 14;
/// The longest configuration that a protobuf record may carry, in bytes.
const MAX_TEXT_BYTES: usize = 1 << 15;

/// The options of an answer. `attention_matrix` is SageMaker's, the others are extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Return the attention: a row for each target token, a column for each source token, rows sum to 1.
    pub attention_matrix: bool,
    /// Return for each target token the index of the source token with the greatest attention, from 0.
    pub alignments: bool,
    /// Number of hypotheses that stay alive at each step, 1 to [`MAX_BEAM_SIZE`]; the model's if not given.
    pub beam_size: Option<usize>,
    /// Never output `<unk>`.
    pub forbid_unk: bool,
    /// The largest number of target words, 1 to 4096; the model's own limit still applies.
    pub max_length: Option<usize>,
    /// Return this many hypotheses, 1 to the beam size.
    pub nbest: Option<usize>,
    /// Tokens that the target begins with, separated by white space.
    pub prefix: String,
    /// Replace `<unk>` by the source token with the greatest attention.
    pub replace_unk: bool,
    /// Return the score: negative log-probability over the length penalty, lower is better.
    pub scores: bool,
}

/// A key: its name, and the field for its value.
struct Key {
    name: &'static str,
    field: Field,
}

/// The type of a value, and its field.
enum Field {
    Flag(fn(&mut Configuration) -> &mut bool),
    /// A whole number from 1 to this.
    Count(usize, fn(&mut Configuration) -> &mut Option<usize>),
    /// Tokens of at most so many bytes.
    Tokens(usize, fn(&mut Configuration) -> &mut String),
}

/// The table of keys.
const TABLE: [Key; 9] = [
    Key { name: "attention_matrix", field: Field::Flag(|c| &mut c.attention_matrix) },
    Key { name: "alignments", field: Field::Flag(|c| &mut c.alignments) },
    Key { name: "beam_size", field: Field::Count(MAX_BEAM_SIZE, |c| &mut c.beam_size) },
    Key { name: "forbid_unk", field: Field::Flag(|c| &mut c.forbid_unk) },
    Key { name: "max_length", field: Field::Count(MAX_LENGTH, |c| &mut c.max_length) },
    // The beam size of the request or of the model bounds it further.
    Key { name: "nbest", field: Field::Count(MAX_BEAM_SIZE, |c| &mut c.nbest) },
    Key { name: "prefix", field: Field::Tokens(MAX_PREFIX_BYTES, |c| &mut c.prefix) },
    Key { name: "replace_unk", field: Field::Flag(|c| &mut c.replace_unk) },
    Key { name: "scores", field: Field::Flag(|c| &mut c.scores) },
];

impl Field {
    fn expects(&self) -> String {
        match self {
            Field::Flag(_) => "true or false".to_owned(),
            Field::Count(most, _) => format!("a whole number from 1 to {most}"),
            Field::Tokens(most, _) => {
                format!("a string of at most {most} bytes: target tokens with blanks between them")
            }
        }
    }

    /// Returns none if the value has another type.
    fn take(&self, configuration: &mut Configuration, value: &Value) -> Option<()> {
        match self {
            Field::Flag(flag) => *flag(configuration) = boolean(value)?,
            Field::Count(most, count) => *count(configuration) = Some(whole(value, *most)?),
            Field::Tokens(most, tokens) => {
                let text = value.as_str().filter(|text| text.len() <= *most)?;
                text.clone_into(tokens(configuration));
            }
        }
        Some(())
    }
}

/// Names of the keys.
pub const KEYS: [&str; 9] = {
    let mut names = [""; 9];
    let mut index = 0;
    while index < names.len() {
        names[index] = TABLE[index].name;
        index += 1;
    }
    names
};

impl Configuration {
    /// Takes a key with its value, as JSON's own type or as a string; null leaves the field as it is.
    ///
    /// # Errors
    /// Describes the fault, without its place.
    pub(super) fn take(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let Some(key) = TABLE.iter().find(|key| key.name == name) else {
            return Err(match nearest(name, KEYS) {
                Some(known) => format!("there is no such key; is {known} meant?"),
                None => format!("there is no such key; known are {}", KEYS.join(", ")),
            });
        };
        // As in the SDKs of several languages, a field that is null counts as absent.
        if value.is_null() {
            return Ok(());
        }
        let wrong = || format!("expected {}, got {}", key.field.expects(), shown(value));
        key.field.take(self, value).ok_or_else(wrong)
    }

    /// Reads the configuration that a protobuf record carries as JSON text.
    pub(super) fn from_record(text: &str, place: Place) -> Result<Self, ServeError> {
        const FIELD: &str = "configuration";
        if text.len() > MAX_TEXT_BYTES {
            let length = text.len();
            return Err(place.bad(Some(FIELD), format!("{length} bytes; expected at most {MAX_TEXT_BYTES}")));
        }
        let object: Option<Map<String, Value>> = serde_json::from_str(text)
            .map_err(|error| place.bad(Some(FIELD), format!("expected a JSON object: {error}")))?;
        let mut configuration = Self::default();
        for (name, value) in object.iter().flatten() {
            let field = format!("{FIELD}.{}", shortened(name));
            configuration.take(name, value).map_err(|problem| place.bad(Some(&field), problem))?;
        }
        Ok(configuration)
    }

    /// Whether the answer needs attention.
    pub(crate) fn needs_attention(&self) -> bool {
        self.attention_matrix || self.alignments || self.replace_unk
    }
}

/// A name from outside, shortened for messages.
pub(super) fn shortened(name: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown: String = name.chars().take(SHOWN).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

fn shown(value: &Value) -> String {
    match value {
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => format!("{:?}", shortened(text)),
        other => kind_of(other).to_owned(),
    }
}

/// Both notebooks of AWS send `"true"`, the guide writes `true`, and Python's `str(True)` is `True`.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn whole(value: &Value, most: usize) -> Option<usize> {
    let number = match value {
        Value::Number(number) => number.as_u64()?,
        Value::String(text) => text.parse().ok()?,
        _ => return None,
    };
    usize::try_from(number).ok().filter(|number| (1..=most).contains(number))
}
