//! Scatter plots: slices of a search, one per hyperparameter.

use std::fmt::Write as _;

use super::axis::{self, Axis, number};
use super::{Drawing, escape, px, text, text_width};
use crate::{label, palette};

const MARGIN: f64 = 18.0;
const SIZE: f64 = 11.0;
/// Longest name of a category, in text columns.
const LONGEST_NAME: usize = 24;
/// Minimum distance between the lines of two neighbouring names, and between the ends of two names in a row, in pixels.
const LINE: f64 = 13.0;
const GAP: f64 = 8.0;
/// The rotation of names that do not fit into a row, in degrees.
const SLANTED: f64 = 40.0;
const UPRIGHT: f64 = 90.0;

/// Points to be drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// Title.
    pub title: String,
    /// The quantity on x, with its unit.
    pub x_label: String,
    /// Whether x is drawn on a logarithmic scale.
    pub log_x: bool,
    /// Whether y is drawn on a logarithmic scale.
    pub log_y: bool,
    /// Names of the values 0, 1, 2, … of x, if it has categories; empty for numbers.
    pub categories: Vec<String>,
    /// x, y, and a name for the tooltip. Points without a position on the axes are left out.
    pub points: Vec<(f64, f64, String)>,
    /// Width and height of the plotting area in pixels.
    pub area: (f64, f64),
}

