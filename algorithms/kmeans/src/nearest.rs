//! The search for the centre nearest to each row.
//!
//! Squared distances are compared as |c|^2 - 2 x.c, one matrix product for all rows and centres, of which only a tile exists at a
//! time. Data and centres are moved by a common shift first, since the difference of large squares has few correct digits. Where
//! rounding could change the result, distances are computed again directly, in double precision; ties go to the lower index.
//!
//! A sparse row is not moved: with s the shift and c' a moved centre, (x - s).c' = x.c' - s.c'. The first product has as many terms
//! as the row has values, and the second is the same for all rows.

use std::ops::Range;
use std::sync::OnceLock;

use kokanee_formats::rows::{Row, Rows};
use kokanee_kernels::packed::{Format, PackedMatrix};
use kokanee_kernels::{Mat, Team, reduce};

use crate::parts::in_parts;

/// Number of floats in a tile of distances, which should stay in a core's cache.
const TILE_FLOATS: usize = 1 << 17;
/// The least and the largest number of rows of a tile: enough to make a product of them.
const TILE_ROWS: Range<usize> = 8..256;

/// Centres in the form in which rows are compared with them.
pub(crate) struct Centers {
    /// Centres x width, row-major.
    values: Vec<f64>,
    width: usize,
    shift: Vec<f32>,
    /// The centres minus the shift.
    packed: PackedMatrix,
    /// |c|^2 of the moved centres.
    squares: Vec<f32>,
    largest_square: f32,
    /// The data that sparse rows are compared with, computed when the first one comes.
    sparse: OnceLock<ForSparse>,
}

/// Centres in the form in which sparse rows are compared with them.
struct ForSparse {
    /// The moved centres, width x centres.
    columns: Vec<f32>,
    /// s.c' of each centre.
    products: Vec<f32>,
    /// |s|^2, the square of the shift.
    square: f64,
}

/// A row whose square exceeds the range of 32-bit floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow {
    pub(crate) row: usize,
    /// The column with the largest value.
    pub(crate) column: usize,
}

impl Centers {
    /// Lays out centres (centres x width). `shift` is near the middle of the data.
    pub(crate) fn new(team: &Team, values: Vec<f64>, shift: Vec<f32>) -> Self {
        let width = shift.len();
        let count = values.len() / width;
        let shifted: Vec<f32> = values
            .chunks_exact(width)
            .flat_map(|center| {
                center.iter().zip(&shift).map(|(&value, &shift)| (value - f64::from(shift)) as f32)
            })
            .collect();
        let squares: Vec<f32> = shifted.chunks_exact(width).map(reduce::sum_of_squares).collect();
        let largest_square = squares.iter().copied().fold(0.0, f32::max);
        let packed = PackedMatrix::pack(team, Format::F32, Mat::new(&shifted, count, width));
        Self { values, width, shift, packed, squares, largest_square, sparse: OnceLock::new() }
    }

    fn for_sparse(&self) -> &ForSparse {
        self.sparse.get_or_init(|| {
            let count = self.count();
            let mut columns = vec![0.0; count * self.width];
            let mut products = vec![0.0f64; count];
            for (index, center) in self.values.chunks_exact(self.width).enumerate() {
                for (column, (&value, &shift)) in center.iter().zip(&self.shift).enumerate() {
                    let moved = (value - f64::from(shift)) as f32;
                    columns[column * count + index] = moved;
                    products[index] += f64::from(shift) * f64::from(moved);
                }
            }
            let square = self.shift.iter().map(|&shift| f64::from(shift).powi(2)).sum();
            ForSparse { columns, products: products.into_iter().map(|sum| sum as f32).collect(), square }
        })
    }

    fn count(&self) -> usize {
        self.squares.len()
    }

    /// The index of the centre nearest to each row.
    ///
    /// # Errors
    /// When the square of a row exceeds the range of 32-bit floats.
    pub(crate) fn nearest(&self, team: &Team, rows: &Rows) -> Result<Vec<u32>, Overflow> {
        let tile = (TILE_FLOATS / self.count().max(self.width)).clamp(TILE_ROWS.start, TILE_ROWS.end);
        let parts = in_parts(team, rows.len(), tile, |range| self.nearest_of(team, rows, range, tile));
        let mut nearest = Vec::with_capacity(rows.len());
        for (_, part) in parts {
            nearest.extend(part?);
        }
        Ok(nearest)
    }

    fn nearest_of(
        &self,
        team: &Team,
        rows: &Rows,
        range: Range<usize>,
        tile: usize,
    ) -> Result<Vec<u32>, Overflow> {
        let count = self.count();
        let mut nearest = Vec::with_capacity(range.len());
        let mut shifted = vec![0.0; tile * self.width];
        let mut products = vec![0.0; tile * count];
        for begin in range.clone().step_by(tile) {
            let length = tile.min(range.end - begin);
            let products = &mut products[..length * count];
            let mut squares = [0.0; TILE_ROWS.end];
            let is_sparse = |row: usize| matches!(rows.row(row), Row::Sparse(..));
            if (begin..begin + length).all(is_sparse) {
                for (offset, products) in products.chunks_exact_mut(count).enumerate() {
                    squares[offset] = self.multiply_sparse(rows.row(begin + offset), products);
                }
            } else {
                let shifted = &mut shifted[..length * self.width];
                self.shift_rows(rows, begin, shifted, &mut squares[..length]);
                // When called from inside a part, the team works on this thread only.
                self.packed.multiply(team, shifted, products, 0.0);
            }
            for (offset, products) in products.chunks_exact_mut(count).enumerate() {
                let (row, square) = (begin + offset, squares[offset]);
                if !square.is_finite() {
                    return Err(Overflow { row, column: self.largest(rows.row(row)) });
                }
                nearest.push(self.nearest_by(rows.row(row), square, products));
            }
        }
        Ok(nearest)
    }

