//! Types and valid values of hyperparameters.

use std::ops::Bound;

use super::faults::python_list;
use super::value::Value;

/// Greatest number of updates, epochs, checkpoints or trials.
pub(crate) const MOST_COUNTED: i128 = 1_000_000_000_000;

/// Type and valid values of a hyperparameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number from `min` to `max`, both included.
    Integer {
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
        /// Whether only even or only odd numbers are valid.
        parity: Parity,
        /// The meaning of -1, where it is valid outside the range.
        minus_one: Option<&'static str>,
    },
    /// A finite real number.
    Float {
        /// Lower bound.
        low: Bound<f64>,
        /// Upper bound.
        high: Bound<f64>,
        /// The number format in which it is used; the bounds also hold in this format.
        used_in: FloatFormat,
        /// Why the bounds are narrower than one might expect; may be empty.
        reason: &'static str,
    },
    /// `true` or `false`.
    Boolean,
    /// One of a few words.
    Choice {
        /// The words.
        names: &'static [&'static str],
        /// Alternative spellings, each with its word.
        aliases: &'static [(&'static str, &'static str)],
    },
    /// The path of a file.
    Path,
    /// Any text, as it is written.
    Text,
    /// Several values of one kind, in their order.
    List {
        /// The kind of each item; not a list.
        item: &'static Kind,
        /// Least number of values.
        least: usize,
        /// Greatest number of values.
        most: usize,
        /// Whether values must be distinct.
        distinct: bool,
    },
    /// A value, or one of a few words instead, such as `auto`.
    OrWord {
        /// The kind of the value where it is not a word.
        value: &'static Kind,
        /// The words; the empty text may be one.
        words: &'static [&'static str],
    },
}

/// The number format in which a real number is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatFormat {
    /// 32 bits, which the engine computes in.
    Single,
    /// 64 bits, which scores are computed in.
    Double,
}

/// Which whole numbers of a range are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// All.
    Any,
    /// Even ones.
    Even,
    /// Odd ones.
    Odd,
}

impl Kind {
    pub(crate) const fn integer(min: i128, max: i128) -> Self {
        Self::Integer { min, max, parity: Parity::Any, minus_one: None }
    }

    pub(crate) const fn integer_or_minus_one(min: i128, max: i128, meaning: &'static str) -> Self {
        Self::Integer { min, max, parity: Parity::Any, minus_one: Some(meaning) }
    }

    pub(crate) const fn with_parity(min: i128, max: i128, parity: Parity) -> Self {
        Self::Integer { min, max, parity, minus_one: None }
    }

    /// A number that is used in single precision.
    pub(crate) const fn single(low: Bound<f64>, high: Bound<f64>, reason: &'static str) -> Self {
        Self::Float { low, high, used_in: FloatFormat::Single, reason }
    }

    /// A number that is used in double precision.
    pub(crate) const fn double(low: Bound<f64>, high: Bound<f64>) -> Self {
        Self::Float { low, high, used_in: FloatFormat::Double, reason: "" }
    }

    /// One or more of the values, each at most once.
    pub(crate) const fn some_of(item: &'static Self, most: usize) -> Self {
        Self::List { item, least: 1, most, distinct: true }
    }

    /// The value, or the word `auto`.
    pub(crate) const fn or_auto(value: &'static Self) -> Self {
        Self::OrWord { value, words: &["auto"] }
    }

    /// Whether `text` is one of the words that may replace the value.
    pub(crate) fn has_word(&self, text: &str) -> bool {
        matches!(self, Self::OrWord { words, .. } if words.contains(&text))
    }

