//! A model that answers the requests of a transform job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use kokanee_endpoint::tabular::REFUSED;
use kokanee_endpoint::{Backend, answer_type, body_type, invoke_blocking};
use kokanee_http::{Code, ServeError};
use kokanee_transform::InvokeError;

use crate::commands::model::AnswerOptions;
use crate::commands::search_options::SearchOptions;
use crate::exit;

pub(super) const JSON_LINES: &str = "application/jsonlines";

/// Room for the sentences of the largest number of concurrent requests. Long ones may fill it all the same.
const QUEUE: usize = 1 << 16;
/// Memory for requests, in bytes.
const MEMORY_BYTES: usize = 1 << 30;
/// Pause before a request that found no room is retried.
const PAUSE: Duration = Duration::from_millis(20);

/// The options for loading the model of a job.
pub(super) fn options(search: &SearchOptions) -> AnswerOptions {
    let memory_bytes = Box::new(|_| MEMORY_BYTES);
    AnswerOptions { search: search.clone(), queue: QUEUE, log_text: false, memory_bytes }
}

/// Answers requests, several at a time: the work of the server, without HTTP.
pub(super) struct Engine {
    backend: Arc<dyn Backend>,
}

impl Engine {
    pub(super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// Checks that requests of these types can be answered.
    ///
    /// # Errors
    /// When a type is not supported; the message names those that are.
    pub(super) fn check_types(&self, content_type: &str, accept: &str) -> Result<()> {
        let wrong = |option: &str, error: ServeError| anyhow!("{option}: {error}");
        let backend = &*self.backend;
        let from = body_type(Some(content_type), backend.accepts())
            .map_err(|error| wrong("--content-type", error))?;
        let from = from.map_or_else(|| backend.default_type(b""), |from| from.media);
        answer_type(Some(accept), backend, from).map_err(|error| wrong("--accept", error))?;
        Ok(())
    }

    /// The settings besides the model's files that determine the answers.
    pub(super) fn identity(&self) -> BTreeMap<String, String> {
        self.backend.identity()
    }

    /// Answers a body. If other requests of the job fill the queue or the memory, this waits until they are done: a request is only
    /// refused if it would not fit alone.
    pub(super) fn invoke(
        &self,
        content_type: &str,
        accept: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, InvokeError> {
        loop {
            match invoke_blocking(&self.backend, Some(content_type), Some(accept), body) {
                Err(error) if error.code == Code::TooManyRequests => thread::sleep(PAUSE),
                answer => return answer.map_err(|error| told(&error, exit::said().as_deref())),
            }
        }
    }
}

/// The error for a request that was not answered. `said` is the message of a panic, if there was one; it is not shown elsewhere.
fn told(error: &ServeError, said: Option<&str>) -> InvokeError {
    // The decoder is gone, or pauses after too many failures.
    let is_internal = matches!(error.code, Code::Internal | Code::Unavailable);
    let mut message = match error.code {
        Code::Unavailable => {
            "the decoder failed too often to go on: a bug in Kokanee; please report it".to_owned()
        }
        _ => without_place(error),
    };
    if error.code == Code::PayloadTooLarge {
        message.push_str(": --batch-strategy SingleRecord, or a smaller --max-payload-mb");
    }
    if let Some(said) = said.filter(|_| is_internal) {
        message = format!("{message} ({said})");
    }
    InvokeError { record: record(error), is_internal, message }
}

/// The message without the place in the request: the job names the place in the file. The place may follow words with which
/// messages of models of rows begin.
fn without_place(error: &ServeError) -> String {
    let places = ["line ", "record ", "instances["];
    let is_place = |text: &str| places.iter().any(|word| text.starts_with(word));
    let Some(told) = error.message.strip_prefix(REFUSED) else {
        return match error.message.split_once(": ") {
            Some((place, rest)) if is_place(place) => rest.to_owned(),
            _ => error.message.clone(),
        };
    };
    // In `instances[3]: it …`, or `instances[3].features[1] is …`, the field must stay.
    let instance = told.strip_prefix("instances[").and_then(|rest| rest.split_once("]."));
    match (instance, told.split_once(": ")) {
        (Some((index, rest)), _) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{REFUSED}{rest}")
        }
        (_, Some((place, rest))) if is_place(place) => format!("{REFUSED}{rest}"),
        _ => error.message.clone(),
    }
}

/// The faulty record, from 1. Lines and records count from 1, the instances of a JSON request from 0.
fn record(error: &ServeError) -> Option<usize> {
    let number = |name: &str| error.details.get(name)?.as_u64();
    let number = number("line").or_else(|| number("record")).or_else(|| Some(number("instance")? + 1));
    number.and_then(|number| usize::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kokanee_contract::algorithms::seq2seq::Hyperparameters;
    use kokanee_kernels::Team;
    use kokanee_seq2seq_data::{Vocabulary, VocabularyLimits};
    use kokanee_seq2seq_nn::artifact::{Artifact, Metadata};
    use kokanee_seq2seq_nn::{LengthStatistics, Model, ModelConfig};
    use kokanee_seq2seq_serve::{Service, ServiceSettings, Translator};

    use super::*;

    fn translator() -> Translator {
        let h = Hyperparameters {
            num_embed_source: 4,
            num_embed_target: 4,
            rnn_num_hidden: 8,
            ..Hyperparameters::default()
        };
        let words = || {
            let counts = ["a", "b", "c"].map(|word| (word.to_owned(), 1_u64));
            Vocabulary::build(counts, VocabularyLimits::default())
        };
        let vocabulary = words();
        let config = ModelConfig::new(&h, vocabulary.len(), vocabulary.len()).unwrap();
        let team = Arc::new(Team::new(1));
        let model = Model::new(config, &(&h).into(), &team).unwrap();
        let lengths = LengthStatistics {
            ratio_mean: 1.0,
            ratio_std: 0.1,
            longest_source: 10,
            longest_target: 10,
            bucket_width: 10,
        };
        let hyperparameters: BTreeMap<String, String> = h.to_strings();
        let folder = tempfile::tempdir().unwrap();
        Artifact::save(&model, &Metadata { hyperparameters, lengths, training: None }, folder.path())
            .unwrap();
        vocabulary.write(&folder.path().join("vocab.src.json")).unwrap();
        vocabulary.write(&folder.path().join("vocab.trg.json")).unwrap();
        Translator::open(folder.path(), team).unwrap()
    }

    #[test]
    fn requests_wait_for_room_and_none_is_refused() {
        // Room for a sentence and for one request, or two, of those that come at the same time.
        let settings = ServiceSettings { queue: 1, memory_bytes: 2 << 20, ..ServiceSettings::default() };
        let engine = Engine::new(Arc::new(Service::start(translator(), settings).unwrap()));
        let body = "a b c\n".repeat(600);
        let answers: Vec<Vec<u8>> = thread::scope(|scope| {
            let ask = || engine.invoke("text/plain", "text/plain", body.as_bytes()).unwrap();
            let all: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        for answer in &answers {
            assert_eq!(answer.iter().filter(|&&byte| byte == b'\n').count(), 600);
            assert!(*answer == answers[0]);
        }
        // A request that would not fit alone gets an error with a remedy.
        let refused = engine.invoke("text/plain", "text/plain", "a\n".repeat(20_000).as_bytes()).unwrap_err();
        assert!(!refused.is_internal, "{refused}");
        assert!(refused.message.contains("send fewer instances at a time: --batch-strategy SingleRecord"));
    }

    #[test]
    fn a_fault_of_the_decoder_is_told_with_what_it_said() {
        let said = Some("panicked at decoding.rs:1:2: a bad thing");
        let check = |code, message: &str, expected: &str, is_internal| {
            let told = told(&ServeError::new(code, message), said);
            assert_eq!((told.message.as_str(), told.is_internal), (expected, is_internal));
            // There is no server, no log and no id here.
            assert!(!["server", "log", "details"].iter().any(|word| told.message.contains(word)));
        };
        check(Code::BadRequest, "line 3: no", "no", false);
        let refused = "unable to evaluate payload provided: ";
        check(Code::BadRequest, &format!("{refused}line 3: no: x"), &format!("{refused}no: x"), false);
        let field = format!("{refused}features[1] is null; expected a number");
        let placed = format!("{refused}instances[12].features[1] is null; expected a number");
        check(Code::BadRequest, &placed, &field, false);
        check(Code::BadRequest, &format!("{refused}no"), &format!("{refused}no"), false);
        check(Code::Internal, "it failed", "it failed (panicked at decoding.rs:1:2: a bad thing)", true);
        let failed = "the decoder failed too often to go on: a bug in Kokanee; please report it (panicked at decoding.rs:1:2: a bad thing)";
        check(Code::Unavailable, "the server is shutting down", failed, true);
    }
}
