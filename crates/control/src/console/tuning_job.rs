//! A hyperparameter tuning job: its results and its training jobs.

use kokanee_pages::parts::{Column, card, facts, note, problem, table};
use kokanee_pages::search::{Run, Search};
use kokanee_pages::svg::number;
use kokanee_pages::svg::parallel::ParallelAxis;
use kokanee_tuner::importance::importance;
use kokanee_tuner::{Range, Scale, Space, Trial, Value};
use maud::{Markup, html};

use super::visit::{Problem, Shown, Visit, duration, status_badge, time};
use super::{form::Form, jobs, python};
use crate::tuning::{self, Child, TuningJob};

/// Seconds after which the page of a running job is fetched again.
const REFRESH_SECONDS: u32 = 2;
/// The width and height of the charts' plotting areas, in pixels.
const AREA: (f64, f64) = (420.0, 200.0);
/// The most rows in the table of training jobs.
const MOST_ROWS: usize = 100;

pub(super) fn show(visit: &Visit) -> Shown {
    let job = visit.control().tuning_jobs.find(&visit.region, visit.name(0))?;
    let children = visit.control().tuning_jobs.children(job.id)?;
    let body = html! {
        div #head data-live="" { (head(visit, &job, &children)) }
        section.card {
            h2 { "Search" }
            div #pictures data-live="" { (pictures(&job, &children)) }
        }
        div #trainings data-live="" { (card("Training jobs", &trainings(visit, &job, &children))) }
        (card("Ranges", &ranges(&job)))
        (python::repeat(&repeat(visit, &job)?))
    };
    let mut page = visit.page("jobs", &job.name, &[("Jobs", visit.link(&["jobs"], &[]))], body);
    page.refresh_seconds = (!job.state.status.is_final()).then_some(REFRESH_SECONDS);
    Ok(page)
}

/// Tells a job to stop. Returns the address of its page.
pub(super) fn stop(visit: &Visit, _: &Form) -> Result<String, Problem> {
    jobs::stop(visit, &visit.control().tuning_jobs, "tuning")
}

fn head(visit: &Visit, job: &TuningJob, children: &[Child]) -> Markup {
    let state = &job.state;
    let counters = &state.counters;
    let objective = state.definitions.first().map_or("-", |definition| &definition.metric);
    let mut rows = vec![
        ("Strategy", html! { (state.strategy.as_str()) }),
        ("Objective", html! { (objective) }),
        (
            "Training jobs",
            html! {
                (counters.completed) " completed, " (counters.in_progress) " in progress, " (counters.stopped) " stopped, "
                (counters.retryable_error + counters.non_retryable_error) " failed (limit " (state.limits.most_trainings) ")"
            },
        ),
        ("Created (UTC)", time(state.created_ms)),
        ("Duration", html! { (duration(state.created_ms, state.ended_ms)) }),
    ];
    if let Some(best) = tuning::best(&state.definitions, children) {
        rows.insert(
            0,
            (
                "Best training job",
                html! {
                    a href=(visit.link(&["jobs", "training", &best.name], &[])) { (best.name) }
                    ": " (best.result().map_or_else(String::new, number))
                },
            ),
        );
    }
    if let Some((parents, is_identical)) = &state.parents {
        rows.push((
            "Warm start",
            html! {
                (if *is_identical { "same data and algorithm as " } else { "transfer learning from " })
                @for parent in parents { a href=(visit.link(&["jobs", "tuning", parent], &[])) { (parent) } " " }
            },
        ));
    }
    rows.push(("ARN", html! { span.mono { (job.arn) } }));
    let stop = visit.link(&["jobs", "tuning", &job.name, "stop"], &[]);
    html! {
        div.title {
            h1 { (job.name) }
            (status_badge(state.status.as_str()))
            @if !state.status.is_final() {
                form method="post" action=(stop) data-confirm="Stop this job and its training jobs?" {
                    button.danger { "Stop" }
                }
            }
        }
        @if let Some(reason) = &state.failure_reason { (problem(reason)) }
        (card("", &facts(&rows)))
    }
}

/// The charts of the first definition. Most jobs have only one.
fn pictures(job: &TuningJob, children: &[Child]) -> Markup {
    let Some(search) =
        search(job, children).filter(|search| search.runs.iter().any(|run| run.result.is_some()))
    else {
        return note("No training job has a result yet.");
    };
    html! {
        div.charts {
            div { (search.best_so_far().inline()) }
            @if let Some(importance) = search.importance() { div { (importance.inline()) } }
        }
        div.wide { (search.parallel().inline()) }
        div.charts { @for slice in search.slices() { div { (slice.inline()) } } }
    }
}

