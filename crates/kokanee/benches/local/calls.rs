//! Measures Describe and List among many jobs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kokanee_testkit::quantiles;

use crate::client::Connection;
use crate::servers::Server;
use crate::{Options, folder, in_threads, rate, row};

/// Number of calls measured per connection.
const CALLS: usize = 2000;
const CONNECTIONS: usize = 4;
/// The longest time that a job may wait and run.
const LONGEST_JOB: Duration = Duration::from_secs(600);
const WINDOW: Duration = Duration::from_secs(3);

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let folder = folder()?;
    let server = Server::kokanee(folder.path())?;
    measure("kokanee", &server, options.jobs)?;
    drop(server);
    if let Some(python) = &options.moto {
        let server = Server::moto(python)?;
        measure("moto", &server, options.jobs)?;
    }
    Ok(())
}

fn measure(name: &str, server: &Server, jobs: usize) -> Result<(), String> {
    let begun = Instant::now();
    create(server, jobs)?;
    row(
        &format!("{name}: CreateTrainingJob, {CONNECTIONS} clients"),
        jobs as f64 / begun.elapsed().as_secs_f64(),
        "a second",
        "",
    );
    if name == "kokanee" {
        // The image is missing, so that all jobs fail; the benchmark measures the calls, not the jobs.
        wait_for_end(&mut server.connect()?, &format!("job-{}", jobs - 1))?;
    }
    let describe = |number: usize| format!("{{\"TrainingJobName\":\"job-{}\"}}", number * 7919 % jobs);
    let list =
        |_: usize| "{\"MaxResults\":100,\"SortBy\":\"CreationTime\",\"SortOrder\":\"Descending\"}".to_owned();
    times(name, "DescribeTrainingJob", server, describe)?;
    times(name, "ListTrainingJobs", server, list)?;
    rates(name, "DescribeTrainingJob", server, describe)?;
    rates(name, "ListTrainingJobs", server, list)
}

/// Creates `jobs` jobs, by several clients.
pub(crate) fn create(server: &Server, jobs: usize) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    in_threads(CONNECTIONS, || {
        let mut connection = server.connect()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= jobs {
                return Ok(());
            }
            connection.say("CreateTrainingJob", &request(number))?;
        }
    })
}

/// A job with a missing image: it is created like any other, and fails soon.
fn request(number: usize) -> String {
    request_with(&format!("job-{number}"), "mine:1", "[]")
}

/// A job with an image and these definitions of metrics.
pub(crate) fn request_with(name: &str, image: &str, metrics: &str) -> String {
    format!(
        r#"{{"TrainingJobName":"{name}","AlgorithmSpecification":{{"TrainingImage":"{image}","TrainingInputMode":"File","MetricDefinitions":{metrics}}},
        "RoleArn":"arn:aws:iam::000000000000:role/R","OutputDataConfig":{{"S3OutputPath":"s3://b/o"}},"ResourceConfig":
        {{"InstanceType":"ml.m5.large","InstanceCount":1,"VolumeSizeInGB":1}},"StoppingCondition":{{"MaxRuntimeInSeconds":60}}}}"#
    )
}

/// Waits until a job has ended.
pub(crate) fn wait_for_end(connection: &mut Connection, name: &str) -> Result<(), String> {
    let begun = Instant::now();
    while begun.elapsed() < LONGEST_JOB {
        let described =
            connection.say("DescribeTrainingJob", &format!("{{\"TrainingJobName\":\"{name}\"}}"))?;
        if !described.contains("\"TrainingJobStatus\":\"InProgress\"") {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Err(format!("{name} does not end"))
}

fn times(
    name: &str,
    operation: &str,
    server: &Server,
    input: impl Fn(usize) -> String,
) -> Result<(), String> {
    let mut connection = server.connect()?;
    let mut times = Vec::new();
    let begun = Instant::now();
    for number in 0..CALLS {
        let input = input(number);
        let asked = Instant::now();
        connection.say(operation, &input)?;
        times.push(asked.elapsed().as_secs_f64() * 1e3);
        if begun.elapsed() > WINDOW * 3 {
            break;
        }
    }
    let [slow] = quantiles(times, [0.99]);
    row(&format!("{name}: {operation}, 99th percentile"), slow, "ms", "under 5");
    Ok(())
}

fn rates(
    name: &str,
    operation: &str,
    server: &Server,
    input: impl Fn(usize) -> String + Sync,
) -> Result<(), String> {
    let ask =
        |connection: &mut Connection, number: usize| connection.say(operation, &input(number)).map(drop);
    let rate = rate(CONNECTIONS, WINDOW, || server.connect(), ask)?;
    row(&format!("{name}: {operation}, {CONNECTIONS} clients"), rate, "a second", "over 2000");
    Ok(())
}
