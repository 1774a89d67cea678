//! Convolutions by minimal filtering (Toom 1963 and Cook 1966; Winograd, *Arithmetic Complexity of Computations*, 1980; for
//! convolutional networks Lavin & Gray 2016): m neighbouring outputs of a filter of r taps cost m + r - 1 multiplications instead of
//! m r.
//!
//! The outputs of a sentence are computed in *tiles*; its last tile has the remaining outputs. A filter is cut into *chunks* of
//! neighbouring taps ([`Filtering`]). The inputs that a tile sees through a chunk, times its taps, are a transposed product of
//! polynomials: inputs and taps are transformed into values at points (`transform.rs`), values at the same point are multiplied and
//! summed over units and chunks, and outputs are computed from the sums at all points. So there is one matrix product per point,
//! with the chunks side by side: transformed inputs, [`Filtering::rows`] x n H, by transformed filters, C x n H, with the n of
//! [`Filtering::terms`]. There is a row for each tile that needs the point.
//!
//! This module holds the transforms on both sides of the products, and their transposes, which gradients go back through. Each is
//! one pass over memory. Operands that only products read are stored as products in a precision read them ([`Side::stored`]); with
//! more than one chunk, in bf16, the number of units must be even. No result depends on the number of threads.
//!
//! [`Side::stored`]: crate::Side::stored

mod filtering;
mod store;
#[cfg(test)]
mod tests;
mod transform;

use std::ops::Range;

pub use self::filtering::Filtering;
use self::filtering::{Chunk, Tile};
use self::store::{Store, read, with_room};
use super::super::gemm::Precision;
use super::super::threads::{SharedMut, Team};
use super::{FILTER_GRAIN, Window, taps};

/// Number of products, one per point: zero, the nearest pair of opposite points, the point at infinity, and two more pairs. Some
/// may be empty.
pub const PRODUCTS: usize = 8;
/// The product of the point at infinity: it is computed from the last tap, and goes to the last output.
const INFINITE: usize = 3;

/// The largest number of outputs of a tile.
const TILE: usize = 4;
/// The largest number of taps of a chunk.
const TAPS: usize = 5;
/// The largest number of inputs that a tile sees through a chunk.
const SEEN: usize = TILE + TAPS - 1;

/// Computes the transformed filters of each product, C x n_i H stored for products in `precision`, from `weight` C x H x width.
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
    let (level, shared) = (filtering.level(), transformed.map(SharedMut::new));
    team.split(outputs, FILTER_GRAIN.div_ceil(size.max(1)), |range| {
        with_room(precision, size, |store, taps| {
            for output in range {
                taps::split(taps, &weight[output * size..(output + 1) * size], width);
                // SAFETY: `split` gives each thread its own outputs.
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

/// Propagates gradients through [`filters`]: `d_weight` C x H x width is overwritten.
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
    let (level, shared) = (filtering.level(), SharedMut::new(d_weight));
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
                // SAFETY: `split` gives each thread its own outputs.
                taps::join(unsafe { shared.slice(output * size..(output + 1) * size) }, taps, width);
            }
        });
    });
}

/// Computes the transformed inputs of each product, its rows x n_i H stored for products in `precision`, from `x` T x H. Positions
/// beyond a sentence count as zeros. `spans` are the sentences, which together are all T tokens in order.
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
        // SAFETY: `split_tiles` gives each thread its own tiles.
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

/// Propagates gradients through [`inputs`]: each token gets the sum of what the tiles that saw it got. `dx` T x H is overwritten,
/// or added to if `beta` is 1 instead of 0.
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
        // SAFETY: `split_tiles` gives each thread its own sentences.
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

/// Computes the outputs `y` T x C from the products, each its rows x C, and the bias C.
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
        // SAFETY: `split_tiles` gives each thread its own tiles.
        let y = unsafe { shared.slice(tile.at * wide..(tile.at + tile.outputs) * wide) };
        let mut rows = y.chunks_exact_mut(wide.max(1));
        let y: [&mut [f32]; TILE] = std::array::from_fn(|_| rows.next().unwrap_or_default());
        let mut terms = [bias; PRODUCTS + 1];
        terms[..PRODUCTS].copy_from_slice(&tile.of(products, widths));
        store.write(wide, y, |part, y| transform::outputs(tile.level, read(terms, part), y));
    });
}

/// Propagates gradients through [`outputs`]: for each product its rows x C, stored for products in `precision`, from `dy` T x C.
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
        // SAFETY: `split_tiles` gives each thread its own tiles.
        let rows = unsafe { slices(&shared, tile.elements(widths)) };
        let mut dy = dy[tile.at * wide..(tile.at + tile.outputs) * wide].chunks_exact(wide.max(1));
        let dy: [&[f32]; TILE] = std::array::from_fn(|_| dy.next().unwrap_or_default());
        store.write(wide, rows, |part, rows| transform::outputs_backward(tile.level, read(dy, part), rows));
    });
}

/// Calls `work` with each tile, its sentence, and the thread's `Store`. The sentences must be all rows of `width` in `len`
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

/// Panics unless the matrices have the given numbers of rows and columns.
fn check_rows(
    filtering: Filtering,
    spans: &[Range<u32>],
    lens: [usize; PRODUCTS],
    widths: [usize; PRODUCTS],
) {
    let rows = filtering.rows(spans);
    assert_eq!(lens, std::array::from_fn(|i| rows[i] * widths[i]), "operands of the products");
}

/// Returns the columns of each product: `wide` (outputs, or the elements that store them), and zero for points that are not used.
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

/// Returns the given elements of each matrix.
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

/// Returns the part of each row that belongs to each chunk: nothing for an empty chunk, and nothing of the infinite point's row for
/// a chunk with one tap less.
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
