//! How sentences are cut into tiles, and filters into chunks.

use std::ops::Range;

use super::super::super::gemm::Precision;
use super::super::Window;
use super::transform::Level;
use super::{INFINITE, PRODUCTS, TAPS};

/// The numbers of neighbouring outputs of a sentence, and of taps of a filter, that are taken together.
///
/// Larger tiles and chunks need fewer multiplications, but lose more where operands are rounded: plain convolutions in bf16 are off
/// by 0.24% of a result's length, those by pairs of outputs and three taps by 0.36%, by four outputs and three taps by 0.52%, by
/// four outputs and five taps by 1.0%.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filtering {
    pub(super) width: usize,
    /// Outputs of a tile: two or four.
    tile: usize,
    /// Taps of a chunk: three or five.
    taps: usize,
    /// Chunks of `taps` taps, and of one tap less, in this order.
    whole: usize,
    lesser: usize,
}

/// Neighbouring taps of a filter.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    number: usize,
    /// The index of its first tap.
    pub(super) tap: usize,
    pub(super) taps: usize,
}

/// Neighbouring outputs of a sentence.
pub(super) struct Tile {
    /// The index of its first output.
    pub(super) at: usize,
    pub(super) outputs: usize,
    /// The points that the tile needs.
    pub(super) level: Level,
    /// Its row in each product whose point it needs.
    pub(super) rows: [Range<usize>; PRODUCTS],
}

impl Filtering {
    /// Tiles of two outputs and chunks of three taps, and of two taps where the width leaves a remainder.
    pub fn pairs(width: usize) -> Filtering {
        assert!(width >= 2, "nothing is saved with one tap");
        // A remainder of one tap makes two chunks of two together with the three before it.
        let lesser = (3 - width % 3) % 3;
        Filtering { width, tile: 2, taps: 3, whole: (width - 2 * lesser) / 3, lesser }
    }

    /// Tiles of four outputs and the same chunks: products read the same filters as those of pairs, and two points more.
    pub fn fours(width: usize) -> Filtering {
        Filtering { tile: 4, ..Filtering::pairs(width) }
    }

    /// The fewest multiplications: tiles of four outputs, and filters of four or five taps in one chunk.
    pub fn fewest(width: usize) -> Filtering {
        match width {
            4 | 5 => Filtering { width, tile: 4, taps: 5, whole: width - 4, lesser: 5 - width },
            _ => Filtering::fours(width),
        }
    }

    /// The number of inputs of each product, for one unit.
    pub fn terms(self) -> [usize; PRODUCTS] {
        let mut terms = self.needs(self.tile).map(|used| used * (self.whole + self.lesser));
        terms[INFINITE] = self.whole;
        terms
    }

    /// The number of rows of each product for the sentences `spans`: for a tile of m outputs and chunks of r taps m + r - 1
    /// together.
    pub fn rows(self, spans: &[Range<u32>]) -> [usize; PRODUCTS] {
        spans.iter().fold([0; PRODUCTS], |rows, span| {
            let (whole, rest) = (span.len() / self.tile, span.len() % self.tile);
            let last = if rest > 0 { self.needs(rest) } else { [0; PRODUCTS] };
            plus(rows, plus(self.needs(self.tile).map(|rows| rows * whole), last))
        })
    }

    /// The number of rows that a tile of `outputs` outputs has in each product.
    fn needs(self, outputs: usize) -> [usize; PRODUCTS] {
        let points = outputs + self.taps - 1;
        let [near, far, farthest] = [3, 5, 7].map(|with_pair| usize::from(points >= with_pair));
        let infinite = usize::from(points.is_multiple_of(2));
        [1, near, near, infinite, far, far, farthest, farthest]
    }

    /// The points of full tiles.
    pub(super) fn level(self) -> Level {
        Level::of(self.taps, self.tile)
    }

