//! A tuned hyperparameter: its range, and its values in [0, 1] and as strings.

use std::collections::HashSet;

use super::{Scale, ValueError};

/// A named range.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    name: String,
    range: Range,
}

/// The range of a dimension.
#[derive(Debug, Clone, PartialEq)]
pub enum Range {
    /// Any number from `min` to `max`.
    Continuous {
        /// Least value.
        min: f64,
        /// Greatest value.
        max: f64,
        /// The scale of the range.
        scale: Scale,
    },
    /// A whole number from `min` to `max`, both at most 2^53 from 0.
    Integer {
        /// Least value.
        min: i64,
        /// Greatest value.
        max: i64,
        /// The scale of the range.
        scale: Scale,
    },
    /// One of these strings.
    Categorical {
        /// The strings, each once.
        values: Vec<String>,
    },
}

/// A value of a dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A value of a continuous range.
    Real(f64),
    /// A value of an integer range.
    Integer(i64),
    /// A value of a categorical range: the index in its list.
    Category(usize),
}

impl Value {
    /// Its position on an axis: the number, or the index of the category.
    pub fn coordinate(self) -> f64 {
        match self {
            Self::Real(value) => value,
            Self::Integer(value) => value as f64,
            Self::Category(place) => place as f64,
        }
    }
}

/// The largest integer up to which all integers are exact as `f64`.
const LARGEST_INTEGER: i64 = 1 << 53;

impl Dimension {
    /// A continuous dimension.
    pub fn continuous(name: impl Into<String>, min: f64, max: f64, scale: Scale) -> Self {
        Self::new(name, Range::Continuous { min, max, scale })
    }

    /// An integer dimension.
    pub fn integer(name: impl Into<String>, min: i64, max: i64, scale: Scale) -> Self {
        Self::new(name, Range::Integer { min, max, scale })
    }

