//! From a body to its answer, without HTTP: what the server does with `/invocations`, and batch transform with a mini-batch.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kokanee_contract::special_ids::{PAD, UNK};
use kokanee_data::text::tokens;
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_nn::decode::{Decoding, Request, RequestError, Search, Translation};
use kokanee_nn::{LengthStatistics, ModelConfig};
use thiserror::Error;
use tokio::sync::watch;

use crate::answered::Answered;
use crate::batcher::{Batcher, Outcome, QueueLimits, Refused};
use crate::codec::{Configuration, Input, Instance, MAX_INSTANCE_TOKENS, MediaType, Placed, Reader};
use crate::conversation::{Conversation, Source};
use crate::error::{Code, ServeError};
use crate::metrics::Metrics;
use crate::translator::{Shortlists, Translator, TranslatorError, Vocabularies};

/// SageMaker waits so long for an answer.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// SageMaker waits so long for the answer to a ping.
pub const PING_LIMIT: Duration = Duration::from_secs(2);
/// Tokens that may wait for each sentence that may, on average.
const QUEUE_TOKENS_PER_SENTENCE: usize = 64;

/// How requests are taken.
#[derive(Clone, Copy, Debug)]
pub struct ServiceSettings {
    /// The most sentences that wait; more are refused with 429.
    pub queue: usize,
    /// Whether sources and targets are written to the log.
    pub log_text: bool,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self { queue: 1024, log_text: false }
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
    config: ModelConfig,
    lengths: LengthStatistics,
    /// As in the model's hyperparameters.
    search: Search,
    shortlists: Option<Shortlists>,
    settings: ServiceSettings,
    batcher: Batcher,
    metrics: Arc<Metrics>,
}

/// What a request held, for the log.
#[derive(Debug, Default)]
pub struct Tally {
    /// Instances answered.
    pub instances: AtomicU64,
    /// Their source tokens.
    pub tokens_in: AtomicU64,
    /// Target tokens of their best hypotheses.
    pub tokens_out: AtomicU64,
}

/// An instance that can be decoded.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    configuration: Configuration,
    /// Tokens of the source, where the answer needs them.
    source: Vec<String>,
    unknown: usize,
    /// The input, where the log wants it.
    text: Option<String>,
}

impl Service {
    /// Takes a model, decodes a probe sentence, and starts the decoder's thread. Should the decoder ever fail, the model is
    /// read again from where it was opened.
    ///
    /// # Errors
    /// When the model cannot be used.
    pub fn start(
        translator: Translator,
        settings: ServiceSettings,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServiceError> {
        let Translator { model, metadata, vocabularies, team, search, path, format, shortlists, .. } =
            translator;
        let lengths = metadata.lengths;
        let (config, vocabularies) = (model.config().clone(), Arc::new(vocabularies));
        let decoding = decoder(&model, &lengths, &team, format)
            .ok_or_else(|| ServiceError::Probe { model: path.clone() })?;
        // Its weights are laid out in the decoder now.
        drop(model);
        let make = {
            let (config, lengths, vocabularies) =
                (config.clone(), lengths.clone(), Arc::clone(&vocabularies));
            move || {
                let again = Translator::open(&path, Arc::clone(&team)).map_err(|error| error.to_string())?;
                if *again.model.config() != config || again.vocabularies != *vocabularies {
                    return Err(format!("{} holds another model by now", path.display()));
                }
                decoder(&again.model, &lengths, &team, format)
                    .ok_or_else(|| "the probe sentence failed".to_owned())
            }
        };
        let limits = QueueLimits {
            sentences: settings.queue,
            tokens: settings.queue.saturating_mul(QUEUE_TOKENS_PER_SENTENCE),
        };
        let batcher = Batcher::start(decoding, Box::new(make), limits, Arc::clone(&metrics))
            .map_err(ServiceError::Thread)?;
        Ok(Self { vocabularies, config, lengths, search, shortlists, settings, batcher, metrics })
    }

    /// Answers a body. `deadline` is the time that may pass, if any.
    ///
    /// # Errors
    /// What is wrong with the request, or why it was not answered; all or nothing.
    pub async fn invoke(
        self: &Arc<Self>,
        content_type: Option<&str>,
        accept: Option<&str>,
        body: &[u8],
        deadline: Option<Duration>,
        tally: &Arc<Tally>,
    ) -> Result<(MediaType, Vec<u8>), ServeError> {
        let from = MediaType::of_body(content_type)?;
        let to = MediaType::of_answer(accept, from)?;
        let instances = Reader::read_all(from, body)?;
        Ok((to, self.answer_all(instances, to, deadline, tally).await?))
    }

    /// The same for callers outside of an asynchronous runtime; several may call at a time, and are decoded together. Without a
    /// deadline.
    ///
    /// # Errors
    /// As [`Service::invoke`]; 500 where the system gives no means to wait.
    pub fn invoke_blocking(
        self: &Arc<Self>,
        content_type: Option<&str>,
        accept: Option<&str>,
        body: &[u8],
    ) -> Result<Vec<u8>, ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime =
            runtime.map_err(|error| ServeError::new(Code::Internal, format!("cannot wait: {error}")))?;
        let tally = Arc::default();
        runtime.block_on(self.invoke(content_type, accept, body, None, &tally)).map(|(_, answer)| answer)
    }

