//! A request in progress: instances go to the decoder as they arrive, answers come back in their order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kokanee_endpoint::config::DEADLINE;
use kokanee_endpoint::ended;
use kokanee_http::memory::Arrival;
use kokanee_http::{Code, Counters, Incoming, ServeError, Share};
use kokanee_seq2seq_nn::decode::{Request, Translation};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::batcher::{EngineFault, Outcome};
use crate::codec::{Form, Placed, Reader, Writer};
use crate::prepared::Prepared;
use crate::service::{QUEUE_TOKENS_PER_SENTENCE, Service, decoder_failed};

/// The largest number of pending instances of one request. It keeps the decoder busy, and leaves the rest of the queue to others.
const WINDOW: usize = 64;
/// The limit of their tokens, the average number for such instances: a few long ones must not fill the queue.
const WINDOW_TOKENS: usize = WINDOW * QUEUE_TOKENS_PER_SENTENCE;
/// The limit of their memory; a single instance may take more.
const WINDOW_BYTES: usize = 16 << 20;
/// Number of instances after which the task yields. Completed answers need no waiting, and a task that never waits holds up all
/// others, and its own deadline.
const TURN: usize = 32;
/// Number of bytes of an answer that take as much work as an instance.
const BYTES_OF_WORK: usize = 1 << 11;
/// Number of bytes of an answer that are passed on together, if more of it is ready.
const PIECE_BYTES: usize = 1 << 16;

/// The source of instances.
pub(crate) enum Source {
    /// A body that was read and checked completely.
    Parsed(std::vec::IntoIter<Placed>),
    /// A body of any length that is read while its answers are sent.
    Streamed(Box<Stream>),
}

/// A body and its reader.
pub(crate) struct Stream {
    incoming: Incoming,
    reader: Reader,
    has_ended: bool,
    /// The memory for bytes that have arrived and were not read.
    share: Share,
    arrival: Arc<Arrival>,
}

impl Stream {
    pub(crate) fn new(incoming: Incoming, form: Form, share: Share) -> Self {
        let arrival = share.arrival();
        Self { incoming, reader: Reader::of_stream(form), has_ended: false, share, arrival }
    }
}

impl Source {
    /// Returns the next instance. Nothing is lost if this is dropped while it waits.
    async fn next(&mut self) -> Result<Option<Placed>, ServeError> {
        let stream = match self {
            Source::Parsed(parsed) => return Ok(parsed.next()),
            Source::Streamed(stream) => stream,
        };
        loop {
            stream.share.resize(stream.reader.buffered_bytes()).await?;
            if let Some(placed) = stream.reader.read()? {
                return Ok(Some(placed));
            }
            if stream.has_ended {
                return Ok(None);
            }
            match stream.incoming.next_of(&stream.arrival).await? {
                Some(bytes) => {
                    stream.reader.push(&bytes);
                    stream.arrival.received(bytes.len(), stream.reader.buffered_bytes());
                }
                None => {
                    stream.has_ended = true;
                    stream.reader.finish();
                }
            }
        }
    }
}

/// A request that is being answered.
pub(crate) struct Conversation {
    service: Arc<Service>,
    source: Source,
    source_has_ended: bool,
    /// The next instance, with its request to the decoder, which waits for room in the window.
    next: Option<(Prepared, Request)>,
    pending: VecDeque<Pending>,
    window: Window,
    pub(crate) share: Share,
    submitted: u64,
    /// Number of instances since the task last yielded.
    turn: usize,
    to: Form,
    writer: Option<Writer>,
    counters: Arc<Counters>,
}

/// Totals of the pending instances.
#[derive(Default)]
struct Window {
    tokens: usize,
    bytes: usize,
}

/// An instance that is being decoded.
struct Pending {
    prepared: Prepared,
    outcome: oneshot::Receiver<Outcome>,
    since: Instant,
}

impl Conversation {
    /// `share` is the memory that the source has; it grows and shrinks with the pending instances.
    pub(crate) fn new(
        service: Arc<Service>,
        source: Source,
        to: Form,
        share: Share,
        counters: Arc<Counters>,
    ) -> Self {
        let writer = Some(Writer::new(to));
        Self {
            service,
            source,
            source_has_ended: false,
            next: None,
            pending: VecDeque::new(),
            window: Window::default(),
            share,
            submitted: 0,
            turn: 0,
            to,
            writer,
            counters,
        }
    }

    /// Returns the next piece of the answer; none at its end.
    pub(crate) async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, ServeError> {
        let mut out = Vec::new();
        loop {
            while let Some(front) = self.pending.front_mut()
                && out.len() < PIECE_BYTES
                && let Some(outcome) = ready(&mut front.outcome)
            {
                let before = out.len();
                self.take(outcome, &mut out)?;
                self.rest(1 + (out.len() - before) / BYTES_OF_WORK).await;
            }
            if out.len() >= PIECE_BYTES || (!out.is_empty() && self.is_streamed()) {
                return Ok(Some(out));
            }
            if self.source_has_ended && self.pending.is_empty() && self.next.is_none() {
                let Some(writer) = self.writer.take() else { return Ok(None) };
                writer.finish(&mut out);
                return Ok(Some(out));
            }
            self.advance(&mut out).await?;
        }
    }

