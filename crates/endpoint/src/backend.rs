//! What a model is to the server: the few methods between an algorithm and SageMaker's inference contract.

use std::collections::BTreeMap;
use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kokanee_contract::{ContentType, MediaType};
use kokanee_http::{Columns, Counted, Counters, Incoming, MemoryBudget, Pieces, Rope, ServeError, Share};
use prometheus_client::registry::Registry;

use crate::config::{DEFAULT_BODY_BYTES, DEFAULT_CONCURRENT_TRANSFORMS};

/// A future without a name.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A loaded model that answers requests, many at a time.
///
/// An answer depends on its request alone: not on what else is being answered, and not on load.
pub trait Backend: Send + Sync + 'static {
    /// Types of bodies that it reads, in the order in which errors name them.
    fn accepts(&self) -> &[MediaType];

    /// Types of answers that it writes. Where `Accept` holds several equally good, the earlier is taken.
    fn answers(&self) -> &[MediaType];

    /// The memory of all its requests: bodies, what becomes of them, and answers until they are sent.
    fn budget(&self) -> &Arc<MemoryBudget>;

    /// Answers a request. The future may be dropped at any time, when the client has left or the server ends.
    fn invoke(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Reply, ServeError>>;

    /// The type of a body that came without `Content-Type`; `head` holds its first bytes.
    fn default_type(&self, _head: &[u8]) -> MediaType {
        MediaType::Json
    }

    /// The type of the answer to a body of this type, where `Accept` leaves it open.
    fn own_answer(&self, body: MediaType) -> MediaType {
        body
    }

    /// The largest body in bytes, where nobody has set `MaxPayloadInMB`.
    fn default_body_bytes(&self) -> usize {
        DEFAULT_BODY_BYTES
    }

    /// How many requests batch transform should have open, 1 to 100, where nobody has set `MaxConcurrentTransforms`.
    fn default_concurrent_transforms(&self) -> u32 {
        DEFAULT_CONCURRENT_TRANSFORMS
    }

    /// Whether bodies of this type may be answered as they arrive, where they may have any length; others are held as a whole.
    fn streams(&self, _body: MediaType) -> bool {
        false
    }

    /// What requests count, for the log; [`Call::counters`] are of this kind.
    fn columns(&self) -> &'static Columns {
        Columns::NONE
    }

    /// Whether it does its work: what `/ping` tells, within two seconds.
    fn health(&self) -> BoxFuture<'_, Result<(), ServeError>> {
        Box::pin(ready(Ok(())))
    }

    /// Ends when it has failed for good, with the reason; the server ends then, so that whoever started it can start another.
    fn failure(&self) -> BoxFuture<'static, String> {
        Box::pin(pending())
    }

    /// Registers its own metrics beside those of the server.
    fn register(&self, _registry: &mut Registry) {}

    /// What the page at `/` shows; none where there is nothing to try by hand.
    fn page(self: Arc<Self>, _visit: Visit) -> Option<BoxFuture<'static, Shown>> {
        None
    }

    /// What besides the model's files decides its answers, by name: batch transform does not take up files that were made otherwise.
    fn identity(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// A request to `/invocations`, with its types chosen.
pub struct Call {
    /// The body's type, one of [`Backend::accepts`], with its parameters.
    pub from: ContentType,
    /// The answer's type, one of [`Backend::answers`], with the parameters that `Accept` gives it, such as `verbose`.
    pub to: ContentType,
    /// The body.
    pub body: Body,
    /// How long the answer may take. None for callers that wait on a thread of their own, as batch transform does.
    pub deadline: Option<Duration>,
    /// Counters for the log.
    pub counters: Arc<Counters>,
}

/// The body of a request.
pub enum Body {
    /// It was read to its end.
    Whole(Counted<Rope>),
    /// It arrives while it is answered, where [`Backend::streams`] says that it may.
    Streamed {
        /// The bytes.
        incoming: Incoming,
        /// Memory for what has arrived; nothing yet.
        share: Share,
    },
}

/// The body of an answer.
pub enum Reply {
    /// All of it.
    Whole(Counted<Rope>),
    /// It leaves as it is made.
    Pieces(Pieces),
}

/// A request to the page at `/`.
pub struct Visit {
    /// The page's own path, for the action of a form.
    pub home: String,
    /// The form that was sent, URL-encoded, or why it could not be read; none for a first visit.
    pub form: Option<Result<Counted<Rope>, ServeError>>,
    /// How long an answer may take.
    pub deadline: Duration,
    /// Counters for the log.
    pub counters: Arc<Counters>,
}

/// What a page shows.
pub struct Shown {
    /// HTML below the heading. Text from outside is [`Escaped`](crate::Escaped) in it.
    pub html: String,
    /// CSS beyond the page's own.
    pub style: &'static str,
    /// Why there is no answer, for status and log; `html` tells it, too.
    pub error: Option<ServeError>,
    /// Memory of twice the HTML's length; none where it is small.
    pub share: Option<Share>,
}
