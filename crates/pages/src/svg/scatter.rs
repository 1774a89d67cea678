//! Points over an axis: slices of a search, one for each hyperparameter.

use std::fmt::Write as _;

use super::axis::{self, Axis, number};
use super::{Drawing, escape, px, text, text_width};
use crate::palette;

const MARGIN: f64 = 18.0;
const SIZE: f64 = 11.0;

/// Points to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// Head line.
    pub title: String,
    /// What x is, with its unit.
    pub x_label: String,
    /// Whether x is drawn on a logarithmic scale.
    pub log_x: bool,
    /// x, y, and a name for the tooltip. Points that have no place on the axes are left out.
    pub points: Vec<(f64, f64, String)>,
    /// Width and height of the plotting area in pixels.
    pub area: (f64, f64),
}

/// Draws the points; later ones are brighter, so that the way of a search shows.
pub fn draw(chart: &Scatter) -> Drawing {
    let visible =
        |point: &&(f64, f64, String)| axis::drawable(point.0, chart.log_x) && axis::drawable(point.1, false);
    let points: Vec<&(f64, f64, String)> = chart.points.iter().filter(visible).collect();
    let x_axis = Axis::around(points.iter().map(|point| point.0), chart.log_x, 5);
    let y_axis = Axis::around(points.iter().map(|point| point.1), false, 5).widened();
    let tick_width = y_axis.ticks().iter().map(|&y| text_width(&number(y), SIZE)).fold(0.0, f64::max);
    let (left, top) = (MARGIN + tick_width + 8.0, MARGIN + 34.0);
    let (right, bottom) = (left + chart.area.0, top + chart.area.1);
    let mut body = String::new();
    text(&mut body, (MARGIN, MARGIN + 13.0), 15.0, r#"class="k-ink" font-weight="600""#, &chart.title);
    for tick in y_axis.ticks() {
        let y = bottom - y_axis.share(tick) * chart.area.1;
        let _ = writeln!(body, r#"<path class="k-rule" d="M{} {}H{}"/>"#, px(left), px(y), px(right));
        let place = (left - 8.0, y + SIZE * 0.36);
        text(&mut body, place, SIZE, r#"class="k-faint" text-anchor="end""#, &number(tick));
    }
    for tick in x_axis.ticks() {
        let x = left + x_axis.share(tick) * chart.area.0;
        let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}v5"/>"#, px(x), px(bottom));
        text(&mut body, (x, bottom + 18.0), SIZE, r#"class="k-faint" text-anchor="middle""#, &number(tick));
    }
    let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}H{}"/>"#, px(left), px(bottom), px(right));
    let scale = if chart.log_x { " (log scale)" } else { "" };
    let middle = r#"class="k-ink" text-anchor="middle""#;
    let x_label = format!("{}{scale}", chart.x_label);
    text(&mut body, (left + chart.area.0 / 2.0, bottom + 38.0), 12.0, middle, &x_label);
    let last = points.len().saturating_sub(1).max(1) as f32;
    for (index, (x, y, name)) in points.iter().enumerate() {
        let _ = writeln!(
            body,
            r#"<circle cx="{}" cy="{}" r="4" fill="{}" fill-opacity="0.85"><title>{}: {} at {}</title></circle>"#,
            px(left + x_axis.share(*x) * chart.area.0),
            px(bottom - y_axis.share(*y) * chart.area.1),
            palette::hex(0.15 + 0.75 * index as f32 / last),
            escape(name),
            number(*y),
            number(*x)
        );
    }
    let description = format!("{} points over {}.", points.len(), chart.x_label);
    Drawing {
        width: right + MARGIN,
        height: bottom + 44.0 + MARGIN,
        title: chart.title.clone(),
        description,
        body,
        ..Drawing::default()
    }
}