    /// Waits for whatever comes first: the next answer, or the next instance if there is room for it.
    async fn advance(&mut self, out: &mut Vec<u8>) -> Result<(), ServeError> {
        if let Some((next, _)) = &self.next
            && self.window.has_room_for(next, self.pending.len())
        {
            // Pending instances will return memory; without any, only other requests can.
            if self.pending.is_empty() {
                self.share.grow(next.bytes).await?;
                return self.hand_over().await;
            } else if self.share.try_grow(next.bytes) {
                return self.hand_over().await;
            }
        }
        let wants_more = !self.source_has_ended && self.next.is_none();
        let source = &mut self.source;
        let Some(front) = self.pending.front_mut() else {
            let placed = source.next().await?;
            return self.arrived(placed);
        };
        // A body that was read completely has a deadline as a whole.
        let is_streamed = matches!(source, Source::Streamed(_));
        let deadline = front.since + DEADLINE;
        let event = tokio::select! {
            biased;
            outcome = &mut front.outcome => Event::Answered(outcome),
            placed = source.next(), if wants_more => Event::Arrived(placed?),
            () = tokio::time::sleep_until(deadline), if is_streamed => Event::TooLate,
        };
        match event {
            Event::Answered(outcome) => self.take(outcome, out),
            Event::Arrived(placed) => self.arrived(placed),
            Event::TooLate => Err(late(DEADLINE)),
        }
    }

    fn arrived(&mut self, placed: Option<Placed>) -> Result<(), ServeError> {
        match placed {
            Some(placed) => {
                let mut prepared = self.service.prepare(&placed, self.to)?;
                let request = self.service.request_of(&mut prepared);
                self.next = Some((prepared, request));
            }
            None => self.source_has_ended = true,
        }
        Ok(())
    }

    /// Sends the next instance to the decoder. Its memory has been taken already.
    async fn hand_over(&mut self) -> Result<(), ServeError> {
        let Some((prepared, request)) = self.next.take() else { return Ok(()) };
        self.window.tokens += prepared.request.source.len();
        self.window.bytes += prepared.bytes;
        let outcome = if prepared.request.source.is_empty() {
            let (answer, outcome) = oneshot::channel();
            // The receiver exists.
            let _ = answer.send(Ok(Translation::default()));
            outcome
        } else {
            let submitting = self.service.submit(request, self.submitted == 0);
            let outcome = if self.is_streamed() {
                tokio::time::timeout(DEADLINE, submitting).await.map_err(|_| late(DEADLINE))??
            } else {
                submitting.await?
            };
            self.submitted += 1;
            outcome
        };
        self.pending.push_back(Pending { prepared, outcome, since: Instant::now() });
        self.rest(1).await;
        Ok(())
    }

    /// Yields to other tasks from time to time.
    async fn rest(&mut self, work: usize) {
        self.turn += work;
        if self.turn >= TURN {
            self.turn = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Writes the answer of the first pending instance.
    fn take(
        &mut self,
        outcome: Result<Outcome, oneshot::error::RecvError>,
        out: &mut Vec<u8>,
    ) -> Result<(), ServeError> {
        let Some(Pending { prepared, .. }) = self.pending.pop_front() else { return Ok(()) };
        let translation = match outcome {
            Ok(Ok(translation)) => translation,
            Ok(Err(EngineFault)) => return Err(decoder_failed()),
            Err(_) => return Err(ended()),
        };
        self.window.tokens -= prepared.request.source.len();
        self.window.bytes -= prepared.bytes;
        self.share.shrink(prepared.bytes);
        let answered = self.service.answered(prepared, translation, &self.counters);
        if let Some(writer) = &mut self.writer {
            writer.write(&answered, out);
        }
        Ok(())
    }

    fn is_streamed(&self) -> bool {
        matches!(self.source, Source::Streamed(_))
    }
}

impl Window {
    /// Whether there is room for another pending instance. There always is for one.
    fn has_room_for(&self, next: &Prepared, pending: usize) -> bool {
        pending == 0
            || pending < WINDOW
                && self.tokens + next.request.source.len() <= WINDOW_TOKENS
                && self.bytes + next.bytes <= WINDOW_BYTES
    }
}

enum Event {
    Answered(Result<Outcome, oneshot::error::RecvError>),
    Arrived(Option<Placed>),
    TooLate,
}

fn late(limit: Duration) -> ServeError {
    let seconds = limit.as_secs();
    let message =
        format!("a sentence was not answered within {seconds} s: the server has more to do than it can");
    ServeError::new(Code::DeadlineExceeded, message).with("deadline_seconds", seconds)
}

/// The value that a channel already holds.
fn ready(outcome: &mut oneshot::Receiver<Outcome>) -> Option<Result<Outcome, oneshot::error::RecvError>> {
    use oneshot::error::TryRecvError;
    match outcome.try_recv() {
        Ok(outcome) => Some(Ok(outcome)),
        Err(TryRecvError::Empty) => None,
        // The sender is gone: waiting for it returns at once.
        Err(TryRecvError::Closed) => None,
    }
}
