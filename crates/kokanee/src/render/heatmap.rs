//! An attention matrix in the terminal.

use std::fmt::Write as _;

use kokanee_pages::{Attention, label, palette};

#[cfg(test)]
mod tests;

/// Longest target label that is not cut, in columns.
const LONGEST_ROW_LABEL: usize = 20;
/// Longest source label written in one line above its column.
const LONGEST_LEVEL_LABEL: usize = 3;
/// The largest number of lines for source labels written from top to bottom.
const MOST_HEADER_LINES: usize = 12;
/// Shades of a map without colours, from the least to the most weight.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// Steps shown in the legend of a coloured map.
const LEGEND_STEPS: usize = 16;

/// The colours that the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorMode {
    /// 256 colours by ANSI escapes.
    Ansi256,
    /// Characters only: five shades.
    Plain,
}

/// Draws the matrix: a line per target token, a block per source token, a legend below. Ends with a line break. A matrix wider than
/// `width` columns is cut into parts drawn one below the other.
pub fn heatmap(attention: &Attention<'_>, color: ColorMode, width: usize) -> String {
    if attention.target.is_empty() || attention.source.is_empty() {
        return "(nothing to draw: no token on one side)\n".to_owned();
    }
    let rows: Vec<String> =
        attention.target.iter().map(|token| label::fit(token, LONGEST_ROW_LABEL)).collect();
    let margin = rows.iter().map(|row| label::width(row)).max().unwrap_or(0);
    let longest = attention.source.iter().map(|token| label::width(token)).max().unwrap_or(0);
    // A cell is two columns or more: about as wide as high, and room for a wide character.
    let level = longest <= LONGEST_LEVEL_LABEL;
    let cell = if level { longest + 1 } else { 2 };
    let per_part = (width.saturating_sub(margin + 3) / cell).max(1);

    let mut out = String::new();
    for start in (0..attention.source.len()).step_by(per_part) {
        let columns = start..attention.source.len().min(start + per_part);
        if start > 0 {
            out.push('\n');
        }
        header(&mut out, &attention.source[columns.clone()], margin + 2, cell, level);
        for (row, name) in rows.iter().enumerate() {
            let levels: Vec<_> = columns.clone().map(|column| attention.level(row, column)).collect();
            let _ = write!(out, "{} │", label::pad_left(name, margin));
            cells(&mut out, &levels, cell, color);
            out.push_str("│\n");
        }
    }
    let steps = if color == ColorMode::Plain { SHADES.len() } else { LEGEND_STEPS };
    let ramp: Vec<_> = (0..steps).map(|step| Some(step as f32 / (steps - 1) as f32)).collect();
    let _ = write!(out, "{} 0 ", " ".repeat(margin));
    cells(&mut out, &ramp, 1, color);
    let _ = writeln!(out, " {}", (attention.top() * 1000.0).round() / 1000.0);
    out
}

/// Writes source tokens above their columns: each in one line if `level`, otherwise from top to bottom.
fn header(out: &mut String, tokens: &[String], indent: usize, cell: usize, level: bool) {
    let mut lines: Vec<String> = Vec::new();
    if level {
        lines.push(tokens.iter().map(|token| label::pad_right(token, cell)).collect());
    } else {
        let columns: Vec<Vec<String>> = tokens
            .iter()
            .map(|token| {
                let mut letters = label::letters(token);
                if letters.len() > MOST_HEADER_LINES {
                    letters.truncate(MOST_HEADER_LINES - 1);
                    letters.push("⋮".to_owned());
                }
                letters
            })
            .collect();
        let height = columns.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            lines.push(
                columns
                    .iter()
                    .map(|letters| {
                        let letter =
                            (line + letters.len()).checked_sub(height).map_or("", |index| &letters[index]);
                        label::pad_right(letter, cell)
                    })
                    .collect(),
            );
        }
    }
    for line in lines {
        let _ = writeln!(out, "{}", format!("{}{line}", " ".repeat(indent)).trim_end());
    }
}

/// Writes blocks of `size` columns, with adjacent blocks of one colour under one escape. A weight that is NaN is shown as question
/// marks.
fn cells(out: &mut String, levels: &[Option<f32>], size: usize, color: ColorMode) {
    let mut current = None;
    for level in levels {
        let (block, code) = match (level, color) {
            (None, _) => ('?', None),
            (Some(level), ColorMode::Plain) => {
                (SHADES[(level * (SHADES.len() - 1) as f32).round() as usize], None)
            }
            (Some(level), ColorMode::Ansi256) => ('█', Some(palette::terminal(*level))),
        };
        if code != current {
            out.push_str(&code.map_or_else(|| "\x1b[0m".to_owned(), |code| format!("\x1b[38;5;{code}m")));
            current = code;
        }
        out.extend(std::iter::repeat_n(block, size));
    }
    if current.is_some() {
        out.push_str("\x1b[0m");
    }
}
