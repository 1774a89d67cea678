//! Answers a body without HTTP: for the server's `/invocations`, and for batch transform with a mini-batch.

use std::sync::Arc;
use std::time::Duration;

use kokanee_endpoint::ended;
use kokanee_http::{Code, Counted, Counters, Rope, ServeError, Share};
use tokio::time::Instant;

use crate::codec::{Form, Placed, Reader};
use crate::conversation::{Conversation, Source};
use crate::service::{Service, too_late};

/// Smaller bodies are parsed within a millisecond or two: another thread would gain nothing.
const READ_AT_ONCE_BYTES: usize = 16 << 10;

impl Service {
    /// Answers a body, all or nothing, within `deadline`. With a deadline it runs on the threads of all connections, so large
    /// bodies are parsed on another thread; without one the thread is the caller's own.
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
        // The semaphore is never closed.
        let place = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| ended())?;
        let service = Arc::clone(self);
        // A caller that has left does not free the share: the thread still holds the memory.
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

    /// Answers instances, all or nothing. `share` shrinks to the memory that they need.
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
}

fn read_too_late(limit: Duration) -> ServeError {
    let seconds = limit.as_secs();
    let message = format!(
        "the body was not read within {seconds} s: the server has more to do than it can; try again, or send less at a time"
    );
    ServeError::new(Code::DeadlineExceeded, message).with("deadline_seconds", seconds)
}
