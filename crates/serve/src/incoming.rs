//! Bodies as they arrive: never more of them in memory than is allowed, and not from clients that stop sending.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Patience;
use crate::error::{Code, ServeError};

/// A body that is too large is still taken in for a moment, so that the client gets to read why it is refused.
const DISCARD_LIMIT: Duration = Duration::from_secs(2);
const DISCARD_BYTES: usize = 64 << 20;
/// Unit of the budget for bodies.
const BUDGET_UNIT: usize = 1 << 10;

/// A body.
pub(crate) struct Incoming {
    body: Body,
    patience: Patience,
}

impl Incoming {
    pub(crate) fn new(body: Body, patience: Patience) -> Self {
        Self { body, patience }
    }

    /// The next bytes; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ServeError> {
        loop {
            let frame =
                tokio::time::timeout(self.patience.body_idle, self.body.frame()).await.map_err(|_| {
                    let limit = self.patience.body_idle;
                    ServeError::new(
                        Code::RequestTimeout,
                        format!("no byte of the body arrived for {limit:?}"),
                    )
                })?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers say nothing that matters here.
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => {
                    return Err(ServeError::bad(format!("the body cannot be read to its end: {error}")));
                }
            }
        }
    }

    /// The whole body, of at most `limit` bytes.
    pub(crate) async fn whole(mut self, limit: usize, budget: &BodyBudget) -> Result<Whole, ServeError> {
        let patience = self.patience.body;
        let read = async {
            let mut whole = Whole { bytes: Vec::new(), share: None };
            while let Some(bytes) = self.next().await? {
                if whole.bytes.len() + bytes.len() > limit {
                    return Err(too_large(limit));
                }
                budget.extend(&mut whole, bytes.len())?;
                whole.bytes.extend_from_slice(&bytes);
            }
            Ok(whole)
        };
        let read = tokio::time::timeout(patience, read).await.unwrap_or_else(|_| {
            Err(ServeError::new(Code::RequestTimeout, format!("the body did not arrive within {patience:?}")))
        });
        if read.as_ref().is_err_and(|error| error.code == Code::PayloadTooLarge) {
            self.discard().await;
        }
        read
    }

    /// Takes in the rest of a body that is refused, as far as that is bearable.
    pub(crate) async fn discard(mut self) {
        let rest = async {
            let mut left = DISCARD_BYTES;
            while let Ok(Some(bytes)) = self.next().await {
                left = left.saturating_sub(bytes.len());
                if left == 0 {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(DISCARD_LIMIT, rest).await;
    }
}

pub(crate) fn too_large(limit: usize) -> ServeError {
    let message = format!(
        "the body has more than {limit} bytes, the most that is taken (MaxPayloadInMB); send it in parts, or start the server \
         with a larger --max-payload-mb"
    );
    ServeError::new(Code::PayloadTooLarge, message).with("limit_bytes", limit)
}

/// A body with its share of the memory for bodies.
pub(crate) struct Whole {
    pub(crate) bytes: Vec<u8>,
    pub(crate) share: Option<OwnedSemaphorePermit>,
}

/// Bounds the memory that the bodies of all requests take together.
pub(crate) struct BodyBudget {
    units: Arc<Semaphore>,
}

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { units: Arc::new(Semaphore::new((bytes / BUDGET_UNIT).clamp(1, Semaphore::MAX_PERMITS))) }
    }

    fn extend(&self, whole: &mut Whole, more: usize) -> Result<(), ServeError> {
        let held = whole.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (whole.bytes.len() + more).div_ceil(BUDGET_UNIT).saturating_sub(held);
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.units).try_acquire_many_owned(missing).map_err(|_| {
            let message =
                "the bodies of other requests fill the memory that there is for them; try again in 1 s";
            ServeError::new(Code::TooManyRequests, message).retry_after(1)
        })?;
        match &mut whole.share {
            Some(held) => held.merge(share),
            none => *none = Some(share),
        }
        Ok(())
    }
}
