//! Attention matrices: a row per target word, a column per source word.

use kokanee_seq2seq_nn::decode::AttentionRow;
use serde::ser::{Serialize, SerializeSeq as _, Serializer};

/// Attention weights. Zeros outside a word's own piece take no memory; they appear when the matrix is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttentionMatrix {
    columns: usize,
    rows: Vec<AttentionRow>,
}

impl AttentionMatrix {
    /// Rows for a source of `columns` tokens. A model that reads a `</s>` after them attends to it too: its column is left out, and
    /// the others are scaled so that the row sums to 1 again.
    pub fn new(columns: usize, rows: impl IntoIterator<Item = AttentionRow>) -> Self {
        let rows = rows.into_iter().map(|row| source_columns(row, columns)).collect();
        Self { columns, rows }
    }

    /// The matrix of an empty source.
    pub fn nothing() -> &'static Self {
        static NOTHING: AttentionMatrix = AttentionMatrix { columns: 0, rows: Vec::new() };
        &NOTHING
    }

    /// One row for each target token; none if attention was not asked for.
    pub fn rows(&self) -> &[AttentionRow] {
        &self.rows
    }

    /// The number of source tokens.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All weights, zeros included.
    pub fn dense(&self) -> Vec<Vec<f32>> {
        self.rows.iter().map(|row| row.dense(self.columns).collect()).collect()
    }
}

/// Serialised as an array for each row.
impl Serialize for AttentionMatrix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(Some(self.rows.len()))?;
        for row in &self.rows {
            rows.serialize_element(&Row { row, columns: self.columns })?;
        }
        rows.end()
    }
}

struct Row<'a> {
    row: &'a AttentionRow,
    columns: usize,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.row.dense(self.columns))
    }
}

fn source_columns(mut row: AttentionRow, columns: usize) -> AttentionRow {
    let kept = columns.saturating_sub(row.first);
    if row.weights.len() > kept {
        row.weights.truncate(kept);
        let sum: f32 = row.weights.iter().sum();
        if sum > 0.0 {
            row.weights.iter_mut().for_each(|weight| *weight /= sum);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(first: usize, weights: &[f32]) -> AttentionRow {
        AttentionRow { first, weights: weights.to_vec() }
    }

    #[test]
    fn a_row_without_the_column_of_the_end_symbol_sums_to_one_again() {
        let check = |weights: &[f32], columns, expected: &[f32]| {
            assert_eq!(AttentionMatrix::new(columns, [row(0, weights)]).dense(), [expected]);
        };
        check(&[0.25, 0.75], 2, &[0.25, 0.75]);
        check(&[0.25, 0.25, 0.5], 2, &[0.5, 0.5]);
        check(&[0.0, 0.0, 1.0], 2, &[0.0, 0.0]);
        check(&[1.0], 0, &[]);
    }

    #[test]
    fn what_is_not_kept_is_written_as_zero() {
        let matrix = AttentionMatrix::new(5, [row(0, &[0.5, 0.5]), row(2, &[0.25, 0.75]), row(4, &[1.0])]);
        let expected = [[0.5, 0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.25, 0.75, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]];
        assert_eq!(matrix.dense(), expected);
        assert_eq!(serde_json::to_string(&matrix).unwrap(), serde_json::to_string(&expected).unwrap());
        assert_eq!(matrix.rows().iter().map(AttentionRow::strongest).collect::<Vec<_>>(), [0, 3, 4]);
    }
}
