//! The description of a model as data; the program does the layout.

/// The description of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Lines and tables from top to bottom; the first line is a summary.
    pub blocks: Vec<Block>,
    /// Exports for other programs: a name, such as `centers`, and numbers as CSV.
    pub exports: Vec<(&'static str, String)>,
}

/// A part of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A line of text; an empty one separates parts.
    Line(String),
    /// A table.
    Table(Table),
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Column heads, and whether each column holds numbers.
    pub columns: Vec<(String, bool)>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

impl Report {
    /// Adds a line.
    pub fn line(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Line(text.into()));
    }

    /// Adds a table.
    pub fn add(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    /// Adds a table, separated by an empty line.
    pub fn table(&mut self, table: Table) {
        self.line("");
        self.add(table);
    }

    /// Adds a table with a title line above it.
    pub fn titled(&mut self, title: impl Into<String>, table: Table) {
        self.line("");
        self.line(title);
        self.add(table);
    }
}

impl Table {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column of numbers.
    #[must_use]
    pub fn numbers(mut self, head: impl Into<String>) -> Self {
        self.columns.push((head.into(), true));
        self
    }

    /// Adds a column of words.
    #[must_use]
    pub fn words(mut self, head: impl Into<String>) -> Self {
        self.columns.push((head.into(), false));
        self
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When the number of cells differs from the number of columns.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }
}
