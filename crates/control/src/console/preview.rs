//! A preview of an object: records, tables, text, or bytes. Only its beginning is read.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use kokanee_formats::record::Record;
use kokanee_formats::recordio::RecordReader;
use kokanee_pages::parts::{Column, code, note, problem, table};
use maud::{Markup, html};
use prost::Message as _;
use serde_json::{Map, Value};

use super::content::{bytes, columns, cut, text, values};
use super::visit::{Problem, Visit};
use crate::s3::ListRequest;

/// The number of bytes of an object that are read.
const HEAD_BYTES: u64 = 256 << 10;
/// The most rows, lines and records that are shown.
const ROWS: usize = 50;
/// The most columns of a table that are shown, and the most characters of a line.
const MOST_COLUMNS: usize = 30;
const LONGEST_LINE: usize = 500;
/// The largest vocabulary that is read.
const MOST_VOCABULARY_BYTES: u64 = 16 << 20;
/// The first bytes of a RecordIO frame.
const RECORD_IO: [u8; 4] = [0x0a, 0x23, 0xd7, 0xce];
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(super) fn show(visit: &Visit, bucket: &str, key: &str, mut file: File) -> Result<Markup, Problem> {
    let mut head = Vec::new();
    let read = (&mut file).take(HEAD_BYTES).read_to_end(&mut head);
    read.map_err(|error| Problem::not_found(format!("The object cannot be read: {error}")))?;
    let mut is_cut = head.len() as u64 == HEAD_BYTES;
    let mut packing = "";
    if head.starts_with(&GZIP) {
        let mut plain = Vec::new();
        // Data that are damaged, or end too early because only the beginning was read, are decompressed as far as possible.
        let _ = MultiGzDecoder::new(head.as_slice()).take(HEAD_BYTES).read_to_end(&mut plain);
        is_cut |= plain.len() as u64 == HEAD_BYTES;
        (head, packing) = (plain, "Decompressed from gzip.");
    }
    let shown = content(visit, bucket, key, &head, is_cut)?;
    Ok(html! {
        @if !packing.is_empty() { (note(packing)) }
        (shown)
        @if is_cut { (note("Only the beginning of the object is shown.")) }
    })
}

fn content(visit: &Visit, bucket: &str, key: &str, head: &[u8], is_cut: bool) -> Result<Markup, Problem> {
    if head.is_empty() {
        return Ok(note("The object is empty."));
    }
    if head.starts_with(&RECORD_IO) {
        return records(visit, bucket, key, head);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Ok(archive(head));
    }
    let Some(text) = text(head, is_cut) else { return Ok(code("Bytes", &bytes(head))) };
    let text = text.trim_start_matches('\u{feff}');
    if let Some(value) =
        serde_json::from_str::<Value>(text).ok().filter(|value| value.is_object() || value.is_array())
    {
        return Ok(code("JSON", &serde_json::to_string_pretty(&value).unwrap_or_default()));
    }
    Ok(rows(text).unwrap_or_else(|| lines(text)))
}

/// Shows lines as a table if they have several fields, and all have as many fields as the first.
fn rows(text: &str) -> Option<Markup> {
    let lines: Vec<Vec<&str>> = text.lines().take(ROWS).map(|line| line.split(',').collect()).collect();
    let width = lines.first()?.len();
    // The last line may have been cut.
    let is_table =
        width > 1 && lines.iter().take(lines.len().saturating_sub(1).max(1)).all(|line| line.len() == width);
    if !is_table {
        return None;
    }
    let mut heads = vec![Column::numbers("#")];
    heads.extend((1..=width.min(MOST_COLUMNS)).map(|column| Column::numbers(&column.to_string())));
    let cells = lines.iter().enumerate().map(|(index, line)| {
        let mut cells = vec![html! { span.faint { (index + 1) } }];
        cells.extend(line.iter().take(MOST_COLUMNS).map(|field| html! { (cut(field, LONGEST_LINE)) }));
        cells
    });
    Some(html! {
        (table("Rows", &heads, &cells.collect::<Vec<_>>()))
        @if width > MOST_COLUMNS { (note(&format!("Showing the first {MOST_COLUMNS} of {width} columns."))) }
    })
}

fn lines(text: &str) -> Markup {
    let shown: Vec<String> = text.lines().take(4 * ROWS).map(|line| cut(line, LONGEST_LINE)).collect();
    code("Text", &shown.join("\n"))
}

/// Lists the files of an archive, as far as their heads have been read.
fn archive(head: &[u8]) -> Markup {
    let (mut at, mut rows) = (0, Vec::new());
    while let Some(block) = head.get(at..at + 512).filter(|block| block[0] != 0) {
        let field = |from: usize, to: usize| {
            let bytes = &block[from..to];
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
        };
        let Ok(size) = u64::from_str_radix(&field(124, 136), 8) else { break };
        rows.push(vec![
            html! { span.key { (field(0, 100)) } },
            html! { (kokanee_pages::human::bytes(size)) },
        ]);
        let Ok(blocks) = usize::try_from(size.div_ceil(512)) else { break };
        at = at.saturating_add(blocks.saturating_add(1).saturating_mul(512));
    }
    html! {
        (note("An archive. Files found in the part that was read:"))
        (table("Files", &[Column::words("Name"), Column::numbers("Size")], &rows))
    }
}

