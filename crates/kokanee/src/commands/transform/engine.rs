//! A model that answers the requests of a transform job.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use kokanee_serve::codec::MediaType;
use kokanee_serve::transform::InvokeError;
use kokanee_serve::{Code, Metrics, ServeError, Service, ServiceSettings, Translator};

pub(super) const JSON_LINES: &str = "application/jsonlines";

/// Room for more sentences than the requests of one job can have on their way at a time: none is ever refused.
const QUEUE: usize = 1 << 16;

/// Whether such requests can be answered.
///
/// # Errors
/// When a type is not supported; the message names those that are.
pub(super) fn check_types(content_type: &str, accept: &str) -> Result<()> {
    let wrong = |option: &str, error: ServeError| anyhow!("{option}: {error}");
    let from = MediaType::of_body(Some(content_type)).map_err(|error| wrong("--content-type", error))?;
    MediaType::of_answer(Some(accept), from).map_err(|error| wrong("--accept", error))?;
    Ok(())
}

/// Answers requests, several at a time: what the server does, without HTTP.
pub(super) struct Engine {
    service: Arc<Service>,
}

impl Engine {
    /// # Errors
    /// When the model cannot be used.
    pub(super) fn start(translator: Translator) -> Result<Self> {
        let settings = ServiceSettings { queue: QUEUE, log_text: false };
        let service = Service::start(translator, settings, Arc::new(Metrics::default()))?;
        Ok(Self { service: Arc::new(service) })
    }

    /// The answer to a body.
    pub(super) fn invoke(
        &self,
        content_type: &str,
        accept: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, InvokeError> {
        self.service.invoke_blocking(Some(content_type), Some(accept), body).map_err(|error| InvokeError {
            record: record(&error),
            is_internal: error.code == Code::Internal,
            message: without_place(&error).to_owned(),
        })
    }
}

/// The message without the place in the request: the job names the place in the file.
fn without_place(error: &ServeError) -> &str {
    let places = ["line ", "record ", "instances["];
    match error.message.split_once(": ") {
        Some((place, rest)) if places.iter().any(|word| place.starts_with(word)) => rest,
        _ => &error.message,
    }
}

/// The record at fault, from 1. Lines and records count from 1, the instances of a JSON request from 0.
fn record(error: &ServeError) -> Option<usize> {
    let number = |name: &str| error.details.get(name)?.as_u64();
    let number = number("line").or_else(|| number("record")).or_else(|| Some(number("instance")? + 1));
    number.and_then(|number| usize::try_from(number).ok())
}