/// Draws the points; later ones are brighter, which shows the course of a search.
pub fn draw(chart: &Scatter) -> Drawing {
    let visible = |point: &&(f64, f64, String)| {
        let has_place = chart.categories.is_empty() || category(point.0, &chart.categories).is_some();
        has_place && axis::drawable(point.0, chart.log_x) && axis::drawable(point.1, chart.log_y)
    };
    let points: Vec<&(f64, f64, String)> = chart.points.iter().filter(visible).collect();
    let x_axis = Axis::around(points.iter().map(|point| point.0), chart.log_x, 5);
    let names = Names::new(&chart.categories, chart.area.0);
    let x_share = |x: f64| match &names {
        Some(names) => (x + 0.5) * names.band / chart.area.0,
        None => x_axis.share(x),
    };
    let y_axis = Axis::around(points.iter().map(|point| point.1), chart.log_y, 5).widened();
    let tick_width = y_axis.ticks().iter().map(|&y| text_width(&number(y), SIZE)).fold(0.0, f64::max);
    let left = names.as_ref().map_or(0.0, Names::left).max(tick_width + 8.0) + MARGIN;
    let top = MARGIN + 34.0;
    let (right, bottom) = (left + chart.area.0, top + chart.area.1);
    let mut body = String::new();
    text(&mut body, (MARGIN, MARGIN + 13.0), 15.0, r#"class="k-ink" font-weight="600""#, &chart.title);
    for tick in y_axis.ticks() {
        let y = bottom - y_axis.share(tick) * chart.area.1;
        let _ = writeln!(body, r#"<path class="k-rule" d="M{} {}H{}"/>"#, px(left), px(y), px(right));
        let place = (left - 8.0, y + SIZE * 0.36);
        text(&mut body, place, SIZE, r#"class="k-faint" text-anchor="end""#, &number(tick));
    }
    match &names {
        Some(names) => names.write(&mut body, (left, bottom)),
        None => {
            for tick in x_axis.ticks() {
                let x = left + x_axis.share(tick) * chart.area.0;
                let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}v5"/>"#, px(x), px(bottom));
                let middle = r#"class="k-faint" text-anchor="middle""#;
                text(&mut body, (x, bottom + 18.0), SIZE, middle, &number(tick));
            }
        }
    }
    let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}H{}"/>"#, px(left), px(bottom), px(right));
    let scale = if chart.log_x { " (log scale)" } else { "" };
    let middle = r#"class="k-ink" text-anchor="middle""#;
    let x_label = format!("{}{scale}", chart.x_label);
    let foot = bottom + names.as_ref().map_or(SIZE, Names::height);
    text(&mut body, (left + chart.area.0 / 2.0, foot + 27.0), 12.0, middle, &x_label);
    let last = points.len().saturating_sub(1).max(1) as f32;
    for (index, (x, y, name)) in points.iter().enumerate() {
        let _ = writeln!(
            body,
            r#"<circle cx="{}" cy="{}" r="4" fill="{}" fill-opacity="0.85"><title>{}: {} at {}</title></circle>"#,
            px(left + x_share(*x) * chart.area.0),
            px(bottom - y_axis.share(*y) * chart.area.1),
            palette::hex(0.15 + 0.75 * index as f32 / last),
            escape(name),
            number(*y),
            category(*x, &chart.categories).map_or_else(|| number(*x), escape)
        );
    }
    let description = format!("{} points over {}.", points.len(), chart.x_label);
    Drawing {
        width: right + MARGIN,
        height: foot + 33.0 + MARGIN,
        title: chart.title.clone(),
        description,
        body,
        ..Drawing::default()
    }
}

/// The name of a value of x; `None` if it is not a category.
fn category(x: f64, categories: &[String]) -> Option<&str> {
    categories.iter().enumerate().find(|(place, _)| *place as f64 == x).map(|(_, name)| name.as_str())
}

/// Names of categories below the axis, each in the middle of its band: in a row if all fit, otherwise rotated, so that none overlaps
/// another.
struct Names {
    names: Vec<String>,
    /// Width of a category in pixels.
    band: f64,
    /// Their rotation, in degrees.
    angle: f64,
    /// Only every such name is written: more than 1 where even upright names do not fit beside each other.
    every: usize,
}

impl Names {
    fn new(categories: &[String], width: f64) -> Option<Self> {
        let names: Vec<String> =
            categories.iter().map(|name| label::fit(&label::visible(name), LONGEST_NAME)).collect();
        let longest = names.iter().map(|name| text_width(name, SIZE)).reduce(f64::max)?;
        let band = width / names.len() as f64;
        let angle = if longest + GAP <= band {
            0.0
        } else if band * SLANTED.to_radians().sin() >= LINE {
            SLANTED
        } else {
            UPRIGHT
        };
        let every = if angle == UPRIGHT { (LINE / band).ceil().max(1.0) as usize } else { 1 };
        Some(Self { names, band, angle, every })
    }

    /// How far the names extend beyond the left end of the axis, in pixels.
    fn left(&self) -> f64 {
        let beyond = |(place, name): (usize, &String)| {
            let reach = if self.angle == 0.0 { 0.5 } else { self.angle.to_radians().cos() };
            text_width(name, SIZE) * reach - (place as f64 + 0.5) * self.band
        };
        self.names.iter().enumerate().map(beyond).fold(0.0, f64::max)
    }

    /// How far they extend below the axis, besides the space of a tick, in pixels.
    fn height(&self) -> f64 {
        let longest = self.names.iter().map(|name| text_width(name, SIZE)).fold(0.0, f64::max);
        (longest * self.angle.to_radians().sin()).max(SIZE)
    }

    fn write(&self, body: &mut String, (left, bottom): (f64, f64)) {
        for (place, name) in self.names.iter().enumerate() {
            let x = left + (place as f64 + 0.5) * self.band;
            let _ = writeln!(body, r#"<path class="k-axis" d="M{} {}v5"/>"#, px(x), px(bottom));
            if !place.is_multiple_of(self.every) {
                continue;
            }
            if self.angle == 0.0 {
                text(body, (x, bottom + 18.0), SIZE, r#"class="k-faint" text-anchor="middle""#, name);
            } else {
                // The names end below their tick.
                let (x, y) = (x + SIZE * 0.36, bottom + 13.0);
                let turned = format!(r#"transform="rotate(-{} {} {})""#, self.angle, px(x), px(y));
                text(body, (x, y), SIZE, &format!(r#"class="k-faint" text-anchor="end" {turned}"#), name);
            }
        }
    }
}
