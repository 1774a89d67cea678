//! Shows an answer to people: targets with their attention, rows as a table, everything else as text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kokanee_contract::MediaType;
use kokanee_formats::record::Record;
use kokanee_formats::recordio::RecordReader;
use kokanee_pages::human;
use kokanee_pages::parts::{Column, code, note, table};
use kokanee_pages::svg::heat_map;
use kokanee_pages::{Attention, Scale};
use maud::{Markup, html};
use prost::Message as _;
use serde_json::{Map, Value};

use super::content::{MOST_ROWS, bytes, cell, columns, text, values};
use super::exchange::{Answer, Exchange};

/// The most bytes of a text that are shown, and of JSON that is shown as a table.
const MOST_TEXT_BYTES: usize = 512 << 10;
/// The most attention matrices that are drawn, and the most cells of one.
const MOST_MATRICES: usize = 4;
const MOST_CELLS: usize = 1 << 14;

pub(super) fn show(exchange: &Exchange, answer: &Answer) -> Markup {
    let media = MediaType::of_name(&answer.content_type);
    let beginning = beginning(answer);
    let is_whole = !answer.is_cut && answer.body.len() <= MOST_TEXT_BYTES;
    let rows: Option<Vec<Map<String, Value>>> = match (media, beginning) {
        (Some(MediaType::Json), Some(text)) if is_whole => {
            serde_json::from_str::<Value>(text).ok().and_then(predictions)
        }
        (Some(MediaType::JsonLines), Some(text)) if is_whole => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).ok())
            .collect(),
        (Some(MediaType::RecordIo), _) => Some(records(&answer.body)),
        _ => None,
    };
    let as_it_came = match beginning {
        Some(text) => code("Response", text),
        None => code("Response bytes", &bytes(&answer.body)),
    };
    let shown = match &rows {
        Some(rows) if rows.iter().any(|row| row.contains_key("target")) => Some(targets(exchange, rows)),
        Some(rows) if !rows.is_empty() => Some(columns(rows)),
        _ => None,
    };
    html! {
        @match shown {
            Some(shown) => { (shown) details { summary { "Raw response" } (as_it_came) } },
            None => (as_it_came),
        }
        @if answer.is_cut {
            (note(&format!("The response is longer than {}; only the beginning was read.", human::bytes(answer.body.len() as u64))))
        } @else if beginning.is_none() || !is_whole {
            @if beginning.is_some() { (note("Only the beginning is shown.")) }
            (download(media, answer))
        }
    }
}

/// The beginning of an answer that is text; none if it is not text.
pub(super) fn beginning(answer: &Answer) -> Option<&str> {
    let shown = &answer.body[..answer.body.len().min(MOST_TEXT_BYTES)];
    text(shown, answer.is_cut || shown.len() < answer.body.len())
}

/// A link that contains the whole answer, because the answer was sent only once and is stored nowhere else.
fn download(media: Option<MediaType>, answer: &Answer) -> Markup {
    let ending = match media {
        Some(MediaType::RecordIo) => "rec",
        Some(MediaType::Json) => "json",
        Some(MediaType::JsonLines) => "jsonl",
        Some(MediaType::Csv) => "csv",
        Some(MediaType::Libsvm | MediaType::Text) => "txt",
        _ => "bin",
    };
    let content = BASE64.encode(&answer.body);
    html! {
        p {
            a.button download={ "response." (ending) } href={ "data:application/octet-stream;base64," (content) } {
                "Download the response (" (human::bytes(answer.body.len() as u64)) ")"
            }
        }
    }
}

/// The objects of `{"predictions": [{…}, …]}`.
fn predictions(answer: Value) -> Option<Vec<Map<String, Value>>> {
    let Value::Object(mut answer) = answer else { return None };
    let Some(Value::Array(list)) = answer.remove("predictions") else { return None };
    list.into_iter().map(|item| if let Value::Object(item) = item { Some(item) } else { None }).collect()
}

/// Records as objects: the values of their features and labels.
fn records(bytes: &[u8]) -> Vec<Map<String, Value>> {
    let mut reader = RecordReader::new(bytes, "the answer");
    let mut rows = Vec::new();
    while rows.len() < MOST_ROWS {
        let Ok(Some(raw)) = reader.read_record() else { break };
        let Ok(record) = Record::decode(raw.payload.as_slice()) else { break };
        rows.push(values(record));
    }
    rows
}

/// Targets of translations, with the best hypotheses and their attention.
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
        return Some(note("The attention matrix is too large to draw here."));
    }
    let target: Vec<String> = row.get("target")?.as_str()?.split_whitespace().map(str::to_owned).collect();
    let numbered: Vec<String> = (1..=columns).map(|column| column.to_string()).collect();
    let source = source.filter(|source| source.len() == columns).unwrap_or(&numbered);
    let attention = Attention::new(&target, source, &weights, Scale::One).ok()?;
    Some(heat_map::draw(&attention, "Attention").inline())
}

/// The words of each instance in the request.
fn sources(exchange: &Exchange) -> Vec<Vec<String>> {
    let words = |value: &Value| -> Vec<String> {
        let text = ["data", "source"].iter().find_map(|key| value[*key].as_str()).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    };
    let text = std::str::from_utf8(&exchange.body).unwrap_or_default();
    match MediaType::of_name(&exchange.content_type) {
        Some(MediaType::Json) => {
            let body: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
            body["instances"].as_array().into_iter().flatten().map(words).collect()
        }
        Some(MediaType::JsonLines) => {
            text.lines().map(|line| words(&serde_json::from_str(line).unwrap_or_default())).collect()
        }
        Some(MediaType::RecordIo) => {
            let ids = |record: Map<String, Value>| match record.get("source") {
                Some(Value::Array(ids)) => ids.iter().map(cell).collect(),
                Some(id) => vec![cell(id)],
                None => Vec::new(),
            };
            records(&exchange.body).into_iter().map(ids).collect()
        }
        _ => text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn shown(content_type: &str, sent: &str, body: impl AsRef<[u8]>) -> String {
        let exchange = Exchange {
            content_type: "application/json".to_owned(),
            accept: String::new(),
            typed: sent.to_owned(),
            file: None,
            body: Bytes::copy_from_slice(sent.as_bytes()),
            answer: None,
        };
        let answer = Answer {
            status: 200,
            content_type: content_type.to_owned(),
            variant: String::new(),
            body: body.as_ref().to_vec(),
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

    #[test]
    fn what_is_no_text_is_shown_as_bytes_and_can_be_kept() {
        let html = shown("application/x-parquet", "", b"PAR1\xff\0");
        assert!(html.contains("50 41 52 31 ff 00") && html.contains("download=\"response.bin\""), "{html}");
        assert!(html.contains("href=\"data:application/octet-stream;base64,UEFSMf8A\""), "{html}");
        // Only the beginning of a long text is shown, and the cut may fall within a character.
        let long = "x".repeat(MOST_TEXT_BYTES - 1) + "äö";
        let html = shown("text/csv", "", &long);
        assert!(html.contains("Only the beginning") && html.contains("download=\"response.csv\""));
        assert!(!html.contains('ä') && html.contains(&BASE64.encode(&long)));
        assert!(!shown("text/csv", "", "1,2").contains("download"));
    }
}
