//! A loaded model with its queue and its memory, which all requests share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kokanee_contract::algorithms::seq2seq::special_ids::UNK;
use kokanee_endpoint::config::{PING_LIMIT, REQUEST_MEMORY_BYTES};
use kokanee_endpoint::ended;
use kokanee_http::{Code, MemoryBudget, ServeError};
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_nn::decode::{Decoding, Request, Search};
use kokanee_seq2seq_nn::{LengthStatistics, ModelConfig};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

use crate::batcher::{Batcher, FaultLimits, Outcome, QueueLimits, Refused};
use crate::metrics::Metrics;
use crate::translator::{Shortlists, Translator, TranslatorError, Vocabularies};

/// Average number of waiting tokens allowed per waiting sentence.
pub(crate) const QUEUE_TOKENS_PER_SENTENCE: usize = 64;
/// Number of large bodies parsed at a time. More would take time from the decoder.
const READERS: usize = 2;

/// The options of a service.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// The largest number of waiting sentences; more are refused with 429.
    pub queue: usize,
    /// Whether sources and targets are written to the log.
    pub log_text: bool,
    /// Memory for all requests together: bodies, instances, sentences being decoded, and answers.
    pub memory_bytes: usize,
    /// Settings besides the model's files that determine the answers, by name: see
    /// [`Backend::identity`](kokanee_endpoint::Backend::identity).
    pub identity: BTreeMap<String, String>,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self { queue: 1024, log_text: false, memory_bytes: REQUEST_MEMORY_BYTES, identity: BTreeMap::new() }
    }
}

