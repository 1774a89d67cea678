//! The life of one instance: prepared, started, waited for, watched, started again, and stopped.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use tokio::sync::watch;

use super::Fleet;
use super::folder::InstanceFolder;
use super::launch;
use crate::engine::{Signal, TaskState};
use crate::hosting::{Connections, Container, Instance, Phase};
use crate::metrics::InstanceMeter;

/// Between two looks at an instance that is being started or stopped.
const POLL: Duration = Duration::from_millis(20);
/// Between two looks at one that answers.
const WATCH: Duration = Duration::from_millis(500);
/// Between two measurements of what an instance uses.
const MEASURE: Duration = Duration::from_secs(60);
/// How long `/ping` may take.
const PING: Duration = Duration::from_secs(2);
/// How long an instance that answered once may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// SageMaker sends SIGKILL so long after SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// Before an instance that ended is started again: at first, and at most. One that lived for [`LONG_LIFE`] begins anew.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONG_LIFE: Duration = Duration::from_secs(60);

/// What an instance is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// To run.
    Run,
    /// To stop; a later server starts it again.
    Stop,
    /// To stop for good. Only its log stays.
    Retire,
}

/// What an instance is for.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) region: String,
    /// The ARN of what it is an instance of.
    pub(super) arn: String,
    /// What of it the instance is: letters, digits and hyphens.
    pub(super) name: String,
    pub(super) container: Container,
    /// How long it may take until it answers, where somebody says it.
    pub(super) startup_seconds: Option<u64>,
    /// Group and stream of what it says.
    pub(super) log: (String, String),
    /// Namespace and dimensions of what it uses.
    pub(super) metrics: (&'static str, Vec<(&'static str, String)>),
    /// What is said where it does not answer; the reason follows.
    pub(super) complaint: String,
}

/// The life of an instance.
pub(super) struct Life {
    pub(super) fleet: Arc<Fleet>,
    pub(super) post: Post,
    pub(super) instance: Arc<Instance>,
    pub(super) folder: InstanceFolder,
    /// Whether it answered once: then it is started again whenever it ends.
    pub(super) is_proven: bool,
}

/// How an attempt went.
enum Course {
    /// It was told to stop.
    Told,
    /// It ended, for this reason.
    Ended(String),
}

