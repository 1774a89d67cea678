//! Products of `f32` matrices with any strides, computed in `f32` or bf16. Products with weights that stay the same, in three
//! number formats, are in [`packed`].

#[macro_use]
mod kernel;
mod bf16;
mod blocked;
mod f32;
mod int8;
mod layout;
mod memory;
pub mod packed;
mod peak;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
mod tiles;

use std::ops::Range;

pub(super) use self::bf16::{parts as parts_of_word, words as rounded_words};
pub(super) use self::f32::words_mut;
pub(super) use self::kernel::{ROWS as TILE_ROWS, prefetch};
use self::packed::Format;
pub use self::peak::peak;
use super::isa::Isa;
use super::threads::{SharedMut, Team};

/// How the numbers of a product are rounded before they are multiplied. Sums are `f32` either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Not at all.
    #[default]
    F32,
    /// To the nearest bf16, 8 bits of precision, as [`packed`] says: twice as fast where the machine has instructions for it.
    Bf16,
}

impl Precision {
    /// Whether this machine has instructions for it; without them it is computed all the same, but slower than `f32`.
    pub fn is_native(self) -> bool {
        match self {
            Precision::F32 => true,
            Precision::Bf16 => Isa::has_avx512_bf16(),
        }
    }
}

impl From<Precision> for Format {
    fn from(precision: Precision) -> Format {
        match precision {
            Precision::F32 => Format::F32,
            Precision::Bf16 => Format::Bf16,
        }
    }
}

/// A view of a matrix in a slice, or of rows that lie anywhere; strides count elements.
#[derive(Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    /// The rows in memory, or none where they lie in `data`.
    table: &'a [&'a [f32]],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
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
        // Without a meaning, but never that of elements that lie together.
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

    /// Some elements of a row, of a matrix whose rows lie together.
    fn row(&self, row: usize, cols: Range<usize>) -> &'a [f32] {
        debug_assert!(self.col_stride == 1 && row < self.rows && cols.end <= self.cols);
        if let Some(row) = self.table.get(row) {
            return &row[cols];
        }
        let start = row * self.row_stride;
        &self.data[start + cols.start..start + cols.end]
    }

    fn get(&self, row: usize, col: usize) -> f32 {
        if self.table.is_empty() {
            return self.data[row * self.row_stride + col * self.col_stride];
        }
        if self.col_stride == 1 { self.table[row][col] } else { self.table[col][row] }
    }

    /// The same matrix in one slice, which `room` is for where it lies anywhere.
    fn in_one(self, room: &'a mut Vec<f32>) -> Mat<'a> {
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

/// A view of a row-major matrix of bf16 numbers, two in the bits of an `f32`, the first in the lower half; a row of an odd number
/// of them ends with a zero ([`cross_entropy::gradients`](super::cross_entropy::gradients) leaves such a matrix).
#[derive(Clone, Copy)]
pub struct Rounded<'a> {
    words: &'a [u32],
    /// Rows and columns in memory.
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<'a> Rounded<'a> {
    /// The matrix in a slice that it fills.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols.div_ceil(2), "a {rows} x {cols} matrix does not fill its slice");
        Rounded { words: f32::words(data), rows, cols, transposed: false }
    }

    /// Words from one row in memory to the next.
    fn stride(&self) -> usize {
        self.cols.div_ceil(2)
    }

    /// The transposed view of the same data.
    pub fn t(self) -> Self {
        Rounded { transposed: !self.transposed, ..self }
    }

    /// Rows and columns of the view.
    fn shape(&self) -> (usize, usize) {
        if self.transposed { (self.cols, self.rows) } else { (self.rows, self.cols) }
    }

    /// The words of some columns of a row in memory, of which the first is even.
    fn words_of(&self, row: usize, cols: Range<usize>) -> &'a [u32] {
        let start = row * self.stride();
        &self.words[start + cols.start / 2..start + cols.end.div_ceil(2)]
    }
}

/// A mutable view of a row-major matrix.
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
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

/// `C = beta C + A B`, with `beta` 0 (C is overwritten, whatever it held) or 1 (the product is added).
pub fn gemm(team: &Team, precision: Precision, c: MatMut<'_>, beta: f32, a: Mat<'_>, b: Mat<'_>) {
    assert!(beta == 0.0 || beta == 1.0, "beta is 0 or 1");
    assert_eq!((c.rows, c.cols, a.cols), (a.rows, b.cols, b.rows), "shapes of a product");
    super::work::count_product(c.rows * c.cols, a.cols);
    if c.rows == 0 || c.cols == 0 {
        return;
    }
    if made_elsewhere(precision) {
        let mut room = [Vec::new(), Vec::new()];
        let [a_room, b_room] = &mut room;
        elsewhere(team, c, beta, a.in_one(a_room), b.in_one(b_room));
    } else {
        blocked::multiply(team, precision.into(), c, beta, blocked::Left::Plain(a), b);
    }
}

/// As [`gemm()`] in bf16, with a left side that is rounded already.
pub fn gemm_rounded(team: &Team, c: MatMut<'_>, beta: f32, a: Rounded<'_>, b: Mat<'_>) {
    assert!(beta == 0.0 || beta == 1.0, "beta is 0 or 1");
    let (rows, inputs) = a.shape();
    assert_eq!((c.rows, c.cols, inputs), (rows, b.cols, b.rows), "shapes of a product");
    super::work::count_product(c.rows * c.cols, inputs);
    if c.rows > 0 && c.cols > 0 {
        blocked::multiply(team, Format::Bf16, c, beta, blocked::Left::Rounded(a), b);
    }
}

