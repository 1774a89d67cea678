//! Lines over a common axis: learning curves.

use std::fmt::Write as _;

use serde_json::json;

use super::axis::{self, Axis, number};
use super::{Drawing, escape, px, text, text_width};
use crate::{label, palette};

/// Default size of the plotting area in pixels.
const AREA: (f64, f64) = (620.0, 340.0);
/// Space around everything, in pixels.
const MARGIN: f64 = 18.0;
/// Font size of labels in pixels.
const SIZE: f64 = 11.0;
/// Longest name in the legend before it is truncated, in text columns.
const LONGEST_NAME: usize = 30;
/// Maximum number of points of a line that get individual marks.
const MOST_MARKS: usize = 60;

/// The legend's text for dashed lines.
const EXPECTED: &str = "expected";

/// One named line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// (x, y) in the order they are joined. A point that is not finite, or not above 0 on a
    /// logarithmic axis, interrupts the line.
    pub points: Vec<(f64, f64)>,
    /// The expected values for the points: dashed, without marks, in the same colour; may be empty.
    pub expected: Vec<(f64, f64)>,
    /// The underlying points, such as values before smoothing: thin and pale; may be empty.
    pub raw: Vec<(f64, f64)>,
}

/// A chart to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Title.
    pub title: String,
    /// The quantity on x, with its unit.
    pub x_label: String,
    /// The quantity on y, with its unit.
    pub y_label: String,
    /// Whether x is drawn on a logarithmic scale.
    pub log_x: bool,
    /// Whether y is drawn on a logarithmic scale.
    pub log_y: bool,
    /// Whether y begins at 0, for amounts that are compared by their height; ignored on a logarithmic scale.
    pub y_from_zero: bool,
    /// The numbers written along x instead of round ones; those outside the range are left out.
    pub x_ticks: Vec<f64>,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
    /// Width and height of the plotting area in pixels.
    pub area: (f64, f64),
    /// Whether the names of the lines are shown at the right. A page that shows them itself has more room.
    pub has_legend: bool,
    /// Whether the page's script receives the values, to show them under the pointer.
    pub has_hover: bool,
}

impl Default for Chart {
    fn default() -> Self {
        Self {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            log_x: false,
            log_y: false,
            y_from_zero: false,
            x_ticks: Vec::new(),
            series: Vec::new(),
            area: AREA,
            has_legend: true,
            has_hover: false,
        }
    }
}

