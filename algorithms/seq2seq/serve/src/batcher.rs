//! Decodes the sentences of all requests together: a bounded queue before one thread that owns the decoder.
//!
//! A sentence takes a place in the queue, and as many places for tokens as it has, until the decoder takes it. A caller that no
//! longer waits for an answer (the client left, or the time is up) drops its end of the channel, and then the sentence is dropped
//! too, wherever it is.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kokanee_seq2seq_nn::decode::{Decoding, Request, Ticket, Translation};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::metrics::Metrics;

/// Number of sentences handed to the decoder beyond those it has room for, so that it can fill places as they become free.
/// Sentences that wait in the queue instead cost nothing to cancel.
const AHEAD: usize = 64;
/// The limit of their tokens. A long sentence is many pieces to the decoder, and whatever enters later waits behind them.
const AHEAD_TOKENS: usize = 4096;
/// The time over which answers are counted to measure how fast the queue moves.
const RATE_WINDOW: Duration = Duration::from_secs(1);
/// The longest time a client is told to wait before it tries again, in seconds.
const LONGEST_RETRY_SECONDS: f64 = 30.0;

/// Number of failures within [`FaultLimits::window`] after which the decoder pauses. Reloading takes as long as loading a model, so
/// a client that knows a fatal input could otherwise keep the server busy with nothing else.
const MOST_FAULTS: usize = 5;
const FAULT_WINDOW: Duration = Duration::from_secs(60);
/// Tokens from which a sentence counts as long.
const LONG_TOKENS: usize = 256;
/// The share of the queue's tokens, as a divisor, that long sentences must leave to others.
const RESERVE: usize = 4;

/// Creates the decoder: at the start, and again after it failed.
pub(crate) type Make = Box<dyn Fn() -> Result<Decoding, String> + Send>;

/// The result of a sentence.
pub(crate) type Outcome = Result<Translation, EngineFault>;

/// The decoder failed while the sentence was in it. The reason is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EngineFault;

/// The reason why a sentence was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The queue is full; contains the seconds after which there may be room.
    Full(u32),
    /// The decoder fails repeatedly; contains the seconds after which it is tried again.
    Failing(u32),
    /// The decoder has ended.
    Ended,
}

/// Limits of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    pub(crate) sentences: usize,
    pub(crate) tokens: usize,
}

/// Limits of the decoder's failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FaultLimits {
    /// The largest number of failures within `window`; after one more, nothing is decoded for as long as `window`.
    pub(crate) most: usize,
    pub(crate) window: Duration,
}

impl Default for FaultLimits {
    fn default() -> Self {
        Self { most: MOST_FAULTS, window: FAULT_WINDOW }
    }
}

/// The queue and its thread. Dropping it ends the thread.
pub(crate) struct Batcher {
    shared: Arc<Shared>,
    tickets: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    limits: QueueLimits,
    sentences: Arc<Semaphore>,
    tokens: Arc<Semaphore>,
    /// The part of these tokens that long sentences may take.
    long_tokens: Arc<Semaphore>,
    /// Number of steps of the decoder.
    steps: watch::Sender<u64>,
    /// Answers per second, as bits of an f64.
    rate: AtomicU64,
    broken: watch::Sender<bool>,
    /// The end of the pause, if the decoder failed too often.
    failing_until: Mutex<Option<Instant>>,
    probing: AtomicBool,
    metrics: Arc<Metrics>,
}

/// The only probe in progress: one is enough to make the decoder step.
struct Probing<'a>(&'a AtomicBool);

impl<'a> Probing<'a> {
    fn begin(flag: &'a AtomicBool) -> Option<Self> {
        (!flag.swap(true, Ordering::AcqRel)).then_some(Self(flag))
    }
}

impl Drop for Probing<'_> {
    // Runs also if the client of a ping leaves before its answer.
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    ending: bool,
}

struct Job {
    ticket: Ticket,
    request: Request,
    answer: oneshot::Sender<Outcome>,
    entered: Instant,
    /// None for a probe.
    _place: Option<Place>,
}

