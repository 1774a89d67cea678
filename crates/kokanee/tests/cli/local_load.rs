//! Tests of `kokanee local` with six clients at once, hundreds of jobs and an endpoint that changes under load: no request fails,
//! and memory stays flat.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::local::{LONGEST_WAIT, Local};
use crate::local_resources::{endpoint_config, fill_bucket, has_ended, host, kmeans_job, training_job};
use crate::workplace::{Workplace, said};

/// Number of jobs for which CI has time; `cargo xtask soak load` sets more.
const JOBS: usize = 120;
const JOBS_VARIABLE: &str = "KOKANEE_JOBS";
/// Number of clients that create jobs and watch them.
const CLIENTS: usize = 6;
/// Number of clients that invoke the endpoint, without a pause.
const CALLERS: usize = 2;
const PAUSE_BETWEEN_UPDATES: Duration = Duration::from_secs(2);
/// The allowed growth of a server's memory from the middle to the end, which allocators and caches need.
const MAX_GROWTH: f64 = 1.1;
const MAX_GROWTH_KIB: f64 = 4096.0;

/// The work done so far.
#[derive(Default)]
struct Work {
    jobs: AtomicUsize,
    answers: AtomicUsize,
    updates: AtomicUsize,
    /// Whether all jobs have ended.
    is_over: AtomicBool,
}

