//! An answer as people read it: targets with their attention, rows as a table, else text.

use std::collections::BTreeSet;

use kokanee_contract::MediaType;
use kokanee_formats::record::{Record, value};
use kokanee_formats::recordio::RecordReader;
use kokanee_pages::parts::{Column, code, note, table};
use kokanee_pages::svg::{heat_map, number};
use kokanee_pages::{Attention, Scale};
use maud::{Markup, html};
use prost::Message as _;
use serde_json::{Map, Value};

use super::exchange::{Answer, Exchange};

/// Rows that are shown.
const MOST_ROWS: usize = 200;
/// Attention matrices that are drawn, and the cells of the largest.
const MOST_MATRICES: usize = 4;
const MOST_CELLS: usize = 1 << 14;
/// Values of a row that are shown.
const MOST_VALUES: usize = 64;

pub(super) fn show(exchange: &Exchange, answer: &Answer) -> Markup {
    let media = MediaType::of_name(&answer.content_type);
    let text = String::from_utf8_lossy(&answer.body);
    let rows: Option<Vec<Map<String, Value>>> = match media {
        Some(MediaType::Json) => serde_json::from_str::<Value>(&text).ok().and_then(predictions),
        Some(MediaType::JsonLines) => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).ok())
            .collect(),
        Some(MediaType::RecordIo) => Some(records(&answer.body)),
        _ => None,
    };
    let shown = match &rows {
        Some(rows) if rows.iter().any(|row| row.contains_key("target")) => targets(exchange, rows),
        Some(rows) if !rows.is_empty() => columns(rows),
        _ => return code("Answer", &text),
    };
    html! {
        (shown)
        @if media != Some(MediaType::RecordIo) { details { summary { "As it came" } (code("Answer", &text)) } }
    }
}

/// The objects of `{"predictions": [{…}, …]}`.
fn predictions(answer: Value) -> Option<Vec<Map<String, Value>>> {
    let Value::Object(mut answer) = answer else { return None };
    let Some(Value::Array(list)) = answer.remove("predictions") else { return None };
    list.into_iter().map(|item| if let Value::Object(item) = item { Some(item) } else { None }).collect()
}

/// Records as objects: the values of their features and labels.
pub(super) fn records(bytes: &[u8]) -> Vec<Map<String, Value>> {
    let mut reader = RecordReader::new(bytes, "the answer");
    let mut rows = Vec::new();
    while rows.len() < MOST_ROWS {
        let Ok(Some(raw)) = reader.read_record() else { break };
        let Ok(record) = Record::decode(raw.payload.as_slice()) else { break };
        let values =
            record.features.into_iter().chain(record.label).map(|(name, value)| (name, tensor(value.value)));
        rows.push(values.collect());
    }
    rows
}

/// The values of a tensor; one value stands alone.
pub(super) fn tensor(value: Option<value::Value>) -> Value {
    let values: Vec<Value> = match value {
        Some(value::Value::Float32Tensor(tensor)) => {
            // The shortest digits that mean the same, and not those of its f64.
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

/// A value in a cell.
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

/// Objects as a table, with a column for every key.
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
        @if rows.len() > MOST_ROWS { (note(&format!("The first {MOST_ROWS} of {} rows are shown.", rows.len()))) }
    }
}

/// Targets of translations, with the best hypotheses and what they looked at.
fn targets(exchange: &Exchange, rows: &[Map<String, Value>]) -> Markup {
    let sources = sources(exchange);
    html! {
        @for (index, row) in rows.iter().take(MOST_ROWS).enumerate() {
            p { b { (row.get("target").map_or_else(String::new, cell)) } }
            @if let Some(Value::Array(best)) = row.get("nbest") {
                @let cells: Vec<Vec<Markup>> = best.iter().enumerate().map(|(place, one)| vec![
                    html! { (place + 1) }, html! { (cell(&one["target"])) }, html! { (cell(&one["score"])) },
                ]).collect();
                (table("Hypotheses, best first; a lower score is better", &[Column::numbers("#"), Column::words("Target"), Column::numbers("Score")], &cells))
            }
            @if index < MOST_MATRICES {
                @if let Some(picture) = picture(row, sources.get(index).map(Vec::as_slice)) { div.wide { (picture) } }
            }
        }
    }
}

fn picture(row: &Map<String, Value>, source: Option<&[String]>) -> Option<Markup> {
    let weights: Vec<Vec<f32>> = serde_json::from_value(row.get("matrix")?.clone()).ok()?;
    let columns = weights.first()?.len();
    if weights.len() * columns > MOST_CELLS {
        return Some(note("The attention is too large to be drawn here."));
    }
    let target: Vec<String> = row.get("target")?.as_str()?.split_whitespace().map(str::to_owned).collect();
    let numbered: Vec<String> = (1..=columns).map(|column| column.to_string()).collect();
    let source = source.filter(|source| source.len() == columns).unwrap_or(&numbered);
    let attention = Attention::new(&target, source, &weights, Scale::One).ok()?;
    Some(heat_map::draw(&attention, "Attention").inline())
}

/// The words of each instance that was sent.
fn sources(exchange: &Exchange) -> Vec<Vec<String>> {
    let words = |value: &Value| -> Vec<String> {
        let text = ["data", "source"].iter().find_map(|key| value[*key].as_str()).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    match MediaType::of_name(&exchange.content_type) {
        Some(MediaType::Json) => {
            let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
            body["instances"].as_array().into_iter().flatten().map(words).collect()
        }
        Some(MediaType::JsonLines) => exchange
            .typed
            .lines()
            .map(|line| words(&serde_json::from_str(line).unwrap_or_default()))
            .collect(),
        _ => {
            exchange.typed.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content_type: &str, sent: &str, body: &str) -> String {
        let exchange = Exchange {
            content_type: "application/json".to_owned(),
            accept: String::new(),
            typed: sent.to_owned(),
            body: sent.as_bytes().to_vec(),
            answer: None,
        };
        let answer = Answer {
            status: 200,
            content_type: content_type.to_owned(),
            variant: String::new(),
            body: body.as_bytes().to_vec(),
            is_cut: false,
            took_ms: 1.0,
        };
        show(&exchange, &answer).into_string()
    }

    #[test]
    fn targets_have_hypotheses_and_attention_over_the_words_that_were_sent() {
        let sent = r#"{"instances": [{"data": "ein <b>"}]}"#;
        let body = r#"{"predictions": [{"target": "one", "matrix": [[0.75, 0.25]], "nbest": [{"target": "one", "score": 0.5}]}]}"#;
        let html = shown("application/json", sent, body);
        assert!(html.contains("one ← ein: 0.750") && html.contains("one ← &lt;b&gt;: 0.250"), "{html}");
        assert!(html.contains("<td class=\"number\">0.5</td>"), "{html}");
    }

    #[test]
    fn rows_are_a_table_and_what_is_unknown_is_text() {
        let body =
            r#"{"predictions": [{"closest_cluster": 1.0, "distance": 0.25}, {"closest_cluster": 2.0}]}"#;
        let html = shown("application/json", "", body);
        assert!(html.contains("<th scope=\"col\" class=\"number\">closest_cluster</th>"), "{html}");
        assert!(html.contains("<td class=\"number\">0.25</td>"), "{html}");
        assert!(shown("application/json", "", "[1]").contains("<code>[1]</code>"));
        assert!(shown("text/html", "", "<script>").contains("&lt;script&gt;"));
    }
}
