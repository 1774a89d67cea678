//! An instance that belongs to no endpoint: that of a batch transform job.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::Fleet;
use super::folder::InstanceFolder;
use super::life::{Life, Order, Post};
use crate::hosting::{Container, Instance, Lease, Phase};

/// The settings of such an instance.
#[derive(Clone, Debug)]
pub(crate) struct Lone {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its id, as AWS writes it: `i-0123456789abcdef0`.
    pub(crate) id: String,
    /// The region.
    pub(crate) region: String,
    /// The name of the job that it works for.
    pub(crate) job: String,
    /// The job's ARN.
    pub(crate) arn: String,
    /// The container that it runs.
    pub(crate) container: Container,
    /// The group and stream of its log.
    pub(crate) log: (String, String),
    /// The namespace of its metrics, and its name there.
    pub(crate) metrics: (&'static str, String),
}

/// A running instance. Once it has answered, it is restarted whenever it ends.
pub(crate) struct LoneInstance {
    instance: Arc<Instance>,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

/// The phase of such an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LonePhase {
    /// It does not answer yet.
    Starting,
    /// It answers.
    Ready,
    /// It never answered, for this reason.
    Failed(String),
}

impl LoneInstance {
    /// Starts it, unless it still runs from an earlier server.
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

    /// Its phase.
    pub(crate) fn phase(&self) -> LonePhase {
        match self.instance.phase() {
            Phase::Starting => LonePhase::Starting,
            Phase::Ready(_) => LonePhase::Ready,
            Phase::Failed(reason) => LonePhase::Failed(reason),
        }
    }

    /// Takes it for a request, if it answers.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.instance.lease()
    }

    /// Stops it, and waits for its end. Its folder stays.
    pub(crate) async fn end(self) {
        self.orders.send_replace(Order::Stop);
        // The panic hook has already reported a panic.
        let _ = self.task.await;
    }
}