    /// A categorical dimension.
    pub fn categorical<S: Into<String>>(
        name: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Self {
        Self::new(name, Range::Categorical { values: values.into_iter().map(Into::into).collect() })
    }

    /// A dimension of this range; [`super::Space::new`] checks it.
    pub fn new(name: impl Into<String>, range: Range) -> Self {
        Self { name: name.into(), range }
    }

    /// The hyperparameter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hyperparameter's range.
    pub fn range(&self) -> &Range {
        &self.range
    }

    /// The values of a categorical range; empty for a numeric one.
    pub fn categories(&self) -> &[String] {
        match &self.range {
            Range::Categorical { values } => values,
            _ => &[],
        }
    }

    /// The scale of a numeric range, with [`Scale::Auto`] resolved; `None` for categories.
    pub fn scale(&self) -> Option<Scale> {
        match self.range {
            Range::Continuous { min, max, scale } => Some(scale.resolved(min, max, false)),
            Range::Integer { min, max, scale } => Some(scale.resolved(min as f64, max as f64, true)),
            Range::Categorical { .. } => None,
        }
    }

    /// Checks the range; the error says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.range {
            Range::Continuous { min, max, .. } if !(min.is_finite() && max.is_finite()) => {
                Err(format!("the range {min} to {max} is not finite"))
            }
            // The width must be finite too.
            Range::Continuous { min, max, .. } if !(max - min).is_finite() => {
                Err(format!("the range {min} to {max} is too wide for 64-bit numbers"))
            }
            Range::Integer { min, max, .. }
                if min.unsigned_abs().max(max.unsigned_abs()) > LARGEST_INTEGER as u64 =>
            {
                Err(format!("the range {min} to {max} leaves the integers from -2^53 to 2^53"))
            }
            Range::Continuous { min, max, scale } => check_bounds(*min, *max, *scale, false),
            Range::Integer { min, max, scale } => check_bounds(*min as f64, *max as f64, *scale, true),
            Range::Categorical { values } if values.is_empty() => {
                Err("it has no value to choose from: name at least one".to_owned())
            }
            Range::Categorical { values } => {
                let mut seen = HashSet::new();
                match values.iter().find(|value| !seen.insert(*value)) {
                    Some(value) => Err(format!("the value {value:?} stands twice; leave one of them out")),
                    None => Ok(()),
                }
            }
        }
    }

    pub(super) fn allows(&self, value: Value) -> bool {
        match (&self.range, value) {
            (Range::Continuous { min, max, .. }, Value::Real(value)) => (*min..=*max).contains(&value),
            (Range::Integer { min, max, .. }, Value::Integer(value)) => (*min..=*max).contains(&value),
            (Range::Categorical { values }, Value::Category(place)) => place < values.len(),
            _ => false,
        }
    }

    pub(super) fn outside(&self, value: String) -> ValueError {
        let expected = match &self.range {
            Range::Continuous { min, max, .. } => format!("a number from {min} to {max}"),
            Range::Integer { min, max, .. } => format!("a whole number from {min} to {max}"),
            Range::Categorical { values } => format!("one of {}", values.join(", ")),
        };
        ValueError::Outside { name: self.name.clone(), value, expected }
    }

    /// The string of a value; for a value of another kind of range, a text that identifies it in an error.
    pub(super) fn print(&self, value: Value) -> String {
        match (&self.range, value) {
            (Range::Categorical { values }, Value::Category(place)) if place < values.len() => {
                values[place].clone()
            }
            (_, Value::Category(place)) => format!("category {place}"),
            (_, Value::Integer(value)) => value.to_string(),
            (_, Value::Real(value)) => print_real(value),
        }
    }

    /// Parses an allowed value. A whole number may be written with a fraction of zeros, since other programs' JSON does that.
    pub(super) fn parse(&self, text: &str) -> Option<Value> {
        let value = match &self.range {
            Range::Categorical { values } => {
                return values.iter().position(|own| own == text).map(Value::Category);
            }
            Range::Continuous { .. } => Value::Real(text.trim().parse().ok()?),
            Range::Integer { .. } => Value::Integer(parse_integer(text.trim())?),
        };
        self.allows(value).then_some(value)
    }

    pub(crate) fn size(&self) -> Option<u64> {
        match &self.range {
            Range::Continuous { min, max, .. } => (min == max).then_some(1),
            Range::Integer { min, max, .. } => Some(min.abs_diff(*max) + 1),
            Range::Categorical { values } => Some(values.len() as u64),
        }
    }

    /// The integers next to a value, or all other categories.
    pub(crate) fn neighbours(&self, value: Value) -> Vec<Value> {
        let all: Vec<Value> = match (&self.range, value) {
            (Range::Categorical { values }, _) => (0..values.len()).map(Value::Category).collect(),
            (_, Value::Integer(value)) => vec![Value::Integer(value - 1), Value::Integer(value + 1)],
            _ => Vec::new(),
        };
        all.into_iter().filter(|other| *other != value && self.allows(*other)).collect()
    }

    /// The value at `unit` in [0, 1]. Each integer and each category owns an interval, so that evenly spread points give evenly spread
    /// values.
    pub(super) fn decode(&self, unit: f64) -> Value {
        let unit = unit.clamp(0.0, 1.0);
        match &self.range {
            Range::Categorical { values } => {
                Value::Category(((unit * values.len() as f64) as usize).min(values.len() - 1))
            }
            Range::Continuous { min, max, .. } => {
                let (scale, low, high) = self.scaled();
                Value::Real(scale.backward(low + unit * (high - low)).clamp(*min, *max))
            }
            Range::Integer { min, max, .. } => {
                let (scale, low, high) = self.scaled();
                Value::Integer((scale.backward(low + unit * (high - low)).round() as i64).clamp(*min, *max))
            }
        }
    }

    pub(super) fn encode(&self, value: Value) -> f64 {
        let number = match (&self.range, value) {
            (Range::Categorical { values }, Value::Category(place)) => {
                return (place as f64 + 0.5) / values.len() as f64;
            }
            (_, value) => value.coordinate(),
        };
        let (scale, low, high) = self.scaled();
        if low == high {
            return 0.5;
        }
        ((scale.forward(number) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// The scale, and both ends on it; those of integers extend half a step beyond the bounds.
    fn scaled(&self) -> (Scale, f64, f64) {
        let (min, max) = match self.range {
            Range::Continuous { min, max, .. } => (min, max),
            Range::Integer { min, max, .. } => (min as f64 - 0.5, max as f64 + 0.5),
            Range::Categorical { .. } => (0.0, 1.0),
        };
        let scale = self.scale().unwrap_or(Scale::Linear);
        (scale, scale.forward(min), scale.forward(max))
    }
}

fn check_bounds(min: f64, max: f64, scale: Scale, is_integer: bool) -> Result<(), String> {
    if min > max {
        return Err(format!("its least value {min} is above its greatest, {max}"));
    }
    match scale {
        Scale::Logarithmic if min <= 0.0 => {
            Err(format!("a logarithmic scale needs a least value above 0, and it is {min}"))
        }
        Scale::ReverseLogarithmic if is_integer => {
            Err("a reverse-logarithmic scale is for continuous ranges".to_owned())
        }
        Scale::ReverseLogarithmic if min < 0.0 || max >= 1.0 => Err(format!(
            "a reverse-logarithmic scale needs 0 <= least <= greatest < 1, and it is {min} to {max}"
        )),
        _ => Ok(()),
    }
}

/// The shortest form that reads back as the same number, with an exponent where plain digits would be long.
fn print_real(value: f64) -> String {
    let magnitude = value.abs();
    if value != 0.0 && !(1e-5..1e16).contains(&magnitude) { format!("{value:e}") } else { value.to_string() }
}

fn parse_integer(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        (number.fract() == 0.0 && number.abs() <= LARGEST_INTEGER as f64).then_some(number as i64)
    })
}
