//! A model's description as text.

use kokanee_algorithm::report::{Block, Report};

use super::table::Table;

/// A report as text.
pub fn text_of(report: &Report) -> String {
    let mut text = String::new();
    for block in &report.blocks {
        match block {
            Block::Line(line) => {
                text.push_str(line);
                text.push('\n');
            }
            Block::Table(table) => text.push_str(&Table::from(table).to_string()),
        }
    }
    text
}
