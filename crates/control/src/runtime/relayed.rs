//! Forwarding a model's response to the client as it arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::counts::{Counts, Invocation};
use crate::hosting::{Answer, Lease};

/// The body of a response. Until its end, its instance is not stopped and the request is not counted.
pub(super) struct Relayed {
    answer: Answer,
    counted: Counted,
}

/// A request that is counted when this is dropped.
pub(super) struct Counted {
    pub(super) counts: Arc<Counts>,
    pub(super) invocation: Invocation,
    pub(super) sent: Instant,
    /// The instance that answers.
    pub(super) _lease: Lease,
}

impl Relayed {
    pub(super) fn new(answer: Answer, counted: Counted) -> Self {
        Self { answer, counted }
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.answer).poll_frame(context));
        if let Some(Err(error)) = &frame {
            let Invocation { endpoint, variant, .. } = &self.counted.invocation;
            tracing::warn!(endpoint, variant, %error, "the answer of a model broke off");
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut invocation = self.invocation.clone();
        invocation.model = self.sent.elapsed();
        self.counts.add(invocation);
    }
}
