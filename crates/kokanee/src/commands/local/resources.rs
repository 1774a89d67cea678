//! `kokanee local ps`, `stop`, `rm`, `logs` and `gc`: for people without boto3.

use std::collections::BTreeMap;
use std::io;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use kokanee_formats::utc;
use serde_json::{Value, json};

use super::client::{Client, Service};
use crate::output_file::print;
use crate::render::table::Table;

/// The interval of checks for new lines.
const FOLLOW: Duration = Duration::from_secs(1);
/// Number of lines requested at once.
const MOST_LINES: u32 = 10_000;

/// A kind of resource, and its operations.
struct Kind {
    /// The name for people.
    word: &'static str,
    /// The part of the names of operations and members: `ListTrainingJobs`, `TrainingJobName`.
    stem: &'static str,
    /// The member with the list in the response.
    list: &'static str,
    /// Whether it can be stopped.
    stops: bool,
    /// Log group, and prefix of its streams' names; `{}` stands for the resource's name.
    logs: Option<(&'static str, &'static str)>,
}

const KINDS: [Kind; 6] = [
    Kind {
        word: "training job",
        stem: "TrainingJob",
        list: "TrainingJobSummaries",
        stops: true,
        logs: Some(("/aws/sagemaker/TrainingJobs", "{}/")),
    },
    Kind {
        word: "tuning job",
        stem: "HyperParameterTuningJob",
        list: "HyperParameterTuningJobSummaries",
        stops: true,
        logs: None,
    },
    Kind {
        word: "transform job",
        stem: "TransformJob",
        list: "TransformJobSummaries",
        stops: true,
        logs: Some(("/aws/sagemaker/TransformJobs", "{}/")),
    },
    Kind {
        word: "endpoint",
        stem: "Endpoint",
        list: "Endpoints",
        stops: false,
        logs: Some(("/aws/sagemaker/Endpoints/{}", "")),
    },
    Kind {
        word: "endpoint configuration",
        stem: "EndpointConfig",
        list: "EndpointConfigs",
        stops: false,
        logs: None,
    },
    Kind { word: "model", stem: "Model", list: "Models", stops: false, logs: None },
];

/// Final statuses.
const FINAL: [&str; 3] = ["Completed", "Failed", "Stopped"];

/// An existing resource.
struct Found {
    kind: &'static Kind,
    name: String,
    /// None for kinds without a status.
    status: Option<String>,
    created: f64,
    ended: Option<f64>,
}

/// Prints running jobs and endpoints, or all resources.
pub(super) fn ps(client: &Client, all: bool) -> Result<()> {
    let mut table =
        Table::new().words("Kind").words("Name").words("Status").words("Created (UTC)").numbers("Time");
    let mut rows = 0;
    for kind in &KINDS {
        for found in list(client, kind)? {
            let is_at_work = found.status.as_deref().is_some_and(|status| !FINAL.contains(&status));
            if !all && !is_at_work {
                continue;
            }
            let end = found.ended.or_else(|| is_at_work.then(now));
            table.row([
                kind.word,
                &found.name,
                found.status.as_deref().unwrap_or("-"),
                &utc(found.created as u64),
                &end.map_or_else(String::new, |end| duration(end - found.created)),
            ]);
            rows += 1;
        }
    }
    match (rows, all) {
        (0, false) => print("Nothing is running. `kokanee local ps --all` also lists what has ended.\n"),
        (0, true) => print("No jobs, endpoints or models yet.\n"),
        _ => print(&table.to_string()),
    }
}

/// Requests jobs to stop.
pub(super) fn stop(client: &Client, names: &[String]) -> Result<()> {
    each(names, |name| {
        let found = find(client, name, |_| true)?;
        let kind = found.kind;
        ensure!(
            kind.stops,
            "{} is {}, which is not stopped but removed: kokanee local rm {}",
            found.name,
            kind.with_article(),
            found.name
        );
        kind.call(client, "Stop", &found.name)?;
        print(&format!("{}: stopping\n", found.name))
    })
}

