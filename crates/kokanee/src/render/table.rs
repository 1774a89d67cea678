//! Aligned text tables for reports.

use std::fmt;

use kokanee_pages::label;

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// A table with a head line, a rule, and rows; columns are two blanks apart.
#[derive(Debug, Clone, Default)]
pub struct Table {
    head: Vec<String>,
    align: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of words.
    #[must_use]
    pub fn words(self, name: &str) -> Self {
        self.column(name, Align::Left)
    }

    /// Adds a column of numbers.
    #[must_use]
    pub fn numbers(self, name: &str) -> Self {
        self.column(name, Align::Right)
    }

    fn column(mut self, name: &str, align: Align) -> Self {
        self.head.push(shown(name));
        self.align.push(align);
        self
    }

    /// Adds a row. Missing cells stay blank; an extra cell is a fault of the caller and is shown in a column without a name. Line
    /// breaks and other control characters are made visible.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|cell| shown(cell.as_ref())).collect());
    }
}

impl From<&kokanee_algorithm::report::Table> for Table {
    fn from(table: &kokanee_algorithm::report::Table) -> Self {
        let columns = table.columns.iter();
        let mut laid_out =
            columns.fold(
                Self::new(),
                |laid_out, (head, is_number)| {
                    if *is_number { laid_out.numbers(head) } else { laid_out.words(head) }
                },
            );
        table.rows.iter().for_each(|row| laid_out.row(row));
        laid_out
    }
}

/// A cell's text; an empty one stays empty.
fn shown(text: &str) -> String {
    if text.is_empty() { String::new() } else { label::visible(text) }
}

impl fmt::Display for Table {
    /// Each line ends with a line break and has no blanks before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(self.head.len());
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                lines().filter_map(|line| line.get(column)).map(|cell| label::width(cell)).max().unwrap_or(0)
            })
            .collect();
        for (index, line) in lines().enumerate() {
            let cells: Vec<String> = widths
                .iter()
                .enumerate()
                .map(|(column, &width)| {
                    let cell = line.get(column).map_or("", String::as_str);
                    match self.align.get(column) {
                        Some(Align::Right) => label::pad_left(cell, width),
                        _ => label::pad_right(cell, width),
                    }
                })
                .collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
                writeln!(f, "{}", rules.join("  "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[&[&str]], expected: &[&str]) {
        let mut table = Table::new().words("word").numbers("PER").words("said");
        for row in rows {
            table.row(row.iter());
        }
        assert_eq!(table.to_string(), expected.iter().map(|line| format!("{line}\n")).collect::<String>());
    }

    #[test]
    fn aligns_words_left_and_numbers_right() {
        check(&[], &["word  PER  said", "────  ───  ────"]);
        check(
            &[&["car", "0.0%", "K AA1 R"], &["tapeworm", "112.5%", ""], &["日本語", "8%", "x"]],
            &[
                "word         PER  said",
                "────────  ──────  ───────",
                "car         0.0%  K AA1 R",
                "tapeworm  112.5%",
                "日本語        8%  x",
            ],
        );
    }

    #[test]
    fn odd_rows_are_shown_not_lost() {
        check(
            &[&["a\nb"], &["c", "1", "d", "extra"]],
            &["word  PER  said", "────  ───  ────  ─────", "a␊b", "c       1  d     extra"],
        );
    }
}
