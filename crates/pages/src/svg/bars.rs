//! Bar charts: histograms, and amounts by name.

use std::fmt::Write as _;

use super::axis::{Axis, number};
use super::{Drawing, escape, px, text, text_width};
use crate::{label, palette};

const MARGIN: f64 = 18.0;
const SIZE: f64 = 11.0;
/// Longest name below a bar, in text columns, and the width of a column in pixels.
const LONGEST_NAME: usize = 14;
const COLUMN: f64 = 0.65 * SIZE;
/// Space of a name below the bars, in pixels.
const NAME_SPACE: f64 = 62.0;

/// Bars to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// Title.
    pub title: String,
    /// The label below the bars.
    pub x_label: String,
    /// Names and amounts; amounts that are not finite or below 0 are drawn as 0.
    pub bars: Vec<(String, f64)>,
    /// Width and height of the plotting area in pixels.
    pub area: (f64, f64),
}

/// Draws the bars from left to right. Each shows its amount in a tooltip; if there is no room for all names, only every second, third, … is
/// written.
pub fn draw(chart: &Bars) -> Drawing {
    let amounts: Vec<f64> =
        chart.bars.iter().map(|(_, amount)| if amount.is_finite() { amount.max(0.0) } else { 0.0 }).collect();
    let axis = Axis::around(amounts.iter().copied().chain([0.0]), false, 4).widened();
    let tick_width = axis.ticks().iter().map(|&y| text_width(&number(y), SIZE)).fold(0.0, f64::max);
    let (left, top) = (MARGIN + tick_width + 8.0, MARGIN + 34.0);
    let (right, bottom) = (left + chart.area.0, top + chart.area.1);
    let mut body = String::new();
    text(&mut body, (MARGIN, MARGIN + 13.0), 15.0, r#"class="k-ink" font-weight="600""#, &chart.title);
    for tick in axis.ticks() {
        let y = bottom - axis.share(tick) * chart.area.1;
        let _ = writeln!(body, r#"<path class="k-rule" d="M{} {}H{}"/>"#, px(left), px(y), px(right));
        let place = (left - 8.0, y + SIZE * 0.36);
        text(&mut body, place, SIZE, r#"class="k-faint" text-anchor="end""#, &number(tick));
    }
    let step = chart.area.0 / chart.bars.len().max(1) as f64;
    let every = (NAME_SPACE / step).ceil().max(1.0) as usize;
    let hue = palette::line(0).0;
    for (index, ((name, _), amount)) in chart.bars.iter().zip(&amounts).enumerate() {
        let (x, height) = (left + step * index as f64, axis.share(*amount) * chart.area.1);
        let _ = writeln!(
            body,
            r#"<rect x="{}" y="{}" width="{}" height="{}" fill="{hue}"><title>{}: {}</title></rect>"#,
            px(x + step * 0.08),
            px(bottom - height),
            px(step * 0.84),
            px(height),
            escape(name),
            number(*amount)
        );
        if index.is_multiple_of(every) {
            let room = (step * every as f64 / COLUMN) as usize;
            let name = label::fit(&label::visible(name), LONGEST_NAME.min(room));
            let place = (x + step / 2.0, bottom + 18.0);
            text(&mut body, place, SIZE, r#"class="k-faint" text-anchor="middle""#, &name);
        }
    }
    let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}H{}"/>"#, px(left), px(bottom), px(right));
    let middle = r#"class="k-ink" text-anchor="middle""#;
    text(&mut body, (left + chart.area.0 / 2.0, bottom + 38.0), 12.0, middle, &chart.x_label);
    let parts: Vec<String> = chart
        .bars
        .iter()
        .zip(&amounts)
        .map(|((name, _), amount)| format!("{name}: {}", number(*amount)))
        .collect();
    Drawing {
        width: right + MARGIN,
        height: bottom + 44.0 + MARGIN,
        title: chart.title.clone(),
        description: parts.join(", "),
        body,
        ..Drawing::default()
    }
}
