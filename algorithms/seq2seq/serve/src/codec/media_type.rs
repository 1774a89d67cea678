//! Which content types there are, and how `Content-Type` and `Accept` choose among them.

use std::fmt;

use mime::Mime;

use crate::error::{Code, ServeError};

/// A content type that is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// One object with all instances: the form of SageMaker's endpoints.
    Json,
    /// An object a line: the form of SageMaker's batch transform.
    JsonLines,
    /// RecordIO frames with protobuf records of ids.
    RecordIo,
    /// A sentence a line, a courtesy.
    Text,
}

/// The table: type, its name, and other spellings of it. The guide itself writes `applications/x-recordio-protobuf`.
const TABLE: [(MediaType, &str, &[&str]); 4] = [
    (MediaType::Json, "application/json", &[]),
    (
        MediaType::JsonLines,
        "application/jsonlines",
        &["application/x-jsonlines", "application/jsonl", "application/x-ndjson"],
    ),
    (MediaType::RecordIo, "application/x-recordio-protobuf", &["applications/x-recordio-protobuf"]),
    (MediaType::Text, "text/plain", &[]),
];

impl MediaType {
    /// The name in `Content-Type`.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|row| row.0 == self).map_or("application/json", |row| row.1)
    }

    /// The value of `Content-Type` in an answer.
    pub fn header(self) -> &'static str {
        match self {
            MediaType::Text => "text/plain; charset=utf-8",
            other => other.name(),
        }
    }

    /// The type of a body. A request without `Content-Type` is taken for JSON, the type of SageMaker's own examples.
    ///
    /// # Errors
    /// 415, naming what is supported.
    pub fn of_body(header: Option<&str>) -> Result<Self, ServeError> {
        let Some(header) = header.map(str::trim).filter(|header| !header.is_empty()) else {
            return Ok(MediaType::Json);
        };
        let refuse = |problem: &str| {
            ServeError::new(
                Code::UnsupportedMediaType,
                format!("Content-Type {}: {problem}; supported are {}", quoted(header), names()),
            )
            .with("supported", supported())
        };
        let mime = parse(header).ok_or_else(|| refuse("not a media type"))?;
        let media = Self::named(mime.essence_str()).ok_or_else(|| refuse("not a type that is read here"))?;
        match mime.get_param(mime::CHARSET) {
            Some(charset) if charset != "utf-8" && charset != "us-ascii" && charset != "utf8" => {
                Err(refuse("only UTF-8 is read here"))
            }
            _ => Ok(media),
        }
    }

    /// The type of the answer to a body of type `body`: the one that the header prefers; between equals the body's own, then the
    /// first in the table. Without a header, or with `*/*`, the answer has the type of the body.
    ///
    /// # Errors
    /// 406, naming what is supported, when nothing of it is accepted.
    pub fn of_answer(accept: Option<&str>, body: Self) -> Result<Self, ServeError> {
        let Some(accept) = accept.map(str::trim).filter(|accept| !accept.is_empty()) else { return Ok(body) };
        let ranges: Vec<Range> = accept.split(',').filter_map(Range::parse).collect();
        let own_first = std::iter::once(body).chain(TABLE.iter().map(|row| row.0));
        let mut best: Option<(f32, Self)> = None;
        for media in own_first {
            let quality = quality(&ranges, media);
            if quality > 0.0 && best.is_none_or(|(so_far, _)| quality > so_far) {
                best = Some((quality, media));
            }
        }
        best.map(|(_, media)| media).ok_or_else(|| {
            let message =
                format!("Accept {}: none of these can be written; supported are {}", quoted(accept), names());
            ServeError::new(Code::NotAcceptable, message).with("supported", supported())
        })
    }

    /// The type that this is a spelling of, whatever its parameters and capitals.
    pub fn of_name(mime: &str) -> Option<Self> {
        Self::named(parse(mime)?.essence_str())
    }

    fn named(name: &str) -> Option<Self> {
        let is_it = |row: &&(Self, &str, &[&str])| row.1 == name || row.2.contains(&name);
        TABLE.iter().find(is_it).map(|row| row.0)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One item of `Accept`.
struct Range {
    mime: Mime,
    quality: f32,
}

impl Range {
    /// Items that are no media ranges are passed over, as servers commonly do.
    fn parse(item: &str) -> Option<Self> {
        let item = item.trim();
        // Old Java clients write a single star.
        let item = if item == "*" || item.starts_with("*;") {
            format!("*/*{}", &item[1..])
        } else {
            item.to_owned()
        };
        let mime = parse(&item)?;
        let quality = match mime.get_param("q") {
            None => 1.0,
            Some(q) => q.as_str().trim().parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q))?,
        };
        Some(Self { mime, quality })
    }

    /// How exactly it names a type: 3 by name, 2 by `application/*`, 1 by `*/*`, 0 not at all.
    fn precision(&self, media: MediaType) -> u8 {
        match (self.mime.type_(), self.mime.subtype()) {
            (mime::STAR, mime::STAR) => 1,
            (kind, mime::STAR) => {
                let own_kind = media.name().split('/').next().unwrap_or_default();
                if kind == own_kind { 2 } else { 0 }
            }
            _ if MediaType::named(self.mime.essence_str()) == Some(media) => 3,
            _ => 0,
        }
    }
}

/// Parses a media type or range. White space may stand around semicolons (RFC 9110, 5.6.6), which the parser does not know.
fn parse(text: &str) -> Option<Mime> {
    text.split(';').map(str::trim).collect::<Vec<_>>().join(";").parse().ok()
}

/// The quality of a type is that of the range that names it most exactly (RFC 9110, 12.5.1).
fn quality(ranges: &[Range], media: MediaType) -> f32 {
    let named = ranges.iter().map(|range| (range.precision(media), range.quality));
    let best =
        named.filter(|(precision, _)| *precision > 0).max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map_or(0.0, |(_, quality)| quality)
}

fn supported() -> Vec<&'static str> {
    TABLE.iter().map(|row| row.1).collect()
}

fn names() -> String {
    supported().join(", ")
}

/// A header from outside, cut short for a message.
fn quoted(header: &str) -> String {
    const SHOWN: usize = 100;
    let mut shown: String = header.chars().take(SHOWN).collect();
    if shown.len() < header.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