/// Draws the chart: lines, axes with round ticks, a legend at the right. Points show their values in tooltips; expected values are dashed.
pub fn draw(chart: &Chart) -> Drawing {
    let mut area = chart.area;
    let visible = |&(x, y): &(f64, f64)| axis::drawable(x, chart.log_x) && axis::drawable(y, chart.log_y);
    let of_series = |series: &'_ Series| {
        series.points.iter().chain(&series.expected).chain(&series.raw).copied().collect::<Vec<_>>()
    };
    let points: Vec<(f64, f64)> = chart.series.iter().flat_map(of_series).filter(visible).collect();
    let x_axis = Axis::around(points.iter().map(|point| point.0), chart.log_x, wanted_ticks(area.0));
    let zero = (chart.y_from_zero && !chart.log_y && !points.is_empty()).then_some(0.0);
    let y_axis =
        Axis::around(points.iter().map(|point| point.1).chain(zero), chart.log_y, wanted_ticks(area.1))
            .widened();
    let x_ticks = if chart.x_ticks.is_empty() { x_axis.ticks() } else { chart.x_ticks.clone() };

    let tick_width = y_axis.ticks().iter().map(|&y| text_width(&number(y), SIZE)).fold(0.0, f64::max);
    if !chart.has_legend {
        // Charts beside each other have the same width.
        area.0 -= tick_width;
    }
    let y_label_width = if chart.y_label.is_empty() { 0.0 } else { SIZE + 10.0 };
    let left = MARGIN + y_label_width + tick_width + 8.0;
    let top = MARGIN + 34.0;
    let (right, bottom) = (left + area.0, top + area.1);
    let at = |(x, y): (f64, f64)| (left + x_axis.share(x) * area.0, bottom - y_axis.share(y) * area.1);

    let mut body = String::new();
    text(&mut body, (MARGIN, MARGIN + 13.0), 15.0, r#"class="k-ink" font-weight="600""#, &chart.title);
    for tick in y_axis.ticks() {
        let y = bottom - y_axis.share(tick) * area.1;
        let d = format!("M{} {}H{}", px(left), px(y), px(right));
        let _ = writeln!(body, r#"<path class="k-rule" d="{d}"/>"#);
        let place = (left - 8.0, y + SIZE * 0.36);
        text(&mut body, place, SIZE, r#"class="k-faint" text-anchor="end""#, &number(tick));
    }
    let inside =
        |tick: &f64| axis::drawable(*tick, chart.log_x) && (0.0..=1.0).contains(&x_axis.share(*tick));
    for tick in x_ticks.into_iter().filter(inside) {
        let x = left + x_axis.share(tick) * area.0;
        let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}v5"/>"#, px(x), px(bottom));
        text(&mut body, (x, bottom + 18.0), SIZE, r#"class="k-faint" text-anchor="middle""#, &number(tick));
    }
    let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}H{}"/>"#, px(left), px(bottom), px(right));
    let middle = r#"class="k-ink" text-anchor="middle""#;
    let scale = |log: bool| if log { " (log scale)" } else { "" };
    let x_label = format!("{}{}", chart.x_label, scale(chart.log_x));
    text(&mut body, (left + area.0 / 2.0, bottom + 38.0), 12.0, middle, &x_label);
    let (x, y) = (MARGIN + SIZE, top + area.1 / 2.0);
    let turned = format!(r#"{middle} transform="rotate(-90 {} {})""#, px(x), px(y));
    if !chart.y_label.is_empty() {
        text(&mut body, (x, y), 12.0, &turned, &format!("{}{}", chart.y_label, scale(chart.log_y)));
    }
    if points.is_empty() {
        text(&mut body, (left + area.0 / 2.0, top + area.1 / 2.0), 13.0, middle, "no values to draw");
    }
    for (index, series) in chart.series.iter().enumerate() {
        line(&mut body, index, series, &visible, &at);
    }
    let (mut width, mut height) = (right + MARGIN, bottom + 38.0 + 6.0 + MARGIN);
    if chart.has_legend {
        width = right + 22.0 + legend(&mut body, &chart.series, (right + 22.0, top + 6.0)) + MARGIN;
        let entries = chart.series.len() + usize::from(has_expected(&chart.series));
        height = height.max(top + 20.0 * entries as f64 + MARGIN);
    }
    width = width.max(2.0 * MARGIN + text_width(&chart.title, 15.0) * 1.08);
    let names: Vec<&str> = chart.series.iter().map(|series| series.name.as_str()).collect();
    let y_label = if chart.y_label.is_empty() { &chart.title } else { &chart.y_label };
    let description = format!("{y_label} over {}: {}.", chart.x_label, names.join(", "));
    let hover = if chart.has_hover && !points.is_empty() {
        hover(chart, &visible, &at, (left, right, top, bottom))
    } else {
        String::new()
    };
    Drawing { width, height, title: chart.title.clone(), description, body, hover }
}

/// The number of ticks for an axis of so many pixels.
fn wanted_ticks(pixels: f64) -> usize {
    ((pixels / 70.0).round() as usize).clamp(3, 8)
}

/// The data for a page's script to show values under the pointer: the plotting area, and the points of each line, by pixel and as text.
fn hover(
    chart: &Chart,
    visible: &dyn Fn(&(f64, f64)) -> bool,
    at: &dyn Fn((f64, f64)) -> (f64, f64),
    (left, right, top, bottom): (f64, f64, f64, f64),
) -> String {
    let rounded = |value: f64| (value * 10.0).round() / 10.0;
    let series = chart.series.iter().enumerate().map(|(index, series)| {
        let points = series.points.iter().filter(|point| visible(point)).map(|&point| {
            let (x, y) = at(point);
            json!([rounded(x), rounded(y), number(point.0), number(point.1)])
        });
        json!({"name": series.name, "hue": palette::line(index).0, "points": points.collect::<Vec<_>>()})
    });
    json!({
        "left": rounded(left),
        "right": rounded(right),
        "top": rounded(top),
        "bottom": rounded(bottom),
        "x": chart.x_label,
        "series": series.collect::<Vec<_>>(),
    })
    .to_string()
}

/// One line, interrupted where a point cannot be drawn; a single point between two gaps is a dot.
fn line(
    body: &mut String,
    index: usize,
    series: &Series,
    visible: &dyn Fn(&(f64, f64)) -> bool,
    at: &dyn Fn((f64, f64)) -> (f64, f64),
) {
    let path = |points: &[(f64, f64)]| {
        let mut path = String::new();
        for run in points.split(|point| !visible(point)) {
            for (step, &point) in run.iter().enumerate() {
                let (x, y) = at(point);
                let _ = write!(path, "{}{} {}", if step == 0 { 'M' } else { 'L' }, px(x), px(y));
            }
            if run.len() == 1 {
                path.push_str("h0");
            }
        }
        path
    };
    for (path, stroke) in [
        (path(&series.raw), raw(index)),
        (path(&series.expected), expected(index)),
        (path(&series.points), stroke(index)),
    ] {
        if !path.is_empty() {
            let _ = writeln!(body, r#"<path class="k-line" {stroke} d="{path}"/>"#);
        }
    }
    if series.points.len() > MOST_MARKS {
        return;
    }
    let (hue, _) = palette::line(index);
    for &point in series.points.iter().filter(|point| visible(point)) {
        let (x, y) = at(point);
        let _ = writeln!(
            body,
            r#"<circle cx="{}" cy="{}" r="2.6" fill="{hue}"><title>{}: {} at {}</title></circle>"#,
            px(x),
            px(y),
            escape(&series.name),
            number(point.1),
            number(point.0)
        );
    }
}

/// The names of the lines, each beside a sample of it; returns the width in pixels.
fn legend(body: &mut String, series: &[Series], (x, y): (f64, f64)) -> f64 {
    let mut widest = 0.0;
    for (index, series) in series.iter().enumerate() {
        let y = y + 20.0 * index as f64;
        let name = label::fit(&label::visible(&series.name), LONGEST_NAME);
        let _ = writeln!(body, r#"<path class="k-line" {} d="M{} {}h24"/>"#, stroke(index), px(x), px(y));
        text(body, (x + 31.0, y + 4.0), 12.0, r#"class="k-ink""#, &name);
        widest = f64::max(widest, 31.0 + text_width(&name, 12.0));
    }
    if has_expected(series) {
        let y = y + 20.0 * series.len() as f64;
        let stroke = r#"class="k-axis" stroke-dasharray="5 4""#;
        let _ = writeln!(body, r#"<path {stroke} d="M{} {}h24"/>"#, px(x), px(y));
        text(body, (x + 31.0, y + 4.0), 12.0, r#"class="k-faint""#, EXPECTED);
        widest = f64::max(widest, 31.0 + text_width(EXPECTED, 12.0));
    }
    widest
}

fn has_expected(series: &[Series]) -> bool {
    series.iter().any(|series| !series.expected.is_empty())
}

/// The style of an expected line.
fn expected(index: usize) -> String {
    let (hue, _) = palette::line(index);
    format!(r#"stroke="{hue}" stroke-width="1.4" stroke-opacity="0.8" stroke-dasharray="5 4""#)
}

/// The style of values before smoothing.
fn raw(index: usize) -> String {
    let (hue, _) = palette::line(index);
    format!(r#"stroke="{hue}" stroke-width="1" stroke-opacity="0.35""#)
}

fn stroke(index: usize) -> String {
    let (hue, dash) = palette::line(index);
    let dash = dash.map_or_else(String::new, |dash| format!(r#" stroke-dasharray="{dash}""#));
    format!(r#"stroke="{hue}" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"{dash}"#)
}
