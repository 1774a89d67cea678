//! Checks requests against the table, with AWS's error texts.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::model::{Kind, Model, Shape};

/// The maximum number of faults; after it, checking stops.
const MOST_FAULTS: usize = 50;
/// Longest value that a message quotes, in characters.
const LONGEST_QUOTED_CHARS: usize = 512;

/// The reason why a request does not match its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A value has the wrong type (`SerializationException`).
    Type(String),
    /// Values break constraints (`ValidationException`); all of them are listed.
    Constraints(String),
}

/// Checks a request against a shape. Unknown members are accepted.
///
/// # Errors
/// With AWS's text: `1 validation error detected: Value '…' at 'trainingJobName' failed to satisfy constraint: …`.
pub fn check(model: &Model, shape: &str, input: &Map<String, Value>) -> Result<(), Refusal> {
    let mut checker = Checker { model, faults: Vec::new() };
    checker.structure(model.shape(shape), input, "").map_err(Refusal::Type)?;
    match checker.faults.len() {
        0 => Ok(()),
        count => {
            let noun = if count == 1 { "error" } else { "errors" };
            let text = format!("{count} validation {noun} detected: {}", checker.faults.join("; "));
            Err(Refusal::Constraints(text))
        }
    }
}

struct Checker<'a> {
    model: &'a Model,
    faults: Vec<String>,
}

impl<'a> Checker<'a> {
    fn structure(&mut self, shape: &'a Shape, input: &Map<String, Value>, at: &str) -> Result<(), String> {
        for name in &shape.required {
            if input.get(name).is_none_or(Value::is_null) {
                self.fault("null", false, &below(at, name), "Member must not be null");
            }
        }
        for (name, member) in shape.members() {
            if let Some(value) = input.get(name).filter(|value| !value.is_null()) {
                self.value(self.model.shape(member), value, &below(at, name))?;
            }
        }
        Ok(())
    }

    fn value(&mut self, shape: &'a Shape, value: &Value, at: &str) -> Result<(), String> {
        if self.faults.len() >= MOST_FAULTS {
            return Ok(());
        }
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(members)) => self.structure(shape, members, at)?,
            (Kind::List, Value::Array(members)) => {
                self.length(shape, members.len(), value, at);
                let member = self.model.shape(&shape.member);
                for (index, value) in members.iter().enumerate() {
                    self.value(member, value, &format!("{at}.{}.member", index + 1))?;
                }
            }
            (Kind::Map, Value::Object(members)) => self.map(shape, members, value, at)?,
            (Kind::String, Value::String(text)) => {
                for constraint in broken_by_text(shape, text) {
                    self.fault(text, true, at, &constraint);
                }
            }
            (Kind::Integer | Kind::Long, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                self.number(shape, value, at);
            }
            // JavaScript clients may write whole numbers as 1.0.
            (Kind::Integer | Kind::Long, Value::Number(number))
                if number.as_f64().is_some_and(|number| number.fract() == 0.0) =>
            {
                self.number(shape, value, at);
            }
            (Kind::Float | Kind::Double | Kind::Timestamp, Value::Number(_)) => self.number(shape, value, at),
            (Kind::Boolean, Value::Bool(_)) | (Kind::Blob, Value::String(_)) => {}
            _ => return Err(wrong_type(shape.kind, value, at)),
        }
        Ok(())
    }

    fn map(
        &mut self,
        shape: &'a Shape,
        members: &Map<String, Value>,
        whole: &Value,
        at: &str,
    ) -> Result<(), String> {
        self.length(shape, members.len(), whole, at);
        let (key_shape, value_shape) = (self.model.shape(&shape.key), self.model.shape(&shape.value));
        if members.keys().any(|key| !broken_by_text(key_shape, key).is_empty()) {
            let constraint = format!("Map keys must satisfy constraint: [{}]", all_constraints(key_shape));
            self.fault(&shown(whole), true, at, &constraint);
        }
        if value_shape.kind != Kind::String {
            for (key, value) in members {
                self.value(value_shape, value, &format!("{at}.{key}.member"))?;
            }
            return Ok(());
        }
        let mut is_broken = false;
        for (key, value) in members {
            let Value::String(text) = value else {
                return Err(wrong_type(Kind::String, value, &format!("{at}.{key}")));
            };
            is_broken |= !broken_by_text(value_shape, text).is_empty();
        }
        if is_broken {
            let constraint = format!("Map value must satisfy constraint: [{}]", all_constraints(value_shape));
            self.fault(&shown(whole), true, at, &constraint);
        }
        Ok(())
    }

    fn length(&mut self, shape: &Shape, length: usize, value: &Value, at: &str) {
        for constraint in broken_by_length(shape, length) {
            self.fault(&shown(value), true, at, &constraint);
        }
    }

    fn number(&mut self, shape: &Shape, value: &Value, at: &str) {
        let number = value.as_f64().unwrap_or(f64::NAN);
        if shape.max.is_some_and(|max| number > max) {
            let constraint = format!("Member must have value less than or equal to {}", bound(shape.max));
            self.fault(&value.to_string(), true, at, &constraint);
        }
        if shape.min.is_some_and(|min| number < min) {
            let constraint = format!("Member must have value greater than or equal to {}", bound(shape.min));
            self.fault(&value.to_string(), true, at, &constraint);
        }
    }

    fn fault(&mut self, value: &str, quoted: bool, at: &str, constraint: &str) {
        if self.faults.len() >= MOST_FAULTS {
            return;
        }
        let value = cut(value);
        let value = if quoted { format!("'{value}'") } else { value };
        self.faults.push(format!("Value {value} at '{at}' failed to satisfy constraint: {constraint}"));
    }
}

