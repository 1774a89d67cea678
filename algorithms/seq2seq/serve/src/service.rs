//! From a body to its answer, without HTTP: what the server does with `/invocations`, and batch transform with a mini-batch.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kokanee_contract::algorithms::seq2seq::special_ids::UNK;
use kokanee_endpoint::config::{PING_LIMIT, REQUEST_MEMORY_BYTES};
use kokanee_endpoint::ended;
use kokanee_http::{Code, Counted, Counters, MemoryBudget, Rope, ServeError, Share};
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_nn::decode::{Decoding, Request, Search, Translation};
use kokanee_seq2seq_nn::{LengthStatistics, ModelConfig};
use thiserror::Error;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::answered::Answered;
use crate::backend::count;
use crate::batcher::{Batcher, FaultLimits, Outcome, QueueLimits, Refused};
use crate::codec::{Form, Placed, Reader};
use crate::conversation::{Conversation, Source};
use crate::metrics::Metrics;
use crate::prepared::Prepared;
use crate::translator::{Shortlists, Translator, TranslatorError, Vocabularies};

/// Tokens that may wait for each sentence that may, on average.
pub(crate) const QUEUE_TOKENS_PER_SENTENCE: usize = 64;
/// Smaller bodies are parsed within a millisecond or two: handing them to another thread would gain nothing.
const READ_AT_ONCE_BYTES: usize = 16 << 10;
/// Large bodies parsed at a time. More would take time from the decoder.
const READERS: usize = 2;

/// How requests are taken.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// The most sentences that wait; more are refused with 429.
    pub queue: usize,
    /// Whether sources and targets are written to the log.
    pub log_text: bool,
    /// Memory for all requests together: bodies, instances, what is being decoded, and answers.
    pub memory_bytes: usize,
    /// What besides the model's files decides the answers, by name: see [`Backend::identity`](kokanee_endpoint::Backend::identity).
    pub identity: BTreeMap<String, String>,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self { queue: 1024, log_text: false, memory_bytes: REQUEST_MEMORY_BYTES, identity: BTreeMap::new() }
    }
}

