//! The matrices of a product: views of memory that others own.

use std::ops::Range;

use super::{Precision, f32};

/// A view of a matrix in a slice, or of rows anywhere in memory; strides count elements.
#[derive(Clone, Copy)]
pub struct Mat<'a> {
    pub(super) data: &'a [f32],
    /// The rows in memory; empty if they lie in `data`.
    pub(super) table: &'a [&'a [f32]],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

impl<'a> Mat<'a> {
    /// A row-major matrix that fills the slice.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `row_stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(fits(data.len(), rows, cols, row_stride), "a {rows} x {cols} matrix does not fit its slice");
        Mat { data, table: &[], rows, cols, row_stride, col_stride: 1 }
    }

    /// A matrix of these rows.
    pub fn of_rows(table: &'a [&'a [f32]], cols: usize) -> Self {
        assert!(table.iter().all(|row| row.len() == cols), "rows of {cols} elements");
        // The stride has no meaning here, but must never be that of elements that lie together.
        let row_stride = cols.max(2);
        Mat { data: &[], table, rows: table.len(), cols, row_stride, col_stride: 1 }
    }

    /// The transposed view of the same data.
    pub fn t(self) -> Self {
        Mat {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Some elements of a row, of a matrix whose rows are contiguous.
    pub(super) fn row(&self, row: usize, cols: Range<usize>) -> &'a [f32] {
        debug_assert!(self.col_stride == 1 && row < self.rows && cols.end <= self.cols);
        if let Some(row) = self.table.get(row) {
            return &row[cols];
        }
        let start = row * self.row_stride;
        &self.data[start + cols.start..start + cols.end]
    }

    pub(super) fn get(&self, row: usize, col: usize) -> f32 {
        if self.table.is_empty() {
            return self.data[row * self.row_stride + col * self.col_stride];
        }
        if self.col_stride == 1 { self.table[row][col] } else { self.table[col][row] }
    }

    /// The same matrix in one slice: `room` is used if its rows lie anywhere in memory.
    pub(super) fn in_one(self, room: &'a mut Vec<f32>) -> Mat<'a> {
        if self.table.is_empty() {
            return self;
        }
        let transposed = self.col_stride != 1;
        *room = self.table.concat();
        let (rows, cols) = if transposed { (self.cols, self.rows) } else { (self.rows, self.cols) };
        let copied = Mat::new(room, rows, cols);
        if transposed { copied.t() } else { copied }
    }
}

/// A view of a row-major matrix of bf16 numbers, two per word, the first in the lower half. A row with an odd number of them ends
/// with a zero.
#[derive(Clone, Copy)]
pub(super) struct Rounded<'a> {
    pub(super) words: &'a [u32],
    /// Rows and columns in memory.
    rows: usize,
    cols: usize,
    pub(super) transposed: bool,
}

impl<'a> Rounded<'a> {
    /// The matrix whose numbers fill the bits of a slice.
    fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols.div_ceil(2), "a {rows} x {cols} matrix does not fill its slice");
        Rounded { words: f32::words(data), rows, cols, transposed: false }
    }

    /// Words from one row in memory to the next.
    pub(super) fn stride(&self) -> usize {
        self.cols.div_ceil(2)
    }

    /// The transposed view of the same data.
    pub(super) fn t(self) -> Self {
        Rounded { transposed: !self.transposed, ..self }
    }

    /// Rows and columns of the view.
    fn shape(&self) -> (usize, usize) {
        if self.transposed { (self.cols, self.rows) } else { (self.rows, self.cols) }
    }

    /// The words of some columns of a row in memory. The first column is even.
    pub(super) fn words_of(&self, row: usize, cols: Range<usize>) -> &'a [u32] {
        let start = row * self.stride();
        &self.words[start + cols.start / 2..start + cols.end.div_ceil(2)]
    }
}

/// The operand of a product on one side: numbers that are rounded when they are laid out, or were rounded when they were stored.
#[derive(Clone, Copy)]
pub struct Side<'a>(pub(super) Numbers<'a>);

#[derive(Clone, Copy)]
pub(super) enum Numbers<'a> {
    Plain(Mat<'a>),
    Rounded(Rounded<'a>),
}

impl<'a> Side<'a> {
    /// A row-major matrix that fills the slice, stored as products in `precision` multiply it: in bf16 two numbers lie in the bits
    /// of an `f32`, the first in the lower half, and a row with an odd number of them ends with a zero. A row takes
    /// [`Precision::stored`] elements. Code that produces such a matrix writes half as much, and no product rounds it again.
    pub fn stored(precision: Precision, data: &'a [f32], rows: usize, cols: usize) -> Self {
        Side(match precision {
            Precision::F32 => Numbers::Plain(Mat::new(data, rows, cols)),
            Precision::Bf16 => Numbers::Rounded(Rounded::new(data, rows, cols)),
        })
    }

    /// The transposed view of the same data.
    pub fn t(self) -> Self {
        Side(match self.0 {
            Numbers::Plain(matrix) => Numbers::Plain(matrix.t()),
            Numbers::Rounded(matrix) => Numbers::Rounded(matrix.t()),
        })
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> (usize, usize) {
        match self.0 {
            Numbers::Plain(matrix) => (matrix.rows, matrix.cols),
            Numbers::Rounded(matrix) => matrix.shape(),
        }
    }

    /// The matrix of a product in `f32`.
    pub(super) fn plain(self) -> Mat<'a> {
        match self.0 {
            Numbers::Plain(matrix) => matrix,
            Numbers::Rounded(_) => panic!("rounded numbers are for products in bf16"),
        }
    }
}

impl<'a> From<Mat<'a>> for Side<'a> {
    fn from(matrix: Mat<'a>) -> Self {
        Side(Numbers::Plain(matrix))
    }
}

/// A mutable view of a row-major matrix.
pub struct MatMut<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// A row-major matrix that fills the slice.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `row_stride` elements apart.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(fits(data.len(), rows, cols, row_stride), "a {rows} x {cols} matrix does not fit its slice");
        MatMut { data, rows, cols, row_stride }
    }
}

fn fits(len: usize, rows: usize, cols: usize, row_stride: usize) -> bool {
    row_stride >= cols && (rows == 0 || (rows - 1) * row_stride + cols <= len)
}
