//! Pictures as stand-alone SVG: no script, no outside font, readable on light and dark pages, each
//! with a title and a description for those who listen.

use std::fmt::Write as _;

use super::label;

pub mod attention;
pub mod curve;

/// Width of a text column in units of the font size: a guess that fits usual sans-serif fonts.
const COLUMN_WIDTH: f64 = 0.62;

/// Paper and ink follow the reader's preference; where a viewer knows none, dark ink on white paper.
const STYLE: &str = "\
    svg.k-plot text{font-family:'Helvetica Neue',Helvetica,Arial,'DejaVu Sans','Noto Sans',sans-serif}\
    .k-paper{fill:#fff}.k-ink{fill:#1d2733}.k-faint{fill:#5c6877}\
    .k-rule{stroke:#dfe4ea}.k-axis{stroke:#5c6877}.k-line,.k-rule,.k-axis{fill:none}\
    @media(prefers-color-scheme:dark){.k-paper{fill:#151a21}.k-ink{fill:#e8ecf1}.k-faint{fill:#9aa6b4}\
    .k-rule{stroke:#2b333d}.k-axis{stroke:#9aa6b4}}";

/// Text with what XML would read as markup escaped, and what it forbids made visible.
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

/// A whole document of `width` x `height` pixels around `body`.
fn document(width: f64, height: f64, title: &str, description: &str, body: &str) -> String {
    let (width, height) = (px(width.ceil()), px(height.ceil()));
    let (title, description) = (escape(title), escape(description));
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

#[cfg(test)]
mod tests;