/// A service that cannot be started.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The model cannot be opened.
    #[error(transparent)]
    Translator(#[from] TranslatorError),
    /// The model was loaded, but a sentence could not be decoded with it.
    #[error("{}: the model was loaded, but decoding a probe sentence failed; is the file damaged?", model.display())]
    Probe {
        /// Where the model lies.
        model: PathBuf,
    },
    /// The system has no thread for the decoder.
    #[error("the system refused to start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// A model that answers requests, many at a time.
pub struct Service {
    pub(crate) vocabularies: Arc<Vocabularies>,
    pub(crate) config: ModelConfig,
    pub(crate) lengths: LengthStatistics,
    /// As in the model's hyperparameters.
    pub(crate) search: Search,
    shortlists: Option<Shortlists>,
    pub(crate) settings: ServiceSettings,
    pub(crate) memory: Arc<MemoryBudget>,
    /// Places for large bodies that are being read.
    readers: Arc<Semaphore>,
    batcher: Batcher,
    pub(crate) metrics: Arc<Metrics>,
}

impl Service {
    /// Takes a model, decodes a probe sentence, and starts the decoder's thread. Should the decoder ever fail, the model is
    /// read again from where it was opened.
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
        // Its weights are laid out in the decoder now.
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

    /// Answers a body, all or nothing, within `deadline`. That runs on the threads of all connections, so large bodies are parsed
    /// elsewhere; without a deadline the thread is the caller's own.
    pub(crate) async fn answer_in_time(
        self: &Arc<Self>,
        from: Form,
        to: Form,
        body: Counted<Rope>,
        deadline: Option<Duration>,
        counters: &Arc<Counters>,
    ) -> Result<Counted<Rope>, ServeError> {
        let Some(deadline) = deadline else {
            let Counted { bytes, mut share } = body;
            share.grow(Reader::most_bytes(from, bytes.pieces())).await?;
            let instances = self.checked(Reader::read_rope(from, bytes)?, to)?;
            return self.answer(instances, to, share, counters).await;
        };
        let until = Instant::now() + deadline;
        let reading = tokio::time::timeout_at(until, self.read_elsewhere(from, to, body));
        let (instances, share) = reading.await.unwrap_or_else(|_| Err(read_too_late(deadline)))?;
        let count = instances.len();
        let answering = tokio::time::timeout_at(until, self.answer(instances, to, share, counters));
        answering.await.unwrap_or_else(|_| Err(too_late(deadline, count)))
    }

    async fn read_elsewhere(
        self: &Arc<Self>,
        from: Form,
        to: Form,
        body: Counted<Rope>,
    ) -> Result<(Vec<Placed>, Share), ServeError> {
        let Counted { bytes, mut share } = body;
        share.grow(Reader::most_bytes(from, bytes.pieces())).await?;
        if bytes.len() <= READ_AT_ONCE_BYTES {
            return Ok((self.checked(Reader::read_rope(from, bytes)?, to)?, share));
        }
        // Never closed.
        let place = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| ended())?;
        let service = Arc::clone(self);
        // Whoever left does not take the share along: the thread still holds the memory.
        let reading = tokio::task::spawn_blocking(move || {
            let read = Reader::read_rope(from, bytes);
            let instances = read.and_then(|instances| service.checked(instances, to));
            drop(place);
            (instances, share)
        });
        match reading.await {
            Ok((instances, share)) => Ok((instances?, share)),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(ended()),
            },
        }
    }

    /// Checks that every instance can be decoded: a fault in the last must not be found after the others were decoded.
    fn checked(&self, instances: Vec<Placed>, to: Form) -> Result<Vec<Placed>, ServeError> {
        for placed in &instances {
            self.prepare(placed, to)?;
        }
        Ok(instances)
    }

    /// Answers instances, all or nothing. `share` shrinks to what they need.
    async fn answer(
        self: &Arc<Self>,
        instances: Vec<Placed>,
        to: Form,
        mut share: Share,
        counters: &Arc<Counters>,
    ) -> Result<Counted<Rope>, ServeError> {
        let held = instances.capacity() * size_of::<Placed>();
        share.resize(held + instances.iter().map(Placed::heap_bytes).sum::<usize>()).await?;
        let source = Source::Parsed(instances.into_iter());
        let mut conversation = Conversation::new(Arc::clone(self), source, to, share, Arc::clone(counters));
        let mut bytes = Rope::default();
        while let Some(piece) = conversation.next_piece().await? {
            conversation.share.grow(piece.len()).await?;
            bytes.push(&piece);
        }
        let mut share = conversation.share;
        share.resize(bytes.len()).await?;
        Ok(Counted { bytes, share })
    }

    /// Hypotheses that stay alive at each step, unless a request says otherwise.
    pub(crate) fn beam_size(&self) -> usize {
        self.search.beam_size
    }

    /// Whether the decoder does its work; it is asked to decode a sentence where it has nothing to do.
    pub async fn is_alive(&self) -> bool {
        self.batcher.is_alive(probe(), PING_LIMIT).await
    }

    /// Turns true when the decoder failed and could not be made anew.
    pub fn broken(&self) -> watch::Receiver<bool> {
        self.batcher.broken()
    }

    /// The decoder's request for an instance, with its shortlist. An instance is prepared once to be checked and once to be sent; the
    /// long list is made only the second time.
    pub(crate) fn request_of(&self, prepared: &mut Prepared) -> Request {
        let request = prepared.request.clone();
        let shortlist = self.shortlists.as_ref().map(|shortlists| shortlists(&request.source));
        prepared.bytes += shortlist.as_ref().map_or(0, |list| size_of_val(&**list));
        Request { shortlist, ..request }
    }

    /// Hands a request to the decoder. The first of a body is refused when the queue is full; further ones wait.
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

    /// Puts the decoder's words to an answer, and counts.
    pub(crate) fn answered(
        &self,
        prepared: Prepared,
        translation: Translation,
        counters: &Counters,
    ) -> Answered {
        let Prepared { request, configuration, source, unknown, text, .. } = prepared;
        let columns = request.source.len();
        let best = translation.hypotheses.first();
        let said = best.map_or(0, |best| best.words.len());
        let metrics = &self.metrics;
        metrics.instances.inc();
        metrics.tokens_in.inc_by(columns as u64);
        metrics.tokens_out.inc_by(said as u64);
        metrics.unknown_words.inc_by(unknown as u64);
        let in_pieces = translation.pieces > 1;
        metrics.inputs_in_pieces.inc_by(u64::from(in_pieces));
        // Without `</s>` nothing but words was counted.
        let truncated = !in_pieces && best.is_some_and(|best| best.scored_tokens == best.words.len());
        metrics.outputs_truncated.inc_by(u64::from(truncated));
        count(counters, columns, said);
        let hypotheses = translation.hypotheses.into_iter();
        let hypotheses = hypotheses.map(|h| self.vocabularies.sentence(h, columns)).collect();
        let answered = Answered { source, columns, hypotheses, configuration };
        if let Some(source) = text {
            tracing::info!(source, target = answered.target(), "text");
        }
        answered
    }
}

/// A sentence was in the decoder when it failed.
pub(crate) fn decoder_failed() -> ServeError {
    let message =
        "the decoder failed while this was in it: a bug in Kokanee; please report it with the request";
    ServeError::new(Code::Internal, message)
}

fn read_too_late(limit: Duration) -> ServeError {
    let seconds = limit.as_secs();
    let message = format!(
        "the body was not read within {seconds} s: the server has more to do than it can; try again, or send less at a time"
    );
    ServeError::new(Code::DeadlineExceeded, message).with("deadline_seconds", seconds)
}

pub(crate) fn too_late(limit: Duration, instances: usize) -> ServeError {
    let seconds = limit.as_secs();
    let message = format!(
        "not all of {instances} instances were answered within {seconds} s, so none is given; send fewer at a time, or use \
         batch transform"
    );
    ServeError::new(Code::DeadlineExceeded, message).with("deadline_seconds", seconds)
}

/// A sentence that every model can decode: an unknown word. Two words are enough to see that it speaks.
fn probe() -> Request {
    let search = Search { beam_size: 1, ..Search::default() };
    Request { max_length: Some(2), ..Request::new(vec![UNK], search) }
}

/// A decoder that has decoded the probe sentence.
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
            // Weights that are no numbers speak no words either.
            if answered.iter().any(|(_, said)| said.hypotheses.iter().any(|h| !h.score.is_finite())) {
                return None;
            }
        }
        Some(decoding)
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).ok().flatten()
}
