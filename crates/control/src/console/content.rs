//! The content of bytes in readable form: text, hexadecimal digits, records, tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use kokanee_formats::record::{Record, value};
use kokanee_pages::parts::{Column, note, table};
use kokanee_pages::svg::number;
use maud::{Markup, html};
use serde_json::{Map, Value};

/// The most rows of a table that are shown.
pub(super) const MOST_ROWS: usize = 200;
/// The most values of a row that are shown.
const MOST_VALUES: usize = 64;

/// Returns bytes as text; none if they are not text. If the bytes were cut, so may be the last character.
pub(super) fn text(bytes: &[u8], is_cut: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

/// Writes bytes as hexadecimal digits next to their characters.
pub(super) fn bytes(head: &[u8]) -> String {
    let mut text = String::new();
    for (index, line) in head.chunks(16).take(32).enumerate() {
        let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown: String =
            line.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
        let _ = writeln!(text, "{:06x}  {:<47}  {shown}", index * 16, digits.join(" "));
    }
    text
}

/// Cuts a text to so many characters, and marks the cut.
pub(super) fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The values of a record's features and labels, by their names.
pub(super) fn values(record: Record) -> Map<String, Value> {
    let tensors = record.features.into_iter().chain(record.label);
    tensors.map(|(name, value)| (name, tensor(value.value))).collect()
}

/// The values of a tensor; a single value stands without a list.
fn tensor(value: Option<value::Value>) -> Value {
    let values: Vec<Value> = match value {
        Some(value::Value::Float32Tensor(tensor)) => {
            // The shortest digits of the f32, which are fewer than those of its f64.
            tensor
                .values
                .iter()
                .map(|value| value.to_string().parse::<f64>().map_or(Value::Null, Value::from))
                .collect()
        }
        Some(value::Value::Float64Tensor(tensor)) => tensor.values.into_iter().map(Value::from).collect(),
        Some(value::Value::Int32Tensor(tensor)) => tensor.values.into_iter().map(Value::from).collect(),
        Some(value::Value::Bytes(bytes)) => {
            return Value::from(format!("{} bytes", bytes.value.iter().map(Vec::len).sum::<usize>()));
        }
        None => Vec::new(),
    };
    if values.len() == 1 { values.into_iter().next().unwrap_or_default() } else { Value::Array(values) }
}

/// Shows a value in a cell.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(value) => {
            value.as_f64().filter(|_| value.is_f64()).map_or_else(|| value.to_string(), number)
        }
        Value::Array(values) => {
            let shown: Vec<String> = values.iter().take(MOST_VALUES).map(cell).collect();
            shown.join(" ") + if values.len() > MOST_VALUES { " …" } else { "" }
        }
        other => other.to_string(),
    }
}

/// Shows objects as a table with a column per key.
pub(super) fn columns(rows: &[Map<String, Value>]) -> Markup {
    let names: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
    let is_number = |name: &String| rows.iter().all(|row| row.get(name).is_none_or(Value::is_number));
    let mut heads = vec![Column::numbers("#")];
    heads.extend(
        names.iter().map(|name| if is_number(name) { Column::numbers(name) } else { Column::words(name) }),
    );
    let cells = rows.iter().take(MOST_ROWS).enumerate().map(|(index, row)| {
        let mut cells = vec![html! { (index + 1) }];
        cells.extend(names.iter().map(|name| html! { (row.get(*name).map_or_else(String::new, cell)) }));
        cells
    });
    html! {
        (table("Rows", &heads, &cells.collect::<Vec<_>>()))
        @if rows.len() > MOST_ROWS { (note(&format!("Showing the first {MOST_ROWS} of {} rows.", rows.len()))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_digits_and_characters() {
        assert_eq!(bytes(b"Ab\0"), format!("000000  {:<47}  Ab.\n", "41 62 00"));
    }

    #[test]
    fn text_may_be_cut_within_a_character_and_what_is_no_text_is_none() {
        assert_eq!(text("aä".as_bytes(), false), Some("aä"));
        assert_eq!((text(b"a\xc3", true), text(b"a\xc3", false)), (Some("a"), None));
        assert_eq!((text(b"a\0", true), text(b"\xffa", true)), (None, None));
        assert_eq!((cut("aäb", 2), cut("aä", 2)), ("aä…".to_owned(), "aä".to_owned()));
    }
}
