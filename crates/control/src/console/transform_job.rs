//! A batch transform job.

use kokanee_pages::parts::{card, facts, problem};
use maud::{Markup, html};
use serde_json::Value;

use super::log_view::{self, Log};
use super::training_job::place;
use super::visit::{Problem, Shown, Visit, duration, status_badge, time};
use super::{form::Form, jobs, python};
use crate::transform::{LOG_GROUP, TransformJob};

/// Seconds after which the page of a running job is fetched again.
const REFRESH_SECONDS: u32 = 2;

pub(super) fn show(visit: &Visit) -> Shown {
    let job = visit.control().transform_jobs.find(&visit.region, visit.name(0))?;
    let path = ["jobs", "transform", job.name.as_str()];
    // The stream of its instance, and the stream about its records.
    let log = Log { group: LOG_GROUP, prefix: &job.log_stream(), alone: "instance", path: &path };
    let body = html! {
        div #head data-live="" { (head(visit, &job)) }
        (card("Data", &data(visit, &job)))
        div #log data-live="" { (card("Log", &log_view::show(visit, &log)?)) }
        (python::repeat(&repeat(visit, &job)?))
    };
    let mut page = visit.page("jobs", &job.name, &[("Jobs", visit.link(&["jobs"], &[]))], body);
    page.refresh_seconds = (!job.state.status.is_final()).then_some(REFRESH_SECONDS);
    Ok(page)
}

/// Tells a job to stop. Returns the address of its page.
pub(super) fn stop(visit: &Visit, _: &Form) -> Result<String, Problem> {
    jobs::stop(visit, &visit.control().transform_jobs, "transform")
}

fn head(visit: &Visit, job: &TransformJob) -> Markup {
    let state = &job.state;
    let model = job.request.get("ModelName").and_then(Value::as_str).unwrap_or("-");
    let rows = vec![
        ("Model", html! { (model) }),
        ("Image", html! { (state.container.image) }),
        ("Created (UTC)", time(state.created_ms)),
        ("Duration", html! { (duration(state.created_ms, state.ended_ms)) }),
        ("ARN", html! { span.mono { (job.arn) } }),
    ];
    let stop = visit.link(&["jobs", "transform", &job.name, "stop"], &[]);
    html! {
        div.title {
            h1 { (job.name) }
            (status_badge(state.status.as_str()))
            @if !state.status.is_final() {
                form method="post" action=(stop) data-confirm="Stop this job?" { button.danger { "Stop" } }
            }
        }
        @if let Some(reason) = &state.failure_reason { (problem(reason)) }
        (card("", &facts(&rows)))
    }
}

fn data(visit: &Visit, job: &TransformJob) -> Markup {
    let of = |structure: &str| job.request.get(structure).cloned().unwrap_or_default();
    let (input, output) = (of("TransformInput"), of("TransformOutput"));
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let or_none = |name: &str| {
        job.request.get(name).map_or_else(
            || "-".to_owned(),
            |value| match value.as_str() {
                Some(text) => text.to_owned(),
                None => value.to_string(),
            },
        )
    };
    facts(&[
        ("Input", place(visit, &text(&input["DataSource"]["S3DataSource"]["S3Uri"]))),
        ("Content type", html! { (text(&input["ContentType"])) }),
        ("Split type", html! { (text(&input["SplitType"])) }),
        // Output objects are named after the input objects, below this address.
        ("Output", place(visit, &(text(&output["S3OutputPath"]).trim_end_matches('/').to_owned() + "/"))),
        ("Accept", html! { (text(&output["Accept"])) }),
        ("Strategy", html! { (or_none("BatchStrategy")) }),
        ("Concurrent requests", html! { (or_none("MaxConcurrentTransforms")) }),
    ])
}

/// The call that creates the same job again.
fn repeat(visit: &Visit, job: &TransformJob) -> Result<String, Problem> {
    let mut request = job.request.clone();
    if let Some(tags) = visit.tags(&job.arn)? {
        request.insert("Tags".to_owned(), tags);
    }
    Ok(python::creation("create_transform_job", "TransformJobName", &job.name, &request))
}
