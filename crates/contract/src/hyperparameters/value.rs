//! Step one of resolving: one string becomes one typed value of its [`Kind`].

use std::ops::Bound;
use std::path::PathBuf;

use super::choices::{
    BeamSearchRule, CheckpointAveragingStrategy, CnnActivationType, GradientClippingType, InferencePrecision,
    LossType, LrSchedulerType, Metric, NetworkType, OptimizerType, OverlongSequences, Precision,
    RnnAttentionType, RnnCellType, RnnDecoderStateInit, TrainingMetric, WeightInitType, WeightTying,
    XavierFactorType,
};
use super::{DefaultValue, Kind, Parity, Spec};
use crate::nearest::nearest;

/// A value of the type that its [`Kind`] says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Choice(&'static str),
    Path(PathBuf),
}

/// Every whole number up to here is an `f64` exactly; above, `64.0`-style spellings could change the number.
const LARGEST_EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Parses what a user wrote; `Ok(None)` says in so many words that an optional hyperparameter is not set.
///
/// Surrounding whitespace is ignored, and one layer of JSON quoting (`"\"64\""`), which the SageMaker SDK adds for some
/// estimators, is taken off. An integer may be written as a number with nothing after the point (`64.0`, `1e3`), as
/// JSON libraries without integers do. The error is a hint for the user, or empty.
pub(crate) fn parse(spec: &Spec, text: &str) -> Result<Option<Value>, String> {
    let mut text = text.trim();
    let unquoted: String;
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        unquoted = serde_json::from_str(text)
            .map_err(|_| "its quotation marks are not those of a JSON string".to_owned())?;
        text = unquoted.trim();
    }
    let optional = !matches!(spec.default, DefaultValue::Text(_));
    if optional && (text.eq_ignore_ascii_case("none") || text == "null") {
        return Ok(None);
    }
    if text.is_empty() {
        return Err("the value is empty; leave the hyperparameter out for its default".to_owned());
    }
    parse_kind(&spec.kind, text).map(Some)
}

fn parse_kind(kind: &Kind, text: &str) -> Result<Value, String> {
    match *kind {
        Kind::Integer { min, max, parity, minus_one } => {
            let number = whole_number(text)?;
            let fits = match parity {
                Parity::Any => true,
                Parity::Even => number % 2 == 0,
                Parity::Odd => number % 2 != 0,
            };
            let in_range = (min..=max).contains(&number) && fits;
            if in_range || (minus_one.is_some() && number == -1) {
                Ok(Value::Integer(number))
            } else {
                Err(String::new())
            }
        }
        Kind::Float { low, high, reason } => {
            let number: f64 = text.parse().map_err(|_| String::new())?;
            if !number.is_finite() {
                return Err("neither infinite nor undefined numbers are accepted".to_owned());
            }
            let above = match low {
                Bound::Included(low) => number >= low,
                Bound::Excluded(low) => number > low,
                Bound::Unbounded => true,
            };
            let below = match high {
                Bound::Included(high) => number <= high,
                Bound::Excluded(high) => number < high,
                Bound::Unbounded => true,
            };
            if above && below { Ok(Value::Float(number)) } else { Err(reason.to_owned()) }
        }
        Kind::Boolean => match text {
            "true" | "True" => Ok(Value::Boolean(true)),
            "false" | "False" => Ok(Value::Boolean(false)),
            _ => Err(String::new()),
        },
        Kind::Path if text.contains('\0') => Err("a path cannot hold the character NUL".to_owned()),
        Kind::Path => Ok(Value::Path(PathBuf::from(text))),
        Kind::Choice(names) => match names.iter().find(|name| **name == text) {
            Some(name) => Ok(Value::Choice(name)),
            None => Err(nearest(text, names.iter().copied())
                .map_or_else(String::new, |name| format!("did you mean `{name}`?"))),
        },
    }
}

fn whole_number(text: &str) -> Result<i128, String> {
    if let Ok(number) = text.parse::<i128>() {
        return Ok(number);
    }
    match text.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && number.abs() <= LARGEST_EXACT_INTEGER => Ok(number as i128),
        Ok(number) if number.fract() != 0.0 && number.is_finite() => {
            Err("it is not a whole number".to_owned())
        }
        _ => Err(String::new()),
    }
}

/// A type that a field of `Hyperparameters` can have: made from a parsed value, and written back.
pub(crate) trait Field: Sized {
    /// From the value that [`parse`] found valid.
    ///
    /// # Panics
    /// If table row and field type do not belong together, which a test of the whole table excludes.
    fn from_value(value: Option<&Value>) -> Self;
    /// The text that [`parse`] would turn into this value; `None` where the field is not set.
    fn to_text(&self) -> Option<String>;
}

macro_rules! integer_field {
    ($($type:ty),+) => {$(
        impl Field for $type {
            fn from_value(value: Option<&Value>) -> Self {
                match value {
                    Some(Value::Integer(number)) => {
                        <$type>::try_from(*number).expect("the range in the table fits the type of the field")
                    }
                    other => unreachable!("an integer field has the value {other:?}"),
                }
            }

            fn to_text(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}
integer_field!(usize, u64, i64);

impl Field for f64 {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Float(number)) => *number,
            other => unreachable!("a float field has the value {other:?}"),
        }
    }

    fn to_text(&self) -> Option<String> {
        // The debug form is the shortest that reads back as the same number, with an exponent where that is shorter.
        let text = format!("{self:?}");
        Some(text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned))
    }
}

impl Field for bool {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Boolean(truth)) => *truth,
            other => unreachable!("a boolean field has the value {other:?}"),
        }
    }

    fn to_text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Field for PathBuf {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Path(path)) => path.clone(),
            other => unreachable!("a path field has the value {other:?}"),
        }
    }

    fn to_text(&self) -> Option<String> {
        let text = self.to_string_lossy();
        // Quotes around it would be taken off when it is read.
        let quoted = || serde_json::Value::from(&*text).to_string();
        Some(if text.starts_with('"') { quoted() } else { text.into_owned() })
    }
}

impl<T: Field> Field for Option<T> {
    fn from_value(value: Option<&Value>) -> Self {
        value.map(|value| T::from_value(Some(value)))
    }

    fn to_text(&self) -> Option<String> {
        self.as_ref().and_then(Field::to_text)
    }
}

macro_rules! choice_field {
    ($($type:ty),+ $(,)?) => {$(
        impl Field for $type {
            fn from_value(value: Option<&Value>) -> Self {
                match value {
                    Some(Value::Choice(name)) => {
                        Self::from_name(name).expect("the words in the table are those of the field's type")
                    }
                    other => unreachable!("a choice field has the value {other:?}"),
                }
            }

            fn to_text(&self) -> Option<String> {
                Some(self.as_str().to_owned())
            }
        }
    )+};
}
choice_field!(
    BeamSearchRule,
    CheckpointAveragingStrategy,
    CnnActivationType,
    GradientClippingType,
    InferencePrecision,
    LossType,
    LrSchedulerType,
    Metric,
    NetworkType,
    OptimizerType,
    OverlongSequences,
    Precision,
    RnnAttentionType,
    RnnCellType,
    RnnDecoderStateInit,
    TrainingMetric,
    WeightInitType,
    WeightTying,
    XavierFactorType,
);
