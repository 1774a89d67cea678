//! Training jobs, run by programs that are told what to do.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kokanee_control::api::Control;
use kokanee_control::engine::{Engine as _, Processes, Signal, TaskState};
use kokanee_control::jobs::Status;
use kokanee_control::logs::{Begin, EventsQuery, MOST_EVENTS};
use kokanee_control::metrics::{Direction, Metric, Range, TRAINING_JOBS};
use kokanee_control::runner::Runner;
use kokanee_control::s3;
use kokanee_control::store::Store;
use kokanee_control::training::{LOG_GROUP, NewTrainingJob, Secondary, TrainingJob, TrainingState};
use serde_json::json;
use tokio::sync::watch;

const REGION: &str = "us-east-1";
/// A training that ends when it is told to, with a model.
const PATIENT: &str = "trap 'echo late > $prefix/model/weights; exit 0' TERM
echo 'score=1.5;'
while :; do sleep 0.02; done";

struct Place {
    folder: tempfile::TempDir,
    objects: Arc<s3::Store>,
    runner: Arc<Runner>,
}

/// A place where `script` is the program that trains; `$prefix` is the job's folder.
fn place(script: &str) -> Place {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("trains");
    fs::write(&program, format!("#!/bin/sh\nprefix=$3\nmkdir -p $prefix/model $prefix/output\n{script}\n"))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let objects = Arc::new(s3::Store::open(&folder.path().join("s3")).unwrap());
    objects.create_bucket("bucket", REGION).unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let known: Arc<s3::Store> = Arc::clone(&objects);
    let control = Arc::new(Control::new(store, known, "000000000000".to_owned()));
    let engine = Arc::new(Processes { shim: std::env::current_exe().unwrap(), environment: BTreeMap::new() });
    let folder_of_jobs = folder.path().to_owned();
    let runner = Runner {
        control,
        objects: Arc::clone(&objects) as _,
        folder: folder_of_jobs,
        program,
        engine,
        places: 1,
        keeps_jobs: false,
    };
    Place { runner: Arc::new(runner), objects, folder }
}

impl Place {
    fn another_runner(&self) -> Runner {
        let runner = &*self.runner;
        Runner {
            control: Arc::clone(&runner.control),
            objects: Arc::clone(&runner.objects),
            folder: runner.folder.clone(),
            program: runner.program.clone(),
            engine: Arc::clone(&runner.engine),
            ..*runner
        }
    }

    fn create(&self, name: &str, seconds: u64) {
        self.create_with(name, seconds, &json!([]));
    }

    /// Creates a job with these channels.
    fn create_with(&self, name: &str, seconds: u64, channels: &serde_json::Value) {
        let request = json!({
            "InputDataConfig": channels,
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "AlgorithmSpecification": {"MetricDefinitions": [{"Name": "score", "Regex": "score=(.*?);"}]},
            "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
        });
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(since.as_millis()).unwrap();
        let new = NewTrainingJob {
            region: REGION.to_owned(),
            name: name.to_owned(),
            arn: format!("arn:{name}"),
            request: request.as_object().unwrap().clone(),
            tags: Vec::new(),
            state: TrainingState::new(Some("kmeans"), now_ms),
        };
        self.runner.control.training_jobs.create(new).unwrap();
    }

    fn job(&self, name: &str) -> TrainingJob {
        self.runner.control.training_jobs.find(REGION, name).unwrap()
    }

