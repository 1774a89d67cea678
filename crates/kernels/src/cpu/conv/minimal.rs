//! Convolutions by minimal filtering (Toom 1963 and Cook 1966; Winograd, *Arithmetic Complexity of Computations*, 1980; for
//! convolutional networks Lavin & Gray 2016): m neighbouring outputs of a filter of r taps cost m + r - 1 multiplications instead of
//! m r.
//!
//! The outputs of a sentence are taken in *tiles*; its last tile has what is left. A filter is cut into *chunks* of neighbouring taps
//! ([`Filtering`]). What a tile sees through a chunk is a product of polynomials, transposed: inputs and taps are transformed into values
//! at points ([`transform`]), values at the same point are multiplied and summed over units and chunks, and outputs are made of what
//! comes of all points. So there is one product of matrices for each point, with the chunks side by side: transformed inputs,
//! [`Filtering::rows`] x n H, by transformed filters, C x n H, with the n of [`Filtering::terms`]. There is a row for each tile that
//! needs the point.
//!
//! Here stand the transforms on both sides of the products, and their transposes, which gradients go back through. Each is one
//! pass over memory. What only products read is stored as products in a precision read it ([`Side::stored`]); where there is more
//! than one chunk, in bf16, the number of units must be even. No result depends on the number of threads.
//!
//! [`Side::stored`]: crate::Side::stored

use std::cell::Cell;
use std::ops::Range;

use self::transform::Level;
use super::super::gemm::Precision;
use super::super::threads::{SharedMut, Team};
use super::{FILTER_GRAIN, Window, taps};

#[cfg(test)]
mod tests;
mod transform;

/// Number of products, one for each point: zero, the nearest pair of opposite ones, the infinite one, and two pairs more. Some
/// may be empty.
pub const PRODUCTS: usize = 8;
/// The product whose point is the infinite one: it is made of the last tap, and goes to the last output.
const INFINITE: usize = 3;

/// Outputs of a tile at most.
const TILE: usize = 4;
/// Taps of a chunk at most.
const TAPS: usize = 5;
/// Inputs that a tile sees through a chunk at most.
const SEEN: usize = TILE + TAPS - 1;

/// How many neighbouring outputs of a sentence, and how many taps of a filter, are taken together.
///
/// The more, the fewer multiplications, and the more is lost where operands are rounded: plain convolutions in bf16 are off by 0.24%
/// of a result's length, those by pairs of outputs and three taps by 0.36%, by four outputs and three taps by 0.52%, by four outputs
/// and five taps by 1.0%.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filtering {
    width: usize,
    /// Outputs of a tile: two or four.
    tile: usize,
    /// Taps of a chunk: three or five.
    taps: usize,
    /// Chunks of so many taps, and of one less, in this order.
    whole: usize,
    lesser: usize,
}

/// Neighbouring taps of a filter.
#[derive(Clone, Copy)]
struct Chunk {
    number: usize,
    /// The first of its taps.
    tap: usize,
    taps: usize,
}

/// Neighbouring outputs of a sentence.
#[derive(Clone)]
struct Tile {
    /// The first of them.
    at: usize,
    outputs: usize,
    level: Level,
    /// Its row of each product, if it needs the point.
    rows: [Range<usize>; PRODUCTS],
}

impl Filtering {
    /// Tiles of two outputs and chunks of three taps, and of two where the width leaves a rest.
    pub fn pairs(width: usize) -> Filtering {
        assert!(width >= 2, "nothing is saved with one tap");
        // A rest of one tap makes two chunks of two with the three before it.
        let lesser = (3 - width % 3) % 3;
        Filtering { width, tile: 2, taps: 3, whole: (width - 2 * lesser) / 3, lesser }
    }

    /// Tiles of four outputs and the same chunks: products read what those of pairs read of the filters, and two points more.
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

