//! The description of a model, as data: the program lays it out.

/// What there is to say of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Lines of plain text, the first one a summary.
    pub lines: Vec<String>,
    /// Tables below them.
    pub tables: Vec<Table>,
    /// What can be written to a file for other programs: numbers as CSV, with a name such as `centers`.
    pub exports: Vec<(&'static str, String)>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Heads of the columns, and whether they hold numbers.
    pub columns: Vec<(String, bool)>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}