    /// The valid values, as text that fits after "expected": `an integer from 1 to 65536`.
    pub fn describe(&self) -> String {
        match *self {
            Self::Integer { min, max, parity, minus_one } => {
                let number = match parity {
                    Parity::Any => "an integer",
                    Parity::Even => "an even integer",
                    Parity::Odd => "an odd integer",
                };
                let range = format!("{number} from {min} to {}", large(max));
                minus_one.map_or(range.clone(), |meaning| format!("{range}, or -1 for {meaning}"))
            }
            Self::Float { low, high, .. } => match (low, high) {
                (Bound::Unbounded, Bound::Unbounded) => "a finite number".to_owned(),
                (low, Bound::Unbounded) => format!("a finite number {}", bounded(low, ">", ">=")),
                (Bound::Unbounded, high) => format!("a finite number {}", bounded(high, "<", "<=")),
                _ => format!("a number in {}", self.interval()),
            },
            Self::Boolean => "true or false".to_owned(),
            Self::Path => "the path of a file".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Choice { names: [one], .. } => (*one).to_owned(),
            Self::Choice { names, .. } => format!("one of {}", names.join(", ")),
            Self::List { item, least, most, distinct } => describe_list(item, least, most, distinct),
            Self::OrWord { value, words: [one] } => format!("{}, or {}", value.describe(), word(one)),
            Self::OrWord { value, words } => {
                let words: Vec<String> = words.iter().map(|text| word(text)).collect();
                format!("{}, or one of {}", value.describe(), words.join(", "))
            }
        }
    }

    /// The valid values in the words of SageMaker's container toolkit, as text that fits after "is not in": `[1, 65536]`, `(0, +inf)` or
    /// `['random', 'kmeans++']`. Empty for kinds without such a text.
    pub fn interval(&self) -> String {
        match *self {
            Self::Integer { min, max, .. } => format!("[{min}, {max}]"),
            Self::Float { low, high, .. } => {
                let open = if matches!(low, Bound::Included(_)) { '[' } else { '(' };
                let close = if matches!(high, Bound::Included(_)) { ']' } else { ')' };
                let low = value_of(low).map_or_else(|| "-inf".to_owned(), |low| low.to_string());
                let high = value_of(high).map_or_else(|| "+inf".to_owned(), |high| high.to_string());
                format!("{open}{low}, {high}{close}")
            }
            Self::Boolean => python_list(&["true", "false"]),
            Self::Choice { names, .. } => python_list(names),
            Self::List { item, .. } => item.interval(),
            Self::OrWord { value, words } => {
                let value = value.interval();
                if value.is_empty() { value } else { format!("{value} or {}", python_list(words)) }
            }
            Self::Path | Self::Text => String::new(),
        }
    }

    /// An arbitrary value of the right type, for a field whose own value is faulty.
    pub(crate) fn any_value(&self) -> Value {
        match *self {
            Self::Integer { min, .. } => Value::Integer(min),
            Self::Float { .. } => Value::Float(0.0),
            Self::Boolean => Value::Boolean(false),
            Self::Choice { names, .. } => Value::Word(names.first().copied().unwrap_or_default()),
            Self::Path => Value::Path(std::path::PathBuf::new()),
            Self::Text => Value::Text(String::new()),
            Self::List { .. } => Value::List(Vec::new()),
            Self::OrWord { value, .. } => value.any_value(),
        }
    }
}

fn describe_list(item: &Kind, least: usize, most: usize, distinct: bool) -> String {
    let each = match item {
        Kind::Choice { names, .. } => format!("of {}", names.join(", ")),
        other => format!("of values that are each {}", other.describe()),
    };
    let once = if distinct { ", each at most once" } else { "" };
    match (least, most) {
        _ if least == most => format!("a list {each}, with {least} values{once}"),
        (0, _) => format!("a list {each}, with at most {most} values{once}"),
        (1, _) => format!("a list that is not empty {each}{once}"),
        _ => format!("a list {each}, with {least} to {most} values{once}"),
    }
}

/// A word as a message quotes it.
fn word(text: &str) -> String {
    if text.is_empty() { "the empty text".to_owned() } else { format!("`{text}`") }
}

fn value_of(bound: Bound<f64>) -> Option<f64> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

fn bounded(bound: Bound<f64>, open: &str, closed: &str) -> String {
    let sign = if matches!(bound, Bound::Excluded(_)) { open } else { closed };
    format!("{sign} {}", value_of(bound).unwrap_or(f64::INFINITY))
}

/// A limit as a person would write it: the two long ones have a short form.
fn large(limit: i128) -> String {
    if limit == MOST_COUNTED {
        "10^12".to_owned()
    } else if limit == i128::from(u64::MAX) {
        "2^64-1".to_owned()
    } else {
        limit.to_string()
    }
}