    /// Answers instances, all or nothing.
    pub(crate) async fn answer_all(
        self: &Arc<Self>,
        instances: Vec<Placed>,
        to: MediaType,
        deadline: Option<Duration>,
        tally: &Arc<Tally>,
    ) -> Result<Vec<u8>, ServeError> {
        // A fault in the last instance must not be found after the others were decoded.
        for placed in &instances {
            self.prepare(placed, to)?;
        }
        let count = instances.len();
        let source = Source::Parsed(instances.into_iter());
        let mut conversation = Conversation::new(Arc::clone(self), source, to, Arc::clone(tally));
        let all = async {
            let mut answer = Vec::new();
            while let Some(piece) = conversation.next_piece().await? {
                answer.extend_from_slice(&piece);
            }
            Ok(answer)
        };
        match deadline {
            None => all.await,
            Some(limit) => {
                tokio::time::timeout(limit, all).await.unwrap_or_else(|_| Err(too_late(limit, count)))
            }
        }
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

    /// Turns an instance into what the decoder takes.
    pub(crate) fn prepare(&self, placed: &Placed, to: MediaType) -> Result<Prepared, ServeError> {
        let Placed { place, instance: Instance { input, configuration } } = placed;
        let wrong = |key: &str, problem: String| place.bad(Some(&format!("configuration.{key}")), problem);
        to.has_room_for(configuration).map_err(|(key, problem)| wrong(key, problem))?;
        let (ids, unknown) = match input {
            Input::Text(text) => {
                let ids = self.vocabularies.source.encode(text);
                let unknown = ids.iter().filter(|&&id| id == UNK).count();
                (ids, unknown)
            }
            Input::Ids(ids) => {
                if let Some(position) = ids.iter().position(|&id| id == PAD) {
                    let problem =
                        format!("value {} is 0, the id of <pad>, which stands for no word", position + 1);
                    return Err(place.bad(Some("features[\"source\"]"), problem));
                }
                (ids.clone(), ids.iter().filter(|&&id| id == UNK).count())
            }
        };
        if ids.len() > MAX_INSTANCE_TOKENS {
            let count = ids.len();
            let problem =
                format!("{count} tokens; expected at most {MAX_INSTANCE_TOKENS}: send sentences one by one");
            return Err(place.bad(None, problem));
        }
        let beam_size = configuration.beam_size.unwrap_or(self.search.beam_size);
        let nbest = configuration.nbest.unwrap_or(1);
        if nbest > beam_size {
            let problem =
                format!("{nbest} hypotheses of a beam of {beam_size}; set beam_size to {nbest} as well");
            return Err(wrong("nbest", problem));
        }
        let source = if configuration.replace_unk { self.words_of(input) } else { Vec::new() };
        let request = Request {
            search: Search {
                beam_size,
                nbest,
                attention: configuration.needs_attention(),
                ..self.search.clone()
            },
            prefix: self.prefix(&configuration.prefix).map_err(|problem| wrong("prefix", problem))?,
            forbid_unk: configuration.forbid_unk,
            max_length: configuration.max_length,
            source: ids,
            ..Request::default()
        };
        request.check(&self.config).map_err(|error| match error {
            RequestError::PrefixTooLong { .. } => wrong("prefix", error.to_string()),
            RequestError::SourceWord { position, id, vocabulary } => {
                let problem = format!(
                    "value {} is {id}; expected ids less than {vocabulary}, the size of the source vocabulary",
                    position + 1
                );
                place.bad(Some("features[\"source\"]"), problem)
            }
            other => place.bad(None, other),
        })?;
        let text = self.settings.log_text.then(|| self.words_of(input).join(" "));
        Ok(Prepared { request, configuration: configuration.clone(), source, unknown, text })
    }

    /// Hands an instance to the decoder, with its shortlist. The first of a request is refused when the queue is full; further
    /// ones wait.
    pub(crate) async fn submit(
        &self,
        request: Request,
        is_first: bool,
    ) -> Result<tokio::sync::oneshot::Receiver<Outcome>, ServeError> {
        // Only now: a request is prepared once to be checked and once to be sent, and a list is long.
        let shortlist = self.shortlists.as_ref().map(|shortlists| shortlists(&request.source));
        let request = Request { shortlist, ..request };
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
            Refused::Ended => ended(),
        })
    }

    /// Puts the decoder's words to an answer, and counts.
    pub(crate) fn answered(&self, prepared: Prepared, translation: Translation, tally: &Tally) -> Answered {
        let Prepared { request, configuration, source, unknown, text } = prepared;
        let columns = request.source.len();
        let best = translation.hypotheses.first();
        let said = best.map_or(0, |best| best.words.len());
        let metrics = &self.metrics;
        metrics.instances.inc();
        metrics.tokens_in.inc_by(columns as u64);
        metrics.tokens_out.inc_by(said as u64);
        metrics.unknown_words.inc_by(unknown as u64);
        let in_pieces = columns + usize::from(self.config.source_with_eos) > self.lengths.longest_source;
        metrics.inputs_in_pieces.inc_by(u64::from(in_pieces));
        // Without `</s>` nothing but words was counted.
        let truncated = !in_pieces && best.is_some_and(|best| best.scored_tokens == best.words.len());
        metrics.outputs_truncated.inc_by(u64::from(truncated));
        tally.instances.fetch_add(1, Ordering::Relaxed);
        tally.tokens_in.fetch_add(columns as u64, Ordering::Relaxed);
        tally.tokens_out.fetch_add(said as u64, Ordering::Relaxed);
        let hypotheses = translation.hypotheses.iter();
        let hypotheses = hypotheses.map(|h| self.vocabularies.sentence(h, columns)).collect();
        let answered = Answered { source, columns, hypotheses, configuration };
        if let Some(source) = text {
            tracing::info!(source, target = answered.target(), "text");
        }
        answered
    }

    /// The tokens of an input.
    pub(crate) fn words_of(&self, input: &Input) -> Vec<String> {
        match input {
            Input::Text(text) => tokens(text).map(str::to_owned).collect(),
            Input::Ids(ids) => {
                let word = |&id: &u32| self.vocabularies.source.word(id).unwrap_or_default().to_owned();
                ids.iter().map(word).collect()
            }
        }
    }

    fn prefix(&self, prefix: &str) -> Result<Vec<u32>, String> {
        let id = |token: &str| match self.vocabularies.target.text_id(token) {
            UNK => Err(format!(
                "{token:?} is not in the target vocabulary; a prefix consists of words that the model can say"
            )),
            id => Ok(id),
        };
        tokens(prefix).map(id).collect()
    }
}

/// The answer to a request that the server can no longer work on.
pub(crate) fn ended() -> ServeError {
    ServeError::new(Code::Unavailable, "the server is about to end; ask another one, or this one later")
        .retry_after(5)
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
    model: &kokanee_nn::Model,
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
