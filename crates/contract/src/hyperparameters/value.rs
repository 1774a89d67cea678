//! Step one of resolving: one string becomes one typed value of its [`Kind`].

use std::ops::Bound;
use std::path::PathBuf;

use super::choices::{
    BeamSearchRule, CheckpointAveragingStrategy, CnnActivationType, GradientClippingType, InferencePrecision,
    LossType, LrSchedulerType, Metric, NetworkType, OptimizerType, OverlongSequences, Precision,
    RnnAttentionType, RnnCellType, RnnDecoderStateInit, TrainingMetric, WeightInitType, WeightTying,
    XavierFactorType,
};
use super::{DefaultValue, FloatFormat, Kind, Parity, Spec};
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
        Kind::Float { low, high, used_in, reason } => {
            let number: f64 = text.parse().map_err(|_| String::new())?;
            if !number.is_finite() {
                return Err("neither infinite nor undefined numbers are accepted".to_owned());
            }
            let within = |number: f64| {
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
                above && below
            };
            if !within(number) {
                return Err(reason.to_owned());
            }
            match used_in {
                FloatFormat::Double => Ok(Value::Float(number)),
                FloatFormat::Single if within(in_single_precision(number)?) => Ok(Value::Float(number)),
                FloatFormat::Single => Err(format!(
                    "it is used in single precision, where it is {:?}; take a number that is further from the limit",
                    number as f32
                )),
            }
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

/// The number as it will be used, where it stays the number it is but for its last digits.
fn in_single_precision(number: f64) -> Result<f64, String> {
    let used = number as f32;
    if used.is_infinite() {
        return Err(format!("it is used in single precision, where the largest number is {:e}", f32::MAX));
    }
    if number != 0.0 && used.abs() < f32::MIN_POSITIVE {
        return Err(format!(
            "it is used in single precision, which cannot tell it from 0: the smallest number of all its digits is {:e}",
            f32::MIN_POSITIVE
        ));
    }
    Ok(f64::from(used))
}

/// A whole number, also one that is written with a point or an exponent, exactly as written: no digit is rounded away.
fn whole_number(text: &str) -> Result<i128, String> {
    /// More zeros than the largest whole number of any hyperparameter has digits.
    const MOST_ZEROS: i64 = 30;
    if let Ok(number) = text.parse::<i128>() {
        return Ok(number);
    }
    // What a number may look like is the standard library's to say.
    if !text.parse::<f64>().is_ok_and(f64::is_finite) {
        return Err(String::new());
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let after = after.trim_end_matches('0');
    let digits = format!("{before}{after}");
    let significant = digits.trim_end_matches('0');
    if !significant.contains(|c: char| c.is_ascii_digit()) {
        return Ok(0);
    }
    let Ok(exponent) = exponent.parse::<i64>() else { return Err(String::new()) };
    let zeros =
        exponent.saturating_sub(after.len() as i64).saturating_add((digits.len() - significant.len()) as i64);
    match usize::try_from(zeros) {
        Ok(zeros) if zeros as i64 <= MOST_ZEROS => {
            format!("{significant}{}", "0".repeat(zeros)).parse().map_err(|_| String::new())
        }
        Ok(_) => Err(String::new()),
        Err(_) => Err("it is not a whole number".to_owned()),
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