fn broken_by_text(shape: &Shape, text: &str) -> Vec<String> {
    let mut broken = broken_by_length(shape, text.chars().count());
    if !shape.r#enum.is_empty() && !shape.r#enum.iter().any(|word| word == text) {
        broken.push(format!("Member must satisfy enum value set: [{}]", shape.r#enum.join(", ")));
    }
    if !shape.fits(text) {
        broken.push(pattern(shape));
    }
    broken
}

fn broken_by_length(shape: &Shape, length: usize) -> Vec<String> {
    let length = length as f64;
    let mut broken = Vec::new();
    if shape.max.is_some_and(|max| length > max) {
        broken.push(format!("Member must have length less than or equal to {}", bound(shape.max)));
    }
    if shape.min.is_some_and(|min| length < min) {
        broken.push(format!("Member must have length greater than or equal to {}", bound(shape.min)));
    }
    broken
}

fn all_constraints(shape: &Shape) -> String {
    let mut all = Vec::new();
    if shape.max.is_some() {
        all.push(format!("Member must have length less than or equal to {}", bound(shape.max)));
        let least = bound(shape.min.or(Some(0.0)));
        all.push(format!("Member must have length greater than or equal to {least}"));
    }
    if shape.pattern.is_some() {
        all.push(pattern(shape));
    }
    all.join(", ")
}

fn pattern(shape: &Shape) -> String {
    let pattern = shape.pattern.as_deref().unwrap_or_default();
    format!("Member must satisfy regular expression pattern: {pattern}")
}

fn bound(bound: Option<f64>) -> String {
    bound.unwrap_or_default().to_string()
}

fn wrong_type(kind: Kind, value: &Value, at: &str) -> String {
    let found = match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    let wanted = match kind {
        Kind::Structure => "structure",
        Kind::List => "list",
        Kind::Map => "map",
        Kind::String => "String",
        Kind::Integer => "Integer",
        Kind::Long => "Long",
        Kind::Float => "Float",
        Kind::Double => "Double",
        Kind::Boolean => "Boolean",
        Kind::Timestamp => "Timestamp",
        Kind::Blob => "Blob",
    };
    format!("{found} can not be converted to a {wanted} at '{}'", cut(at))
}

/// The path `at.name` as AWS writes it: names begin in lower case.
fn below(at: &str, name: &str) -> String {
    let mut path = String::with_capacity(at.len() + name.len() + 1);
    if !at.is_empty() {
        path.push_str(at);
        path.push('.');
    }
    let mut chars = name.chars();
    path.extend(chars.next().map(|first| first.to_ascii_lowercase()));
    path.push_str(chars.as_str());
    path
}

/// A list or map in Java's format: `[a, b]`, `{a=1, b=2}`.
fn shown(value: &Value) -> String {
    let mut text = String::new();
    show(value, &mut text);
    text
}

fn show(value: &Value, text: &mut String) {
    if text.len() > 4 * LONGEST_QUOTED_CHARS {
        return;
    }
    match value {
        Value::String(string) => text.push_str(string),
        Value::Array(members) => {
            text.push('[');
            for (index, member) in members.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                show(member, text);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                text.push_str(key);
                text.push('=');
                show(member, text);
            }
            text.push('}');
        }
        scalar => {
            let _ = write!(text, "{scalar}");
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
