//! Choice among a backend's types by `Content-Type` and `Accept`.

use kokanee_contract::media::is_media_type;
use kokanee_contract::{ContentType, MediaType};
use kokanee_http::{Code, ServeError};

use crate::backend::Backend;

/// The type of a body; `None` where the request does not name it.
///
/// # Errors
/// 415, naming the supported types.
pub fn body_type(header: Option<&str>, accepts: &[MediaType]) -> Result<Option<ContentType>, ServeError> {
    let Some(header) = header.map(str::trim).filter(|header| !header.is_empty()) else { return Ok(None) };
    let refuse = |problem: &str| {
        let message = format!(
            "Content-Type {}: {problem}; supported are {}",
            quoted(header),
            names(accepts).join(", ")
        );
        ServeError::new(Code::UnsupportedMediaType, message).with("supported", names(accepts))
    };
    if !is_media_type(header) {
        return Err(refuse("not a media type"));
    }
    let read = ContentType::parse(header).filter(|content| accepts.contains(&content.media));
    let content = read.ok_or_else(|| refuse("not a type that is read here"))?;
    if content.is_utf8() { Ok(Some(content)) } else { Err(refuse("only UTF-8 is read here")) }
}

/// The type of the response to a body of type `body`: the one that `Accept` prefers, with its parameters. Between equals, the backend's
/// default for such bodies is chosen first, then the first that it offers. Without `Accept`, or with `*/*`, the default is chosen.
///
/// # Errors
/// 406, naming the supported types, when none of them is accepted.
pub fn answer_type(
    accept: Option<&str>,
    backend: &dyn Backend,
    body: MediaType,
) -> Result<ContentType, ServeError> {
    let own = backend.own_answer(body);
    let Some(accept) = accept.map(str::trim).filter(|accept| !accept.is_empty()) else {
        return Ok(own.into());
    };
    let offered = backend.answers();
    let media = MediaType::preferred(accept, offered, own).ok_or_else(|| {
        let message = format!(
            "Accept {}: none of these can be written; supported are {}",
            quoted(accept),
            names(offered).join(", ")
        );
        ServeError::new(Code::NotAcceptable, message).with("supported", names(offered))
    })?;
    let named = accept.split(',').filter_map(ContentType::parse).find(|item| item.media == media);
    let mut content = named.unwrap_or_else(|| media.into());
    content.parameters.retain(|(name, _)| name != "q");
    Ok(content)
}

fn names(types: &[MediaType]) -> Vec<&'static str> {
    types.iter().map(|media| media.name()).collect()
}

/// A header from outside, truncated for a message.
fn quoted(header: &str) -> String {
    const SHOWN: usize = 100;
    let mut shown: String = header.chars().take(SHOWN).collect();
    if shown.len() < header.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use MediaType::{Csv, Json, JsonLines, RecordIo, Text};
    use kokanee_http::MemoryBudget;

    use super::*;
    use crate::backend::{BoxFuture, Call, Reply};

    /// Reads and writes these types, and answers CSV with JSON.
    struct Types(Vec<MediaType>, Arc<MemoryBudget>);

    impl Backend for Types {
        fn accepts(&self) -> &[MediaType] {
            &self.0
        }

        fn answers(&self) -> &[MediaType] {
            &self.0
        }

        fn budget(&self) -> &Arc<MemoryBudget> {
            &self.1
        }

        fn own_answer(&self, body: MediaType) -> MediaType {
            if body == Csv { Json } else { body }
        }

        fn invoke(self: Arc<Self>, _call: Call) -> BoxFuture<'static, Result<Reply, ServeError>> {
            Box::pin(async { Err(ServeError::new(Code::Internal, "it only has types")) })
        }
    }

    fn backend(types: &[MediaType]) -> Types {
        Types(types.to_vec(), MemoryBudget::new(1 << 20))
    }

    #[test]
    fn the_type_of_a_body() {
        let check = |header: &str, expected: Result<Option<MediaType>, &str>| {
            let got = body_type(Some(header), &[Json, JsonLines, RecordIo, Text]);
            match (got, expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got.map(|content| content.media), expected, "{header}"),
                (Err(error), Err(part)) => {
                    assert_eq!(error.code, Code::UnsupportedMediaType);
                    let types = "supported are application/json, application/jsonlines, ";
                    assert!(error.message.contains(part) && error.message.contains(types), "{error}");
                }
                (got, expected) => panic!("{header}: {got:?}, expected {expected:?}"),
            }
        };
        assert_eq!(body_type(None, &[Json]), Ok(None));
        check("", Ok(None));
        check("application/json", Ok(Some(Json)));
        check("APPLICATION/Json ; charset=\"UTF-8\"", Ok(Some(Json)));
        check("application/jsonlines;x=y", Ok(Some(JsonLines)));
        check("application/x-recordio-protobuf", Ok(Some(RecordIo)));
        check("applications/x-recordio-protobuf", Ok(Some(RecordIo)));
        check("text/plain;charset=us-ascii", Ok(Some(Text)));
        check("text/plain;charset=iso-8859-1", Err("only UTF-8 is read here"));
        check("text/csv", Err("\"text/csv\": not a type that is read here"));
        check("json", Err("\"json\": not a media type"));
        check("*/*", Err("not a type that is read here"));
        check(&"x".repeat(1000), Err("…\": not a media type"));
    }

    #[test]
    fn the_type_of_an_answer() {
        let backend = backend(&[Json, JsonLines, RecordIo, Text]);
        let check = |accept: &str, body, expected: Option<MediaType>| {
            let got = answer_type(Some(accept), &backend, body);
            assert_eq!(got.as_ref().ok().map(|content| content.media), expected, "{accept}");
            if let Err(error) = got {
                assert_eq!(error.code, Code::NotAcceptable);
                assert!(error.message.ends_with(", application/x-recordio-protobuf, text/plain"), "{error}");
            }
        };
        assert_eq!(answer_type(None, &backend, RecordIo), Ok(RecordIo.into()));
        check("", Text, Some(Text));
        check("*/*", JsonLines, Some(JsonLines));
        check("*", JsonLines, Some(JsonLines));
        check("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", RecordIo, Some(RecordIo));
        check("application/*", Text, Some(Json));
        check("application/*", JsonLines, Some(JsonLines));
        check("APPLICATION/JSON", Text, Some(Json));
        check("applications/x-recordio-protobuf", Json, Some(RecordIo));
        check("text/plain;q=0.5, application/jsonlines;q=0.8", Json, Some(JsonLines));
        check("text/plain;q=0.5, */*;q=0.1", Json, Some(Text));
        // A type that is named takes precedence over one that a star covers.
        check("*/*, application/json;q=0", Json, Some(JsonLines));
        check("application/json;q=0", Json, None);
        check("application/json;charset=utf-8", Text, Some(Json));
        check("image/png", Json, None);
        check("nonsense", Json, None);
    }

    #[test]
    fn a_backend_may_answer_otherwise_than_in_kind() {
        let backend = backend(&[Json, RecordIo, Csv]);
        let check = |accept: Option<&str>, body, expected: &str| {
            assert_eq!(answer_type(accept, &backend, body).unwrap().to_string(), expected);
        };
        check(None, Csv, "application/json");
        check(Some("*/*"), Csv, "application/json");
        check(Some("text/csv"), Csv, "text/csv");
        check(Some("text/*"), Csv, "text/csv");
        check(None, RecordIo, "application/x-recordio-protobuf");
        check(Some("application/json; verbose=true; q=0.5"), Csv, "application/json; verbose=true");
    }
}
