//! The adapter for models that answer rows of numbers, shared by a dozen of SageMaker's algorithms.
//!
//! A [`Predictor`] maps rows to columns of answers. [`Tabular`] reads rows from CSV, JSON, JSON lines and RecordIO, passes them to it in
//! blocks on a bounded number of threads, and writes the answers in the requested form. One memory budget covers all steps. A request is
//! answered as a whole or not at all, unless its body may have any length: such a body is answered block by block, as it arrives.

mod answers;
mod arriving;
mod cutting;
mod inlet;
mod predictor;
mod requests;
mod stream;
mod work;

use std::sync::Arc;
use std::time::Duration;

use kokanee_contract::MediaType;
use kokanee_http::{Code, Columns as LogColumns, Counters, MemoryBudget, ServeError, columns};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

pub use self::predictor::{AnswerOptions, Columns, Key, PredictError, Predictor};
pub use self::requests::REFUSED;
use self::stream::Stream;
use self::work::Work;
use crate::app::ended;
use crate::backend::{Backend, Body, BoxFuture, Call, Reply};
use crate::config::{MAX_CONCURRENT_TRANSFORMS, MEGABYTE};

/// The largest body where `MaxPayloadInMB` is not set. The service itself sends 6 MB at most, which batch transform is told; other clients
/// may send more. The budget of [`ServerSettings::memory_bytes`](crate::ServerSettings::memory_bytes) has room for one such body, its rows
/// and its answers within the half that one request may use.
pub const DEFAULT_TABULAR_BODY_BYTES: usize = 64 * MEGABYTE;

/// The counters of a request.
static COLUMNS: LogColumns = columns![instances];
/// The index of the only counter.
const INSTANCES: usize = 0;

/// A predictor as a [`Backend`].
pub struct Tabular<P> {
    predictor: Arc<P>,
    budget: Arc<MemoryBudget>,
    /// Permits for blocks that are being read and predicted: as many as there are cores, so that connections and pings are served at the
    /// same time.
    places: Arc<Semaphore>,
    cores: u32,
    instances: Counter,
}

impl<P: Predictor> Tabular<P> {
    /// A backend whose requests take at most `memory_bytes` together.
    pub fn new(predictor: P, memory_bytes: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            predictor: Arc::new(predictor),
            budget: MemoryBudget::new(memory_bytes),
            places: Arc::new(Semaphore::new(cores)),
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            instances: Counter::default(),
        }
    }

    /// Answers a body that was read completely, all or nothing.
    async fn answer(
        &self,
        mut work: Work<P>,
        deadline: Option<Duration>,
        counters: &Counters,
    ) -> Result<Reply, ServeError> {
        let answering = async {
            work = self.do_work(work, deadline.is_none()).await?;
            work.finish().await
        };
        let answered = match deadline {
            None => answering.await,
            Some(limit) => {
                tokio::time::timeout(limit, answering).await.unwrap_or_else(|_| Err(too_late(limit)))
            }
        };
        let (answer, instances) = answered?;
        self.count(counters, instances);
        Ok(Reply::Whole(answer))
    }

    /// Does all remaining work, on this thread or on the bounded number of threads.
    async fn do_work(&self, mut work: Work<P>, is_here: bool) -> Result<Work<P>, ServeError> {
        loop {
            work.reserve().await?;
            let is_done = if is_here {
                work.turn()?
            } else {
                // The semaphore is never closed.
                let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| ended())?;
                // If the request is dropped meanwhile, its memory stays reserved: the thread still uses it.
                let stepping = tokio::task::spawn_blocking(move || {
                    let is_done = work.turn();
                    drop(place);
                    (work, is_done)
                });
                let stepped = stepping.await.map_err(|error| match error.is_panic() {
                    // The panic hook has reported the cause.
                    true => ServeError::new(Code::Internal, "a bug in Kokanee; please report it"),
                    false => ended(),
                })?;
                work = stepped.0;
                stepped.1?
            };
            if is_done {
                return Ok(work);
            }
        }
    }

    fn count(&self, counters: &Counters, instances: u64) {
        counters.add(INSTANCES, instances);
        self.instances.inc_by(instances);
    }
}

impl<P: Predictor> Backend for Tabular<P> {
    fn accepts(&self) -> &[MediaType] {
        &requests::ACCEPTS
    }

    fn answers(&self) -> &[MediaType] {
        &answers::ANSWERS
    }

    fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    fn default_type(&self, head: &[u8]) -> MediaType {
        requests::guess(head)
    }

    /// CSV is answered with JSON, as in the real containers.
    fn own_answer(&self, body: MediaType) -> MediaType {
        if body == MediaType::Csv { MediaType::Json } else { body }
    }

    fn default_body_bytes(&self) -> usize {
        DEFAULT_TABULAR_BODY_BYTES
    }

    /// One request per core.
    fn default_concurrent_transforms(&self) -> u32 {
        self.cores.clamp(1, MAX_CONCURRENT_TRANSFORMS)
    }

    fn columns(&self) -> &'static LogColumns {
        &COLUMNS
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("instances", "Instances answered", self.instances.clone());
    }

    fn streams(&self, body: MediaType) -> bool {
        cutting::can_cut(body)
    }

    fn invoke(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<Reply, ServeError>> {
        Box::pin(async move {
            let Call { from, to, body, deadline, counters } = call;
            let body = match body {
                Body::Whole(body) => body,
                Body::Streamed { incoming, share } if self.streams(from.media) => {
                    let work = Work::begin_stream(&self.predictor, &from, to, share.another());
                    let stream = match work {
                        Ok(work) => Stream::new(self, work, incoming, from.media, share, deadline, counters),
                        Err(refused) => {
                            incoming.discard().await;
                            return Err(refused);
                        }
                    };
                    return Ok(Reply::Pieces(stream.pieces()));
                }
                Body::Streamed { incoming, share } => {
                    incoming.whole(self.default_body_bytes(), share).await?
                }
            };
            let work = Work::begin(&self.predictor, &from, to, body);
            self.answer(work, deadline, &counters).await
        })
    }
}

fn too_late(limit: Duration) -> ServeError {
    let seconds = limit.as_secs();
    let message = format!(
        "not all instances were answered within {seconds} s, so none is given; send fewer at a time, or use batch transform"
    );
    ServeError::new(Code::DeadlineExceeded, message).with("deadline_seconds", seconds)
}