impl Life {
    /// Lives until it is told to stop, and has stopped when this returns.
    pub(super) async fn run(mut self, mut orders: watch::Receiver<Order>) {
        let mut pause = FIRST_PAUSE;
        while *orders.borrow() == Order::Run {
            let begun = Instant::now();
            let Course::Ended(reason) = self.serve(&mut orders).await else { break };
            tracing::warn!(of = self.post.arn, instance = self.instance.id, reason, "an instance ended");
            if !self.is_proven {
                self.instance.enter(Phase::Failed(reason));
                told(&mut orders).await;
                break;
            }
            self.instance.enter(Phase::Starting);
            if begun.elapsed() > LONG_LIFE {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = told(&mut orders) => break,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        if !matches!(self.instance.phase(), Phase::Failed(_)) {
            self.instance.enter(Phase::Starting);
        }
        end(&self.fleet, &self.folder).await;
        self.clean_up().await;
        if *orders.borrow() == Order::Retire {
            clear(&self.fleet, &self.folder).await;
        }
    }

    /// From the start of the program to its end.
    async fn serve(&mut self, orders: &mut watch::Receiver<Order>) -> Course {
        let startup = match self.start().await {
            Ok(startup) => startup,
            Err(reason) => return Course::Ended(reason),
        };
        let mut meter = self.meter();
        let mut measured: Option<Instant> = None;
        let mut patience = self.post.startup_seconds.map_or(startup, Duration::from_secs);
        loop {
            tokio::select! {
                answering = self.answering(patience) => match answering {
                    Ok(connections) => self.instance.enter(Phase::Ready(connections)),
                    Err(reason) => return Course::Ended(reason),
                },
                () = told(orders) => return Course::Told,
            }
            (self.is_proven, patience) = (true, SILENCE);
            loop {
                tokio::select! {
                    () = tokio::time::sleep(WATCH) => {}
                    () = self.instance.suspected() => break,
                    () = told(orders) => return Course::Told,
                }
                if let Some(reason) = self.ended().await {
                    return Course::Ended(reason);
                }
                if measured.is_none_or(|at| at.elapsed() > MEASURE) {
                    measured = Some(Instant::now());
                    meter = self.measured(meter).await;
                }
            }
        }
    }

    /// Notes what the program uses of the machine.
    async fn measured(&self, mut meter: InstanceMeter) -> InstanceMeter {
        let (fleet, folder) = (Arc::clone(&self.fleet), self.folder.clone());
        let looked = tokio::task::spawn_blocking(move || {
            meter.look(&*fleet.engine, folder.path(), &fleet.control.metrics);
            meter
        });
        looked.await.unwrap_or_else(|_| self.meter())
    }

    fn meter(&self) -> InstanceMeter {
        let (namespace, dimensions) = &self.post.metrics;
        let dimensions: Vec<(&str, &str)> =
            dimensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        InstanceMeter::new(&self.post.region, namespace, &dimensions)
    }

    /// Fetches the model and starts the program, unless it runs from an earlier server's time. Returns how long it may take until it
    /// answers.
    async fn start(&self) -> Result<Duration, String> {
        let (fleet, folder, name) = (Arc::clone(&self.fleet), self.folder.clone(), self.name());
        let Post { region, arn, container, log: (group, stream), .. } = self.post.clone();
        let started = tokio::task::spawn_blocking(move || {
            let path = folder.path();
            fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
            if let Some(log) = folder.log_in(&fleet.folder) {
                let added = fleet.control.logs.add_stream(&region, &group, &stream, &log);
                added.map_err(|error| error.to_string())?;
            }
            let state = fleet.engine.settle(path).map_err(|error| error.to_string())?;
            let program = launch::program(&fleet, &container, &folder, &region, &name, &arn)?;
            if matches!(state, TaskState::Running { .. }) {
                return Ok(program.startup);
            }
            program.launched.clean_up();
            folder.prepare(container.model.as_ref(), &*fleet.objects).map_err(|error| {
                let data = container.model.as_ref();
                let from = data.map(|data| format!(" from URL: \"s3://{}/{}\"", data.bucket, data.key));
                let from = from.unwrap_or_default();
                format!("Failed to download model data for container \"container_1\"{from}. {error}")
            })?;
            match program.address {
                Some(address) => folder.write_address(address).map_err(|error| error.to_string())?,
                None => folder.forget_address(),
            }
            fleet.engine.start(path, &program.launched.task).map_err(|error| error.to_string())?;
            Ok(program.startup)
        });
        started.await.unwrap_or_else(|_| Err("a bug in Kokanee; please report it".to_owned()))
    }

    /// A name of the instance that no other has.
    fn name(&self) -> String {
        format!("{}-{}-{}", self.post.region, self.post.name, self.instance.id)
    }

    /// Ends what is left of a program that has ended: a container, for instance.
    async fn clean_up(&self) {
        let (fleet, folder, name) = (Arc::clone(&self.fleet), self.folder.clone(), self.name());
        let Post { region, arn, container, .. } = self.post.clone();
        let cleaned = tokio::task::spawn_blocking(move || {
            if let Ok(program) = launch::program(&fleet, &container, &folder, &region, &name, &arn) {
                program.launched.clean_up();
            }
        });
        // A panic was told by its hook.
        let _ = cleaned.await;
    }

    /// Waits until `/ping` is answered.
    async fn answering(&self, patience: Duration) -> Result<Arc<Connections>, String> {
        let begun = Instant::now();
        loop {
            if let Some(reason) = self.ended().await {
                return Err(reason);
            }
            let folder = self.folder.clone();
            let address = tokio::task::spawn_blocking(move || folder.address()).await;
            if let Ok(Some(address)) = address {
                let connections = Connections::new(address);
                if ping(&connections).await {
                    return Ok(connections);
                }
            }
            if begun.elapsed() > patience {
                end(&self.fleet, &self.folder).await;
                return Err(self.unhealthy(&format!("It did not answer within {} s.", patience.as_secs())));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Why the program has ended, where it has.
    async fn ended(&self) -> Option<String> {
        let (engine, folder) = (Arc::clone(&self.fleet.engine), self.folder.clone());
        let looked = tokio::task::spawn_blocking(move || match engine.look(folder.path()) {
            Ok(TaskState::Running { .. }) => None,
            Ok(TaskState::Ended(exit)) => Some(match folder.last_words() {
                Some(words) => format!("It ended with {exit}: {words}"),
                None => format!("It ended with {exit}."),
            }),
            Ok(TaskState::NotStarted | TaskState::Lost) => Some("It ended unseen.".to_owned()),
            // The folder cannot be read at the moment.
            Err(error) => {
                tracing::warn!(%error, "an instance cannot be looked at");
                None
            }
        });
        let detail = looked.await.ok().flatten()?;
        Some(self.unhealthy(&detail))
    }

    fn unhealthy(&self, detail: &str) -> String {
        format!("{} {detail}", self.post.complaint)
    }
}

/// Stops the program of a folder, and waits for its end.
pub(super) async fn end(fleet: &Arc<Fleet>, folder: &InstanceFolder) {
    let signal = |signal: Signal| {
        let (engine, folder) = (Arc::clone(&fleet.engine), folder.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = engine.signal(folder.path(), signal) {
                tracing::warn!(%error, "an instance cannot be told to stop");
            }
            matches!(engine.look(folder.path()), Ok(TaskState::Running { .. }))
        })
    };
    let runs = || {
        let (engine, folder) = (Arc::clone(&fleet.engine), folder.clone());
        tokio::task::spawn_blocking(move || {
            matches!(engine.look(folder.path()), Ok(TaskState::Running { .. }))
        })
    };
    if !runs().await.unwrap_or(false) {
        return;
    }
    let mut is_running = signal(Signal::Terminate).await.unwrap_or(false);
    let begun = Instant::now();
    let mut is_killed = false;
    while is_running {
        if begun.elapsed() > STOP_GRACE && !is_killed {
            let _ = signal(Signal::Kill).await;
            is_killed = true;
        }
        if begun.elapsed() > STOP_GRACE * 2 {
            tracing::error!(folder = %folder.path().display(), "an instance does not end");
            return;
        }
        tokio::time::sleep(POLL).await;
        is_running = runs().await.unwrap_or(false);
    }
}

/// Removes a folder; its log is kept for those who read it by its stream.
pub(super) async fn clear(fleet: &Arc<Fleet>, folder: &InstanceFolder) {
    let (fleet, folder) = (Arc::clone(fleet), folder.clone());
    let cleared = tokio::task::spawn_blocking(move || {
        folder.clear();
        let Some(log) = folder.log_in(&fleet.folder) else { return };
        if let Err(error) = fleet.control.logs.keep(&log) {
            tracing::warn!(folder = %folder.path().display(), %error, "the log of an instance stays where it is");
        }
        folder.remove_empty();
    });
    // A panic was told by its hook.
    let _ = cleared.await;
}

async fn ping(connections: &Arc<Connections>) -> bool {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = axum::http::Uri::from_static("/ping");
    request.headers_mut().insert("host", axum::http::HeaderValue::from_static("localhost"));
    let answered = tokio::time::timeout(PING, connections.send(request)).await;
    matches!(answered, Ok(Ok(response)) if response.status() == axum::http::StatusCode::OK)
}

/// Waits for the order to stop, or for nobody being left to give it.
async fn told(orders: &mut watch::Receiver<Order>) {
    let _ = orders.wait_for(|order| *order != Order::Run).await;
}