    pub(super) fn chunks(self) -> impl Iterator<Item = Chunk> {
        (0..self.whole + self.lesser).map(move |number| {
            let lesser_before = number.saturating_sub(self.whole);
            let taps = if number < self.whole { self.taps } else { self.taps - 1 };
            Chunk { number, tap: self.taps * number - lesser_before, taps }
        })
    }

    /// Returns the tiles of a sentence. The rows of the first one come after the first `before` rows.
    pub(super) fn tiles(
        self,
        sentence: &Range<usize>,
        mut before: [usize; PRODUCTS],
    ) -> impl Iterator<Item = Tile> {
        let end = sentence.end;
        sentence.clone().step_by(self.tile).map(move |at| {
            let outputs = self.tile.min(end - at);
            let after = plus(before, self.needs(outputs));
            let rows = std::array::from_fn(|i| before[i]..after[i]);
            before = after;
            Tile { at, outputs, level: Level::of(self.taps, outputs), rows }
        })
    }

    /// The number of elements of each chunk's part of a row, stored in a precision.
    pub(super) fn stored(self, precision: Precision, units: usize) -> usize {
        let stored = precision.stored(units);
        for terms in self.terms() {
            assert_eq!(terms * stored, precision.stored(terms * units), "chunks begin at whole words");
        }
        stored
    }
}

impl Chunk {
    /// Returns its taps of a filter width x H, as rows; rows of missing taps are empty.
    pub(super) fn rows(self, filter: &[f32], units: usize) -> [&[f32]; TAPS] {
        let mut taps = filter[self.tap * units..(self.tap + self.taps) * units].chunks_exact(units.max(1));
        std::array::from_fn(|_| taps.next().unwrap_or_default())
    }

    pub(super) fn rows_mut(self, filter: &mut [f32], units: usize) -> [&mut [f32]; TAPS] {
        let mut taps =
            filter[self.tap * units..(self.tap + self.taps) * units].chunks_exact_mut(units.max(1));
        std::array::from_fn(|_| taps.next().unwrap_or_default())
    }

    /// Returns its part of each product's row, empty where there is none.
    pub(super) fn parts(self, rows: [&[f32]; PRODUCTS], units: usize) -> [&[f32]; PRODUCTS] {
        rows.map(|row| row.get(self.number * units..(self.number + 1) * units).unwrap_or_default())
    }
}

impl Tile {
    /// Returns its elements in each product's matrix, which has so many columns.
    pub(super) fn elements(&self, widths: [usize; PRODUCTS]) -> [Range<usize>; PRODUCTS] {
        std::array::from_fn(|i| self.rows[i].start * widths[i]..self.rows[i].end * widths[i])
    }

    /// Returns its row of each product's matrix, which has so many columns; empty where there is none.
    pub(super) fn of<'a>(
        &self,
        matrices: [&'a [f32]; PRODUCTS],
        widths: [usize; PRODUCTS],
    ) -> [&'a [f32]; PRODUCTS] {
        let elements = self.elements(widths);
        std::array::from_fn(|i| &matrices[i][elements[i].clone()])
    }

    /// Returns the tokens of its sentence that it sees through a chunk, and the place of the first of them among the inputs.
    pub(super) fn seen(
        &self,
        window: Window,
        sentence: &Range<usize>,
        chunk: Chunk,
    ) -> (Range<usize>, usize) {
        let first = (self.at + chunk.tap) as isize - window.before as isize;
        let end = first + (self.outputs + chunk.taps - 1) as isize;
        let within = |token: isize| token.clamp(sentence.start as isize, sentence.end as isize);
        let tokens = within(first)..within(end);
        (tokens.start as usize..tokens.end as usize, (tokens.start - first).max(0) as usize)
    }
}

pub(super) fn plus(a: [usize; PRODUCTS], b: [usize; PRODUCTS]) -> [usize; PRODUCTS] {
    std::array::from_fn(|i| a[i] + b[i])
}
