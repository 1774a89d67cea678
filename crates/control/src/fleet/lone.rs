//! An instance that no endpoint has: that of a batch transform.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::Fleet;
use super::folder::InstanceFolder;
use super::life::{Life, Order, Post};
use crate::hosting::{Container, Instance, Lease, Phase};

/// What such an instance is for.
#[derive(Clone, Debug)]
pub(crate) struct Lone {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// As AWS writes it: `i-0123456789abcdef0`.
    pub(crate) id: String,
    /// The region.
    pub(crate) region: String,
    /// The name of the job that it works for.
    pub(crate) job: String,
    /// The job's ARN.
    pub(crate) arn: String,
    /// What it runs.
    pub(crate) container: Container,
    /// Group and stream of what it says.
    pub(crate) log: (String, String),
    /// Namespace of what it uses, and its name there.
    pub(crate) metrics: (&'static str, String),
}

/// An instance at work. It is started again when it ends, as soon as it answered once.
pub(crate) struct LoneInstance {
    instance: Arc<Instance>,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

/// What it is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LonePhase {
    /// It does not answer yet.
    Starting,
    /// It answers.
    Ready,
    /// It did not come to answer, for this reason.
    Failed(String),
}

impl LoneInstance {
    /// Starts it, unless it runs from an earlier server's time.
    pub(crate) fn start(fleet: &Arc<Fleet>, runtime: &Handle, lone: Lone) -> Self {
        let instance = Instance::new(lone.id, Arc::new(Notify::new()));
        let (namespace, host) = lone.metrics;
        let life = Life {
            fleet: Arc::clone(fleet),
            post: Post {
                region: lone.region,
                arn: lone.arn,
                name: lone.job,
                container: lone.container,
                startup_seconds: None,
                log: lone.log,
                metrics: (namespace, vec![("Host", host)]),
                complaint: "The container of the model did not pass the ping health check. Please check CloudWatch logs for this job."
                    .to_owned(),
            },
            instance: Arc::clone(&instance),
            folder: InstanceFolder::alone(lone.folder),
            is_proven: false,
        };
        let (orders, told) = watch::channel(Order::Run);
        Self { instance, orders, task: runtime.spawn(life.run(told)) }
    }

    /// What it is doing.
    pub(crate) fn phase(&self) -> LonePhase {
        match self.instance.phase() {
            Phase::Starting => LonePhase::Starting,
            Phase::Ready(_) => LonePhase::Ready,
            Phase::Failed(reason) => LonePhase::Failed(reason),
        }
    }

    /// Takes it for a request, where it answers.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.instance.lease()
    }

    /// Stops it, and waits for its end. Its folder stays.
    pub(crate) async fn end(self) {
        self.orders.send_replace(Order::Stop);
        // A panic was told by its hook.
        let _ = self.task.await;
    }
}
