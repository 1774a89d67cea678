//! The life of one instance: preparation, start, health checks, restarts, and stop.

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

/// The time between two looks at an instance that is starting or stopping.
const POLL: Duration = Duration::from_millis(20);
/// The time between two looks at an instance that answers.
const WATCH: Duration = Duration::from_millis(500);
/// The time between two measurements of an instance's resources.
const MEASURE: Duration = Duration::from_secs(60);
/// How long `/ping` may take.
const PING: Duration = Duration::from_secs(2);
/// How long an instance that has answered before may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// SageMaker sends SIGKILL this long after SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// The first and the longest pause before an instance that ended is restarted. A life of [`LONG_LIFE`] resets it to the first.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONG_LIFE: Duration = Duration::from_secs(60);

/// An order to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Run.
    Run,
    /// Stop; a later server starts it again.
    Stop,
    /// Stop for good. Only the log stays.
    Retire,
}

/// The assignment of an instance, with its log and metrics.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) region: String,
    /// The ARN of the resource that it belongs to.
    pub(super) arn: String,
    /// Its name within that resource: letters, digits and hyphens.
    pub(super) name: String,
    pub(super) container: Container,
    /// How long it may take to answer, if this is configured.
    pub(super) startup_seconds: Option<u64>,
    /// The group and stream of its log.
    pub(super) log: (String, String),
    /// The namespace and dimensions of its metrics.
    pub(super) metrics: (&'static str, Vec<(&'static str, String)>),
    /// The message if it does not answer; the reason follows.
    pub(super) complaint: String,
}

/// The life of an instance.
pub(super) struct Life {
    pub(super) fleet: Arc<Fleet>,
    pub(super) post: Post,
    pub(super) instance: Arc<Instance>,
    pub(super) folder: InstanceFolder,
    /// Whether it has answered before. If so, it is restarted whenever it ends.
    pub(super) is_proven: bool,
}

/// The outcome of an attempt.
enum Course {
    /// It was told to stop.
    Told,
    /// It ended, for this reason. An earlier server may have told a leftover program to stop, so its end says nothing about the model.
    Ended { reason: String, is_leftover: bool },
}

/// A program that runs.
struct Started {
    /// How long it may take to answer.
    startup: Duration,
    /// Whether an earlier server started it.
    is_leftover: bool,
}

impl Life {
    /// Runs the instance until it is told to stop. It has stopped when this returns.
    pub(super) async fn run(mut self, mut orders: watch::Receiver<Order>) {
        let mut pause = FIRST_PAUSE;
        while *orders.borrow() == Order::Run {
            let begun = Instant::now();
            let Course::Ended { reason, is_leftover } = self.serve(&mut orders).await else { break };
            tracing::warn!(of = self.post.arn, instance = self.instance.id, reason, "an instance ended");
            if !self.is_proven && !is_leftover {
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

    /// Runs the program from its start to its end.
    async fn serve(&mut self, orders: &mut watch::Receiver<Order>) -> Course {
        let Started { startup, is_leftover } = match self.start().await {
            Ok(started) => started,
            Err(reason) => return Course::Ended { reason, is_leftover: false },
        };
        let mut meter = self.meter();
        let mut measured: Option<Instant> = None;
        let mut patience = self.post.startup_seconds.map_or(startup, Duration::from_secs);
        loop {
            tokio::select! {
                answering = self.answering(patience) => match answering {
                    Ok(connections) => self.instance.enter(Phase::Ready(connections)),
                    Err(reason) => return Course::Ended { reason, is_leftover },
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
                    return Course::Ended { reason, is_leftover };
                }
                if measured.is_none_or(|at| at.elapsed() > MEASURE) {
                    measured = Some(Instant::now());
                    meter = self.measured(meter).await;
                }
            }
        }
    }

    /// Measures the resources that the program uses.
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

    /// Fetches the model and starts the program, unless it still runs from an earlier server.
    async fn start(&self) -> Result<Started, String> {
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
                return Ok(Started { startup: program.startup, is_leftover: true });
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
            Ok(Started { startup: program.startup, is_leftover: false })
        });
        started.await.unwrap_or_else(|_| Err("a bug in Kokanee; please report it".to_owned()))
    }

    /// A unique name of the instance.
    fn name(&self) -> String {
        format!("{}-{}-{}", self.post.region, self.post.name, self.instance.id)
    }

    /// Ends the remains of a program that has ended, for instance a container.
    async fn clean_up(&self) {
        let (fleet, folder, name) = (Arc::clone(&self.fleet), self.folder.clone(), self.name());
        let Post { region, arn, container, .. } = self.post.clone();
        let cleaned = tokio::task::spawn_blocking(move || {
            if let Ok(program) = launch::program(&fleet, &container, &folder, &region, &name, &arn) {
                program.launched.clean_up();
            }
        });
        // The panic hook has already reported a panic.
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

    /// The reason why the program has ended, if it has.
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

/// Removes a folder. Its log is kept for readers of its stream.
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
    // The panic hook has already reported a panic.
    let _ = cleared.await;
}

async fn ping(connections: &Arc<Connections>) -> bool {
    let mut request = Request::new(Full::new(Bytes::new()));
    *request.uri_mut() = axum::http::Uri::from_static("/ping");
    request.headers_mut().insert("host", axum::http::HeaderValue::from_static("localhost"));
    let answered = tokio::time::timeout(PING, connections.send(request)).await;
    matches!(answered, Ok(Ok(response)) if response.status() == axum::http::StatusCode::OK)
}

/// Waits for the order to stop, or until nobody is left to give it.
async fn told(orders: &mut watch::Receiver<Order>) {
    let _ = orders.wait_for(|order| *order != Order::Run).await;
}