    /// Inputs of each product, for one unit.
    pub fn terms(self) -> [usize; PRODUCTS] {
        let mut terms = self.needs(self.tile).map(|used| used * (self.whole + self.lesser));
        terms[INFINITE] = self.whole;
        terms
    }

    /// Rows of each product, of the sentences `spans`: for a tile of m outputs and chunks of r taps m + r - 1 together.
    pub fn rows(self, spans: &[Range<u32>]) -> [usize; PRODUCTS] {
        spans.iter().fold([0; PRODUCTS], |rows, span| {
            let (whole, rest) = (span.len() / self.tile, span.len() % self.tile);
            let last = if rest > 0 { self.needs(rest) } else { [0; PRODUCTS] };
            plus(rows, plus(self.needs(self.tile).map(|rows| rows * whole), last))
        })
    }

    /// How many rows a tile of so many outputs has of each product.
    fn needs(self, outputs: usize) -> [usize; PRODUCTS] {
        let points = outputs + self.taps - 1;
        let [near, far, farthest] = [3, 5, 7].map(|with_pair| usize::from(points >= with_pair));
        let infinite = usize::from(points.is_multiple_of(2));
        [1, near, near, infinite, far, far, farthest, farthest]
    }

    fn level(self, outputs: usize) -> Level {
        Level::of(self.taps, outputs)
    }

    fn chunks(self) -> impl Iterator<Item = Chunk> {
        (0..self.whole + self.lesser).map(move |number| {
            let lesser_before = number.saturating_sub(self.whole);
            let taps = if number < self.whole { self.taps } else { self.taps - 1 };
            Chunk { number, tap: self.taps * number - lesser_before, taps }
        })
    }

    /// The tiles of a sentence, of which the first has the first rows after so many.
    fn tiles(self, sentence: &Range<usize>, mut before: [usize; PRODUCTS]) -> impl Iterator<Item = Tile> {
        let end = sentence.end;
        sentence.clone().step_by(self.tile).map(move |at| {
            let outputs = self.tile.min(end - at);
            let after = plus(before, self.needs(outputs));
            let rows = std::array::from_fn(|i| before[i]..after[i]);
            before = after;
            Tile { at, outputs, level: self.level(outputs), rows }
        })
    }

    /// Elements of each chunk's part of a row, stored in a precision.
    fn stored(self, precision: Precision, units: usize) -> usize {
        let stored = precision.stored(units);
        for terms in self.terms() {
            assert_eq!(terms * stored, precision.stored(terms * units), "chunks begin at whole words");
        }
        stored
    }
}

impl Chunk {
    /// Its taps of a filter width x H, as rows; the last is empty where it has but two.
    fn rows(self, filter: &[f32], units: usize) -> [&[f32]; TAPS] {
        let mut taps = filter[self.tap * units..(self.tap + self.taps) * units].chunks_exact(units.max(1));
        std::array::from_fn(|_| taps.next().unwrap_or_default())
    }

    fn rows_mut(self, filter: &mut [f32], units: usize) -> [&mut [f32]; TAPS] {
        let mut taps =
            filter[self.tap * units..(self.tap + self.taps) * units].chunks_exact_mut(units.max(1));
        std::array::from_fn(|_| taps.next().unwrap_or_default())
    }

    /// Its part of each product's row, empty where there is none.
    fn parts(self, rows: [&[f32]; PRODUCTS], units: usize) -> [&[f32]; PRODUCTS] {
        rows.map(|row| row.get(self.number * units..(self.number + 1) * units).unwrap_or_default())
    }
}

impl Tile {
    /// Its elements of each product's matrix of so many columns.
    fn elements(&self, widths: [usize; PRODUCTS]) -> [Range<usize>; PRODUCTS] {
        std::array::from_fn(|i| self.rows[i].start * widths[i]..self.rows[i].end * widths[i])
    }

