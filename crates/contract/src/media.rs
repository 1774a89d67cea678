//! The media types of SageMaker's built-in algorithms: one table of names and spellings, and the choice among them by headers.
//!
//! Source: SageMaker Developer Guide, "Common Data Formats for Training" and "Common Data Formats for Inference"; RFC 9110,
//! sections 8.3 and 12.5.1.

use std::fmt;

use mime::Mime;

/// A media type that at least one algorithm reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// One object with all instances: the form of SageMaker's endpoints.
    Json,
    /// One object per line: the form of SageMaker's batch transform.
    JsonLines,
    /// RecordIO frames with protobuf records.
    RecordIo,
    /// Comma-separated numbers, one row per line.
    Csv,
    /// A label and `index:value` pairs per line.
    Libsvm,
    /// One text per line.
    Text,
    /// The model of an earlier training job.
    Model,
}

/// The table: type, its name, and alternative spellings. The guide itself writes `applications/x-recordio-protobuf`; the pca container
/// registers the next two for the same bytes.
const TABLE: [(MediaType, &str, &[&str]); 7] = [
    (MediaType::Json, "application/json", &[]),
    (
        MediaType::JsonLines,
        "application/jsonlines",
        &["application/x-jsonlines", "application/jsonl", "application/x-ndjson"],
    ),
    (
        MediaType::RecordIo,
        "application/x-recordio-protobuf",
        &["applications/x-recordio-protobuf", "application/x-labeled-vector-protobuf"],
    ),
    (MediaType::Csv, "text/csv", &[]),
    (MediaType::Libsvm, "text/libsvm", &["text/x-libsvm"]),
    (MediaType::Text, "text/plain", &[]),
    (MediaType::Model, "application/x-sagemaker-model", &[]),
];

/// A media type with its parameters, as in `Content-Type` and in the `ContentType` of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// The type.
    pub media: MediaType,
    /// Name and value of each parameter, in their order. Names are in lower case, with underscores for hyphens: the guide writes
    /// both `label_size` and `label-size`.
    pub parameters: Vec<(String, String)>,
}

impl MediaType {
    /// The name in `Content-Type`.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|row| row.0 == self).map_or("application/json", |row| row.1)
    }

    /// The value of `Content-Type` in a response.
    pub fn header(self) -> &'static str {
        match self {
            MediaType::Text => "text/plain; charset=utf-8",
            MediaType::Csv => "text/csv; charset=utf-8",
            other => other.name(),
        }
    }

    /// The type with this name or spelling; parameters and letter case are ignored.
    pub fn of_name(text: &str) -> Option<Self> {
        Self::named(parse(text)?.essence_str())
    }

    /// The type of the response to a body of type `own`: among the offered types, the one that `Accept` prefers; between equals `own`, then
    /// the first offered. With `*/*` the response has the type `own`, if it is offered. `None` if no offered type is accepted.
    pub fn preferred(accept: &str, offered: &[Self], own: Self) -> Option<Self> {
        let ranges: Vec<Range> = accept.split(',').filter_map(Range::parse).collect();
        let own_first = offered.iter().filter(|&&media| media == own).chain(offered);
        let mut best: Option<(f32, Self)> = None;
        for &media in own_first {
            let quality = quality(&ranges, media);
            if quality > 0.0 && best.is_none_or(|(so_far, _)| quality > so_far) {
                best = Some((quality, media));
            }
        }
        best.map(|(_, media)| media)
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

impl ContentType {
    /// Parses a content type; `None` if the text is not a media type, or not one of the table.
    pub fn parse(text: &str) -> Option<Self> {
        let mime = parse(text)?;
        let parameters = mime.params().map(|(name, value)| {
            (name.as_str().to_ascii_lowercase().replace('-', "_"), value.as_str().to_owned())
        });
        Some(Self { media: MediaType::named(mime.essence_str())?, parameters: parameters.collect() })
    }

    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is UTF-8 according to its parameters.
    pub fn is_utf8(&self) -> bool {
        let is_utf8 = |value: &str| {
            ["utf-8", "utf8", "us-ascii", "ascii"].iter().any(|name| value.eq_ignore_ascii_case(name))
        };
        ["charset", "encoding"].iter().all(|name| self.parameter(name).is_none_or(is_utf8))
    }
}

impl From<MediaType> for ContentType {
    fn from(media: MediaType) -> Self {
        Self { media, parameters: Vec::new() }
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.media.name())?;
        self.parameters.iter().try_for_each(|(name, value)| write!(f, "; {name}={value}"))
    }
}

/// One item of `Accept`.
struct Range {
    mime: Mime,
    quality: f32,
}

impl Range {
    /// Items that are not media ranges are ignored, as servers commonly do.
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

    /// The precision with which it names a type: 3 by name, 2 by `application/*`, 1 by `*/*`, 0 not at all.
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

/// Whether a text has the form of a media type, known or not.
pub fn is_media_type(text: &str) -> bool {
    parse(text).is_some()
}

/// Parses a media type or range. White space is allowed around semicolons (RFC 9110, 5.6.6), which the parser does not support.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_spellings_are_each_of_one_type() {
        let mut spellings: Vec<&str> =
            TABLE.iter().flat_map(|row| std::iter::once(row.1).chain(row.2.iter().copied())).collect();
        for (media, name, others) in TABLE {
            for spelling in std::iter::once(&name).chain(others) {
                assert_eq!(MediaType::of_name(&spelling.to_uppercase()), Some(media));
            }
        }
        let count = spellings.len();
        spellings.sort_unstable();
        spellings.dedup();
        assert_eq!(spellings.len(), count);
    }

    #[test]
    fn parameters_are_read_in_every_spelling() {
        let check = |text: &str, label_size: Option<&str>| {
            let content = ContentType::parse(text).unwrap();
            assert_eq!((content.media, content.parameter("label_size")), (MediaType::Csv, label_size));
        };
        check("text/csv;label_size=0", Some("0"));
        check("text/csv; label_size=0", Some("0"));
        check("text/csv ;label-size=0", Some("0"));
        check("TEXT/CSV; Label_Size=0; charset=utf-8", Some("0"));
        check("text/csv", None);
        assert_eq!(ContentType::parse("csv"), None);
        assert_eq!(ContentType::parse("text/comma"), None);
        assert!(!ContentType::parse("text/csv; charset=latin1").unwrap().is_utf8());
        assert!(ContentType::parse("text/csv; encoding=UTF-8").unwrap().is_utf8());
        let content = ContentType::parse("text/csv;label_size=2").unwrap();
        assert_eq!(content.to_string(), "text/csv; label_size=2");
    }

    #[test]
    fn accept_prefers_among_what_is_offered() {
        use MediaType::{Csv, Json, JsonLines, RecordIo};
        let offered = [Json, JsonLines, RecordIo];
        let check = |accept: &str, own, want| {
            assert_eq!(MediaType::preferred(accept, &offered, own), want, "{accept}");
        };
        check("*/*", JsonLines, Some(JsonLines));
        check("*", RecordIo, Some(RecordIo));
        check("*/*", Csv, Some(Json));
        check("application/json; verbose=true", Csv, Some(Json));
        check("application/json;q=0.5, application/jsonlines", RecordIo, Some(JsonLines));
        check("application/*", JsonLines, Some(JsonLines));
        check("image/png", Json, None);
        check("application/json;q=0", Json, None);
        check("text/csv", Csv, None);
    }
}