/// Shows records: rows of numbers, or sentences if there is a vocabulary.
fn records(visit: &Visit, bucket: &str, key: &str, head: &[u8]) -> Result<Markup, Problem> {
    let mut reader = RecordReader::new(head, key);
    let mut shown: Vec<Map<String, Value>> = Vec::new();
    let mut fault = None;
    while shown.len() < ROWS {
        match reader.read_record() {
            Ok(Some(raw)) => match Record::decode(raw.payload.as_slice()) {
                Ok(record) => shown.push(values(record)),
                Err(error) => {
                    fault = Some(format!("Record {} is not valid protobuf: {error}", raw.number));
                    break;
                }
            },
            Ok(None) => break,
            // The last record may have been cut if only the beginning was read.
            Err(_) if head.len() as u64 == HEAD_BYTES => break,
            Err(error) => {
                fault = Some(error.to_string());
                break;
            }
        }
    }
    let has_words = shown.iter().any(|row| row.contains_key("source"));
    let form = if has_words { Some(words(visit, bucket, key, &mut shown)?) } else { None };
    Ok(html! {
        @if let Some(fault) = &fault { (problem(fault)) }
        @if let Some(form) = form { (form) }
        @if !shown.is_empty() { (columns(&shown)) }
    })
}

/// Turns ids into words with the chosen vocabularies, or with nearby ones; returns the form that chooses them.
fn words(visit: &Visit, bucket: &str, key: &str, rows: &mut [Map<String, Value>]) -> Result<Markup, Problem> {
    let near = near(visit, bucket, key)?;
    let of = |side: &str, ending: &str| {
        let asked = visit.query.get(side).map(str::to_owned);
        asked.unwrap_or_else(|| near.iter().find(|key| key.ends_with(ending)).cloned().unwrap_or_default())
    };
    let chosen = [("source", of("source", "vocab.src.json")), ("target", of("target", "vocab.trg.json"))];
    let mut faults = Vec::new();
    for (side, vocabulary) in chosen.iter().filter(|(_, vocabulary)| !vocabulary.is_empty()) {
        match vocabulary_of(visit, bucket, vocabulary) {
            Ok(words) => {
                for value in rows.iter_mut().filter_map(|row| row.get_mut(*side)) {
                    *value = Value::from(sentence(value, &words));
                }
            }
            Err(message) => faults.push(format!("{vocabulary}: {message}")),
        }
    }
    Ok(html! {
        form.tools method="get" action=(visit.link(&["buckets", bucket, "object"], &[])) {
            input type="hidden" name="key" value=(key);
            @for (side, vocabulary) in &chosen {
                label { (if *side == "source" { "Source vocabulary" } else { "Target vocabulary" }) input name=(side) value=(vocabulary) list="vocabularies" placeholder="key of a JSON file"; }
            }
            datalist #vocabularies { @for key in &near { option value=(key) {} } }
            button { "Read" }
        }
        @for fault in &faults { (problem(fault)) }
    })
}

/// Vocabularies in the folder of an object, in the folder `vocab` beside it, and in the folder above.
fn near(visit: &Visit, bucket: &str, key: &str) -> Result<Vec<String>, Problem> {
    let folder = key.rfind('/').map_or("", |at| &key[..=at]);
    let above = folder.trim_end_matches('/').rfind('/').map_or("", |at| &folder[..=at]);
    let mut found: Vec<String> = Vec::new();
    for prefix in [folder.to_owned(), format!("{above}vocab/"), above.to_owned()] {
        let request = ListRequest { prefix, delimiter: "/".to_owned(), limit: 200, ..ListRequest::default() };
        let page = visit.objects()?.list(bucket, &request)?;
        let keys = page.objects.into_iter().map(|(key, _)| key);
        found.extend(keys.filter(|key| key.contains("vocab") && key.ends_with(".json")));
    }
    found.dedup();
    Ok(found)
}

/// Words by their ids.
fn vocabulary_of(visit: &Visit, bucket: &str, key: &str) -> Result<HashMap<i64, String>, String> {
    let object = visit
        .objects()
        .map_err(|problem| problem.message)?
        .get(bucket, key)
        .map_err(|error| error.message)?;
    if object.record.size > MOST_VOCABULARY_BYTES {
        return Err("it is too large for a vocabulary".to_owned());
    }
    let words: HashMap<String, i64> = serde_json::from_reader(std::io::BufReader::new(object.file))
        .map_err(|error| format!("it is not a vocabulary, a JSON object from words to ids: {error}"))?;
    Ok(words.into_iter().map(|(word, id)| (id, word)).collect())
}

fn sentence(ids: &Value, words: &HashMap<i64, String>) -> String {
    let word = |id: &Value| {
        let known = id.as_i64().and_then(|id| words.get(&id)).cloned();
        known.unwrap_or_else(|| format!("[{id}]"))
    };
    match ids {
        Value::Array(ids) => ids.iter().map(word).collect::<Vec<_>>().join(" "),
        one => word(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_with_commas_is_a_table_and_other_text_is_not() {
        let table = rows("1,2,3\n4,5,6\n7,8").unwrap().into_string();
        assert!(table.contains("<td class=\"number\">6</td>"), "{table}");
        assert!(rows("a line, with a comma\nand one without\nx").is_none());
        assert!(rows("one\ntwo").is_none());
    }

    #[test]
    fn ids_without_a_word_stay_ids() {
        let words = HashMap::from([(4, "the".to_owned())]);
        assert_eq!(sentence(&serde_json::json!([4, 9]), &words), "the [9]");
        assert_eq!(sentence(&serde_json::json!(4), &words), "the");
    }
}
