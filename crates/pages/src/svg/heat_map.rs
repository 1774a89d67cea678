//! An attention matrix as a picture.

use std::fmt::Write as _;

use super::{Drawing, escape, px, text, text_width};
use crate::{Attention, label, palette};

/// Target length of the grid's longest side, in pixels; large matrices get smaller cells.
const GRID: f64 = 900.0;
/// Smallest and largest side of a cell in pixels.
const CELL: (f64, f64) = (11.0, 34.0);
/// Longest label before it is truncated, in text columns; the tooltip shows the whole label.
const LONGEST_LABEL: usize = 22;
/// Space around everything, in pixels.
const MARGIN: f64 = 18.0;
/// Height of the title and the line below it in pixels.
const TITLE: f64 = 44.0;
/// The meaning of the sides of the grid.
const KEY: &str = "rows: target, columns: source";
/// Slant of column labels that are wider than a cell, in degrees.
const SLANT: f64 = 50.0;

/// Draws the matrix: rows are target tokens, columns source tokens, dark is 0. Each cell shows its weight in a tooltip.
pub fn draw(attention: &Attention<'_>, title: &str) -> Drawing {
    let (rows, columns) = (attention.target.len(), attention.source.len());
    let cell = (GRID / rows.max(columns).max(1) as f64).clamp(CELL.0, CELL.1).floor();
    let size = (cell * 0.5).clamp(8.0, 13.0);
    let cut =
        |tokens: &[String]| tokens.iter().map(|token| label::fit(token, LONGEST_LABEL)).collect::<Vec<_>>();
    let (targets, sources) = (cut(&attention.target), cut(&attention.source));
    let widest = |labels: &[String]| labels.iter().map(|text| text_width(text, size)).fold(0.0, f64::max);

    let slanted = widest(&sources) > cell - 2.0;
    let (rise, overhang) = if slanted {
        let last = sources.last().map_or(0.0, |text| text_width(text, size));
        let rise = widest(&sources) * SLANT.to_radians().sin() + size;
        (rise, (last * SLANT.to_radians().cos() - cell / 2.0).max(0.0))
    } else {
        (size + 4.0, 0.0)
    };
    let left = MARGIN + widest(&targets) + 8.0;
    let top = MARGIN + TITLE + rise + 6.0;
    let (grid_width, grid_height) = (cell * columns as f64, cell * rows as f64);
    let bar_left = left + grid_width + overhang.max(22.0);
    let bar_height = grid_height.clamp(90.0, 220.0);

    let mut body = String::new();
    text(&mut body, (MARGIN, MARGIN + 13.0), 15.0, r#"class="k-ink" font-weight="600""#, title);
    text(&mut body, (MARGIN, MARGIN + 31.0), 11.0, r#"class="k-faint""#, KEY);
    column_labels(&mut body, attention, &sources, (left, top), cell, size, slanted);
    for (row, name) in targets.iter().enumerate() {
        let y = top + cell * (row as f64 + 0.5) + size * 0.36;
        text(&mut body, (left - 8.0, y), size, r#"class="k-ink" text-anchor="end""#, name);
    }
    cells(&mut body, attention, (left, top), cell);
    color_bar(&mut body, (bar_left, top), bar_height, attention.top());

    let title_width = (text_width(title, 15.0) * 1.08).max(text_width(KEY, 11.0));
    let width = (bar_left + 14.0 + 40.0).max(MARGIN + title_width) + MARGIN;
    let height = top + grid_height.max(bar_height) + MARGIN;
    let description = format!(
        "Attention weights of {rows} target tokens (rows) over {columns} source tokens (columns), from 0 (dark) to {} (bright).",
        attention.top()
    );
    Drawing { width, height, title: title.to_owned(), description, body, ..Drawing::default() }
}

fn column_labels(
    body: &mut String,
    attention: &Attention<'_>,
    shown: &[String],
    (left, top): (f64, f64),
    cell: f64,
    size: f64,
    slanted: bool,
) {
    for (column, (name, full)) in shown.iter().zip(&attention.source).enumerate() {
        let (x, y) = (left + cell * (column as f64 + 0.5), top - 6.0);
        let (turn, anchor) = if slanted {
            (format!(r#" transform="rotate(-{SLANT} {} {})""#, px(x), px(y)), "start")
        } else {
            (String::new(), "middle")
        };
        let (x, y, size, name, full) = (px(x), px(y), px(size), escape(name), escape(full));
        let _ = writeln!(
            body,
            r#"<text class="k-ink" x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}"{turn}>{name}<title>{full}</title></text>"#
        );
    }
}

fn cells(body: &mut String, attention: &Attention<'_>, (left, top): (f64, f64), cell: f64) {
    let side = if cell >= 16.0 { cell - 1.0 } else { cell };
    let _ = writeln!(body, r#"<g shape-rendering="crispEdges">"#);
    for (row, target) in attention.target.iter().enumerate() {
        for (column, source) in attention.source.iter().enumerate() {
            let (x, y) = (left + cell * column as f64, top + cell * row as f64);
            let fill = attention.level(row, column).map_or_else(|| "#d14545".to_owned(), palette::hex);
            let _ = writeln!(
                body,
                r#"<rect x="{}" y="{}" width="{side}" height="{side}" fill="{fill}"><title>{} ← {}: {:.3}</title></rect>"#,
                px(x),
                px(y),
                escape(target),
                escape(source),
                attention.weight(row, column)
            );
        }
    }
    let _ = writeln!(body, "</g>");
}

/// The colour scale beside the grid: 0 at the bottom, `weight` at the top.
fn color_bar(body: &mut String, (x, y): (f64, f64), height: f64, weight: f32) {
    const STEPS: usize = 32;
    let step = height / STEPS as f64;
    let _ = writeln!(body, r#"<g shape-rendering="crispEdges">"#);
    for index in 0..STEPS {
        let fill = palette::hex(1.0 - index as f32 / (STEPS - 1) as f32);
        // Drawn slightly too high, so that no gap appears between steps.
        let (x, y, height) = (px(x), px(y + step * index as f64), px(step + 0.5));
        let _ = writeln!(body, r#"<rect x="{x}" y="{y}" width="14" height="{height}" fill="{fill}"/>"#);
    }
    let _ = writeln!(body, "</g>");
    for (share, value) in [(0.0, weight), (0.5, weight / 2.0), (1.0, 0.0)] {
        let shown = format!("{}", (value * 1000.0).round() / 1000.0);
        let y = y + height * share + 3.6;
        text(body, (x + 19.0, y), 10.0, r#"class="k-faint""#, &shown);
    }
}