fn search(job: &TuningJob, children: &[Child]) -> Option<Search> {
    let definition = job.state.definitions.first()?;
    let space = definition.space().ok()?;
    let own = children.iter().filter(|child| child.definition == 0);
    let tried: Vec<(&Child, Vec<Value>)> = own
        .filter_map(|child| {
            Some((child, space.parse(|name| child.values.get(name).map(String::as_str)).ok()?))
        })
        .collect();
    let trials: Vec<Trial> =
        tried.iter().map(|(child, values)| Trial::new(values.clone(), child.outcome())).collect();
    let shares = importance(&space, &trials, definition.goal(), job.state.seed);
    let runs = tried.iter().map(|(child, values)| Run {
        number: child.number,
        name: child.name.clone(),
        values: values.iter().map(|value| Some(value.coordinate())).collect(),
        result: child.result(),
    });
    Some(Search {
        objective: definition.metric.clone(),
        noun: "training job",
        area: AREA,
        maximizes: definition.maximizes,
        axes: axes(&space),
        runs: runs.collect(),
        importance: shares.map_or_else(Vec::new, |shares| shares.named(&space)),
    })
}

fn axes(space: &Space) -> Vec<ParallelAxis> {
    let axis = |dimension: &kokanee_tuner::Dimension| ParallelAxis {
        name: dimension.name().to_owned(),
        log: dimension.scale() == Some(Scale::Logarithmic),
        categories: dimension.categories().to_vec(),
    };
    space.dimensions().iter().map(axis).collect()
}

/// The training jobs, best first; those without a result follow, latest first.
fn trainings(visit: &Visit, job: &TuningJob, children: &[Child]) -> Markup {
    if children.is_empty() {
        return note("No training jobs yet.");
    }
    let mut names: Vec<&String> = children.iter().flat_map(|child| child.values.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let maximizes = job.state.definitions.first().is_some_and(|definition| definition.maximizes);
    let mut sorted: Vec<&Child> = children.iter().collect();
    sorted.sort_by(|one, other| match (one.result(), other.result()) {
        (Some(one), Some(other)) if maximizes => other.total_cmp(&one),
        (Some(one), Some(other)) => one.total_cmp(&other),
        (one, other) => other.is_some().cmp(&one.is_some()).then(std::cmp::Ordering::Equal),
    });
    let results = sorted.iter().filter(|child| child.result().is_some()).count();
    sorted[results..].reverse();
    let rows: Vec<Vec<Markup>> = sorted
        .iter()
        .take(MOST_ROWS)
        .map(|child| {
            let mut row = vec![
                html! { a.name href=(visit.link(&["jobs", "training", &child.name], &[])) { (child.name) } },
                status_badge(child.status.as_str()),
                html! { @if let Some(value) = child.objective { (number(value)) } },
            ];
            let value = |name: &String| child.values.get(name).map_or("-", String::as_str).to_owned();
            row.extend(names.iter().map(|name| html! { span.mono { (value(name)) } }));
            row.push(html! { (duration(child.created_ms, child.ended_ms)) });
            row
        })
        .collect();
    let objective = job.state.definitions.first().map_or("Objective", |definition| &definition.metric);
    let mut columns = vec![Column::words("Name"), Column::words("Status"), Column::numbers(objective)];
    columns.extend(names.iter().map(|name| Column::numbers(name)));
    columns.push(Column::numbers("Duration"));
    let best: Vec<&str> = sorted.iter().take(8).map(|child| child.name.as_str()).collect();
    let compared: Vec<(&str, &str)> = best.iter().map(|name| ("job", *name)).collect();
    html! {
        (table("Training jobs", &columns, &rows))
        @if children.len() > MOST_ROWS {
            (note(&format!("Showing the best {MOST_ROWS} of {}.", children.len())))
        }
        p { a href=(visit.link(&["jobs", "compare"], &compared)) { "Compare the top " (best.len()) } }
    }
}

fn ranges(job: &TuningJob) -> Markup {
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for definition in &job.state.definitions {
        let Ok(space) = definition.space() else { continue };
        for dimension in space.dimensions() {
            let range = match dimension.range() {
                Range::Continuous { min, max, .. } => format!("{min} to {max}"),
                Range::Integer { min, max, .. } => format!("{min} to {max} (integers)"),
                Range::Categorical { values } => values.join(", "),
            };
            let scale = match dimension.scale() {
                Some(Scale::Logarithmic) => "logarithmic",
                Some(Scale::ReverseLogarithmic) => "reverse logarithmic",
                Some(_) => "linear",
                None => "-",
            };
            rows.push(vec![html! { (dimension.name()) }, html! { span.mono { (range) } }, html! { (scale) }]);
        }
        for (name, value) in &definition.statics {
            rows.push(vec![html! { (name) }, html! { span.mono { (value) } }, html! { "static" }]);
        }
    }
    let columns = ["Hyperparameter", "Range", "Scale"].map(Column::words);
    table("Ranges", &columns, &rows)
}

/// The call that creates the same job again.
fn repeat(visit: &Visit, job: &TuningJob) -> Result<String, Problem> {
    let mut request = job.request.clone();
    if let Some(tags) = visit.tags(&job.arn)? {
        request.insert("Tags".to_owned(), tags);
    }
    // Names of tuning jobs have at most 32 characters, and the time takes seven.
    let name = job.name.get(..job.name.len().min(25)).unwrap_or(&job.name);
    Ok(python::creation("create_hyper_parameter_tuning_job", "HyperParameterTuningJobName", name, &request))
}
