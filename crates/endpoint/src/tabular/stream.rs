//! A request whose body may have any length, answered block by block in bounded memory.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::unfold;
use kokanee_contract::MediaType;
use kokanee_http::{Code, Counted, Counters, Incoming, Pieces, ServeError, Share};

use super::Tabular;
use super::arriving::Arriving;
use super::predictor::Predictor;
use super::work::Work;

/// Such a request. It reads and answers only while the client takes the response.
pub(super) struct Stream<P> {
    tabular: Arc<Tabular<P>>,
    arriving: Arriving,
    work: Work<P>,
    /// The time limit of a block.
    deadline: Option<Duration>,
    counters: Arc<Counters>,
    has_answered: bool,
}

impl<P: Predictor> Stream<P> {
    /// A new stream; `share` is the memory for bytes that have arrived, and `work` has its own.
    pub(super) fn new(
        tabular: Arc<Tabular<P>>,
        work: Work<P>,
        incoming: Incoming,
        media: MediaType,
        share: Share,
        deadline: Option<Duration>,
        counters: Arc<Counters>,
    ) -> Self {
        let arriving = Arriving::new(incoming, media, work.cut_limits(), share);
        Self { tabular, arriving, work, deadline, counters, has_answered: false }
    }

    /// The pieces of the response, each counted until it is sent.
    pub(super) fn pieces(self) -> Pieces {
        Box::pin(unfold(Some(self), |stream| async { stream?.next_piece().await }))
    }

    /// The next piece and the remaining stream; `None` at the end.
    async fn next_piece(mut self) -> Option<(Result<Counted<Vec<u8>>, ServeError>, Option<Self>)> {
        while !self.work.is_last() {
            self = match self.next_block().await {
                // A response has at least one piece, even an empty one.
                Ok((stream, piece)) if piece.bytes.is_empty() && !stream.work.is_last() => stream,
                Ok((stream, piece)) => return Some((Ok(piece), Some(stream))),
                Err(error) => return Some((Err(error), None)),
            };
        }
        None
    }

    /// Answers the next block. A block of blank lines gives an empty answer.
    async fn next_block(self) -> Result<(Self, Counted<Vec<u8>>), ServeError> {
        let Self { tabular, mut arriving, mut work, deadline, counters, has_answered } = self;
        let answered = async {
            work.put(arriving.next().await?);
            let working = tabular.do_work(work, deadline.is_none());
            match deadline {
                None => working.await,
                Some(limit) => {
                    tokio::time::timeout(limit, working).await.unwrap_or_else(|_| Err(block_too_late(limit)))
                }
            }
        };
        let mut work = match answered.await {
            Ok(work) => work,
            Err(error) => {
                // Clients that send the whole body before they read see the error's status only if the body is taken.
                if !has_answered && error.code != Code::RequestTimeout {
                    arriving.discard().await;
                }
                return Err(error);
            }
        };
        let (piece, instances) = work.take_answer();
        tabular.count(&counters, instances);
        let has_answered = has_answered || !piece.bytes.is_empty();
        Ok((Self { tabular, arriving, work, deadline, counters, has_answered }, piece))
    }
}

fn block_too_late(limit: Duration) -> ServeError {
    let seconds = limit.as_secs();
    let message = format!(
        "rows were not answered within {seconds} s of their arrival: the server has more to do than it can"
    );
    ServeError::new(Code::DeadlineExceeded, message).with("deadline_seconds", seconds)
}
