//! Metrics of jobs as curves.

use kokanee_pages::smoothing::smoothed;
use kokanee_pages::svg::lines::{Chart, Series};
use maud::{Markup, html};

use super::visit::{Problem, Visit};
use crate::metrics::{CurvePoint, Metric, TRAINING_JOBS};
use crate::training::TrainingJob;

/// The size of a chart's plotting area on a page.
pub(super) const AREA: (f64, f64) = (380.0, 190.0);
/// The most metrics of one job that are drawn.
const MOST_METRICS: usize = 40;

/// Points of a metric: the number of the value, counted from 1, milliseconds since the job began, and the value.
pub(super) type Curve = Vec<(u64, i64, f64)>;

/// How curves are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct View {
    /// Whether x is time; otherwise it is the number of the value.
    pub(super) by_time: bool,
    /// The weight of earlier values, 0 to 0.99.
    pub(super) smoothing: f64,
    pub(super) log_y: bool,
}

impl View {
    pub(super) fn of(visit: &Visit) -> Self {
        let smoothing = visit.parameter("smooth").and_then(|text| text.parse::<f64>().ok());
        Self {
            by_time: visit.parameter("x") == Some("time"),
            smoothing: smoothing.filter(|value| value.is_finite()).unwrap_or(0.0).clamp(0.0, 0.99),
            log_y: visit.parameter("y") == Some("log"),
        }
    }

    /// The form that sets the view. `kept` are other parameters of the page.
    pub(super) fn form(self, action: &str, kept: &[(&str, &str)]) -> Markup {
        html! {
            form.tools method="get" action=(action) data-chooses="" {
                @for (name, value) in kept { input type="hidden" name=(name) value=(value); }
                label { "Horizontal axis"
                    select #x name="x" {
                        option value="step" selected[!self.by_time] { "step" }
                        option value="time" selected[self.by_time] { "time" }
                    }
                }
                label { "Vertical axis"
                    select #y name="y" {
                        option value="linear" selected[!self.log_y] { "linear" }
                        option value="log" selected[self.log_y] { "logarithmic" }
                    }
                }
                div.field {
                    label for="smooth" { "Smoothing" }
                    span { input #smooth type="range" name="smooth" min="0" max="0.99" step="0.01" value=(self.smoothing);
                        " " output for="smooth" aria-label="Smoothing" { (self.smoothing) } }
                }
                button { "Draw" }
            }
        }
    }
}

/// The curves of a job, by the names of their metrics.
pub(super) fn of_job(visit: &Visit, job: &TrainingJob) -> Result<Vec<(String, Curve)>, Problem> {
    let defined =
        job.request.get("AlgorithmSpecification").and_then(|spec| spec["MetricDefinitions"].as_array());
    let defined = defined.into_iter().flatten().filter_map(|metric| metric["Name"].as_str());
    let mut names: Vec<&str> = defined.collect();
    names.dedup();
    let mut curves = Vec::new();
    for name in names.into_iter().take(MOST_METRICS) {
        let metric = Metric::new(TRAINING_JOBS, name, [("TrainingJobName", job.name.as_str())]);
        let begun_ms = job.state.created_ms;
        let points = visit.control().metrics.curve(&job.region, &metric, begun_ms)?;
        if points.is_empty() {
            continue;
        }
        let points = points.into_iter().map(|CurvePoint { index, at_ms, sample }| {
            (index + 1, at_ms - begun_ms, sample.sum / sample.count.max(1.0))
        });
        curves.push((name.to_owned(), points.collect()));
    }
    Ok(curves)
}

/// A named chart with the curves of one metric.
pub(super) fn chart(title: &str, curves: &[(&str, &Curve)], view: View) -> Chart {
    let (unit, x_label) = if view.by_time { unit(curves) } else { (1.0, "step") };
    let place = |&(number, ms, _): &(u64, i64, f64)| {
        if view.by_time { ms as f64 / 1000.0 / unit } else { number as f64 }
    };
    let series = curves.iter().map(|(name, curve)| {
        let values = curve.iter().map(|(_, _, value)| *value);
        let raw: Vec<(f64, f64)> = curve.iter().map(|point| (place(point), point.2)).collect();
        let trend = smoothed(values, view.smoothing).into_iter().zip(&raw).map(|(value, (x, _))| (*x, value));
        Series {
            name: (*name).to_owned(),
            points: trend.collect(),
            raw: if view.smoothing > 0.0 { raw } else { Vec::new() },
            ..Series::default()
        }
    });
    Chart {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        log_y: view.log_y,
        series: series.collect(),
        area: AREA,
        has_legend: false,
        has_hover: true,
        ..Chart::default()
    }
}

/// The suitable unit of time, in seconds, and its name.
fn unit(curves: &[(&str, &Curve)]) -> (f64, &'static str) {
    let last = curves.iter().filter_map(|(_, curve)| curve.last()).map(|(_, ms, _)| *ms).max().unwrap_or(0);
    match last / 1000 {
        0..=180 => (1.0, "seconds"),
        181..=10_800 => (60.0, "minutes"),
        _ => (3600.0, "hours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_run_over_values_or_time_and_keep_what_was_smoothed() {
        let curve: Curve = vec![(1, 0, 4.0), (2, 600_000, 2.0)];
        let view = View { by_time: false, smoothing: 0.0, log_y: false };
        let drawn = chart("m", &[("a", &curve)], view);
        assert_eq!(
            (drawn.series[0].points.as_slice(), drawn.series[0].raw.len()),
            (&[(1.0, 4.0), (2.0, 2.0)][..], 0)
        );
        let drawn = chart("m", &[("a", &curve)], View { by_time: true, smoothing: 0.5, ..view });
        assert_eq!(drawn.x_label, "minutes");
        assert_eq!(drawn.series[0].raw, [(0.0, 4.0), (10.0, 2.0)]);
        assert!((drawn.series[0].points[1].1 - 2.0 / 0.75).abs() < 1e-9);
    }
}
