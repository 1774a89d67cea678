//! A training job.

use kokanee_pages::human;
use kokanee_pages::parts::{Column, card, facts, note, problem, table};
use kokanee_pages::svg::lines;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::curves::{self, View};
use super::log_view::{self, Log};
use super::visit::{Problem, Shown, Visit, duration, status_badge, time};
use super::{form::Form, jobs, python};
use crate::metrics::{Metric, TRAINING_JOBS};
use crate::s3_uri::S3Uri;
use crate::training::{LOG_GROUP, TrainingJob};

/// Seconds after which the page of a running job is fetched again.
const REFRESH_SECONDS: u32 = 2;
/// The machine's metrics, and their names on the page.
const MACHINE: [(&str, &str); 3] = [
    ("CPUUtilization", "CPU, % of a core"),
    ("MemoryUtilization", "Memory, %"),
    ("DiskUtilization", "Disk, %"),
];

pub(super) fn show(visit: &Visit) -> Shown {
    let job = visit.control().training_jobs.find(&visit.region, visit.name(0))?;
    let path = ["jobs", "training", job.name.as_str()];
    let is_open = !job.state.status.is_final();
    let view = View::of(visit);
    let log = Log { group: LOG_GROUP, prefix: &job.log_stream(), alone: "", path: &path };
    let body = html! {
        div #head data-live="" { (head(visit, &job)) }
        section.card {
            h2 { "Metrics" }
            (view.form(&visit.link(&path, &[]), &[]))
            div #curves data-live="" { (metrics(visit, &job, view)?) }
        }
        div.columns {
            (card("Hyperparameters", &hyperparameters(&job)))
            div {
                (card("Input", &channels(visit, &job)))
                div #output data-live="" { (card("Output", &output(visit, &job))) }
            }
        }
        div #machine data-live="" { (card("Utilization", &machine(visit, &job)?)) }
        div #transitions data-live="" { (card("Transitions", &transitions(&job))) }
        div #log data-live="" { (card("Log", &log_view::show(visit, &log)?)) }
        (python::repeat(&repeat(visit, &job)?))
    };
    let mut page = visit.page("jobs", &job.name, &[("Jobs", visit.link(&["jobs"], &[]))], body);
    page.refresh_seconds = is_open.then_some(REFRESH_SECONDS);
    Ok(page)
}

/// Tells a job to stop. Returns the address of its page.
pub(super) fn stop(visit: &Visit, _: &Form) -> Result<String, Problem> {
    jobs::stop(visit, &visit.control().training_jobs, "training")
}

fn head(visit: &Visit, job: &TrainingJob) -> Markup {
    let state = &job.state;
    let image = job.request.get("AlgorithmSpecification").and_then(|spec| spec["TrainingImage"].as_str());
    let resources = &job.request.get("ResourceConfig").cloned().unwrap_or_default();
    let mut rows = vec![
        ("Algorithm", html! { (state.algorithm.as_deref().or(image).unwrap_or("-")) }),
        ("Created (UTC)", time(state.created_ms)),
        ("Duration", html! { (duration(state.created_ms, state.ended_ms)) }),
    ];
    if let Some(started_ms) = state.started_ms {
        rows.push(("Training time", html! { (duration(started_ms, state.ended_ms)) }));
    }
    rows.push((
        "Instance",
        html! { (resources["InstanceType"].as_str().unwrap_or("-")) " × " (resources["InstanceCount"]) },
    ));
    rows.push(("ARN", html! { span.mono { (job.arn) } }));
    let stop = visit.link(&["jobs", "training", &job.name, "stop"], &[]);
    html! {
        div.title {
            h1 { (job.name) }
            (status_badge(state.status.as_str()))
            @if !state.status.is_final() {
                form method="post" action=(stop) data-confirm="Stop this job? The model trained so far is kept." {
                    button.danger { "Stop" }
                }
            }
        }
        @if let Some(reason) = &state.failure_reason { (problem(reason)) }
        (card("", &facts(&rows)))
    }
}

fn metrics(visit: &Visit, job: &TrainingJob, view: View) -> Result<Markup, Problem> {
    let curves = curves::of_job(visit, job)?;
    if curves.is_empty() {
        let is_over = job.state.status.is_final();
        return Ok(note(if is_over { "No metrics logged." } else { "No metrics logged yet." }));
    }
    Ok(html! {
        div.charts {
            @for (name, curve) in &curves {
                div { (lines::draw(&curves::chart(name, &[(name.as_str(), curve)], view)).inline()) }
            }
        }
    })
}

fn hyperparameters(job: &TrainingJob) -> Markup {
    let given = job.request.get("HyperParameters").and_then(Value::as_object);
    let rows: Vec<Vec<Markup>> = given
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            vec![html! { (name) }, html! { span.mono { (value.as_str().unwrap_or_default()) } }]
        })
        .collect();
    if rows.is_empty() {
        return note("None given: the algorithm uses its defaults.");
    }
    table("Hyperparameters", &[Column::words("Name"), Column::words("Value")], &rows)
}

