use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Instant;

use serde_json::json;

use super::*;
use crate::store::Store;
use crate::training::{NewTrainingJob, Status};

const REGION: &str = "us-east-1";
/// A training that ends when it is told to, with a model.
const PATIENT: &str = "trap 'echo late > $prefix/model/weights; exit 0' TERM
echo 'score=1.5;'
while :; do sleep 0.02; done";

struct Place {
    folder: tempfile::TempDir,
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
    let runner = Runner { control, objects, folder: folder.path().to_owned(), program, places: 1 };
    Place { runner: Arc::new(runner), folder }
}

impl Place {
    fn create(&self, name: &str, seconds: u64) {
        let request = json!({
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "AlgorithmSpecification": {"MetricDefinitions": [{"Name": "score", "Regex": "score=(.*?);"}]},
            "StoppingCondition": {"MaxRuntimeInSeconds": seconds},
        });
        let new = NewTrainingJob {
            region: REGION.to_owned(),
            name: name.to_owned(),
            arn: format!("arn:{name}"),
            algorithm: Some("kmeans".to_owned()),
            request: request.as_object().unwrap().clone(),
            tags: Vec::new(),
            failure: None,
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

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_stopped_keeps_what_it_left() {
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
            place.runner.objects.stat("bucket", "out/a/output/model.tar.gz").unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_time_is_over_is_stopped() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_job_fails_with_what_its_program_says() {
    let reasons = [
        (
            "echo \"ClientError: $prefix/input is odd\" > $prefix/output/failure; exit 1",
            "ClientError: /opt/ml/input is odd",
        ),
        ("kill -9 $$", "AlgorithmError: the training ended with signal: 9"),
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

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_server_that_was_killed_runs_again() {
    let place = place("echo new > $prefix/model/weights");
    place.create("a", 600);
    let claimed = place.runner.control.training_jobs.next_waiting().unwrap().unwrap();
    place.runner.control.training_jobs.enter(claimed.id, Secondary::Training, None).unwrap();
    place
        .during(async {
            let job = place.end("a").await;
            assert_eq!(job.state.status, Status::Completed);
            assert!(job.state.transitions.iter().any(|entry| entry.status == Secondary::Restarting));
        })
        .await;
}
