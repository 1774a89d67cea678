//! Describe and List among many jobs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::servers::Server;
use crate::{Options, folder, in_threads, percentile, rate, row};

/// Calls of one connection whose times are taken.
const CALLS: usize = 2000;
const CONNECTIONS: usize = 4;
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
    })?;
    row(
        &format!("{name}: CreateTrainingJob, {CONNECTIONS} clients"),
        jobs as f64 / begun.elapsed().as_secs_f64(),
        "a second",
        "",
    );
    let describe = |number: usize| format!("{{\"TrainingJobName\":\"job-{}\"}}", number * 7919 % jobs);
    let list =
        |_: usize| "{\"MaxResults\":100,\"SortBy\":\"CreationTime\",\"SortOrder\":\"Descending\"}".to_owned();
    times(name, "DescribeTrainingJob", server, describe)?;
    times(name, "ListTrainingJobs", server, list)?;
    rates(name, "DescribeTrainingJob", server, describe)?;
    rates(name, "ListTrainingJobs", server, list)
}

/// A job of an image that nobody has: it is created as any other, and fails soon.
fn request(number: usize) -> String {
    format!(
        r#"{{"TrainingJobName":"job-{number}","AlgorithmSpecification":{{"TrainingImage":"mine:1","TrainingInputMode":"File"}},
        "RoleArn":"arn:aws:iam::000000000000:role/R","OutputDataConfig":{{"S3OutputPath":"s3://b/o"}},"ResourceConfig":
        {{"InstanceType":"ml.m5.large","InstanceCount":1,"VolumeSizeInGB":1}},"StoppingCondition":{{"MaxRuntimeInSeconds":60}}}}"#
    )
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
    row(&format!("{name}: {operation}, 99th percentile"), percentile(&mut times, 0.99), "ms", "under 5");
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
