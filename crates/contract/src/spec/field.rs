//! The types of fields in a table's struct.

use std::path::PathBuf;

use super::value::Value;

/// A type of a field in a table's struct: built from a parsed value, and written back as text.
pub(crate) trait Field: Sized {
    /// Whether its text is quoted as an item of a list.
    const IS_QUOTED: bool = true;

    /// Builds the field from a value that the row's kind accepted.
    ///
    /// # Panics
    /// If table row and field type do not match, which a test of every table excludes.
    fn from_value(value: Option<&Value>) -> Self;
    /// The text that parses into this value; `None` where the field is not set.
    fn to_text(&self) -> Option<String>;
}

/// A value, or `auto` for one that is derived from the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoOr<T> {
    /// `auto`.
    Auto,
    /// This value.
    Value(T),
}

impl<T: Field> Field for AutoOr<T> {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Word("auto")) => Self::Auto,
            other => Self::Value(T::from_value(other)),
        }
    }

    fn to_text(&self) -> Option<String> {
        match self {
            Self::Auto => Some("auto".to_owned()),
            Self::Value(value) => value.to_text(),
        }
    }
}

macro_rules! integer_field {
    ($($type:ty),+) => {$(
        impl Field for $type {
            const IS_QUOTED: bool = false;

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
    const IS_QUOTED: bool = false;

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
    const IS_QUOTED: bool = false;

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

impl Field for String {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Text(text)) => text.clone(),
            other => unreachable!("a text field has the value {other:?}"),
        }
    }

    fn to_text(&self) -> Option<String> {
        Some(readable(self))
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
        Some(readable(&self.to_string_lossy()))
    }
}

impl<T: Field> Field for Option<T> {
    const IS_QUOTED: bool = T::IS_QUOTED;

    fn from_value(value: Option<&Value>) -> Self {
        value.map(|value| T::from_value(Some(value)))
    }

    fn to_text(&self) -> Option<String> {
        self.as_ref().and_then(Field::to_text)
    }
}

impl<T: Field> Field for Vec<T> {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::List(items)) => items.iter().map(|item| T::from_value(Some(item))).collect(),
            other => unreachable!("a list field has the value {other:?}"),
        }
    }

    /// A list in JSON, as SageMaker's SDK writes it.
    fn to_text(&self) -> Option<String> {
        let texts = self.iter().filter_map(Field::to_text);
        let items: Vec<String> = texts.map(|text| if T::IS_QUOTED { quoted(&text) } else { text }).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// The text in a form that reads back unchanged: quotes around it would be removed.
fn readable(text: &str) -> String {
    if text.starts_with('"') { quoted(text) } else { text.to_owned() }
}

/// The text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
