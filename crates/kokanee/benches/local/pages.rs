//! Measures pages of the console among many jobs.

use std::io::Write as _;
use std::time::Instant;

use kokanee_testkit::quantiles;

use crate::client::Connection;
use crate::servers::Server;
use crate::{Options, calls, folder, row};

/// Number of requests for each page.
const VISITS: usize = 100;
/// Number of lines in a long log, and of values in a long metric.
const LONG: usize = 100_000;

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let folder = folder()?;
    let server = Server::kokanee(folder.path())?;
    let long = folder.path().join("long.sh");
    let mut script = std::fs::File::create(&long).map_err(|error| error.to_string())?;
    write!(script, "i=0\nwhile [ $i -lt {LONG} ]; do i=$((i + 1)); echo \"step $i loss=$i\"; done\n")
        .map_err(|error| error.to_string())?;
    server.register(folder.path(), "long:1", &format!("sh {}", long.display()))?;
    let mut connection = server.connect()?;
    connection.say(
        "CreateTrainingJob",
        &calls::request_with("long", "long:1", r#"[{"Name":"loss","Regex":"loss=([0-9]+)"}]"#),
    )?;
    calls::wait_for_end(&mut connection, "long")?;
    // Jobs with a missing image: they fail one after the other while pages are requested.
    calls::create(&server, options.jobs)?;
    let number = options.jobs / 2;
    for (what, path) in [
        ("overview", "/console".to_owned()),
        ("jobs, first page", "/console/jobs".to_owned()),
        ("jobs by name", "/console/jobs?sort=name&order=up".to_owned()),
        ("jobs found by a part of the name", format!("/console/jobs?q=job-{number}")),
        ("jobs that nothing fits", "/console/jobs?q=nothing+fits".to_owned()),
        ("jobs of a status", "/console/jobs?status=Failed".to_owned()),
        ("a job", format!("/console/jobs/training/job-{number}")),
        ("a job with 100,000 values and lines", "/console/jobs/training/long".to_owned()),
        ("compare two", format!("/console/jobs/compare?job=long&job=job-{number}")),
        ("endpoints", "/console/endpoints".to_owned()),
        ("buckets", "/console/buckets".to_owned()),
    ] {
        let times = visit(&mut connection, &path)?;
        let [median, greatest] = quantiles(times, [0.5, 1.0]);
        row(&format!("{what}, median"), median, "ms", "");
        row(&format!("{what}, greatest of {VISITS}"), greatest, "ms", "under 100");
    }
    Ok(())
}

fn visit(connection: &mut Connection, path: &str) -> Result<Vec<f64>, String> {
    let mut times = Vec::new();
    for _ in 0..VISITS {
        let asked = Instant::now();
        let answer = connection.ask(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"), b"");
        let answer = answer.map_err(|error| format!("{path}: {error}"))?;
        times.push(asked.elapsed().as_secs_f64() * 1e3);
        if answer.status != 200 {
            return Err(format!("{path}: {}", answer.status));
        }
    }
    Ok(times)
}