    /// Its row of each product's matrix of so many columns, empty where there is none.
    fn of<'a>(&self, matrices: [&'a [f32]; PRODUCTS], widths: [usize; PRODUCTS]) -> [&'a [f32]; PRODUCTS] {
        let elements = self.elements(widths);
        std::array::from_fn(|i| &matrices[i][elements[i].clone()])
    }

    /// The tokens that it sees of its sentence through a chunk, and the place of the first of them among the inputs.
    fn seen(&self, window: Window, sentence: &Range<usize>, chunk: Chunk) -> (Range<usize>, usize) {
        let first = (self.at + chunk.tap) as isize - window.before as isize;
        let end = first + (self.outputs + chunk.taps - 1) as isize;
        let within = |token: isize| token.clamp(sentence.start as isize, sentence.end as isize);
        let tokens = within(first)..within(end);
        (tokens.start as usize..tokens.end as usize, (tokens.start - first) as usize)
    }
}

fn plus(a: [usize; PRODUCTS], b: [usize; PRODUCTS]) -> [usize; PRODUCTS] {
    std::array::from_fn(|i| a[i] + b[i])
}

/// The transformed filters of each product, C x n_i H stored for products in `precision`, from `weight` C x H x width.
pub fn filters(
    team: &Team,
    precision: Precision,
    filtering: Filtering,
    units: usize,
    weight: &[f32],
    transformed: [&mut [f32]; PRODUCTS],
) {
    let (width, terms) = (filtering.width, filtering.terms());
    let size = width * units;
    let outputs = weight.len() / size.max(1);
    let stored = filtering.stored(precision, units);
    let widths = terms.map(|terms| terms * stored);
    assert_eq!(weight.len(), outputs * size, "whole filters");
    assert_eq!(
        transformed.each_ref().map(|x| x.len()),
        widths.map(|width| outputs * width),
        "one row a filter"
    );
    let (level, shared) = (filtering.level(filtering.tile), transformed.map(SharedMut::new));
    team.split(outputs, FILTER_GRAIN.div_ceil(size.max(1)), |range| {
        with_room(precision, size, |store, taps| {
            for output in range {
                taps::split(taps, &weight[output * size..(output + 1) * size], width);
                // SAFETY: `split` gives each thread outputs of its own.
                let rows =
                    unsafe { slices(&shared, widths.map(|width| output * width..(output + 1) * width)) };
                for (chunk, rows) in split_chunks(filtering, stored, rows) {
                    let taps = chunk.rows(taps, units);
                    store.write(units, rows, |part, rows| transform::filters(level, read(taps, part), rows));
                }
            }
        });
    });
}

/// Gradients through [`filters`]: `d_weight` C x H x width is overwritten.
pub fn filters_backward(
    team: &Team,
    filtering: Filtering,
    units: usize,
    d_transformed: [&[f32]; PRODUCTS],
    d_weight: &mut [f32],
) {
    let (width, terms) = (filtering.width, filtering.terms());
    let size = width * units;
    let outputs = d_weight.len() / size.max(1);
    let widths = terms.map(|terms| terms * units);
    assert_eq!(d_weight.len(), outputs * size, "whole filters");
    assert_eq!(d_transformed.map(<[f32]>::len), widths.map(|width| outputs * width), "one row a filter");
    let (level, shared) = (filtering.level(filtering.tile), SharedMut::new(d_weight));
    team.split(outputs, FILTER_GRAIN.div_ceil(size.max(1)), |range| {
        with_room(Precision::F32, size, |store, taps| {
            for output in range {
                let rows =
                    std::array::from_fn(|i| &d_transformed[i][output * widths[i]..(output + 1) * widths[i]]);
                for chunk in filtering.chunks() {
                    let (rows, taps) = (chunk.parts(rows, units), chunk.rows_mut(taps, units));
                    store.write(units, taps, |part, taps| {
                        transform::filters_backward(level, read(rows, part), taps)
                    });
                }
                // SAFETY: `split` gives each thread outputs of its own.
                taps::join(unsafe { shared.slice(output * size..(output + 1) * size) }, taps, width);
            }
        });
    });
}

