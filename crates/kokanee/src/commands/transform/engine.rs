//! A model that answers the requests of a transform job.

use anyhow::{Result, bail};
use kokanee_serve::transform::InvokeError;
use serde::Deserialize;

use kokanee_serve::Translator;

pub(super) const JSON_LINES: &str = "application/jsonlines";
const PLAIN_TEXT: &str = "text/plain";

/// Lines translated together.
const CHUNK_LINES: usize = 512;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `{"source":"…"}` or `{"data":"…"}` in, `{"target":"…"}` out.
    JsonLines,
    /// The sentence itself.
    Text,
}

impl Form {
    fn of(mime: &str) -> Option<Self> {
        let name = mime.split(';').next().unwrap_or_default().trim();
        match name {
            name if name.eq_ignore_ascii_case(JSON_LINES) => Some(Self::JsonLines),
            name if name.eq_ignore_ascii_case(PLAIN_TEXT) => Some(Self::Text),
            _ => None,
        }
    }
}

/// Whether such requests can be answered.
///
/// # Errors
/// When a type is not supported; the message names those that are.
pub(super) fn check_types(content_type: &str, accept: &str) -> Result<()> {
    for (option, mime) in [("--content-type", content_type), ("--accept", accept)] {
        if Form::of(mime).is_none() {
            bail!("{option} {mime}: supported are {JSON_LINES} and {PLAIN_TEXT}");
        }
    }
    Ok(())
}

/// One JSON line of a request.
#[derive(Deserialize)]
struct Line {
    #[serde(alias = "data")]
    source: String,
}

/// Answers requests, several at a time.
pub(super) struct Engine {
    translator: Translator,
}

impl Engine {
    pub(super) fn new(translator: Translator) -> Self {
        Self { translator }
    }

    /// A line for each line of the body.
    pub(super) fn invoke(
        &self,
        content_type: &str,
        accept: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, InvokeError> {
        let refused = |record, message| InvokeError { record, message };
        let form =
            |mime| Form::of(mime).ok_or_else(|| refused(None, format!("the type {mime} is not supported")));
        let (asks, answers) = (form(content_type)?, form(accept)?);
        let sentences = body.strip_suffix(b"\n").unwrap_or(body).split(|&byte| byte == b'\n');
        let sentences = sentences
            .zip(1..)
            .map(|(line, number)| sentence(line, asks).map_err(|message| refused(Some(number), message)))
            .collect::<Result<Vec<String>, _>>()?;
        let mut out = Vec::with_capacity(body.len());
        for answer in sentences.chunks(CHUNK_LINES).flat_map(|chunk| self.translator.translate(chunk)) {
            let target = answer.hypotheses.first().map(|best| best.text()).unwrap_or_default();
            match answers {
                Form::JsonLines => out.extend(serde_json::json!({ "target": target }).to_string().bytes()),
                Form::Text => out.extend(target.bytes()),
            }
            out.push(b'\n');
        }
        Ok(out)
    }
}

fn sentence(line: &[u8], form: Form) -> Result<String, String> {
    let text = std::str::from_utf8(line).map_err(|error| {
        format!("byte {} is not valid UTF-8; save the file as UTF-8", error.valid_up_to() + 1)
    })?;
    match form {
        Form::Text => Ok(text.strip_suffix('\r').unwrap_or(text).to_owned()),
        Form::JsonLines => serde_json::from_str(text)
            .map(|line: Line| line.source)
            .map_err(|error| format!("expected an object such as {{\"source\": \"a sentence\"}}: {error}")),
    }
}
