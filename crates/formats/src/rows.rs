//! A batch of rows, dense or sparse.

use std::fmt;
use std::ops::Range;

/// Rows of equal width, each dense or sparse.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    width: usize,
    rows: Vec<Place>,
    /// Values of all rows; for a sparse row, its nonzeros.
    values: Vec<f32>,
    /// Columns of the values of sparse rows, ascending within a row.
    columns: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    values: usize,
    /// Start of the columns of a sparse row, and its number of values.
    sparse: Option<(usize, usize)>,
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Row<'a> {
    /// A value for each column.
    Dense(&'a [f32]),
    /// The columns that are not 0, ascending, and their values.
    Sparse(&'a [u32], &'a [f32]),
}

/// The maximum numbers of rows and values of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Number of rows.
    pub rows: usize,
    /// Number of values; for a sparse row, those that it names.
    pub values: usize,
}

/// A million rows, and 128 MiB of values.
impl Default for Limits {
    fn default() -> Self {
        Self { rows: 1 << 20, values: 1 << 25 }
    }
}

/// `10 rows and 100 values`.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows and {} values", self.rows, self.values)
    }
}

impl Rows {
    /// The maximum number of columns of a row. A sparse row can claim any number, and algorithms allocate memory for each column.
    pub const MOST_COLUMNS: usize = 1 << 28;

    /// An empty batch with this many columns.
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// A batch of dense rows, given one after the other.
    ///
    /// # Panics
    /// When the values do not fill whole rows.
    pub fn dense(width: usize, values: &[f32]) -> Self {
        let mut rows = Self::new(width);
        assert!(width > 0 && values.len().is_multiple_of(width), "whole rows");
        values.chunks_exact(width).for_each(|row| rows.push_dense(row));
        rows
    }

    /// Adds a dense row.
    ///
    /// # Panics
    /// When it has another width.
    pub fn push_dense(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.width, "the width of the batch");
        self.rows.push(Place { values: self.values.len(), sparse: None });
        self.values.extend_from_slice(row);
    }

    /// Adds the dense row that `fill` appends to the values. Returns false, and adds nothing, if `fill` does not append exactly one row or
    /// returns false.
    pub(crate) fn push_filled(&mut self, fill: impl FnOnce(&mut Vec<f32>) -> bool) -> bool {
        let before = self.values.len();
        let is_row = fill(&mut self.values) && self.values.len() == before + self.width;
        if is_row {
            self.rows.push(Place { values: before, sparse: None });
        } else {
            self.values.truncate(before);
        }
        is_row
    }

    /// Adds a sparse row: ascending columns, and their values.
    ///
    /// # Panics
    /// When a column is beyond the width, or the columns do not ascend.
    pub fn push_sparse(&mut self, columns: &[u32], values: &[f32]) {
        assert_eq!(columns.len(), values.len(), "a value for each column");
        assert!(columns.is_sorted_by(|a, b| a < b), "columns ascend");
        assert!(columns.last().is_none_or(|&last| (last as usize) < self.width), "columns of the batch");
        self.rows
            .push(Place { values: self.values.len(), sparse: Some((self.columns.len(), columns.len())) });
        self.values.extend_from_slice(values);
        self.columns.extend_from_slice(columns);
    }

    /// Removes all rows, but keeps their memory.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.values.clear();
        self.columns.clear();
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of the rows, without spare capacity.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.rows) + size_of_val(&*self.values) + size_of_val(&*self.columns)
    }

    /// Number of columns of each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The values of all rows, one row after the other; `None` if a row is sparse.
    pub fn as_dense(&self) -> Option<&[f32]> {
        // A sparse row without values counts as a row, but adds no values.
        let is_dense = self.columns.is_empty() && self.values.len() == self.rows.len() * self.width;
        is_dense.then_some(&self.values)
    }

    /// A row.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, index: usize) -> Row<'_> {
        let Place { values, sparse } = self.rows[index];
        match sparse {
            None => Row::Dense(&self.values[values..][..self.width]),
            Some((columns, count)) => {
                Row::Sparse(&self.columns[columns..][..count], &self.values[values..][..count])
            }
        }
    }
}

impl Row<'_> {
    /// As [`for_each`](Self::for_each), for these columns only.
    pub fn of_columns(self, range: Range<usize>, mut each: impl FnMut(usize, f32)) {
        match self {
            Row::Dense(values) => {
                values[range.clone()].iter().zip(range).for_each(|(&value, column)| each(column, value));
            }
            Row::Sparse(columns, values) => {
                let begin = columns.partition_point(|&column| (column as usize) < range.start);
                let end = columns.partition_point(|&column| (column as usize) < range.end);
                columns[begin..end]
                    .iter()
                    .zip(&values[begin..end])
                    .for_each(|(&column, &value)| each(column as usize, value));
            }
        }
    }

    /// Calls `each` with the column and value of every stored value.
    pub fn for_each(self, mut each: impl FnMut(usize, f32)) {
        match self {
            Row::Dense(values) => values.iter().enumerate().for_each(|(column, &value)| each(column, value)),
            Row::Sparse(columns, values) => {
                columns.iter().zip(values).for_each(|(&column, &value)| each(column as usize, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_and_sparse_rows_lie_side_by_side() {
        let mut rows = Rows::new(4);
        rows.push_dense(&[1.0, 0.0, 2.0, 0.0]);
        rows.push_sparse(&[0, 2], &[1.0, 2.0]);
        rows.push_sparse(&[], &[]);
        assert_eq!((rows.len(), rows.width()), (3, 4));
        let of = |row: usize, range: Range<usize>| {
            let mut seen = Vec::new();
            rows.row(row).of_columns(range, |column, value| {
                if value != 0.0 {
                    seen.push((column, value));
                }
            });
            seen
        };
        for row in [0, 1] {
            assert_eq!(of(row, 0..4), [(0, 1.0), (2, 2.0)]);
            assert_eq!(of(row, 1..3), [(2, 2.0)]);
        }
        assert_eq!(of(2, 0..4), []);
        rows.clear();
        assert!(rows.is_empty() && rows.width() == 4);
    }

    #[test]
    #[should_panic(expected = "columns ascend")]
    fn columns_that_come_twice_are_refused() {
        Rows::new(3).push_sparse(&[1, 1], &[1.0, 2.0]);
    }
}
