//! Members of a request that has been checked against the table.

use serde_json::{Map, Value};

/// A request.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Input<'a> {
    /// A member, if it is present.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// An optional text.
    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    /// A text that the table requires to be present.
    pub(super) fn required(self, name: &str) -> &'a str {
        self.text(name).unwrap_or_default()
    }

    /// A whole number.
    pub(super) fn number(self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
    }

    /// A point in time, in milliseconds since 1970.
    pub(super) fn time_ms(self, name: &str) -> Option<i64> {
        Some((self.get(name)?.as_f64()? * 1000.0).round() as i64)
    }

    /// The members of a list.
    pub(super) fn list(self, name: &str) -> &'a [Value] {
        self.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A structure.
    pub(super) fn structure(self, name: &str) -> Option<Input<'a>> {
        self.get(name)?.as_object().map(Input)
    }

    /// The keys and values of tags.
    pub(super) fn tags(self, name: &str) -> Vec<(String, String)> {
        let text = |tag: &Value, member: &str| tag[member].as_str().unwrap_or_default().to_owned();
        self.list(name).iter().map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
    }
}
