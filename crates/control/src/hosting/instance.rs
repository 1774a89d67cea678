//! An instance of a variant, as the fleet and requests use it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use tokio::sync::Notify;

use super::connections::{Answer, Connections, SendError};

/// An instance.
#[derive(Debug)]
pub struct Instance {
    /// Its id, as AWS writes it: `i-0123456789abcdef0`.
    pub id: String,
    phase: RwLock<Phase>,
    in_flight: AtomicUsize,
    suspected: Notify,
    /// Notified when the phase changes.
    changed: Arc<Notify>,
}

/// The phase of an instance.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// It has not answered yet, or not since it was restarted.
    Starting,
    /// It answers.
    Ready(Arc<Connections>),
    /// It never answered, and is not restarted.
    Failed(String),
}

/// An instance that is taken for a request. It is not stopped while the lease lives.
#[derive(Debug)]
pub struct Lease {
    instance: Arc<Instance>,
    connections: Arc<Connections>,
}

impl Instance {
    /// An instance that does not answer yet. `changed` is notified when that changes.
    pub(crate) fn new(id: String, changed: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            id,
            phase: RwLock::new(Phase::Starting),
            in_flight: AtomicUsize::new(0),
            suspected: Notify::new(),
            changed,
        })
    }

    /// The number of requests in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Whether it answers.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase(), Phase::Ready(_))
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        *self.phase.write().unwrap_or_else(PoisonError::into_inner) = phase;
        self.changed.notify_one();
    }

    /// Takes it for a request, if it answers.
    pub(crate) fn lease(self: &Arc<Self>) -> Option<Lease> {
        match self.phase() {
            Phase::Ready(connections) => {
                self.in_flight.fetch_add(1, Ordering::SeqCst);
                Some(Lease { instance: Arc::clone(self), connections })
            }
            Phase::Starting | Phase::Failed(_) => None,
        }
    }

    /// Returns when a request could not be sent to it.
    pub(crate) async fn suspected(&self) {
        self.suspected.notified().await;
    }
}

impl Lease {
    /// The instance.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// Sends a request, and waits for the head of the answer.
    ///
    /// # Errors
    /// If the request could not be sent, or if the connection ended. The instance is then checked, and gets no further requests until it
    /// has answered again.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Answer>, SendError> {
        let sent = self.connections.send(request).await;
        if sent.is_err() {
            let mut phase = self.instance.phase.write().unwrap_or_else(PoisonError::into_inner);
            // The instance may have been restarted meanwhile.
            if matches!(&*phase, Phase::Ready(now) if Arc::ptr_eq(now, &self.connections)) {
                *phase = Phase::Starting;
                drop(phase);
                self.instance.suspected.notify_one();
                self.instance.changed.notify_one();
            }
        }
        sent
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.instance.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
