//! Step one of resolving: one string becomes one typed value of its [`Kind`].

use std::ops::Bound;
use std::path::PathBuf;

use super::value::Value;
use super::{DefaultValue, FloatFormat, Kind, Parity, Spec, list, nearest};

/// The reason why a text is not a valid value, with a hint for the user, which may be empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The text is not a value of this type.
    Unreadable(String),
    /// The value has the right type, but is not valid.
    Outside(String),
}

impl Refusal {
    pub(crate) fn into_hint(self) -> String {
        match self {
            Self::Unreadable(hint) | Self::Outside(hint) => hint,
        }
    }
}

fn unreadable(hint: impl Into<String>) -> Refusal {
    Refusal::Unreadable(hint.into())
}

fn outside(hint: impl Into<String>) -> Refusal {
    Refusal::Outside(hint.into())
}

/// Parses a user's text; `Ok(None)` means that it explicitly unsets an optional hyperparameter.
///
/// Surrounding whitespace is ignored, and one layer of JSON quoting (`"\"64\""`), which the SageMaker SDK adds for some estimators, is
/// removed. An integer may be written as a number without a fraction (`64.0`, `1e3`), as JSON libraries without integers do.
pub(crate) fn parse(spec: &Spec, text: &str) -> Result<Option<Value>, Refusal> {
    let mut text = text.trim();
    let unquoted: String;
    if text.len() >= 2 && text.starts_with('"') && text.ends_with('"') {
        match serde_json::from_str::<String>(text) {
            Ok(inner) => {
                unquoted = inner;
                text = unquoted.trim();
            }
            // A list such as `"msd","ssd"` also begins and ends with a quotation mark.
            Err(_) if matches!(spec.kind, Kind::List { .. }) => {}
            Err(_) => return Err(unreadable("its quotation marks are not those of a JSON string")),
        }
    }
    let optional = matches!(spec.default, DefaultValue::SameAs(_) | DefaultValue::Unset);
    if optional && is_unset(text) {
        return Ok(None);
    }
    if text.is_empty() && !spec.kind.has_word("") {
        let otherwise = match spec.default {
            DefaultValue::Required => "",
            _ => "; leave the hyperparameter out for its default",
        };
        return Err(unreadable(format!("the value is empty{otherwise}")));
    }
    parse_kind(&spec.kind, text).map(Some)
}

/// Whether the text unsets an optional hyperparameter.
pub(crate) fn is_unset(text: &str) -> bool {
    text.eq_ignore_ascii_case("none") || text == "null"
}

pub(crate) fn parse_kind(kind: &Kind, text: &str) -> Result<Value, Refusal> {
    match *kind {
        Kind::Integer { min, max, parity, minus_one } => {
            let number = whole_number(text).map_err(unreadable)?;
            let fits = match parity {
                Parity::Any => true,
                Parity::Even => number % 2 == 0,
                Parity::Odd => number % 2 != 0,
            };
            let in_range = (min..=max).contains(&number) && fits;
            if in_range || (minus_one.is_some() && number == -1) {
                Ok(Value::Integer(number))
            } else {
                Err(outside(""))
            }
        }
        Kind::Float { low, high, used_in, reason } => parse_float(text, (low, high), used_in, reason),
        Kind::Boolean => match text {
            "true" | "True" | "1" => Ok(Value::Boolean(true)),
            "false" | "False" | "0" => Ok(Value::Boolean(false)),
            _ => Err(unreadable("")),
        },
        Kind::Path if text.contains('\0') => Err(unreadable("a path cannot hold the character NUL")),
        Kind::Path => Ok(Value::Path(PathBuf::from(text))),
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::Choice { names, aliases } => {
            let alias = aliases.iter().find(|(alias, _)| *alias == text).map(|(_, name)| *name);
            match names.iter().copied().find(|name| *name == alias.unwrap_or(text)) {
                Some(name) => Ok(Value::Word(name)),
                None => Err(outside(meant(text, names))),
            }
        }
        Kind::List { item, least, most, distinct } => {
            let texts = list::split(text).map_err(unreadable)?;
            if texts.len() < least || texts.len() > most {
                return Err(outside(format!("it has {} values", texts.len())));
            }
            parse_items(item, &texts, distinct).map(Value::List)
        }
        Kind::OrWord { value, words } => match words.iter().copied().find(|word| *word == text) {
            Some(word) => Ok(Value::Word(word)),
            None => parse_kind(value, text).map_err(|refusal| match refusal {
                Refusal::Unreadable(hint) if hint.is_empty() => unreadable(meant(text, words)),
                other => other,
            }),
        },
    }
}

/// "did you mean …?", or nothing.
fn meant(text: &str, names: &[&'static str]) -> String {
    nearest(text, names.iter().copied()).map_or_else(String::new, |name| format!("did you mean `{name}`?"))
}

fn parse_items(item: &Kind, texts: &[String], distinct: bool) -> Result<Vec<Value>, Refusal> {
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        let named = |hint: String| {
            let more = if hint.is_empty() { hint } else { format!(": {hint}") };
            format!("`{}` is not valid in it{more}", super::shown(text))
        };
        let value = parse_kind(item, text.trim()).map_err(|refusal| match refusal {
            Refusal::Unreadable(hint) => Refusal::Unreadable(named(hint)),
            Refusal::Outside(hint) => Refusal::Outside(named(hint)),
        })?;
        if distinct && values.contains(&value) {
            return Err(outside(format!("`{}` comes twice in it", super::shown(text))));
        }
        values.push(value);
    }
    Ok(values)
}

fn parse_float(
    text: &str,
    (low, high): (Bound<f64>, Bound<f64>),
    used_in: FloatFormat,
    reason: &str,
) -> Result<Value, Refusal> {
    let number: f64 = text.parse().map_err(|_| unreadable(""))?;
    if !number.is_finite() {
        return Err(outside("neither infinite nor undefined numbers are accepted"));
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
        return Err(outside(reason));
    }
    match used_in {
        FloatFormat::Double => Ok(Value::Float(number)),
        FloatFormat::Single if within(in_single_precision(number).map_err(outside)?) => {
            Ok(Value::Float(number))
        }
        FloatFormat::Single => Err(outside(format!(
            "it is used in single precision, where it is {:?}; take a number that is further from the limit",
            number as f32
        ))),
    }
}

/// The number as it will be used, if rounding changes only its last digits.
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

/// A whole number, also if written with a point or an exponent, exactly as written: no digit is rounded away.
fn whole_number(text: &str) -> Result<i128, String> {
    /// More zeros than the largest value of any hyperparameter has digits.
    const MOST_ZEROS: i64 = 30;
    if let Ok(number) = text.parse::<i128>() {
        return Ok(number);
    }
    // The standard library decides what is a number.
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

#[cfg(test)]
mod tests;