/// A place in the queue.
struct Place {
    _sentence: OwnedSemaphorePermit,
    _tokens: OwnedSemaphorePermit,
    _long_tokens: Option<OwnedSemaphorePermit>,
}

impl Batcher {
    /// Starts the thread. `make` has been called once to create `decoding`.
    pub(crate) fn start(
        decoding: Decoding,
        make: Make,
        limits: QueueLimits,
        faults: FaultLimits,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            limits,
            sentences: Arc::new(Semaphore::new(limits.sentences)),
            tokens: Arc::new(Semaphore::new(limits.tokens)),
            long_tokens: Arc::new(Semaphore::new(limits.long_tokens())),
            steps: watch::Sender::new(0),
            rate: AtomicU64::new(0f64.to_bits()),
            broken: watch::Sender::new(false),
            failing_until: Mutex::new(None),
            probing: AtomicBool::new(false),
            metrics,
        });
        let faults = Faults { limits: faults, recent: VecDeque::new() };
        let (shared_too, live) = (Arc::clone(&shared), HashMap::new());
        let decoder = Decoder { shared: shared_too, live, rate: Rate::new(), faults, passes_long: false };
        let thread = std::thread::Builder::new()
            .name("kokanee-decoder".to_owned())
            .spawn(move || decoder.run(decoding, &make))?;
        Ok(Self { shared, tickets: AtomicU64::new(0), thread: Some(thread) })
    }

    /// Takes a sentence if there is room now.
    pub(crate) fn try_submit(&self, request: Request) -> Result<oneshot::Receiver<Outcome>, Refused> {
        let shared = &self.shared;
        let full = |_| Refused::Full(shared.retry_after());
        let (tokens, long_tokens) = shared.tokens_of(&request);
        let long = |tokens| Arc::clone(&shared.long_tokens).try_acquire_many_owned(tokens);
        let place = Place {
            _long_tokens: long_tokens.map(long).transpose().map_err(full)?,
            _sentence: Arc::clone(&shared.sentences).try_acquire_owned().map_err(full)?,
            _tokens: Arc::clone(&shared.tokens).try_acquire_many_owned(tokens).map_err(full)?,
        };
        self.push(request, Some(place))
    }

    /// Takes a sentence as soon as there is room.
    pub(crate) async fn submit(&self, request: Request) -> Result<oneshot::Receiver<Outcome>, Refused> {
        let shared = &self.shared;
        let ended = |_| Refused::Ended;
        let (tokens, long_tokens) = shared.tokens_of(&request);
        // A caller that waits in vain for a place among the long ones must not hold other places meanwhile.
        let long_tokens = match long_tokens {
            Some(tokens) => {
                Some(Arc::clone(&shared.long_tokens).acquire_many_owned(tokens).await.map_err(ended)?)
            }
            None => None,
        };
        let sentence = Arc::clone(&shared.sentences).acquire_owned().await.map_err(ended)?;
        let tokens = Arc::clone(&shared.tokens).acquire_many_owned(tokens).await.map_err(ended)?;
        self.push(request, Some(Place { _sentence: sentence, _tokens: tokens, _long_tokens: long_tokens }))
    }

    /// Whether the decoder works within `limit`: it makes a step with its current work, or answers `probe`, which overtakes
    /// everything that waits.
    pub(crate) async fn is_alive(&self, probe: Request, limit: Duration) -> bool {
        if *self.shared.broken.borrow() || self.shared.failing().is_some() {
            return false;
        }
        let mut steps = self.shared.steps.subscribe();
        steps.mark_unchanged();
        let probing = Probing::begin(&self.shared.probing);
        let answer = probing.as_ref().map(|_| self.push(probe, None));
        let stepped = tokio::time::timeout(limit, steps.changed()).await.is_ok_and(|changed| changed.is_ok());
        drop((answer, probing));
        stepped && !*self.shared.broken.borrow() && self.shared.failing().is_none()
    }

    /// A receiver that turns true if the decoder failed and could not be created again.
    pub(crate) fn broken(&self) -> watch::Receiver<bool> {
        self.shared.broken.subscribe()
    }

    fn push(&self, request: Request, place: Option<Place>) -> Result<oneshot::Receiver<Outcome>, Refused> {
        let (answer, receiver) = oneshot::channel();
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        let is_probe = place.is_none();
        let job = Job { ticket, request, answer, entered: Instant::now(), _place: place };
        let mut state = self.shared.lock();
        if state.ending || *self.shared.broken.borrow() {
            return Err(Refused::Ended);
        }
        if let Some(seconds) = self.shared.failing() {
            return Err(Refused::Failing(seconds));
        }
        if is_probe {
            state.queue.push_front(job)
        } else {
            state.queue.push_back(job)
        }
        self.shared.metrics.queue_depth.set(state.queue.len() as i64);
        drop(state);
        self.shared.wake.notify_one();
        Ok(receiver)
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.shared.lock().ending = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread catches panics of the decoder; the panic hook has reported a panic of the thread itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds this lock, and the queue is whole at any time.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of places for tokens, and of places among those of long sentences if it is one. A sentence longer than all places
    /// takes all of them.
    fn tokens_of(&self, request: &Request) -> (u32, Option<u32>) {
        let tokens = |most: usize| u32::try_from(request.source.len().clamp(1, most)).unwrap_or(u32::MAX);
        let long = self.limits.long_tokens();
        match request.source.len() {
            0..=LONG_TOKENS => (tokens(self.limits.tokens), None),
            _ => (tokens(long), Some(tokens(long))),
        }
    }

    /// The remaining seconds of the pause, if the decoder failed too often.
    fn failing(&self) -> Option<u32> {
        let until = *self.failing_until.lock().unwrap_or_else(PoisonError::into_inner);
        until
            .map(|until| until.saturating_duration_since(Instant::now()).as_secs_f64().ceil().max(1.0) as u32)
    }

    /// The seconds until the queue will be empty, at the present rate.
    fn retry_after(&self) -> u32 {
        let waiting = self.lock().queue.len() as f64;
        let rate = f64::from_bits(self.rate.load(Ordering::Relaxed));
        if rate > 0.0 { (waiting / rate).ceil().clamp(1.0, LONGEST_RETRY_SECONDS) as u32 } else { 1 }
    }
}