/// The transformed inputs of each product, its rows x n_i H stored for products in `precision`, from `x` T x H. Positions beyond
/// a sentence count as zeros. `spans` are the sentences, which together are all T tokens in order.
pub fn inputs(
    team: &Team,
    precision: Precision,
    filtering: Filtering,
    spans: &[Range<u32>],
    window: Window,
    units: usize,
    x: &[f32],
    transformed: [&mut [f32]; PRODUCTS],
) {
    let stored = filtering.stored(precision, units);
    let widths = filtering.terms().map(|terms| terms * stored);
    check_rows(filtering, spans, transformed.each_ref().map(|x| x.len()), widths);
    let shared = transformed.map(SharedMut::new);
    split_tiles(team, precision, filtering, spans, x.len(), units, |sentence, tile, store| {
        // SAFETY: `split_tiles` gives each thread tiles of its own.
        let rows = unsafe { slices(&shared, tile.elements(widths)) };
        for (chunk, rows) in split_chunks(filtering, stored, rows) {
            let (tokens, offset) = tile.seen(window, sentence, chunk);
            let mut seen = x[tokens.start * units..tokens.end * units].chunks_exact(units.max(1));
            let d: [&[f32]; SEEN] =
                std::array::from_fn(|i| if i < offset { &[] } else { seen.next().unwrap_or_default() });
            store.write(units, rows, |part, rows| transform::inputs(tile.level, read(d, part), rows));
        }
    });
}

/// Gradients through [`inputs`]: each token gets what the tiles that saw it got. `dx` T x H is overwritten, or added to if `beta` is 1
/// and not 0.
pub fn inputs_backward(
    team: &Team,
    filtering: Filtering,
    spans: &[Range<u32>],
    window: Window,
    units: usize,
    d_transformed: [&[f32]; PRODUCTS],
    beta: f32,
    dx: &mut [f32],
) {
    assert!(beta == 0.0 || beta == 1.0, "beta is 0 or 1");
    let widths = filtering.terms().map(|terms| terms * units);
    check_rows(filtering, spans, d_transformed.map(<[f32]>::len), widths);
    let len = dx.len();
    let shared = SharedMut::new(dx);
    split_tiles(team, Precision::F32, filtering, spans, len, units, |sentence, tile, store| {
        // SAFETY: `split_tiles` gives each thread sentences of its own.
        let dx = unsafe { shared.slice(sentence.start * units..sentence.end * units) };
        if beta == 0.0 && tile.at == sentence.start {
            dx.fill(0.0);
        }
        let rows = tile.of(d_transformed, widths);
        for chunk in filtering.chunks() {
            let (tokens, offset) = tile.seen(window, sentence, chunk);
            let tokens = tokens.start - sentence.start..tokens.end - sentence.start;
            let mut seen = dx[tokens.start * units..tokens.end * units].chunks_exact_mut(units.max(1));
            let dd: [&mut [f32]; SEEN] =
                std::array::from_fn(|i| if i < offset { &mut [] } else { seen.next().unwrap_or_default() });
            let rows = chunk.parts(rows, units);
            store.write(units, dd, |part, dd| {
                transform::add_inputs_backward(tile.level, read(rows, part), dd)
            });
        }
    });
}

