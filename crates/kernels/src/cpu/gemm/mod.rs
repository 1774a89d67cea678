//! Products of `f32` matrices with any strides, computed in `f32` or bf16. Products with constant weights, in three number formats,
//! are in [`packed`].

#[macro_use]
mod kernel;
mod bf16;
mod blocked;
mod f32;
mod format;
mod int8;
mod layout;
mod matrix;
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
use self::format::Format;
pub(super) use self::kernel::{ROWS as TILE_ROWS, prefetch};
pub use self::matrix::{Mat, MatMut, Side};
pub use self::peak::peak;
#[cfg(test)]
pub(super) use self::reference::stored_numbers;
use super::isa::Isa;
use super::threads::{SharedMut, Team};

/// The rounding of a product's numbers before they are multiplied. Sums are `f32` either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Not at all.
    #[default]
    F32,
    /// To the nearest bf16, 8 bits of precision, as [`packed`] says: twice as fast where the machine has instructions for it.
    Bf16,
}

impl Precision {
    /// Whether this machine has instructions for the precision. Without them products are computed all the same, but slower than in
    /// `f32`.
    pub fn is_native(self) -> bool {
        match self {
            Precision::F32 => true,
            Precision::Bf16 => Isa::has_avx512_bf16(),
        }
    }

    /// The number of elements of memory for `cols` numbers that only products in this precision read ([`Side::stored`]).
    pub fn stored(self, cols: usize) -> usize {
        match self {
            Precision::F32 => cols,
            Precision::Bf16 => cols.div_ceil(2),
        }
    }

    /// Writes numbers as products in this precision read them; `stored` has room for them.
    pub(super) fn store(self, numbers: &[f32], stored: &mut [f32]) {
        match self {
            Precision::F32 => stored.copy_from_slice(numbers),
            Precision::Bf16 => rounded_words(numbers, words_mut(stored)),
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

/// Computes `C = beta C + A B`, with `beta` 0 (C is overwritten, whatever it held) or 1 (the product is added).
pub fn gemm<'a>(
    team: &Team,
    precision: Precision,
    c: MatMut<'_>,
    beta: f32,
    a: impl Into<Side<'a>>,
    b: impl Into<Side<'a>>,
) {
    gemm_all(team, precision, beta, [Some((c, a.into(), b.into()))]);
}

/// Computes [`gemm()`] for each C, A and B that is present. The products share their waits: a thread that has finished its part of
/// one continues with the next.
pub fn gemm_all<const N: usize>(
    team: &Team,
    precision: Precision,
    beta: f32,
    products: [Option<(MatMut<'_>, Side<'_>, Side<'_>)>; N],
) {
    assert!(beta == 0.0 || beta == 1.0, "beta is 0 or 1");
    for (c, a, b) in products.iter().flatten() {
        let inputs = a.shape().1;
        assert_eq!(((c.rows, inputs), (inputs, c.cols)), (a.shape(), b.shape()), "shapes of a product");
        super::work::count_product(c.rows * c.cols, inputs);
    }
    let products = products.map(|one| one.filter(|(c, ..)| c.rows > 0 && c.cols > 0));
    if !made_elsewhere(precision) {
        return blocked::multiply(team, precision.into(), beta, products);
    }
    for (c, a, b) in products.into_iter().flatten() {
        let mut room = [Vec::new(), Vec::new()];
        let [a_room, b_room] = &mut room;
        elsewhere(team, c, beta, a.plain().in_one(a_room), b.plain().in_one(b_room));
    }
}

/// Some sums of a product, which no other thread has.
pub(super) struct Piece<'a> {
    /// The part of the product's columns that these are in; see [`parts`].
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

/// The number of parts in which [`gemm_into`] passes on `cols` columns of sums with `depth` terms each.
pub(super) fn parts(precision: Precision, depth: usize, cols: usize) -> usize {
    cols.div_ceil(blocked::part_panels(precision.into(), depth) * kernel::PANEL)
}

/// Computes `A B` and passes it to `take` a piece at a time, on any of the threads: a few rows of one part of the columns, while
/// they lie in the first cache. So the result of a product that no cache holds can be used without a way through memory.
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
        blocked::multiply_into(team, precision.into(), a.into(), b.into(), take);
    }
}

/// Whether products are left to the crate `gemm`: our own kernels are made for wide registers, and the crate's are faster
/// elsewhere.
fn made_elsewhere(precision: Precision) -> bool {
    precision == Precision::F32 && Isa::detect() < Isa::Avx512
}

/// Products smaller than this many multiply-adds stay on the calling thread.
const SMALL: usize = 64 * 64 * 64;
/// Boundaries between the threads' parts fall on multiples of this: a whole number of the micro-kernel's registers.
const GRAIN: usize = 48;

/// Computes the product with the crate `gemm`, split over the team.
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

/// Computes the same, and passes a part of the columns at a time to `take`.
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

/// Computes a part of a product with the crate `gemm`. Neither side of it is empty.
///
/// # Safety
/// At `first` must begin as many rows of as many elements as the part has, `stride` apart, that nobody else uses during the call.
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
