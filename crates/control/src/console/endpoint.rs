//! An endpoint: its variants, its traffic, its log, and a form that sends it a request.

use kokanee_pages::parts::{Column, card, facts, note, problem, table};
use kokanee_pages::svg::bars::{self, Bars};
use kokanee_pages::svg::lines::{self, Chart, Series};
use maud::{Markup, html};

use super::ask;
use super::curves::AREA;
use super::exchange::Exchange;
use super::log_view::{self, Log};
use super::training_job::place;
use super::visit::{Problem, Shown, Visit, duration, status_badge, time};
use crate::hosting::{Deployment, Endpoint, log_group};
use crate::metrics::{INVOCATIONS, Metric};
use crate::store::now_ms;

const REFRESH_SECONDS: u32 = 3;
/// The period for which traffic is shown.
const TRAFFIC_MS: i64 = 3 * 3_600_000;
const MINUTE_MS: f64 = 60_000.0;

/// The page; with an exchange, it also shows the request and the answer.
pub(super) fn show(visit: &Visit, exchange: Option<&Exchange>) -> Shown {
    let name = visit.name(0);
    let Some(endpoint) = visit.control().endpoints.named(&visit.region, name)? else {
        return Err(Problem::not_found(format!("Endpoint {name} does not exist; it may have been deleted.")));
    };
    let state = &endpoint.state;
    let shown = state.serving.as_ref().or(state.pending.as_ref());
    let image = shown.and_then(|shown| shown.variants.first()).map(|variant| variant.container.image.clone());
    let path = ["endpoints", endpoint.name.as_str()];
    let log = Log { group: &log_group(&endpoint.name), prefix: "", alone: "", path: &path };
    let body = html! {
        div #head data-live="" { (head(visit, &endpoint, shown)) }
        @if state.is_in_service() {
            (ask::form(visit, &endpoint.name, image.as_deref().unwrap_or_default(), exchange))
        }
        div #traffic data-live="" { (card("Traffic", &traffic(visit, &endpoint, shown)?)) }
        div #log data-live="" { (card("Log", &log_view::show(visit, &log)?)) }
    };
    let above = [("Endpoints", visit.link(&["endpoints"], &[]))];
    let mut page = visit.page("endpoints", &endpoint.name, &above, body);
    // A page with an answer is not fetched again: the request behind it was sent only once.
    page.refresh_seconds = exchange.is_none().then_some(REFRESH_SECONDS);
    Ok(page)
}

fn head(visit: &Visit, endpoint: &Endpoint, shown: Option<&Deployment>) -> Markup {
    let state = &endpoint.state;
    let rows = [
        ("Configuration", html! { (shown.map_or("-", |shown| shown.config_name.as_str())) }),
        ("Created (UTC)", time(state.created_ms)),
        ("Last change (UTC)", time(state.modified_ms)),
        ("Age", html! { (duration(state.created_ms, None)) }),
        ("ARN", html! { span.mono { (endpoint.arn) } }),
    ];
    html! {
        div.title { h1 { (endpoint.name) } (status_badge(state.status.as_str())) }
        @if let Some(reason) = &state.failure_reason { (problem(reason)) }
        (card("", &facts(&rows)))
        @if let Some(shown) = shown { (card("Variants", &variants(visit, endpoint, shown))) }
        @if let (Some(_), Some(pending)) = (&state.serving, &state.pending) {
            (card("Pending deployment", &variants(visit, endpoint, pending)))
        }
    }
}