/// The outputs `y` T x C of the products, each its rows x C, and the bias C.
pub fn outputs(
    team: &Team,
    filtering: Filtering,
    spans: &[Range<u32>],
    bias: &[f32],
    products: [&[f32]; PRODUCTS],
    y: &mut [f32],
) {
    let (wide, len) = (bias.len(), y.len());
    let widths = widths_of_products(filtering, spans, products.map(<[f32]>::len), wide);
    let shared = SharedMut::new(y);
    split_tiles(team, Precision::F32, filtering, spans, len, wide, |_, tile, store| {
        // SAFETY: `split_tiles` gives each thread tiles of its own.
        let y = unsafe { shared.slice(tile.at * wide..(tile.at + tile.outputs) * wide) };
        let mut rows = y.chunks_exact_mut(wide.max(1));
        let y: [&mut [f32]; TILE] = std::array::from_fn(|_| rows.next().unwrap_or_default());
        let mut terms = [bias; PRODUCTS + 1];
        terms[..PRODUCTS].copy_from_slice(&tile.of(products, widths));
        store.write(wide, y, |part, y| transform::outputs(tile.level, read(terms, part), y));
    });
}

/// Gradients through [`outputs`], for each product its rows x C, stored for products in `precision`, from `dy` T x C.
pub fn outputs_backward(
    team: &Team,
    precision: Precision,
    filtering: Filtering,
    spans: &[Range<u32>],
    wide: usize,
    dy: &[f32],
    d_products: [&mut [f32]; PRODUCTS],
) {
    let widths =
        widths_of_products(filtering, spans, d_products.each_ref().map(|x| x.len()), precision.stored(wide));
    let shared = d_products.map(SharedMut::new);
    split_tiles(team, precision, filtering, spans, dy.len(), wide, |_, tile, store| {
        // SAFETY: `split_tiles` gives each thread tiles of its own.
        let rows = unsafe { slices(&shared, tile.elements(widths)) };
        let mut dy = dy[tile.at * wide..(tile.at + tile.outputs) * wide].chunks_exact(wide.max(1));
        let dy: [&[f32]; TILE] = std::array::from_fn(|_| dy.next().unwrap_or_default());
        store.write(wide, rows, |part, rows| transform::outputs_backward(tile.level, read(dy, part), rows));
    });
}

thread_local! {
    /// What a thread works with, on the heap: as often as it is inlined it would fill the stack.
    static ROOM: Cell<Option<Box<Room>>> = const { Cell::new(None) };
}

struct Room {
    store: Store,
    /// A filter, width x H, that is worked on.
    taps: Vec<f32>,
}

/// Calls `work` with what this thread stores with, and with room for a filter of `len` elements.
fn with_room(precision: Precision, len: usize, work: impl FnOnce(&mut Store, &mut [f32])) {
    let new =
        || Box::new(Room { store: Store { precision, room: [[0.0; PART]; PRODUCTS] }, taps: Vec::new() });
    let mut room = ROOM.take().unwrap_or_else(new);
    let Room { store, taps } = &mut *room;
    store.precision = precision;
    taps.resize(len.max(taps.len()), 0.0);
    work(store, &mut taps[..len]);
    ROOM.set(Some(room));
}

/// Numbers of a row that are transformed and stored together: with what they come from, a part of the first cache.
const PART: usize = 256;

/// What is read of rows that there are not.
static ZEROS: [f32; PART] = [0.0; PART];

/// A part of each row; zeros of those that are empty.
fn read<'a, const N: usize>(rows: [&'a [f32]; N], part: &Range<usize>) -> [&'a [f32]; N] {
    rows.map(|row| if row.is_empty() { &ZEROS[..part.len()] } else { &row[part.clone()] })
}

/// Puts numbers where products in a precision read them.
struct Store {
    precision: Precision,
    /// Where those are computed that are rounded, and those that nobody wants.
    room: [[f32; PART]; PRODUCTS],
}

