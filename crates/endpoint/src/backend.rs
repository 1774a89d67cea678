//! The interface between an algorithm's model and SageMaker's inference contract.

use std::collections::BTreeMap;
use std::future::{Future, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use kokanee_contract::{ContentType, MediaType};
use kokanee_http::{Columns, Counted, Counters, Incoming, MemoryBudget, Pieces, Rope, ServeError, Share};
use prometheus_client::registry::Registry;

use crate::config::{DEFAULT_BODY_BYTES, DEFAULT_CONCURRENT_TRANSFORMS};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A loaded model that answers requests, many in parallel.
///
/// A response depends on its request alone: not on other requests, and not on load.
pub trait Backend: Send + Sync + 'static {
    /// Media types of bodies that it reads, in the order in which errors name them.
    fn accepts(&self) -> &[MediaType];

    /// Media types of responses that it writes. Where `Accept` rates several equally, the earlier one is used.
    fn answers(&self) -> &[MediaType];

    /// The memory budget of all its requests: bodies, decoded data, and responses until they are sent.
    fn budget(&self) -> &Arc<MemoryBudget>;

    /// Answers a request. The future may be dropped at any time, when the client has disconnected or the server ends.
    fn invoke(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Reply, ServeError>>;

    /// The type of a body that came without `Content-Type`; `head` holds its first bytes.
    fn default_type(&self, _head: &[u8]) -> MediaType {
        MediaType::Json
    }

    /// The default type of the response to a body of this type, where `Accept` leaves it open.
    fn own_answer(&self, body: MediaType) -> MediaType {
        body
    }

    /// The largest body in bytes, where `MaxPayloadInMB` is not set.
    fn default_body_bytes(&self) -> usize {
        DEFAULT_BODY_BYTES
    }

    /// How many requests batch transform should have open, 1 to 100, where `MaxConcurrentTransforms` is not set.
    fn default_concurrent_transforms(&self) -> u32 {
        DEFAULT_CONCURRENT_TRANSFORMS
    }

    /// Whether bodies of this type can be answered as they arrive when bodies may have any length. Other bodies are buffered as a whole.
    fn streams(&self, _body: MediaType) -> bool {
        false
    }

    /// The columns that requests count in, for the log; [`Call::counters`] has the same columns.
    fn columns(&self) -> &'static Columns {
        Columns::NONE
    }

    /// Whether the backend works; `/ping` reports it within two seconds.
    fn health(&self) -> BoxFuture<'_, Result<(), ServeError>> {
        Box::pin(ready(Ok(())))
    }

    /// Resolves with a reason when the backend has failed for good. The server then ends, so that its starter can start another.
    fn failure(&self) -> BoxFuture<'static, String> {
        Box::pin(pending())
    }

    /// Registers its own metrics beside those of the server.
    fn register(&self, _registry: &mut Registry) {}

    /// The content of the page at `/`; `None` if the model cannot be tried by hand.
    fn page(self: Arc<Self>, _visit: Visit) -> Option<BoxFuture<'static, Shown>> {
        None
    }

    /// Whatever besides the model's files decides its answers, by name. Batch transform does not resume from output that was made with
    /// other values.
    fn identity(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// A request to `/invocations`, with its types chosen.
pub struct Call {
    /// The body's type, one of [`Backend::accepts`], with its parameters.
    pub from: ContentType,
    /// The response's type, one of [`Backend::answers`], with its parameters from `Accept`, such as `verbose`.
    pub to: ContentType,
    /// The body.
    pub body: Body,
    /// The time limit for the response. `None` for callers that wait on their own thread, as batch transform does.
    pub deadline: Option<Duration>,
    /// Counters for the log.
    pub counters: Arc<Counters>,
}

/// The body of a request.
pub enum Body {
    /// A body that was read to its end.
    Whole(Counted<Rope>),
    /// A body that is answered while it arrives, where [`Backend::streams`] allows it.
    Streamed {
        /// The bytes.
        incoming: Incoming,
        /// Memory for the bytes that have arrived; none yet.
        share: Share,
    },
}

/// The body of a response.
pub enum Reply {
    /// The whole body.
    Whole(Counted<Rope>),
    /// Pieces that are sent as they are produced.
    Pieces(Pieces),
}

/// A request to the page at `/`.
pub struct Visit {
    /// The page's own path, for the action of a form.
    pub home: String,
    /// The submitted form, URL-encoded, or why it could not be read; `None` for a first visit.
    pub form: Option<Result<Counted<Rope>, ServeError>>,
    /// The time limit for a response.
    pub deadline: Duration,
    /// Counters for the log.
    pub counters: Arc<Counters>,
}

/// The content of a page.
pub struct Shown {
    /// HTML below the heading. Text from outside is [`Escaped`](crate::Escaped) in it.
    pub html: String,
    /// Additional CSS.
    pub style: &'static str,
    /// The error, if there is one, for status and log; `html` shows it too.
    pub error: Option<ServeError>,
    /// Memory of twice the HTML's length; `None` where it is small.
    pub share: Option<Share>,
}