    /// Computes the products of a sparse row, moved, with the centres; returns its square.
    fn multiply_sparse(&self, row: Row<'_>, products: &mut [f32]) -> f32 {
        let ForSparse { columns, products: of_shift, square } = self.for_sparse();
        for (product, &of_shift) in products.iter_mut().zip(of_shift) {
            *product = -of_shift;
        }
        let mut square = *square;
        row.for_each(|column, value| {
            let centers = &columns[column * products.len()..];
            for (product, &center) in products.iter_mut().zip(centers) {
                *product += value * center;
            }
            let shift = f64::from(self.shift[column]);
            square += (f64::from(value) - shift).powi(2) - shift.powi(2);
        });
        square.max(0.0) as f32
    }

    /// Moves rows, and computes the squares of the moved rows.
    fn shift_rows(&self, rows: &Rows, begin: usize, shifted: &mut [f32], squares: &mut [f32]) {
        if let Some(values) = rows.as_dense() {
            let values = &values[begin * self.width..][..shifted.len()];
            return reduce::move_rows(shifted, squares, values, &self.shift);
        }
        for (offset, (shifted, square)) in shifted.chunks_exact_mut(self.width).zip(squares).enumerate() {
            self.shift_row(rows.row(begin + offset), shifted);
            *square = reduce::sum_of_squares(shifted);
        }
    }

    fn shift_row(&self, row: Row<'_>, shifted: &mut [f32]) {
        match row {
            Row::Dense(values) => {
                for ((to, &value), &shift) in shifted.iter_mut().zip(values).zip(&self.shift) {
                    *to = value - shift;
                }
            }
            Row::Sparse(columns, values) => {
                for (to, &shift) in shifted.iter_mut().zip(&self.shift) {
                    // The value as for a dense row: 0 minus the shift.
                    *to = 0.0 - shift;
                }
                for (&column, &value) in columns.iter().zip(values) {
                    shifted[column as usize] = value - self.shift[column as usize];
                }
            }
        }
    }

    /// Finds the nearest centre of a row by its products with the centres, which become distances minus the row's own square.
    fn nearest_by(&self, row: Row<'_>, square: f32, products: &mut [f32]) -> u32 {
        let least = reduce::distances(products, &self.squares);
        // The rounding error of a dot product of this many terms, with much to spare, and of the sums; the products of sparse rows
        // are differences of products no larger than those of the row, the shift and the centre.
        let size = square + self.largest_square + self.shift_square(row);
        let error = f32::EPSILON * (8.0 + 2.0 * (self.width as f32).sqrt()) * size;
        let limit = least + 2.0 * error;
        if reduce::count_at_most(products, limit) == 1 {
            return products.iter().position(|&distance| distance == least).unwrap_or_default() as u32;
        }
        let mut candidates = products.iter().enumerate().filter(|&(_, &distance)| distance <= limit);
        let first = candidates.next().map_or(0, |(index, _)| index);
        let Some((second, _)) = candidates.next() else { return first as u32 };
        let mut best = (squared_distance(row, self.center(first)), first);
        for index in std::iter::once(second).chain(candidates.map(|(index, _)| index)) {
            let distance = squared_distance(row, self.center(index));
            if distance < best.0 {
                best = (distance, index);
            }
        }
        best.1 as u32
    }

    /// The additional rounding of a moved sparse row: the square of the shift, twice.
    fn shift_square(&self, row: Row<'_>) -> f32 {
        match row {
            Row::Dense(_) => 0.0,
            Row::Sparse(..) => 2.0 * self.for_sparse().square as f32,
        }
    }

    /// The column in which a row is farthest from the shift.
    fn largest(&self, row: Row<'_>) -> usize {
        let mut shifted = vec![0.0; self.width];
        self.shift_row(row, &mut shifted);
        let by_size = |a: &(usize, &f32), b: &(usize, &f32)| a.1.abs().total_cmp(&b.1.abs());
        shifted.iter().enumerate().max_by(by_size).map_or(0, |(column, _)| column)
    }

    /// A centre.
    pub(crate) fn center(&self, index: usize) -> &[f64] {
        &self.values[index * self.width..][..self.width]
    }
}

/// The squared Euclidean distance of a row and a centre, summed in the order of the columns.
pub(crate) fn squared_distance(row: Row<'_>, center: &[f64]) -> f64 {
    match row {
        Row::Dense(values) => {
            values.iter().zip(center).map(|(&value, &center)| (f64::from(value) - center).powi(2)).sum()
        }
        Row::Sparse(columns, values) => {
            let mut sum = 0.0;
            let mut nonzero = columns.iter().zip(values).peekable();
            for (column, &center) in center.iter().enumerate() {
                let value =
                    nonzero.next_if(|&(&at, _)| at as usize == column).map_or(0.0, |(_, &value)| value);
                sum += (f64::from(value) - center).powi(2);
            }
            sum
        }
    }
}
