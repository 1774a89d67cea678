//! Parallel coordinates: one line per run, through one axis per setting.

use std::fmt::Write as _;

use super::axis::{self, Axis, number};
use super::{Drawing, escape, px, text, text_width};
use crate::{label, palette};

const MARGIN: f64 = 18.0;
const SIZE: f64 = 11.0;
/// Minimum height of the axes, and height of each category name, in pixels.
const HEIGHT: f64 = 260.0;
const LINE: f64 = 14.0;
/// Width from the first axis to the last, in pixels, unless that puts axes too close or too far apart.
const WIDTH: f64 = 960.0;
/// Least and greatest distance between two axes, in pixels.
const STEPS: (f64, f64) = (150.0, 300.0);
/// The part of the palette that lines use: its brightest yellow is hard to see on white.
const BRIGHTEST: f32 = 0.8;
/// Longest name of an axis and of a category, in text columns.
const LONGEST_NAME: usize = 20;

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct ParallelAxis {
    /// Its name.
    pub name: String,
    /// Whether its scale is logarithmic.
    pub log: bool,
    /// Names of values 0, 1, 2, …, if it has categories; empty for numbers.
    pub categories: Vec<String>,
}

/// A run.
#[derive(Clone, Debug, PartialEq)]
pub struct ParallelLine {
    /// The text of its tooltip.
    pub name: String,
    /// A value for each axis; `None` where it has none.
    pub values: Vec<Option<f64>>,
    /// Its quality, 0 to 1, which sets the colour; `None` for grey.
    pub level: Option<f32>,
}

impl ParallelAxis {
    /// The names of its categories, as written beside it.
    fn names(&self) -> Vec<(f64, String)> {
        let name =
            |(place, name): (usize, &String)| (place as f64, label::fit(&label::visible(name), LONGEST_NAME));
        self.categories.iter().enumerate().map(name).collect()
    }
}

/// Draws the lines; the last ones are on top.
pub fn draw(title: &str, axes: &[ParallelAxis], lines: &[ParallelLine]) -> Drawing {
    let ticks: Vec<Vec<(f64, String)>> = axes.iter().map(ParallelAxis::names).collect();
    let widest = ticks.first().into_iter().flatten().map(|(_, name)| text_width(name, SIZE));
    let (left, top) = (MARGIN + widest.fold(60.0, f64::max) + 7.0, MARGIN + 64.0);
    let most = ticks.iter().map(Vec::len).max().unwrap_or_default();
    let height = HEIGHT.max(LINE * most.saturating_sub(1) as f64);
    let bottom = top + height;
    let gaps = axes.len().saturating_sub(1) as f64;
    let step = (WIDTH / gaps.max(1.0)).clamp(STEPS.0, STEPS.1);
    let places: Vec<(f64, Axis)> = axes
        .iter()
        .enumerate()
        .map(|(index, axis)| {
            let values = lines.iter().filter_map(|line| line.values.get(index).copied().flatten());
            let values = values.filter(|value| axis::drawable(*value, axis.log));
            let of_categories = (0..axis.categories.len()).map(|category| category as f64);
            (left + step * index as f64, Axis::around(values.chain(of_categories), axis.log, 5))
        })
        .collect();
    let y = |axis: &Axis, value: f64| bottom - axis.share(value) * height;
    let mut body = String::new();
    text(&mut body, (MARGIN, MARGIN + 13.0), 15.0, r#"class="k-ink" font-weight="600""#, title);
    for line in lines {
        let mut path = String::new();
        let mut begins = true;
        for ((x, axis), (value, spec)) in places.iter().zip(line.values.iter().zip(axes)) {
            match value.filter(|value| axis::drawable(*value, spec.log)) {
                Some(value) => {
                    let _ =
                        write!(path, "{}{} {}", if begins { 'M' } else { 'L' }, px(*x), px(y(axis, value)));
                    begins = false;
                }
                None => begins = true,
            }
        }
        let hue = line
            .level
            .filter(|level| level.is_finite())
            .map_or_else(|| "#7d8896".to_owned(), |level| palette::hex(BRIGHTEST * level));
        let _ = writeln!(
            body,
            r#"<path class="k-line" stroke="{hue}" stroke-width="1.6" stroke-opacity="0.75" d="{path}"><title>{}</title></path>"#,
            escape(&line.name)
        );
    }
    for ((x, axis), (spec, names)) in places.iter().zip(axes.iter().zip(ticks)) {
        let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}V{}"/>"#, px(*x), px(top), px(bottom));
        let middle = r#"class="k-ink" text-anchor="middle""#;
        text(
            &mut body,
            (*x, top - 14.0),
            12.0,
            middle,
            &label::fit(&label::visible(&spec.name), LONGEST_NAME),
        );
        let ticks = if names.is_empty() {
            axis.ticks().into_iter().map(|tick| (tick, number(tick))).collect()
        } else {
            names
        };
        for (tick, name) in ticks {
            let place = (*x - 7.0, y(axis, tick) + SIZE * 0.36);
            text(&mut body, place, SIZE, r#"class="k-faint k-above" text-anchor="end""#, &name);
        }
    }
    let names: Vec<&str> = axes.iter().map(|axis| axis.name.as_str()).collect();
    Drawing {
        width: left + step * gaps + 60.0 + MARGIN,
        height: bottom + 10.0 + MARGIN,
        title: title.to_owned(),
        description: format!("{} runs over {}.", lines.len(), names.join(", ")),
        body,
        ..Drawing::default()
    }
}