/// An error in starting a service.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The model cannot be opened.
    #[error(transparent)]
    Translator(#[from] TranslatorError),
    /// The model was loaded, but a sentence could not be decoded with it.
    #[error("{}: the model was loaded, but decoding a probe sentence failed; is the file damaged?", model.display())]
    Probe {
        /// The path of the model.
        model: PathBuf,
    },
    /// The system refused the decoder's thread.
    #[error("the system refused to start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// A model that answers many requests at a time.
pub struct Service {
    pub(crate) vocabularies: Arc<Vocabularies>,
    pub(crate) config: ModelConfig,
    pub(crate) lengths: LengthStatistics,
    /// The search of the model's hyperparameters.
    pub(crate) search: Search,
    pub(crate) shortlists: Option<Shortlists>,
    pub(crate) settings: ServiceSettings,
    pub(crate) memory: Arc<MemoryBudget>,
    /// Places for large bodies that are being read.
    pub(crate) readers: Arc<Semaphore>,
    batcher: Batcher,
    pub(crate) metrics: Arc<Metrics>,
}

impl Service {
    /// Takes a model, decodes a probe sentence, and starts the decoder's thread. If the decoder ever fails, the model is read again
    /// from where it was opened.
    ///
    /// # Errors
    /// When the model cannot be used.
    pub fn start(translator: Translator, settings: ServiceSettings) -> Result<Self, ServiceError> {
        let metrics = Arc::<Metrics>::default();
        let Translator {
            config, model, metadata, vocabularies, team, search, path, format, shortlists, ..
        } = translator;
        let (lengths, vocabularies) = (metadata.lengths, Arc::new(vocabularies));
        let decoding = model.as_ref().and_then(|model| decoder(model, &lengths, &team, format));
        let decoding = decoding.ok_or_else(|| ServiceError::Probe { model: path.clone() })?;
        // The decoder has its weights laid out by now.
        drop(model);
        let make = {
            let (config, lengths, vocabularies) =
                (config.clone(), lengths.clone(), Arc::clone(&vocabularies));
            move || {
                let again = Translator::open(&path, Arc::clone(&team)).map_err(|error| error.to_string())?;
                if again.config != config || again.vocabularies != *vocabularies {
                    return Err(format!("{} holds another model by now", path.display()));
                }
                let model = again.model.as_ref();
                model
                    .and_then(|model| decoder(model, &lengths, &team, format))
                    .ok_or_else(|| "the probe sentence failed".to_owned())
            }
        };
        let limits = QueueLimits {
            sentences: settings.queue,
            tokens: settings.queue.saturating_mul(QUEUE_TOKENS_PER_SENTENCE),
        };
        let batcher =
            Batcher::start(decoding, Box::new(make), limits, FaultLimits::default(), Arc::clone(&metrics))
                .map_err(ServiceError::Thread)?;
        let memory = MemoryBudget::new(settings.memory_bytes);
        let readers = Arc::new(Semaphore::new(READERS));
        Ok(Self {
            vocabularies,
            config,
            lengths,
            search,
            shortlists,
            settings,
            memory,
            readers,
            batcher,
            metrics,
        })
    }

    /// Number of hypotheses that stay alive at each step, unless a request says otherwise.
    pub(crate) fn beam_size(&self) -> usize {
        self.search.beam_size
    }

    /// Whether the decoder works; if it has nothing to do, it is asked to decode a sentence.
    pub async fn is_alive(&self) -> bool {
        self.batcher.is_alive(probe(), PING_LIMIT).await
    }

    /// A receiver that turns true if the decoder failed and could not be created again.
    pub fn broken(&self) -> watch::Receiver<bool> {
        self.batcher.broken()
    }

    /// Passes a request to the decoder. The first of a body is refused if the queue is full; further ones wait.
    pub(crate) async fn submit(
        &self,
        request: Request,
        is_first: bool,
    ) -> Result<tokio::sync::oneshot::Receiver<Outcome>, ServeError> {
        let submitted =
            if is_first { self.batcher.try_submit(request) } else { self.batcher.submit(request).await };
        submitted.map_err(|refused| match refused {
            Refused::Full(seconds) => {
                let queue = self.settings.queue;
                let message = format!(
                    "the queue of {queue} sentences is full; try again in {seconds} s, or start the server with a larger --queue"
                );
                ServeError::new(Code::TooManyRequests, message).retry_after(seconds).with("queue", queue)
            }
            Refused::Failing(seconds) => {
                let message = "the decoder fails again and again, so nothing is decoded for a while; ask another server";
                ServeError::new(Code::Unavailable, message).retry_after(seconds)
            }
            Refused::Ended => ended(),
        })
    }
}

/// The error for a sentence that was in the decoder when it failed.
pub(crate) fn decoder_failed() -> ServeError {
    let message =
        "the decoder failed while this was in it: a bug in Kokanee; please report it with the request";
    ServeError::new(Code::Internal, message)
}

pub(crate) fn too_late(limit: Duration, instances: usize) -> ServeError {
    let seconds = limit.as_secs();
    let message = format!(
        "not all of {instances} instances were answered within {seconds} s, so none is given; send fewer at a time, or use \
         batch transform"
    );
    ServeError::new(Code::DeadlineExceeded, message).with("deadline_seconds", seconds)
}

/// A sentence that every model can decode: an unknown word. Two words of output are enough to test the model.
fn probe() -> Request {
    let search = Search { beam_size: 1, ..Search::default() };
    Request { max_length: Some(2), ..Request::new(vec![UNK], search) }
}

/// Creates a decoder, which decodes the probe sentence first.
fn decoder(
    model: &kokanee_seq2seq_nn::Model,
    lengths: &LengthStatistics,
    team: &Arc<Team>,
    format: Format,
) -> Option<Decoding> {
    let decode = || {
        let mut decoding = Decoding::new(model, lengths, team, format);
        decoding.admit([(0, probe())]);
        while !decoding.is_idle() {
            let answered = decoding.step();
            // Weights that are NaN produce no words either.
            if answered.iter().any(|(_, said)| said.hypotheses.iter().any(|h| !h.score.is_finite())) {
                return None;
            }
        }
        Some(decoding)
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).ok().flatten()
}
