//! A body as it arrives, read in blocks of whole lines or records.

use std::sync::Arc;

use futures_util::FutureExt as _;
use kokanee_contract::MediaType;
use kokanee_http::memory::Arrival;
use kokanee_http::{Incoming, ServeError, Share};

use super::cutting::{Cut, CutLimits, Cutter, Front};
use crate::head::Head;

/// A body that arrives. No more of it is read than the next block needs.
pub(super) struct Arriving {
    incoming: Incoming,
    arrival: Arc<Arrival>,
    cutter: Cutter,
    /// Memory for the bytes in the cutter.
    share: Share,
    head: Head,
    is_text: bool,
}

impl Arriving {
    /// A body of a type that [can be cut](super::cutting::can_cut).
    pub(super) fn new(incoming: Incoming, media: MediaType, limits: CutLimits, share: Share) -> Self {
        Self {
            incoming,
            arrival: share.arrival(),
            cutter: Cutter::new(media, limits),
            share,
            head: Head::default(),
            is_text: media != MediaType::RecordIo,
        }
    }

    /// The next whole lines or records: those that have arrived, as soon as there is one, and at the end whatever is left.
    ///
    /// # Errors
    /// As [`Incoming::next_of`] and [`Share::grow`]; 400 for an item that is too long, or a body of another type.
    pub(super) async fn next(&mut self) -> Result<Cut, ServeError> {
        loop {
            self.share.resize(self.cutter.held_bytes()).await?;
            let front = self.cutter.look()?;
            if front == Front::Full {
                return Ok(self.cutter.cut());
            }
            let arriving = self.incoming.next_of(&self.arrival);
            let arrived = if front == Front::Some {
                // Items that have arrived are answered before waiting for more.
                let Some(arrived) = arriving.now_or_never() else { return Ok(self.cutter.cut()) };
                arrived?
            } else {
                arriving.await?
            };
            match arrived {
                Some(bytes) => {
                    self.cutter.push(&bytes);
                    self.arrival.received(bytes.len(), self.cutter.held_bytes());
                    self.head.push(&bytes);
                    // A compressed body has no line ends to wait for.
                    self.head.check(self.is_text)?;
                }
                None => self.cutter.finish(),
            }
        }
    }

    /// Reads and discards the rest of a refused body, within the server's bounds.
    pub(super) async fn discard(self) {
        self.incoming.discard().await;
    }
}
