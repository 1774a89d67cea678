//! Charts as SVG, each with a title and a description for screen readers. As a separate document a chart includes its style: no script, no
//! external font, readable on light and dark backgrounds. In a page it uses the page's style.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped};

use super::label;

mod axis;
pub mod bars;
pub mod heat_map;
pub mod lines;
pub mod parallel;
pub mod scatter;

pub use axis::number;

/// Width of a text column in units of the font size: a guess that fits usual sans-serif fonts.
const COLUMN_WIDTH: f64 = 0.62;

/// Background and foreground follow the reader's preference; viewers without one show dark on white.
const STYLE: &str = "\
    svg.k-plot text{font-family:'Helvetica Neue',Helvetica,Arial,'DejaVu Sans','Noto Sans',sans-serif}\
    .k-paper{fill:#fff}.k-ink{fill:#1d2733}.k-faint{fill:#5c6877}\
    .k-rule{stroke:#dfe4ea}.k-axis{stroke:#5c6877}.k-line,.k-rule,.k-axis{fill:none}\
    .k-above{paint-order:stroke;stroke:#fff;stroke-width:3;stroke-linejoin:round}\
    @media(prefers-color-scheme:dark){.k-paper{fill:#151a21}.k-ink{fill:#e8ecf1}.k-faint{fill:#9aa6b4}\
    .k-rule{stroke:#2b333d}.k-axis{stroke:#9aa6b4}.k-above{stroke:#151a21}}";

/// Text with XML markup escaped, and characters that XML forbids made visible.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if text.is_empty() {
        return out;
    }
    for c in label::visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Estimated width in pixels of `text` at `size` pixels.
fn text_width(text: &str, size: f64) -> f64 {
    label::width(text) as f64 * size * COLUMN_WIDTH
}

/// A pixel position with one decimal at most.
fn px(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // Adding 0 turns -0 into 0.
    format!("{}", rounded + 0.0)
}

/// Writes `<text …>`; `attributes` are given as written in XML.
fn text(out: &mut String, (x, y): (f64, f64), size: f64, attributes: &str, content: &str) {
    let (x, y, size, content) = (px(x), px(y), px(size), escape(content));
    let _ = writeln!(out, r#"<text x="{x}" y="{y}" font-size="{size}" {attributes}>{content}</text>"#);
}

/// A finished chart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawing {
    width: f64,
    height: f64,
    title: String,
    description: String,
    body: String,
    /// Values for the page's script, in JSON; may be empty.
    hover: String,
}

impl Drawing {
    /// The chart as a separate file.
    pub fn document(&self) -> String {
        let Self { body, .. } = self;
        let (width, height) = self.size();
        let (title, description) = (escape(&self.title), escape(&self.description));
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" class="k-plot" role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<title>{title}</title>
<desc>{description}</desc>
<style>{STYLE}</style>
<rect class="k-paper" width="{width}" height="{height}" rx="6"/>
{body}</svg>
"#
        )
    }

    /// The chart as part of a page: as wide as its container, but at most as wide as it was drawn.
    pub fn inline(&self) -> Markup {
        let Self { body, .. } = self;
        let (width, height) = self.size();
        let name = escape(&format!("{}. {}", self.title, self.description));
        let hover = match &*self.hover {
            "" => String::new(),
            values => format!(r#" tabindex="0" data-hover="{}""#, escape(values)),
        };
        PreEscaped(format!(
            r#"<svg class="k-plot" role="img" aria-label="{name}" width="{width}" height="{height}" viewBox="0 0 {width} {height}"{hover}>
{body}</svg>"#
        ))
    }

    fn size(&self) -> (String, String) {
        (px(self.width.ceil()), px(self.height.ceil()))
    }
}

#[cfg(test)]
mod tests;