impl QueueLimits {
    fn long_tokens(&self) -> usize {
        (self.tokens - self.tokens / RESERVE).max(1)
    }
}

/// The data of the thread.
struct Decoder {
    shared: Arc<Shared>,
    live: HashMap<Ticket, oneshot::Sender<Outcome>>,
    rate: Rate,
    faults: Faults,
    /// Whether the last sentence overtook older, long ones.
    passes_long: bool,
}

/// The times of the decoder's failures.
struct Faults {
    limits: FaultLimits,
    recent: VecDeque<Instant>,
}

impl Faults {
    /// Counts a failure. Returns true if there were too many.
    fn count(&mut self) -> bool {
        let now = Instant::now();
        self.recent.push_back(now);
        self.recent.retain(|&fault| now.duration_since(fault) < self.limits.window);
        self.recent.len() > self.limits.most
    }
}

impl Decoder {
    fn run(mut self, mut decoding: Decoding, make: &Make) {
        while let Some(jobs) = self.take(&mut decoding) {
            let step = AssertUnwindSafe(|| {
                decoding.admit(jobs);
                let rows = decoding.rows();
                (decoding.step(), rows.max(decoding.rows()))
            });
            let Ok((answers, rows)) = catch_unwind(step) else {
                match self.recover(make) {
                    Some(again) => decoding = again,
                    None => return,
                }
                continue;
            };
            let answered = answers.len();
            for (ticket, translation) in answers {
                if let Some(answer) = self.live.remove(&ticket) {
                    // A caller that has left needs no answer.
                    let _ = answer.send(Ok(translation));
                }
            }
            let metrics = &self.shared.metrics;
            metrics.steps.inc();
            metrics.batch_rows.observe(rows as f64);
            metrics.sentences_decoding.set(decoding.sentences() as i64);
            self.shared.steps.send_modify(|steps| *steps += 1);
            if let Some(rate) = self.rate.count(answered) {
                self.shared.rate.store(rate.to_bits(), Ordering::Relaxed);
            }
        }
    }