    /// Waits until `is_so` of a job.
    async fn until(&self, name: &str, is_so: impl Fn(&TrainingJob) -> bool) -> TrainingJob {
        let started = Instant::now();
        loop {
            let job = self.job(name);
            if is_so(&job) {
                return job;
            }
            assert!(!job.state.status.is_final(), "{job:#?}");
            assert!(started.elapsed() < Duration::from_secs(60), "{job:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(&self, name: &str) -> TrainingJob {
        self.until(name, |job| job.state.status.is_final()).await
    }

    /// Runs jobs while `work` goes on.
    async fn during(&self, work: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(0);
        let running = tokio::spawn(Arc::clone(&self.runner).run(stopping));
        work.await;
        stop.send_replace(1);
        running.await.unwrap();
    }
}

pub(crate) async fn a_job_that_is_stopped_keeps_what_it_left() {
    let place = place(PATIENT);
    place.create("a", 600);
    place.create("b", 600);
    place
        .during(async {
            place.until("a", |job| !job.state.metrics.is_empty()).await;
            assert_eq!(place.job("b").state.secondary, Secondary::Starting, "there is one place");
            place.runner.control.training_jobs.stop(REGION, "a").unwrap();
            let job = place.end("a").await;
            assert_eq!((job.state.status, job.state.secondary), (Status::Stopped, Secondary::Stopped));
            assert_eq!(job.state.metrics[0].value, 1.5);
            let model = job.state.artefacts.unwrap();
            assert_eq!(model, "s3://bucket/out/a/output/model.tar.gz");
            place.objects.stat("bucket", "out/a/output/model.tar.gz").unwrap();
            // Only the log is left of the job's folder.
            place.until("b", |job| job.state.secondary == Secondary::Training).await;
            let folder = place.folder.path().join("jobs/us-east-1/a");
            let left: Vec<_> =
                fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["log"]);
        })
        .await;
    // The end of the server stopped it.
    assert_eq!(place.job("b").state.status, Status::Stopped);
}

pub(crate) async fn a_job_whose_time_is_over_is_stopped() {
    let place = place(PATIENT);
    place.create("a", 1);
    place
        .during(async {
            let job = place.end("a").await;
            assert_eq!(job.state.secondary, Secondary::MaxRuntimeExceeded);
            assert!(job.state.artefacts.is_some());
        })
        .await;
}

pub(crate) async fn a_job_fails_with_what_its_program_says() {
    let reasons = [
        (
            "echo \"ClientError: $prefix/input is odd\" > $prefix/output/failure; exit 1",
            "ClientError: /opt/ml/input is odd",
        ),
        ("kill -9 $$", "AlgorithmError: the training ended with signal 9"),
        ("exit 0", "AlgorithmError: the training left no model"),
    ];
    for (script, reason) in reasons {
        let place = place(script);
        place.create("a", 600);
        place
            .during(async {
                let job = place.end("a").await;
                assert_eq!(job.state.status, Status::Failed);
                let said = job.state.failure_reason.unwrap();
                assert!(said.starts_with(reason), "{said}");
            })
            .await;
    }
}

/// The first server is left without an end, as one that was killed.
pub(crate) async fn a_job_that_an_earlier_server_left_is_taken_up() {
    let mut place = place(PATIENT);
    place.create("a", 600);
    let first = Arc::new(Runner { keeps_jobs: true, ..place.another_runner() });
    let second = std::mem::replace(&mut place.runner, first);
    place.during(async { drop(place.until("a", |job| !job.state.metrics.is_empty()).await) }).await;
    assert_eq!(place.job("a").state.secondary, Secondary::Training, "it goes on");
    place.runner = second;
    place
        .during(async {
            place.runner.control.training_jobs.stop(REGION, "a").unwrap();
            let job = place.end("a").await;
            assert_eq!((job.state.status, job.state.metrics.len()), (Status::Stopped, 1));
            assert!(job.state.artefacts.is_some(), "it left a model");
            let path: Vec<_> = job.state.transitions.iter().map(|entry| entry.status).collect();
            use Secondary::{Downloading, Starting, Stopped, Stopping, Training, Uploading};
            assert_eq!(path, [Starting, Downloading, Training, Stopping, Uploading, Stopped]);
        })
        .await;
}

/// Servers come and go while a job logs a value a line; each line is one event and one point.
pub(crate) async fn what_a_job_logs_is_counted_once_whichever_server_reads_it() {
    const LINES: i64 = 300;
    let mut place = place(&format!(
        "for number in $(seq {LINES}); do echo \"score=$number;\"; echo between; done
echo new > $prefix/model/weights"
    ));
    place.create("a", 600);
    let mut servers = 0;
    while !place.job("a").state.status.is_final() {
        servers += 1;
        place.runner = Arc::new(Runner { keeps_jobs: servers < 4, ..place.another_runner() });
        let seen = place.job("a").state.metrics.first().map_or(0.0, |metric| metric.value);
        let goes_on = |job: &TrainingJob| {
            let value = job.state.metrics.first().map_or(0.0, |metric| metric.value);
            job.state.status.is_final() || (servers < 4 && value > seen)
        };
        place
            .during(async {
                while !goes_on(&place.job("a")) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
            .await;
    }
    let job = place.job("a");
    assert_eq!(job.state.status, Status::Completed, "{job:#?}");
    assert_eq!(job.state.metrics[0].value, LINES as f64);

    let control = &place.runner.control;
    let stream = control.logs.stream(REGION, LOG_GROUP, &job.log_stream()).unwrap();
    let query = EventsQuery { start_ms: None, end_ms: None, begin: Begin::Head, limit: MOST_EVENTS };
    let lines = stream.events(&query).unwrap().lines;
    assert_eq!(lines.len() as i64, 2 * LINES);
    let metric = Metric::new(TRAINING_JOBS, "score", [("TrainingJobName", "a")]);
    let series: Vec<i64> = control.metrics.series(REGION, &metric).unwrap().iter().map(|row| row.0).collect();
    let range = Range::new(lines[0].at_ms, lines[lines.len() - 1].at_ms + 1, 86_400);
    let whole = control.metrics.buckets(&series, range, Direction::Ascending, 9).unwrap()[0].whole;
    assert_eq!((whole.count, whole.sum), (LINES as f64, (LINES * (LINES + 1) / 2) as f64));
}

/// A stream that ends with the server that fed it is not the end of the data: the job begins again.
pub(crate) async fn a_job_that_an_earlier_server_fed_begins_again() {
    let mut place = place(
        "cat $prefix/input/data/train_0 > $prefix/model/weights
if [ -e $prefix/checkpoints ]; then exit 0; fi
mkdir $prefix/checkpoints
echo 'score=1.5;'
while :; do sleep 0.02; done",
    );
    let object = place.folder.path().join("object");
    fs::write(&object, "data").unwrap();
    place.objects.put_file("bucket", "in/a", &object, s3::Description::default()).unwrap();
    let source = json!({"S3DataSource": {"S3Uri": "s3://bucket/in", "S3DataType": "S3Prefix"}});
    let channel = json!({"ChannelName": "train", "InputMode": "Pipe", "DataSource": source});
    place.create_with("a", 600, &json!([channel]));
    let first = Arc::new(Runner { keeps_jobs: true, ..place.another_runner() });
    let second = std::mem::replace(&mut place.runner, first);
    place.during(async { drop(place.until("a", |job| !job.state.metrics.is_empty()).await) }).await;
    assert_eq!(place.job("a").state.status, Status::InProgress);
    place.runner = second;
    place
        .during(async {
            let job = place.end("a").await;
            assert_eq!(job.state.status, Status::Completed);
            let path: Vec<_> = job.state.transitions.iter().map(|entry| entry.status).collect();
            use Secondary::{Completed, Downloading, Interrupted, Restarting, Starting, Training, Uploading};
            assert_eq!(
                path,
                [Starting, Downloading, Training, Interrupted, Restarting, Training, Uploading, Completed]
            );
            let said = &job.state.transitions[4].message;
            assert!(said.contains("ended with the server that fed them"), "{said}");
        })
        .await;
}

/// Whoever keeps the task is killed, as with the machine: what was kept is ended, and the job goes on from what it left.
pub(crate) async fn a_job_that_died_with_the_machine_goes_on() {
    let place = place(
        "if [ -e $prefix/checkpoints ]; then echo done > $prefix/model/weights; exit 0; fi
mkdir $prefix/checkpoints
while :; do sleep 0.02; done",
    );
    place.create("a", 600);
    let folder = place.folder.path().join("jobs/us-east-1/a");
    place
        .during(async {
            place.until("a", |_| folder.join("ml/checkpoints").exists()).await;
            let lock = fs::read_to_string(folder.join("task.lock")).unwrap();
            let kept: serde_json::Value = serde_json::from_str(&lock).unwrap();
            let kill = |process: &serde_json::Value| {
                let killed = std::process::Command::new("kill").args(["-9", &process.to_string()]).status();
                assert!(killed.unwrap().success());
            };
            kill(&kept["session"]);
            let job = place.end("a").await;
            assert_eq!(job.state.status, Status::Completed);
            let path: Vec<_> = job.state.transitions.iter().map(|entry| entry.status).collect();
            use Secondary::{Completed, Downloading, Interrupted, Restarting, Starting, Training, Uploading};
            assert_eq!(
                path,
                [Starting, Downloading, Training, Interrupted, Restarting, Training, Uploading, Completed]
            );
            assert!(!lives(&kept["process"].to_string()), "what the first shim kept has ended");
        })
        .await;
}

/// A job that had ended when the server was killed ends now; what a job left that was noted as ended is removed.
pub(crate) async fn ends_that_no_server_saw_are_noted() {
    let place = place("echo new > $prefix/model/weights");
    place.create("a", 600);
    place.create("b", 600);
    let claimed = place.runner.control.training_jobs.next_waiting().unwrap().unwrap();
    place.runner.control.training_jobs.enter(claimed.id, Secondary::Training, None).unwrap();
    let folder = place.folder.path().join("jobs/us-east-1/a");
    fs::create_dir_all(folder.join("ml")).unwrap();
    let task = kokanee_control::engine::Task {
        program: place.folder.path().join("trains"),
        arguments: ["train", "--prefix", folder.join("ml").to_str().unwrap()].map(str::to_owned).to_vec(),
        environment: BTreeMap::new(),
        directory: None,
    };
    place.runner.engine.start(&folder, &task).unwrap();
    while !matches!(place.runner.engine.look(&folder).unwrap(), TaskState::Ended(_)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    place.runner.control.training_jobs.stop(REGION, "b").unwrap();
    let left = place.folder.path().join("jobs/us-east-1/b/ml");
    fs::create_dir_all(&left).unwrap();
    place
        .during(async {
            let job = place.end("a").await;
            assert_eq!(job.state.status, Status::Completed);
            assert!(!left.exists());
        })
        .await;
}

/// What a program starts ends with it.
pub(crate) async fn a_task_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Processes { shim: std::env::current_exe().unwrap(), environment: BTreeMap::new() };
    let task = |script: &str| kokanee_control::engine::Task {
        program: "/bin/sh".into(),
        arguments: ["-c", script].map(str::to_owned).to_vec(),
        environment: [("WORD".to_owned(), "hello".to_owned())].into(),
        directory: Some(folder.path().to_owned()),
    };
    let script =
        "sleep 1000 & echo $! > left; setsid sleep 1000 & sleep 1000 & echo $WORD; echo no >&2; exit 3";
    engine.start(folder.path(), &task(script)).unwrap();
    let exit = ended(&engine, folder.path()).await;
    assert_eq!((exit.code, exit.signal), (Some(3), None));
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    let lines: Vec<&str> = log.lines().map(|line| line.split_once('\t').unwrap().1).collect();
    assert_eq!(lines, ["hello", "no"]);
    let left = fs::read_to_string(folder.path().join("left")).unwrap();
    assert!(!lives(left.trim()), "{left} lives");
    // The same folder runs another one; signals reach all of it.
    let script = "trap '' TERM; echo begin; sleep 1000";
    engine.start(folder.path(), &task(script)).unwrap();
    assert!(matches!(engine.look(folder.path()).unwrap(), TaskState::Running { .. }));
    engine.start(folder.path(), &task("exit 0")).unwrap();
    // Before that, the shell has not set its trap.
    let started = Instant::now();
    while !fs::read_to_string(folder.path().join("log")).unwrap().contains("begin") {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    engine.signal(folder.path(), Signal::Terminate).unwrap();
    assert!(engine.usage(folder.path()).is_some());
    engine.signal(folder.path(), Signal::Kill).unwrap();
    assert_eq!(ended(&engine, folder.path()).await.signal, Some(9));
    let missing = kokanee_control::engine::Task { program: "/nowhere/program".into(), ..task("") };
    engine.start(folder.path(), &missing).unwrap();
    let exit = ended(&engine, folder.path()).await;
    assert!(exit.to_string().starts_with("/nowhere/program cannot be started: No such file"), "{exit}");
    engine.forget(folder.path()).unwrap();
    assert_eq!(engine.look(folder.path()).unwrap(), TaskState::NotStarted);
}

/// Whether a process does anything; one that has ended may stay until its parent has asked for it.
fn lives(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}

async fn ended(engine: &Processes, folder: &std::path::Path) -> kokanee_control::engine::Exit {
    let started = Instant::now();
    loop {
        if let TaskState::Ended(exit) = engine.look(folder).unwrap() {
            return exit;
        }
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
