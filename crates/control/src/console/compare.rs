//! A comparison of training jobs: their curves, and the differences in their hyperparameters.

use std::collections::BTreeMap;

use kokanee_pages::palette;
use kokanee_pages::parts::{Column, card, note, table};
use kokanee_pages::svg::{lines, number};
use maud::{Markup, PreEscaped, html};

use super::curves::{self, Curve, View};
use super::visit::{Problem, Shown, Visit, duration, status_badge};
use crate::jobs::JobError;
use crate::training::TrainingJob;

/// The most jobs that are compared at once: as many lines as a reader can tell apart.
const MOST_JOBS: usize = 16;
/// Seconds after which the page is fetched again while one of the jobs is running.
const REFRESH_SECONDS: u32 = 3;

pub(super) fn show(visit: &Visit) -> Shown {
    let mut names: Vec<&str> = Vec::new();
    for (_, name) in visit.query.iter().filter(|(parameter, _)| *parameter == "job") {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let all = names.len();
    names.truncate(MOST_JOBS);
    let (mut jobs, mut gone) = (Vec::new(), Vec::new());
    for name in &names {
        match visit.control().training_jobs.find(&visit.region, name) {
            Ok(job) => jobs.push(job),
            Err(JobError::NotFound) => gone.push(*name),
            Err(error) => return Err(error.into()),
        }
    }
    if jobs.is_empty() {
        return Err(Problem::bad("No jobs selected: select some in the table of jobs, then compare them."));
    }
    let view = View::of(visit);
    let kept: Vec<(&str, &str)> = names.iter().map(|name| ("job", *name)).collect();
    let body = html! {
        h1 { "Compare " (jobs.len()) " jobs" }
        @if all > MOST_JOBS { (note(&format!("Showing the first {MOST_JOBS} of {all}."))) }
        @for name in gone { (note(&format!("Job {name} does not exist."))) }
        div #settings data-live="" { (card("Differences", &differences(visit, &jobs))) }
        section.card {
            h2 { "Metrics" }
            (view.form(&visit.link(&["jobs", "compare"], &[]), &kept))
            (legend(&jobs))
            div #curves data-live="" { (metrics(visit, &jobs, view)?) }
        }
    };
    let mut page = visit.page("jobs", "Compare jobs", &[("Jobs", visit.link(&["jobs"], &[]))], body);
    page.refresh_seconds = jobs.iter().any(|job| !job.state.status.is_final()).then_some(REFRESH_SECONDS);
    Ok(page)
}

/// The names of the lines, in the same order and with the same colours as in every chart.
fn legend(jobs: &[TrainingJob]) -> Markup {
    html! {
        ul.legend {
            @for (index, job) in jobs.iter().enumerate() {
                li { (swatch(index)) (job.name) }
            }
        }
    }
}

fn swatch(index: usize) -> PreEscaped<String> {
    let (hue, dash) = palette::line(index);
    let dash = dash.map_or_else(String::new, |dash| format!(" stroke-dasharray=\"{dash}\""));
    PreEscaped(format!(
        "<svg width=\"26\" height=\"8\" viewBox=\"0 0 26 8\" aria-hidden=\"true\"><path d=\"M1 4h24\" stroke=\"{hue}\" stroke-width=\"2.5\"{dash}/></svg>"
    ))
}

fn metrics(visit: &Visit, jobs: &[TrainingJob], view: View) -> Result<Markup, Problem> {
    let mut by_metric: BTreeMap<String, Vec<(usize, Curve)>> = BTreeMap::new();
    for (index, job) in jobs.iter().enumerate() {
        for (name, curve) in curves::of_job(visit, job)? {
            by_metric.entry(name).or_default().push((index, curve));
        }
    }
    if by_metric.is_empty() {
        return Ok(note("No metrics logged yet."));
    }
    let nothing = Curve::new();
    Ok(html! {
        div.charts {
            @for (metric, curves) in &by_metric {
                // Each job keeps its colour, even if it does not have this metric.
                @let lines: Vec<(&str, &Curve)> = jobs.iter().enumerate().map(|(index, job)| {
                    let own = curves.iter().find(|(of, _)| *of == index).map_or(&nothing, |(_, curve)| curve);
                    (job.name.as_str(), own)
                }).collect();
                div { (lines::draw(&curves::chart(metric, &lines, view)).inline()) }
            }
        }
    })
}

/// One row per job: status, last metrics, and the hyperparameters that differ between the jobs.
fn differences(visit: &Visit, jobs: &[TrainingJob]) -> Markup {
    let of = |job: &TrainingJob, name: &str| {
        let given = job.request.get("HyperParameters").and_then(|given| given.get(name));
        given.and_then(|value| value.as_str()).unwrap_or("-").to_owned()
    };
    let mut names: Vec<&String> = jobs
        .iter()
        .filter_map(|job| job.request.get("HyperParameters")?.as_object())
        .flat_map(|given| given.keys())
        .collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| jobs.iter().any(|job| of(job, name) != of(&jobs[0], name)));
    let mut metrics: Vec<&str> = Vec::new();
    for metric in jobs.iter().flat_map(|job| &job.state.metrics) {
        if !metrics.contains(&metric.name.as_str()) {
            metrics.push(&metric.name);
        }
    }
    let mut columns = vec![Column::words("Job"), Column::words("Status"), Column::numbers("Duration")];
    columns.extend(names.iter().map(|name| Column::numbers(name)));
    columns.extend(metrics.iter().map(|name| Column::numbers(name)));
    let rows: Vec<Vec<Markup>> = jobs
        .iter()
        .enumerate()
        .map(|(index, job)| {
            let mut cells = vec![
                html! { (swatch(index)) " " a.name href=(visit.link(&["jobs", "training", &job.name], &[])) { (job.name) } },
                status_badge(job.state.status.as_str()),
                html! { (duration(job.state.created_ms, job.state.ended_ms)) },
            ];
            cells.extend(names.iter().map(|name| html! { (of(job, name)) }));
            cells.extend(metrics.iter().map(|name| {
                let found = job.state.metrics.iter().find(|metric| metric.name == *name);
                html! { (found.map_or_else(|| "-".to_owned(), |metric| number(metric.value))) }
            }));
            cells
        })
        .collect();
    html! {
        @if names.is_empty() { (note("The jobs have the same hyperparameters.")) }
        (table("Jobs, the hyperparameters that differ, and last metrics", &columns, &rows))
    }
}