fn variants(visit: &Visit, endpoint: &Endpoint, shown: &Deployment) -> Markup {
    let total: f64 = shown.variants.iter().map(|variant| variant.weight).sum();
    let rows: Vec<Vec<Markup>> = shown
        .variants
        .iter()
        .map(|variant| {
            let share = if total > 0.0 { variant.weight / total } else { 0.0 };
            let in_flight = visit.state.routes.in_flight(&endpoint.region, &endpoint.name, &variant.name);
            let model = variant.container.model.as_ref();
            vec![
                html! { (variant.name) },
                html! { (kokanee_pages::human::percent(share)) },
                html! { (variant.instances) " of " (variant.desired_instances) },
                html! { (in_flight) },
                html! { (variant.container.image.rsplit('/').next().unwrap_or_default()) },
                match model {
                    Some(model) => place(visit, &format!("s3://{}/{}", model.bucket, model.key)),
                    None => html! { "-" },
                },
            ]
        })
        .collect();
    let columns = [
        Column::words("Variant"),
        Column::numbers("Traffic"),
        Column::numbers("Instances"),
        Column::numbers("In flight"),
        Column::words("Image"),
        Column::words("Model"),
    ];
    table("Variants", &columns, &rows)
}

fn traffic(visit: &Visit, endpoint: &Endpoint, shown: Option<&Deployment>) -> Result<Markup, Problem> {
    let now_ms = now_ms();
    let variants: Vec<&str> = shown
        .map(|shown| shown.variants.iter().map(|variant| variant.name.as_str()).collect())
        .unwrap_or_default();
    let read = |metric: &str,
                value: fn(&crate::metrics::Sample) -> f64,
                name: &str|
     -> Result<Vec<Series>, Problem> {
        let mut series = Vec::new();
        for variant in &variants {
            let dimensions = [("EndpointName", endpoint.name.as_str()), ("VariantName", *variant)];
            let metric = Metric::new(INVOCATIONS, metric, dimensions);
            let points = visit.control().metrics.curve(&endpoint.region, &metric, now_ms - TRAFFIC_MS)?;
            let points =
                points.iter().map(|point| ((point.at_ms - now_ms) as f64 / MINUTE_MS, value(&point.sample)));
            let label = if variants.len() > 1 { format!("{variant}: {name}") } else { name.to_owned() };
            series.push(Series { name: label, points: points.collect(), ..Series::default() });
        }
        Ok(series)
    };
    let mean = |sample: &crate::metrics::Sample| sample.sum / sample.count.max(1.0) / 1000.0;
    let requests = read("Invocations", |sample| sample.sum, "requests")?;
    let errors = [
        read("Invocation4XXErrors", |sample| sample.sum, "4xx")?,
        read("Invocation5XXErrors", |sample| sample.sum, "5xx")?,
    ];
    let took =
        [read("ModelLatency", mean, "mean")?, read("ModelLatency", |sample| sample.max / 1000.0, "max")?];
    let latencies = visit.state.counts.latencies(&endpoint.region, &endpoint.name);
    if requests.iter().all(|series| series.points.is_empty()) && latencies.is_empty() {
        return Ok(note("No requests in the last three hours."));
    }
    let chart = |title: &str, series: Vec<Series>| {
        if series.iter().all(|series| series.points.is_empty()) {
            return html! {};
        }
        let chart = Chart {
            title: title.to_owned(),
            x_label: "minutes (0 is now)".to_owned(),
            y_from_zero: true,
            series,
            area: AREA,
            has_legend: false,
            has_hover: true,
            ..Chart::default()
        };
        html! { div { (lines::draw(&chart).inline()) } }
    };
    let bars = latencies.iter().map(|(edge, count)| {
        let name = match edge {
            Some(edge) => format!("≤{}", shown_time(edge.as_secs_f64())),
            None => ">50s".to_owned(),
        };
        (name, *count as f64)
    });
    let histogram = Bars {
        title: "Latency since the server started".to_owned(),
        x_label: "model latency".to_owned(),
        bars: bars.collect(),
        area: AREA,
    };
    Ok(html! {
        div.charts {
            (chart("Requests per minute", requests))
            (chart("Errors per minute: 4xx, 5xx", errors.concat()))
            (chart("Latency in ms: mean, max", took.concat()))
            @if !latencies.is_empty() { div { (bars::draw(&histogram).inline()) } }
        }
        p.note { "A minute appears once it is over." }
    })
}

fn shown_time(seconds: f64) -> String {
    if seconds < 1.0 { format!("{}ms", (seconds * 10_000.0).round() / 10.0) } else { format!("{seconds}s") }
}
