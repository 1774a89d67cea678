//! The first page: running jobs and endpoints, the machine's resources, and how clients find the server.

use kokanee_pages::human;
use kokanee_pages::parts::{Column, card, code, facts, note, table};
use maud::{Markup, html};

use super::jobs;
use super::visit::{Problem, Shown, Visit, duration, status_badge, time};
use crate::machine;

/// Seconds after which the page is fetched again.
const REFRESH_SECONDS: u32 = 3;
/// The number of jobs that are listed.
const SHOWN_JOBS: usize = 8;

const HELLO: &str = "\
import boto3
boto3.client(\"sagemaker\").list_training_jobs()";

pub(super) fn show(visit: &Visit) -> Shown {
    let counts = jobs::counts(visit)?;
    let of = |status: &str| {
        counts.iter().filter(|(known, _)| known == status).map(|(_, count)| count).sum::<i64>()
    };
    let endpoints = endpoints(visit)?;
    let in_service: i64 =
        endpoints.iter().filter(|(status, _)| status == "InService").map(|(_, count)| count).sum();
    let buckets =
        visit.state.objects.as_ref().map(|objects| objects.buckets()).transpose()?.map(|all| all.len());
    let jobs_of = |status: &str| visit.link(&["jobs"], &[("status", status)]);
    let running = of("InProgress") + of("Stopping");
    let body = html! {
        h1 { "Local SageMaker" }
        div.tiles #tiles data-live="" {
            (tile(&jobs_of("InProgress"), running, "running jobs"))
            (tile(&jobs_of("Completed"), of("Completed"), "completed jobs"))
            (tile(&jobs_of("Failed"), of("Failed"), "failed jobs"))
            (tile(&visit.link(&["endpoints"], &[]), in_service, "endpoints in service"))
            @if let Some(buckets) = buckets {
                (tile(&visit.link(&["buckets"], &[]), i64::try_from(buckets).unwrap_or(i64::MAX), "buckets"))
            }
        }
        div #recent data-live="" { (card("Latest jobs", &latest(visit)?)) }
        div.columns {
            (card("Connect", &html! {
                p.note { "Run this in a client's terminal, and boto3, the SageMaker SDKs and the AWS CLI there talk to this server:" }
                (code("Command that sets the environment", &environment_command(visit)))
                p.note { "In Python:" }
                (code("First call", HELLO))
            }))
            div #machine data-live="" { (card("This machine", &machine(visit))) }
        }
    };
    let mut page = visit.page("", "Overview", &[], body);
    page.refresh_seconds = Some(REFRESH_SECONDS);
    Ok(page)
}

fn tile(address: &str, count: i64, what: &str) -> Markup {
    html! { a.tile href=(address) { b { (human::count(u64::try_from(count).unwrap_or(0))) } (what) } }
}

/// The number of endpoints per status.
fn endpoints(visit: &Visit) -> Result<Vec<(String, i64)>, Problem> {
    Ok(visit.control().store.read(|transaction| {
        let mut statement = transaction
            .prepare_cached("SELECT status, count(*) FROM endpoints WHERE region = ?1 GROUP BY status")?;
        let rows = statement.query_map([&visit.region], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok::<_, crate::store::StoreError>(rows.collect::<rusqlite::Result<_>>()?)
    })?)
}

fn latest(visit: &Visit) -> Result<Markup, Problem> {
    let rows = jobs::latest(visit, SHOWN_JOBS)?;
    if rows.is_empty() {
        return Ok(note("No jobs yet. Jobs that you start with boto3 or an SDK appear here."));
    }
    let columns = [
        Column::words("Name"),
        Column::words("Kind"),
        Column::words("Status"),
        Column::numbers("Duration"),
        Column::words("Created (UTC)"),
    ];
    let rows: Vec<Vec<Markup>> = rows
        .iter()
        .map(|job| {
            vec![
                html! { a.name href=(visit.link(&["jobs", job.kind.word, &job.name], &[])) { (job.name) } },
                html! { (job.kind.noun) },
                status_badge(&job.status),
                html! { (duration(job.created_ms, job.ended_ms)) },
                time(job.created_ms),
            ]
        })
        .collect();
    Ok(html! {
        (table("Latest jobs", &columns, &rows))
        p.note { a href=(visit.link(&["jobs"], &[])) { "All jobs" } }
    })
}

fn environment_command(visit: &Visit) -> String {
    let folder = visit.control().store.folder().display().to_string();
    format!("eval \"$(kokanee local env --data '{}')\"", folder.replace('\'', r"'\''"))
}

fn machine(visit: &Visit) -> Markup {
    let folder = visit.control().store.folder();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let mut rows = vec![("Cores", html! { (cores) @if !load.is_empty() { " (load " (load) ")" } })];
    if let Some(memory) = machine::memory() {
        let used = memory.total_bytes.saturating_sub(memory.available_bytes);
        rows.push((
            "Memory",
            html! { (human::bytes(used)) " of " (human::bytes(memory.total_bytes)) " used" },
        ));
    }
    if let Some(disk) = machine::disk(folder) {
        rows.push(("Disk", html! { (human::bytes(disk.free_bytes)) " free" }));
    }
    rows.push(("Data folder", html! { (folder.display()) }));
    rows.push(("Address", html! { (crate::environment::url(visit.state.address)) }));
    rows.push(("Region", html! { (visit.region) }));
    html! {
        (facts(&rows))
        @let others = jobs::other_regions(visit);
        @if !others.is_empty() {
            p.note {
                "Other regions with jobs:"
                @for (name, address) in &others { " " a href=(address) { (name) } }
            }
        }
    }
}