/// Some sums of a product, which nobody else has.
pub(super) struct Piece<'a> {
    /// Number of the part of the product's columns that these are; see [`parts`].
    pub(super) part: usize,
    pub(super) rows: Range<usize>,
    pub(super) cols: Range<usize>,
    sums: &'a mut [f32],
    /// Sums from one row to the next.
    stride: usize,
}

impl Piece<'_> {
    /// The sums of each row.
    pub(super) fn by_rows(&mut self) -> impl Iterator<Item = (usize, &mut [f32])> {
        let cols = self.cols.len();
        let rows = self.sums.chunks_mut(self.stride).map(move |row| &mut row[..cols]);
        self.rows.clone().zip(rows)
    }
}

/// In how many parts [`gemm_into`] gives `cols` columns of sums with `depth` terms each.
pub(super) fn parts(precision: Precision, depth: usize, cols: usize) -> usize {
    cols.div_ceil(blocked::part_panels(precision.into(), depth) * kernel::PANEL)
}

/// `A B`, a piece at a time to `take`, on any of the threads: a few rows of one part of the columns, while they lie in the first
/// cache. So what is made of a product that no cache holds needs no way through memory.
pub(super) fn gemm_into(
    team: &Team,
    precision: Precision,
    a: Mat<'_>,
    b: Mat<'_>,
    take: &(dyn Fn(Piece<'_>) + Sync),
) {
    assert_eq!(a.cols, b.rows, "shapes of a product");
    super::work::count_product(a.rows * b.cols, a.cols);
    if a.rows == 0 || b.cols == 0 {
        return;
    }
    if made_elsewhere(precision) {
        let mut room = [Vec::new(), Vec::new()];
        let [a_room, b_room] = &mut room;
        elsewhere_into(team, a.in_one(a_room), b.in_one(b_room), take);
    } else {
        blocked::multiply_into(team, precision.into(), a, b, take);
    }
}

/// Whether products are left to the crate `gemm`: our own kernels are made for wide registers, and its are the faster ones
/// elsewhere.
fn made_elsewhere(precision: Precision) -> bool {
    precision == Precision::F32 && Isa::detect() < Isa::Avx512
}

/// Products smaller than this many multiply-adds stay on the calling thread.
const SMALL: usize = 64 * 64 * 64;
/// Borders between the threads' parts fall on multiples of this: a whole number of the micro-kernel's registers.
const GRAIN: usize = 48;

/// The product by the crate `gemm`, split over the team.
fn elsewhere(team: &Team, c: MatMut<'_>, beta: f32, a: Mat<'_>, b: Mat<'_>) {
    let (m, n, k) = (c.rows, c.cols, a.cols);
    let stride = c.row_stride;
    let shared = SharedMut::new(c.data);
    let part = |rows: Range<usize>, cols: Range<usize>| {
        if rows.is_empty() || cols.is_empty() {
            return;
        }
        // SAFETY: the part lies inside the slice, as the constructor of the view checked; the parts that the threads write are
        // disjoint.
        unsafe {
            by_crate(
                shared.as_mut_ptr().add(rows.start * stride + cols.start),
                stride,
                beta,
                a,
                rows,
                b,
                cols,
            )
        };
    };
    if m * n * k < SMALL {
        part(0..m, 0..n);
    } else if n >= m {
        team.split(n, GRAIN, |cols| part(0..m, cols));
    } else {
        team.split(m, GRAIN, |rows| part(rows, 0..n));
    }
}

/// The same, a part of the columns at a time to `take`.
fn elsewhere_into(team: &Team, a: Mat<'_>, b: Mat<'_>, take: &(dyn Fn(Piece<'_>) + Sync)) {
    let (m, n) = (a.rows, b.cols);
    let width = blocked::part_panels(Format::F32, a.cols) * kernel::PANEL;
    team.take_turns(n.div_ceil(width), |part| {
        let cols = part * width..n.min((part + 1) * width);
        let stride = cols.len();
        let mut sums = vec![0.0; m * stride];
        // SAFETY: the slice has a row of the part's columns for each row of A.
        unsafe { by_crate(sums.as_mut_ptr(), stride, 0.0, a, 0..m, b, cols.clone()) };
        take(Piece { part, rows: 0..m, cols, sums: &mut sums, stride });
    });
}

/// A part of a product by the crate `gemm`, neither side of it empty.
///
/// # Safety
/// At `first` must begin as many rows of as many elements as the part has, `stride` apart, that nobody else uses meanwhile.
unsafe fn by_crate(
    first: *mut f32,
    stride: usize,
    beta: f32,
    a: Mat<'_>,
    rows: Range<usize>,
    b: Mat<'_>,
    cols: Range<usize>,
) {
    let (a_start, b_start) = (rows.start * a.row_stride, cols.start * b.col_stride);
    // SAFETY: all addresses in A and B lie inside their slices, as the constructors of the views checked, and those in the
    // result belong to the caller.
    unsafe {
        gemm::gemm(
            rows.len(),
            cols.len(),
            a.cols,
            first,
            1,
            stride as isize,
            beta != 0.0,
            a.data.as_ptr().add(a_start.min(a.data.len())),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr().add(b_start.min(b.data.len())),
            b.col_stride as isize,
            b.row_stride as isize,
            beta,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