    /// Waits until there is work, drops sentences that nobody waits for, and takes as many sentences as the decoder can use.
    /// Returns none at the end.
    fn take(&mut self, decoding: &mut Decoding) -> Option<Vec<(Ticket, Request)>> {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        loop {
            self.live.retain(|&ticket, answer| {
                let is_wanted = !answer.is_closed();
                if !is_wanted {
                    decoding.cancel(ticket);
                }
                is_wanted
            });
            state.queue.retain(|job| !job.answer.is_closed());
            if !state.queue.is_empty() || !decoding.is_idle() {
                break;
            }
            if state.ending {
                return None;
            }
            shared.metrics.queue_depth.set(0);
            shared.metrics.sentences_decoding.set(0);
            state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (mut jobs, mut tokens) = (Vec::new(), 0);
        while decoding.waiting() + jobs.len() < AHEAD
            && tokens < AHEAD_TOKENS
            && let Some(job) = self.pop(&mut state.queue)
        {
            tokens += job.request.source.len();
            shared.metrics.queue_wait.observe(job.entered.elapsed().as_secs_f64());
            self.live.insert(job.ticket, job.answer);
            jobs.push((job.ticket, job.request));
        }
        shared.metrics.queue_depth.set(state.queue.len() as i64);
        Some(jobs)
    }

    /// The next sentence: alternately the oldest, and the oldest that is not long.
    fn pop(&mut self, queue: &mut VecDeque<Job>) -> Option<Job> {
        self.passes_long = !self.passes_long;
        let short = |job: &Job| job.request.source.len() <= LONG_TOKENS;
        let next = if self.passes_long { queue.iter().position(short).unwrap_or(0) } else { 0 };
        queue.remove(next)
    }

    /// Reports the failure to the callers whose sentences were in the decoder, and creates a new one: after a panic the state of
    /// the old one cannot be trusted.
    fn recover(&mut self, make: &Make) -> Option<Decoding> {
        self.shared.metrics.engine_faults.inc();
        let lost = self.live.len();
        for (_, answer) in self.live.drain() {
            let _ = answer.send(Err(EngineFault));
        }
        if self.faults.count() && !self.wait_out() {
            return None;
        }
        tracing::error!(sentences = lost, "the decoder failed; it is made anew from the model's files");
        match make() {
            Ok(decoding) => {
                tracing::info!("the decoder works again");
                Some(decoding)
            }
            Err(error) => {
                tracing::error!(error, "the decoder could not be made anew; the server ends");
                self.shared.broken.send_replace(true);
                self.shared.sentences.close();
                self.shared.tokens.close();
                self.shared.long_tokens.close();
                self.shared.lock().queue.clear();
                None
            }
        }
    }
}

impl Decoder {
    /// Decodes nothing for a while and refuses requests meanwhile. Returns false if the server ends.
    fn wait_out(&mut self) -> bool {
        let (shared, window) = (Arc::clone(&self.shared), self.faults.limits.window);
        let until = Instant::now() + window;
        *shared.failing_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        let (faults, seconds) = (self.faults.recent.len(), window.as_secs());
        tracing::error!(faults, seconds, "the decoder fails again and again; nothing is decoded for a while");
        let mut state = shared.lock();
        // Their channels close, which tells their callers that they must go elsewhere.
        state.queue.clear();
        while !state.ending
            && let Some(left) = until.checked_duration_since(Instant::now())
        {
            state = shared.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.faults.recent.clear();
        *shared.failing_until.lock().unwrap_or_else(PoisonError::into_inner) = None;
        !state.ending
    }
}

/// Measures answers per second.
struct Rate {
    since: Instant,
    answered: usize,
}

impl Rate {
    fn new() -> Self {
        Self { since: Instant::now(), answered: 0 }
    }

    /// Counts answers. Returns the rate after it has counted long enough.
    fn count(&mut self, answered: usize) -> Option<f64> {
        self.answered += answered;
        let time = self.since.elapsed();
        if time < RATE_WINDOW {
            return None;
        }
        let rate = self.answered as f64 / time.as_secs_f64();
        *self = Self::new();
        Some(rate)
    }
}

#[cfg(test)]
mod tests;
