//! Responses of the query protocol.

use std::borrow::Cow;

use serde_json::Value;

use super::time;
use crate::operations::{Kind, Model};

/// Writes `value` as the element `element`.
pub(super) fn write(text: &mut String, model: &Model, shape_name: &str, element: &str, value: &Value) {
    let shape = model.shape(shape_name);
    match (shape.kind, value) {
        (_, Value::Null) => {}
        (Kind::Structure, Value::Object(members)) => {
            text.push_str(&format!("<{element}>\n"));
            for (name, member) in shape.members() {
                if let Some(value) = members.get(name) {
                    write(text, model, member, shape.wire_name(name), value);
                }
            }
            text.push_str(&format!("</{element}>\n"));
        }
        (Kind::List, Value::Array(members)) => {
            let (around, each) = if shape.flattened { (None, element) } else { (Some(element), "member") };
            text.extend(around.map(|name| format!("<{name}>\n")));
            for member in members {
                write(text, model, &shape.member, each, member);
            }
            text.extend(around.map(|name| format!("</{name}>\n")));
        }
        (Kind::Map, Value::Object(members)) => {
            text.push_str(&format!("<{element}>\n"));
            for (key, value) in members {
                text.push_str(&format!("<entry><key>{}</key>", escaped(key)));
                write(text, model, &shape.value, "value", value);
                text.push_str("</entry>\n");
            }
            text.push_str(&format!("</{element}>\n"));
        }
        (kind, value) => {
            let content = match (kind, value) {
                (Kind::Timestamp, Value::Number(number)) => time::iso(number.as_f64().unwrap_or_default()),
                (_, Value::String(text)) => escaped(text).into_owned(),
                (_, value) => value.to_string(),
            };
            text.push_str(&format!("<{element}>{content}</{element}>\n"));
        }
    }
}

/// Text escaped for XML; characters that XML cannot hold become question marks.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    let is_special = |character: char| {
        matches!(character, '<' | '>' | '&' | '"' | '\r' | '\u{fffe}' | '\u{ffff}')
            || (character < ' ' && !matches!(character, '\n' | '\t'))
    };
    if !text.contains(is_special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            character if is_special(character) => escaped.push('?'),
            character => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}