/// Removes ended jobs with their logs, endpoints with their configurations, and models. Objects stay.
pub(super) fn remove(client: &Client, names: &[String]) -> Result<()> {
    each(names, |name| {
        let mut found = all_of(client, name)?;
        ensure!(!found.is_empty(), nothing(name));
        // An endpoint and its configuration usually have the same name; the endpoint is removed first.
        found.sort_by_key(|found| KINDS.iter().position(|kind| kind.stem == found.kind.stem));
        for found in found {
            found.kind.call(client, "Delete", &found.name)?;
            remove_log(client, &found)?;
            print(&format!("{}: {} removed\n", found.name, found.kind.word))?;
        }
        Ok(())
    })
}

/// Removes jobs that ended at least `older_than` ago, with their logs. Objects stay.
pub(super) fn collect(client: &Client, older_than: Duration, dry_run: bool) -> Result<()> {
    let before = now() - older_than.as_secs_f64();
    let mut removed = 0;
    for kind in KINDS.iter().filter(|kind| kind.stem == "TrainingJob") {
        for found in list(client, kind)? {
            let has_ended = found.status.as_deref().is_some_and(|status| FINAL.contains(&status));
            if !has_ended || found.ended.is_none_or(|ended| ended > before) {
                continue;
            }
            if !dry_run {
                kind.call(client, "Delete", &found.name)?;
                remove_log(client, &found)?;
            }
            removed += 1;
            let done = if dry_run { "would be removed" } else { "removed" };
            print(&format!("{}: {} {done}\n", found.name, kind.word))?;
        }
    }
    match removed {
        0 => print("No job ended that long ago.\n"),
        _ => Ok(()),
    }
}

/// Removes the log of a job, which would otherwise outlive the job.
fn remove_log(client: &Client, found: &Found) -> Result<()> {
    // An endpoint has its own log group, and it may still be running.
    let Some((group, prefix)) = found.kind.logs.filter(|(_, prefix)| !prefix.is_empty()) else {
        return Ok(());
    };
    let prefix = prefix.replace("{}", &found.name);
    let input = json!({"logGroupName": group, "logStreamNamePrefix": prefix});
    // A job that never began has no log.
    let Ok(answer) = client.try_call(Service::Logs, "DescribeLogStreams", &input)? else { return Ok(()) };
    for stream in answer["logStreams"].as_array().into_iter().flatten() {
        let input = json!({"logGroupName": group, "logStreamName": stream["logStreamName"]});
        client.call(Service::Logs, "DeleteLogStream", &input)?;
    }
    Ok(())
}

/// Prints the log of a job or an endpoint, and continues as lines come.
pub(super) fn logs(client: &Client, name: &str, follow: bool) -> Result<()> {
    let found = find(client, name, |kind| kind.logs.is_some())?;
    let kind = found.kind;
    let (group, prefix) = kind.logs.context("there is no log")?;
    let group = group.replace("{}", &found.name);
    let prefix = prefix.replace("{}", &found.name);
    let mut out = io::stdout().lock();
    let mut tokens: BTreeMap<String, String> = BTreeMap::new();
    loop {
        // Its last lines come before its last status.
        let is_over = !follow || kind.is_over(client, &found.name)?;
        let mut input = json!({"logGroupName": group});
        if !prefix.is_empty() {
            input["logStreamNamePrefix"] = json!(prefix);
        }
        // A job that has not begun has no log yet.
        let streams = match client.try_call(Service::Logs, "DescribeLogStreams", &input)? {
            Ok(answer) => answer["logStreams"].as_array().cloned().unwrap_or_default(),
            Err(refusal) if refusal.code == "ResourceNotFoundException" => Vec::new(),
            Err(refusal) => bail!("{} ({})", refusal.message, refusal.code),
        };
        let has_many = streams.len() > 1;
        for stream in &streams {
            let stream = stream["logStreamName"].as_str().unwrap_or_default();
            let marked = if has_many { format!("[{stream}] ") } else { String::new() };
            let token = tokens.entry(stream.to_owned()).or_default();
            if let Err(error) = print_stream(client, &group, stream, &marked, token, &mut out) {
                // The reader has closed the pipe.
                let is_closed = error.downcast_ref::<io::Error>();
                if is_closed.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                    return Ok(());
                }
                return Err(error);
            }
        }
        if is_over {
            return Ok(());
        }
        sleep(FOLLOW);
    }
}