#[test]
#[expect(clippy::print_stdout, reason = "what a long run found")]
fn six_clients_at_once_see_no_error_and_memory_stays_flat() {
    let jobs = std::env::var(JOBS_VARIABLE).map_or(JOBS, |count| count.parse().expect("a number"));
    let work = Workplace::new();
    let program = r#"sh -c "echo score=0.5; echo weights > $KOKANEE_PREFIX/model/weights""#;
    let add = ["local", "image", "add", "trivial:1", "--data", "data", "--train", program];
    said(work.command(&add)).well();
    let server = Local::start(&work);
    fill_bucket(&server);
    let (status, answer) = server.operation("CreateTrainingJob", &kmeans_job("first", 1)).expect("answers");
    assert_eq!(status, 200, "{answer}");
    host(&server, "first");

    let done = Work::default();
    let memory = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let (server, done) = (&server, &done);
        let _ends_the_others = Over(&done.is_over);
        let clients: Vec<_> =
            (0..CLIENTS).map(|client| scope.spawn(move || run_jobs(server, done, client, jobs))).collect();
        for _ in 0..CALLERS {
            scope.spawn(|| ask_endpoint(server, done));
        }
        scope.spawn(|| update_endpoint(server, done));
        scope.spawn(|| {
            while !done.is_over.load(Ordering::SeqCst) {
                let ended = done.jobs.load(Ordering::SeqCst);
                memory.lock().expect("nobody failed").extend(resident_kib(server).map(|kib| (ended, kib)));
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        for client in clients {
            if let Err(failure) = client.join() {
                std::panic::resume_unwind(failure);
            }
        }
    });

    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    println!(
        "{} jobs, {} answers of the endpoint, {} updates",
        count(&done.jobs),
        count(&done.answers),
        count(&done.updates)
    );
    assert_eq!(count(&done.jobs), jobs);
    assert!(count(&done.answers) > jobs && count(&done.updates) > 1);
    check_list(&server, jobs);
    check_memory(&memory.into_inner().expect("nobody failed"), jobs);
    assert_eq!(server.interrupt(), Some(0));
}

/// Sets a flag when it is dropped, so that a failure ends the other threads too.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs every sixth job, one after the other: creates it, watches it until it has ended, and reads its model, log and metric.
fn run_jobs(server: &Local, done: &Work, client: usize, jobs: usize) {
    for number in (client..jobs).step_by(CLIENTS) {
        let name = format!("trivial-{number}");
        let mut input =
            training_job(&name, "174872318107.dkr.ecr.us-west-2.amazonaws.com/trivial:1", &json!({}));
        input["AlgorithmSpecification"]["MetricDefinitions"] =
            json!([{"Name": "score", "Regex": "score=(.*)"}]);
        let (status, answer) = server.operation("CreateTrainingJob", &input).expect("answers");
        assert_eq!(status, 200, "{answer}");
        let started = Instant::now();
        let job = loop {
            let input = json!({"TrainingJobName": name});
            let (status, job) = server.operation("DescribeTrainingJob", &input).expect("answers");
            assert_eq!(status, 200, "{job}");
            if has_ended(&job) {
                break job;
            }
            assert!(started.elapsed() < LONGEST_WAIT, "{job:#}");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(job["TrainingJobStatus"], "Completed", "{job:#}");
        assert_eq!(job["FinalMetricDataList"][0]["Value"], 0.5, "{job:#}");
        assert!(!server.get(&format!("/bucket/out/{name}/output/model.tar.gz")).is_empty());
        let key = format!("/bucket/seen/{client}");
        assert_eq!(server.put(&key, name.as_bytes()), Some(200));
        assert_eq!(server.get(&key), name.as_bytes());
        let (status, list) =
            server.operation("ListTrainingJobs", &json!({"NameContains": name})).expect("answers");
        assert!(status == 200 && list["TrainingJobSummaries"][0].is_object(), "{list}");
        done.jobs.fetch_add(1, Ordering::SeqCst);
    }
}

fn ask_endpoint(server: &Local, done: &Work) {
    let head = "POST /endpoints/ep/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n";
    while !done.is_over.load(Ordering::SeqCst) {
        let (status, answer) = server.ask(head, b"1,2\n").expect("answers");
        let answer = String::from_utf8_lossy(&answer);
        assert!(status == 200 && answer.contains("closest_cluster"), "{answer}");
        done.answers.fetch_add(1, Ordering::SeqCst);
    }
}

/// Switches the endpoint from one configuration to the other and back.
fn update_endpoint(server: &Local, done: &Work) {
    let (status, answer) = server.operation("CreateEndpointConfig", &endpoint_config("d")).expect("answers");
    assert_eq!(status, 200, "{answer}");
    for config in ["d", "c"].into_iter().cycle() {
        if done.is_over.load(Ordering::SeqCst) {
            break;
        }
        let input = json!({"EndpointName": "ep", "EndpointConfigName": config});
        let (status, answer) = server.operation("UpdateEndpoint", &input).expect("answers");
        assert_eq!(status, 200, "{answer}");
        server.until("DescribeEndpoint", &json!({"EndpointName": "ep"}), "EndpointStatus", "InService");
        let (_, endpoint) =
            server.operation("DescribeEndpoint", &json!({"EndpointName": "ep"})).expect("answers");
        assert_eq!(endpoint["EndpointConfigName"], config, "{endpoint:#}");
        done.updates.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(PAUSE_BETWEEN_UPDATES);
    }
}

/// Checks pages of all jobs: each occurs once.
fn check_list(server: &Local, jobs: usize) {
    let mut names = Vec::new();
    let mut input = json!({"MaxResults": 100, "NameContains": "trivial", "StatusEquals": "Completed"});
    loop {
        let (status, page) = server.operation("ListTrainingJobs", &input).expect("answers");
        assert_eq!(status, 200, "{page}");
        let summaries = page["TrainingJobSummaries"].as_array().expect("a list");
        names.extend(summaries.iter().map(|job| job["TrainingJobName"].to_string()));
        if page["NextToken"].is_null() {
            break;
        }
        input["NextToken"] = page["NextToken"].clone();
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!((count, names.len()), (jobs, jobs));
}

/// The server's resident memory, in KiB, if the system tells it.
fn resident_kib(server: &Local) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Checks that the second half of the jobs needed no more memory than the first.
#[expect(clippy::print_stdout, reason = "what a long run found")]
fn check_memory(samples: &[(usize, f64)], jobs: usize) {
    let peak = |is_wanted: &dyn Fn(usize) -> bool| {
        samples.iter().filter(|(ended, _)| is_wanted(*ended)).map(|(_, kib)| *kib).fold(0.0, f64::max)
    };
    let (before, after) = (peak(&|ended| ended < jobs / 2), peak(&|ended| ended >= jobs / 2));
    println!("peak of the server's memory: {before} KiB in the first half, {after} KiB in the second");
    assert!(after <= before * MAX_GROWTH + MAX_GROWTH_KIB, "memory grew from {before} to {after} KiB");
}
