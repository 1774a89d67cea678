//! Request bodies as they arrive, with limits on memory and on the waiting time for clients.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;

use crate::error::{Code, ServeError};
use crate::memory::{Arrival, Counted, LEAST_BYTES_PER_SECOND, Share};
use crate::rope::Rope;
use crate::settings::Patience;

/// How long a body that is too large is still read, so that the client can receive the refusal.
const DISCARD_LIMIT: Duration = Duration::from_secs(2);
const DISCARD_BYTES: usize = 64 << 20;

/// The body of a request.
pub struct Incoming {
    body: Body,
    patience: Patience,
}

impl Incoming {
    /// A body whose client is given the time of `patience`.
    pub fn new(body: Body, patience: Patience) -> Self {
        Self { body, patience }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// 408 if no byte arrives for a while, 400 if the body is aborted.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ServeError> {
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
                    // Trailers are ignored.
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

    /// As [`next`](Self::next), unless the body is given up because it arrives too slowly. Dropping the future loses no bytes.
    ///
    /// # Errors
    /// As [`next`](Self::next); 408 if other requests need the memory of a body that arrives slowly.
    pub async fn next_of(&mut self, arrival: &Arrival) -> Result<Option<Bytes>, ServeError> {
        let _turn = arrival.wait();
        tokio::select! {
            biased;
            () = arrival.given_up() => Err(too_slow()),
            bytes = self.next() => bytes,
        }
    }

    /// The whole body, of at most `limit` bytes. `share` grows with it.
    ///
    /// # Errors
    /// As [`next_of`](Self::next_of) and [`Share::grow`]; 413 if the body is longer, 408 if it is not complete in time.
    pub async fn whole(mut self, limit: usize, share: Share) -> Result<Counted<Rope>, ServeError> {
        let patience = self.patience.body;
        let arrival = share.arrival();
        let read = async {
            let mut whole = Counted { bytes: Rope::default(), share };
            loop {
                let Some(bytes) = self.next_of(&arrival).await? else { return Ok(whole) };
                arrival.received(bytes.len(), whole.bytes.len() + bytes.len());
                if whole.bytes.len() + bytes.len() > limit {
                    return Err(too_large(limit));
                }
                whole.push(&bytes).await?;
            }
        };
        let read = tokio::time::timeout(patience, read).await.unwrap_or_else(|_| {
            Err(ServeError::new(Code::RequestTimeout, format!("the body did not arrive within {patience:?}")))
        });
        if read.as_ref().is_err_and(|error| error.code == Code::PayloadTooLarge) {
            self.discard().await;
        }
        read
    }

    /// Reads and discards the rest of a refused body, within limits.
    pub async fn discard(mut self) {
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

fn too_slow() -> ServeError {
    let message = format!(
        "the body arrived at less than {LEAST_BYTES_PER_SECOND} bytes/s while other requests needed the memory that it held; send \
         it again, at once"
    );
    ServeError::new(Code::RequestTimeout, message)
}

/// The error for a body of more than `limit` bytes.
pub fn too_large(limit: usize) -> ServeError {
    let message = format!(
        "the body has more than {limit} bytes, the most that is taken (MaxPayloadInMB); send it in parts, or start the server \
         with a larger --max-payload-mb"
    );
    ServeError::new(Code::PayloadTooLarge, message).with("limit_bytes", limit)
}