/// Prints the lines since `token`, and advances it.
fn print_stream(
    client: &Client,
    group: &str,
    stream: &str,
    marked: &str,
    token: &mut String,
    out: &mut impl io::Write,
) -> Result<()> {
    loop {
        let mut input = json!({
            "logGroupName": group, "logStreamName": stream, "startFromHead": true, "limit": MOST_LINES,
        });
        if !token.is_empty() {
            input["nextToken"] = json!(token);
        }
        let page = client.call(Service::Logs, "GetLogEvents", &input)?;
        for event in page["events"].as_array().into_iter().flatten() {
            writeln!(out, "{marked}{}", event["message"].as_str().unwrap_or_default())?;
        }
        out.flush()?;
        let next = page["nextForwardToken"].as_str().unwrap_or_default();
        if next == token.as_str() || next.is_empty() {
            return Ok(());
        }
        next.clone_into(token);
    }
}

impl Kind {
    fn name_member(&self) -> String {
        format!("{}Name", self.stem)
    }

    fn call(&self, client: &Client, verb: &str, name: &str) -> Result<Value> {
        let input = json!({self.name_member(): name});
        client.call(Service::SageMaker, &format!("{verb}{}", self.stem), &input)
    }

    /// Whether nothing more is logged: a job has ended, or an endpoint is gone.
    fn is_over(&self, client: &Client, name: &str) -> Result<bool> {
        let input = json!({self.name_member(): name});
        let answer = client.try_call(Service::SageMaker, &format!("Describe{}", self.stem), &input)?;
        Ok(answer.map_or(true, |answer| {
            let status = answer[format!("{}Status", self.stem)].as_str().unwrap_or_default();
            FINAL.contains(&status)
        }))
    }

    fn with_article(&self) -> String {
        let article = if self.word.starts_with('e') { "an" } else { "a" };
        format!("{article} {}", self.word)
    }
}

fn list(client: &Client, kind: &'static Kind) -> Result<Vec<Found>> {
    let members = client.list(&format!("List{}s", kind.stem), kind.list)?;
    let found = members.iter().map(|member| Found {
        kind,
        name: member[kind.name_member()].as_str().unwrap_or_default().to_owned(),
        status: member[format!("{}Status", kind.stem)].as_str().map(str::to_owned),
        created: member["CreationTime"].as_f64().unwrap_or_default(),
        ended: member[format!("{}EndTime", kind.stem.trim_end_matches("Job"))].as_f64(),
    });
    Ok(found.collect())
}

/// All resources of this name, ignoring case.
fn all_of(client: &Client, name: &str) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for kind in &KINDS {
        found.extend(list(client, kind)?.into_iter().filter(|found| found.name.eq_ignore_ascii_case(name)));
    }
    Ok(found)
}

/// The first resource of this name among the suitable kinds.
fn find(client: &Client, name: &str, serves: impl Fn(&Kind) -> bool) -> Result<Found> {
    let mut all = all_of(client, name)?;
    let best = all.iter().position(|found| serves(found.kind));
    match best {
        Some(best) => Ok(all.swap_remove(best)),
        None if all.is_empty() => bail!(nothing(name)),
        None => bail!("{name} is {}, which has none", all[0].kind.with_article()),
    }
}

fn nothing(name: &str) -> String {
    format!("there is no job, endpoint or model {name} in this region; `kokanee local ps --all` lists them")
}

/// Runs `work` for each name; a failure does not prevent the others.
fn each(names: &[String], mut work: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut failed = Vec::new();
    for name in names {
        if let Err(error) = work(name) {
            failed.push(format!("{error:#}"));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(anyhow!(failed.join("\n"))) }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Formats `3 s`, `12 min`, `5 h`, `4 d`.
fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6000 => format!("{} min", seconds / 60),
        6000..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
