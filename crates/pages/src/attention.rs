//! The matrix that heat maps show.

use thiserror::Error;

use super::label;

/// The weight that gets the last colour of the scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// 1, so that pictures of several sentences are comparable. A row of attention weights sums to 1.
    #[default]
    One,
    /// The largest weight of the matrix, so that thinly spread attention can be seen.
    Largest,
}

/// The error for a matrix that does not fit its tokens.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// The number of rows differs from the number of target tokens.
    #[error("an attention matrix needs one row per target token: there are {rows} rows for {tokens} tokens")]
    Rows {
        /// Number of rows.
        rows: usize,
        /// Number of target tokens.
        tokens: usize,
    },
    /// The number of columns of a row differs from the number of source tokens.
    #[error(
        "an attention matrix needs one column per source token: row {row} (counted from 1) has {columns} columns for {tokens} tokens"
    )]
    Columns {
        /// The row, counted from 1.
        row: usize,
        /// Number of columns.
        columns: usize,
        /// Number of source tokens.
        tokens: usize,
    },
}

/// Attention of T target tokens (rows) over S source tokens (columns), checked and with labels
/// that are safe to show.
#[derive(Debug, Clone)]
pub struct Attention<'a> {
    /// T labels.
    pub target: Vec<String>,
    /// S labels.
    pub source: Vec<String>,
    weights: &'a [Vec<f32>],
    top: f32,
}

impl<'a> Attention<'a> {
    /// Combines tokens with their weights, T rows of S numbers.
    ///
    /// # Errors
    /// If the weights are not one row per target token and one number per source token.
    pub fn new(
        target: &[impl AsRef<str>],
        source: &[impl AsRef<str>],
        weights: &'a [Vec<f32>],
        scale: Scale,
    ) -> Result<Self, ShapeError> {
        if weights.len() != target.len() {
            return Err(ShapeError::Rows { rows: weights.len(), tokens: target.len() });
        }
        let bad = weights.iter().position(|row| row.len() != source.len());
        if let Some(row) = bad {
            let columns = weights[row].len();
            return Err(ShapeError::Columns { row: row + 1, columns, tokens: source.len() });
        }
        let largest = weights.iter().flatten().copied().filter(|w| w.is_finite()).fold(0.0, f32::max);
        let top = if scale == Scale::Largest && largest > 0.0 { largest } else { 1.0 };
        let labels = |tokens: Vec<&str>| tokens.into_iter().map(label::visible).collect();
        Ok(Self {
            target: labels(target.iter().map(AsRef::as_ref).collect()),
            source: labels(source.iter().map(AsRef::as_ref).collect()),
            weights,
            top,
        })
    }

    /// The weight itself.
    pub fn weight(&self, row: usize, column: usize) -> f32 {
        self.weights[row][column]
    }

    /// The position of the weight on the scale, 0 to 1; `None` if it is not a finite number.
    pub fn level(&self, row: usize, column: usize) -> Option<f32> {
        let weight = self.weight(row, column);
        weight.is_finite().then(|| (weight / self.top).clamp(0.0, 1.0))
    }

    /// The weight at the end of the scale.
    pub fn top(&self) -> f32 {
        self.top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: &[&[f32]], scale: Scale, expected: Result<Vec<Option<f32>>, &str>) {
        let weights: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
        let got = Attention::new(&["x", "y"], &["a", "b"], &weights, scale)
            .map(|map| (0..4).map(|cell| map.level(cell / 2, cell % 2)).collect::<Vec<_>>())
            .map_err(|error| error.to_string());
        assert_eq!(got, expected.map_err(str::to_owned));
    }

    #[test]
    fn levels_follow_the_scale_and_shapes_are_checked() {
        let levels = |values: [f32; 4]| Ok(values.map(Some).to_vec());
        check(&[&[0.0, 0.25], &[0.5, 0.125]], Scale::One, levels([0.0, 0.25, 0.5, 0.125]));
        check(&[&[0.0, 0.25], &[0.5, 0.125]], Scale::Largest, levels([0.0, 0.5, 1.0, 0.25]));
        check(&[&[0.0, 0.0], &[0.0, 0.0]], Scale::Largest, levels([0.0; 4]));
        check(&[&[-1.0, 2.0], &[0.0, 1.0]], Scale::One, levels([0.0, 1.0, 0.0, 1.0]));
        check(
            &[&[f32::NAN, 0.5], &[f32::INFINITY, 0.25]],
            Scale::Largest,
            Ok(vec![None, Some(1.0), None, Some(0.5)]),
        );
        check(
            &[&[0.0, 0.0]],
            Scale::One,
            Err("an attention matrix needs one row per target token: there are 1 rows for 2 tokens"),
        );
        check(
            &[&[0.0, 0.0], &[0.0]],
            Scale::One,
            Err(
                "an attention matrix needs one column per source token: row 2 (counted from 1) has 1 columns for 2 tokens",
            ),
        );
    }
}
