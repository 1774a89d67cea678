//! One request on its way: instances go to the decoder as they arrive, answers come back in their order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use kokanee_nn::decode::Translation;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::batcher::Outcome;
use crate::codec::{MediaType, Placed, Reader, Writer};
use crate::error::{Code, ServeError};
use crate::incoming::Incoming;
use crate::service::{DEADLINE, Prepared, Service, Tally, ended};

/// Instances of one request that are on their way at a time. It keeps the decoder busy, and leaves the rest of the queue to
/// others.
const WINDOW: usize = 64;
/// Bytes of an answer that are handed on together, where more of it is ready.
const PIECE_BYTES: usize = 1 << 16;

/// Where instances come from.
pub(crate) enum Source {
    /// A body that was read and checked.
    Parsed(std::vec::IntoIter<Placed>),
    /// A body of any length that is read as its answers leave.
    Streamed(Box<Stream>),
}

/// A body and how to read it.
pub(crate) struct Stream {
    incoming: Incoming,
    reader: Reader,
    has_ended: bool,
}

impl Stream {
    pub(crate) fn new(incoming: Incoming, media: MediaType) -> Self {
        Self { incoming, reader: Reader::new(media), has_ended: false }
    }
}

impl Source {
    /// The next instance. Nothing is lost where this is dropped while it waits.
    async fn next(&mut self) -> Result<Option<Placed>, ServeError> {
        let stream = match self {
            Source::Parsed(parsed) => return Ok(parsed.next()),
            Source::Streamed(stream) => stream,
        };
        loop {
            if let Some(placed) = stream.reader.read()? {
                return Ok(Some(placed));
            }
            if stream.has_ended {
                return Ok(None);
            }
            match stream.incoming.next().await? {
                Some(bytes) => stream.reader.push(&bytes),
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
    pending: VecDeque<Pending>,
    submitted: u64,
    to: MediaType,
    writer: Option<Writer>,
    tally: Arc<Tally>,
}

/// An instance that is being decoded.
struct Pending {
    prepared: Prepared,
    outcome: oneshot::Receiver<Outcome>,
    since: Instant,
}

impl Conversation {
    pub(crate) fn new(service: Arc<Service>, source: Source, to: MediaType, tally: Arc<Tally>) -> Self {
        let writer = Some(Writer::new(to));
        Self {
            service,
            source,
            source_has_ended: false,
            pending: VecDeque::new(),
            submitted: 0,
            to,
            writer,
            tally,
        }
    }

    /// The next piece of the answer; none at its end.
    pub(crate) async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, ServeError> {
        let mut out = Vec::new();
        loop {
            while let Some(front) = self.pending.front_mut()
                && out.len() < PIECE_BYTES
                && let Some(outcome) = ready(&mut front.outcome)
            {
                self.take(outcome, &mut out)?;
            }
            if out.len() >= PIECE_BYTES || (!out.is_empty() && self.is_streamed()) {
                return Ok(Some(out));
            }
            if self.source_has_ended && self.pending.is_empty() {
                let Some(writer) = self.writer.take() else { return Ok(None) };
                writer.finish(&mut out);
                return Ok(Some(out));
            }
            self.advance(&mut out).await?;
        }
    }

    /// Waits for whatever comes first: the next answer, or the next instance where there is room for it.
    async fn advance(&mut self, out: &mut Vec<u8>) -> Result<(), ServeError> {
        let has_room = !self.source_has_ended && self.pending.len() < WINDOW;
        let source = &mut self.source;
        let Some(front) = self.pending.front_mut() else {
            let placed = source.next().await?;
            return self.hand_over(placed).await;
        };
        // A body that has been read has a deadline as a whole.
        let is_streamed = matches!(source, Source::Streamed(_));
        let deadline = front.since + DEADLINE;
        let event = tokio::select! {
            biased;
            outcome = &mut front.outcome => Event::Answered(outcome),
            placed = source.next(), if has_room => Event::Arrived(placed?),
            () = tokio::time::sleep_until(deadline), if is_streamed => Event::TooLate,
        };
        match event {
            Event::Answered(outcome) => self.take(outcome, out),
            Event::Arrived(placed) => self.hand_over(placed).await,
            Event::TooLate => Err(late(DEADLINE)),
        }
    }

    async fn hand_over(&mut self, placed: Option<Placed>) -> Result<(), ServeError> {
        let Some(placed) = placed else {
            self.source_has_ended = true;
            return Ok(());
        };
        let prepared = self.service.prepare(&placed, self.to)?;
        let outcome = if prepared.request.source.is_empty() {
            let (answer, outcome) = oneshot::channel();
            // The receiver is here.
            let _ = answer.send(Ok(Translation::default()));
            outcome
        } else {
            let submitting = self.service.submit(prepared.request.clone(), self.submitted == 0);
            let outcome = if self.is_streamed() {
                tokio::time::timeout(DEADLINE, submitting).await.map_err(|_| late(DEADLINE))??
            } else {
                submitting.await?
            };
            self.submitted += 1;
            outcome
        };
        self.pending.push_back(Pending { prepared, outcome, since: Instant::now() });
        Ok(())
    }

    /// Writes the answer of the first in line.
    fn take(
        &mut self,
        outcome: Result<Outcome, oneshot::error::RecvError>,
        out: &mut Vec<u8>,
    ) -> Result<(), ServeError> {
        let Some(Pending { prepared, .. }) = self.pending.pop_front() else { return Ok(()) };
        let translation = match outcome {
            Ok(Ok(translation)) => translation,
            Ok(Err(_)) => {
                let message = "the decoder failed on one of the sentences it had; the log says more under the id in details";
                return Err(ServeError::new(Code::Internal, message));
            }
            Err(_) => return Err(ended()),
        };
        let answered = self.service.answered(prepared, translation, &self.tally);
        if let Some(writer) = &mut self.writer {
            writer.write(&answered, out);
        }
        Ok(())
    }

    fn is_streamed(&self) -> bool {
        matches!(self.source, Source::Streamed(_))
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

/// What a channel holds already.
fn ready(outcome: &mut oneshot::Receiver<Outcome>) -> Option<Result<Outcome, oneshot::error::RecvError>> {
    use oneshot::error::TryRecvError;
    match outcome.try_recv() {
        Ok(outcome) => Some(Ok(outcome)),
        Err(TryRecvError::Empty) => None,
        // The sender is gone: waiting for it says so at once.
        Err(TryRecvError::Closed) => None,
    }
}