/// An address in S3 as a link to the page of its folder.
pub(super) fn place(visit: &Visit, uri: &str) -> Markup {
    let Ok(S3Uri { bucket, key }) = S3Uri::parse(uri) else { return html! { (uri) } };
    let folder = key.rfind('/').map_or("", |at| &key[..=at]);
    html! { a.key href=(visit.link(&["buckets", &bucket], &[("prefix", folder)])) { (uri) } }
}

fn channels(visit: &Visit, job: &TrainingJob) -> Markup {
    let channels = job.request.get("InputDataConfig").and_then(Value::as_array);
    let mode = job.request.get("AlgorithmSpecification").and_then(|spec| spec["TrainingInputMode"].as_str());
    let rows: Vec<Vec<Markup>> = channels
        .into_iter()
        .flatten()
        .map(|channel| {
            let text = |name: &str| channel[name].as_str();
            vec![
                html! { (text("ChannelName").unwrap_or("-")) },
                place(visit, channel["DataSource"]["S3DataSource"]["S3Uri"].as_str().unwrap_or("-")),
                html! { (text("ContentType").unwrap_or("-")) },
                html! { (text("InputMode").or(mode).unwrap_or("File")) },
            ]
        })
        .collect();
    if rows.is_empty() {
        return note("The job has no input channels.");
    }
    let columns = ["Channel", "S3 URI", "Content type", "Input mode"].map(Column::words);
    table("Channels", &columns, &rows)
}

fn output(visit: &Visit, job: &TrainingJob) -> Markup {
    let artefacts = job.state.artefacts.as_deref().filter(|uri| !uri.is_empty());
    let Some(uri) = artefacts else {
        let wanted = job.request.get("OutputDataConfig").and_then(|output| output["S3OutputPath"].as_str());
        return html! { (note("No model yet. It will be written to")) (place(visit, wanted.unwrap_or("-"))) };
    };
    let size = S3Uri::parse(uri).ok().and_then(|S3Uri { bucket, key }| {
        Some((visit.state.objects.as_ref()?.stat(&bucket, &key).ok()?.size, bucket, key))
    });
    html! {
        p { (place(visit, uri)) }
        @match size {
            Some((size, bucket, key)) => a.button href=(visit.link(&["buckets", &bucket, "download"], &[("key", &key)])) {
                "Download the model (" (human::bytes(size)) ")"
            },
            None => (note("The model is not in this server's buckets.")),
        }
    }
}

fn transitions(job: &TrainingJob) -> Markup {
    let rows: Vec<Vec<Markup>> = job
        .state
        .transitions
        .iter()
        .map(|transition| {
            vec![
                html! { (transition.status.as_str()) },
                html! { (transition.message) },
                html! { (duration(transition.start_ms, transition.end_ms)) },
                time(transition.start_ms),
            ]
        })
        .collect();
    let columns = [
        Column::words("Status"),
        Column::words("Message"),
        Column::numbers("Duration"),
        Column::words("Started (UTC)"),
    ];
    table("Transitions", &columns, &rows)
}

fn machine(visit: &Visit, job: &TrainingJob) -> Result<Markup, Problem> {
    let host = format!("{}/algo-1", job.name);
    let begun_ms = job.state.created_ms;
    let view = View { by_time: true, smoothing: 0.0, log_y: false };
    let mut charts = Vec::new();
    for (name, title) in MACHINE {
        let metric = Metric::new(TRAINING_JOBS, name, [("Host", host.as_str())]);
        let points = visit.control().metrics.curve(&job.region, &metric, begun_ms)?;
        if points.is_empty() {
            continue;
        }
        let points =
            points.into_iter().map(|point| (point.index + 1, point.at_ms - begun_ms, point.sample.sum));
        let mut chart = curves::chart(title, &[(title, &points.collect())], view);
        chart.y_from_zero = true;
        chart.area.1 = 90.0;
        charts.push(lines::draw(&chart).inline());
    }
    if charts.is_empty() {
        return Ok(note("No measurements: utilization is sampled every 10 seconds."));
    }
    Ok(html! { div.charts { @for chart in charts { div { (chart) } } } })
}

/// The call that creates the same job again.
fn repeat(visit: &Visit, job: &TrainingJob) -> Result<String, Problem> {
    let mut request: Map<String, Value> = job.request.clone();
    // The algorithm brings its own metrics, which a request must not name.
    if job.state.algorithm.is_some()
        && let Some(algorithm) = request.get_mut("AlgorithmSpecification").and_then(Value::as_object_mut)
    {
        algorithm.remove("MetricDefinitions");
    }
    if let Some(tags) = visit.tags(&job.arn)? {
        request.insert("Tags".to_owned(), tags);
    }
    Ok(python::creation("create_training_job", "TrainingJobName", &job.name, &request))
}