impl Store {
    /// Writes rows of `len` numbers, those of them that are not empty, as `compute` makes them part by part.
    fn write<const N: usize>(
        &mut self,
        len: usize,
        mut rows: [&mut [f32]; N],
        compute: impl Fn(&Range<usize>, [&mut [f32]; N]),
    ) {
        let precision = self.precision;
        for start in (0..len).step_by(PART) {
            let part = start..len.min(start + PART);
            // Parts begin at whole words of any precision.
            let place = precision.stored(start)..precision.stored(start) + precision.stored(part.len());
            let mut places = rows.each_mut().map(|row| row.get_mut(place.clone()));
            let mut room = self.room.iter_mut();
            let targets = places.each_mut().map(|place| {
                let room = &mut room.next().expect("no more rows than products")[..part.len()];
                match place {
                    Some(place) if precision == Precision::F32 => &mut **place,
                    _ => room,
                }
            });
            compute(&part, targets);
            if precision != Precision::F32 {
                for (place, numbers) in places.into_iter().zip(&self.room) {
                    if let Some(place) = place {
                        precision.store(&numbers[..part.len()], place);
                    }
                }
            }
        }
    }
}

/// Calls `work` with each tile, its sentence, and what a thread stores with. The sentences must be all rows of `width` in `len`
/// elements. One thread gets all tiles of a sentence, in order.
fn split_tiles(
    team: &Team,
    precision: Precision,
    filtering: Filtering,
    spans: &[Range<u32>],
    len: usize,
    width: usize,
    work: impl Fn(&Range<usize>, Tile, &mut Store) + Sync,
) {
    let mut end = 0;
    for span in spans {
        assert!(span.start == end && span.end >= end, "sentences follow each other");
        end = span.end;
    }
    assert_eq!(end as usize * width, len, "sentences of all tokens");
    let tokens = |before: usize| spans.get(before).map_or(end, |span| span.start) as usize;
    team.split_by_weight(spans.len(), tokens, |range| {
        let mut before = filtering.rows(&spans[..range.start]);
        with_room(precision, 0, |store, _| {
            for span in &spans[range] {
                let sentence = span.start as usize..span.end as usize;
                for tile in filtering.tiles(&sentence, before) {
                    before = tile.rows.each_ref().map(|rows| rows.end);
                    work(&sentence, tile, store);
                }
            }
        });
    });
}

/// Panics unless there are rows of so many columns.
fn check_rows(
    filtering: Filtering,
    spans: &[Range<u32>],
    lens: [usize; PRODUCTS],
    widths: [usize; PRODUCTS],
) {
    let rows = filtering.rows(spans);
    assert_eq!(lens, std::array::from_fn(|i| rows[i] * widths[i]), "operands of the products");
}

/// Columns of each product, of a convolution with so many outputs or elements for them; none of points that are not used.
fn widths_of_products(
    filtering: Filtering,
    spans: &[Range<u32>],
    lens: [usize; PRODUCTS],
    wide: usize,
) -> [usize; PRODUCTS] {
    let widths = filtering.terms().map(|terms| if terms > 0 { wide } else { 0 });
    check_rows(filtering, spans, lens, widths);
    widths
}

/// These elements of each matrix.
///
/// # Safety
/// As [`SharedMut::slice`]: no other thread may hold the same elements, nor may this one hold them twice.
#[allow(clippy::mut_from_ref)]
unsafe fn slices(
    shared: &[SharedMut<f32>; PRODUCTS],
    elements: [Range<usize>; PRODUCTS],
) -> [&mut [f32]; PRODUCTS] {
    // SAFETY: the matrices are different slices; the rest is promised by the caller.
    std::array::from_fn(|i| unsafe { shared[i].slice(elements[i].clone()) })
}

/// The part of each row that belongs to each chunk; nothing of an empty one, and of the infinite point's to a chunk of two.
fn split_chunks(
    filtering: Filtering,
    units: usize,
    rows: [&mut [f32]; PRODUCTS],
) -> impl Iterator<Item = (Chunk, [&mut [f32]; PRODUCTS])> {
    let mut rest = rows;
    filtering.chunks().map(move |chunk| {
        let part = rest.each_mut().map(|row| {
            let len = units.min(row.len());
            row.split_off_mut(..len).unwrap_or_default()
        });
        (chunk, part)
    })
}
