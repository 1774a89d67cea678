//! Convolutions by minimal filtering (Winograd, *Arithmetic Complexity of Computations*, 1980; for convolutional networks Lavin
//! & Gray 2016): two neighbouring outputs of a filter of three taps cost four multiplications instead of six, of two taps three
//! instead of four.
//!
//! Outputs are taken in pairs of neighbouring positions of a sentence; the last of an odd number has no second one. A filter is
//! cut into *chunks* of three neighbouring taps, and of two where the width leaves a rest ([`Chunks`]). A pair sees four (three)
//! inputs d through a chunk with the taps g, and its outputs `y0` and `y1` get
//!
//! ```text
//! three taps:  y0 += (d0 - d2) g0 + (d1 + d2) (g0+g1+g2)/2 + (d2 - d1) (g0-g1+g2)/2
//!              y1 += (d3 - d1) g2 + (d1 + d2) (g0+g1+g2)/2 - (d2 - d1) (g0-g1+g2)/2
//! two taps:    y0 += (d0 - d1) g0 + d1 (g0+g1)
//!              y1 += (d2 - d1) g1 + d1 (g0+g1)
//! ```
//!
//! What enters the outputs in one way is one product, with the chunks side by side. So there are four, of P pairs with C outputs,
//! always in this order: what only *first* outputs get, what only *second* ones get, what *both* get, and what is *opposed*, added
//! to the first and taken from the second; the last only where a chunk has three taps. Product i multiplies transformed inputs
//! P x n_i H by transformed filters C x n_i H, with the n_i of [`Chunks::terms`].
//!
//! Here stand the transforms on both sides of the products, and their transposes, which gradients go back through. Each is one
//! pass over memory. What only products read is stored as products in a precision read it ([`Side::stored`]); where there is more
//! than one chunk, in bf16, the number of units must be even. No result depends on the number of threads.
//!
//! [`Side::stored`]: crate::Side::stored

use std::cell::Cell;
use std::ops::Range;

use super::super::elementwise::add_part;
use super::super::gemm::Precision;
use super::super::threads::{SharedMut, Team};
use super::{FILTER_GRAIN, Window, taps};

#[cfg(test)]
mod tests;

/// Number of products; the last is empty where no chunk has three taps.
pub const PRODUCTS: usize = 4;

/// How a filter is cut: first into chunks of three taps, then of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    threes: usize,
    twos: usize,
}

/// Neighbouring taps of a filter.
#[derive(Clone, Copy)]
struct Chunk {
    number: usize,
    /// The first of its taps.
    tap: usize,
    taps: usize,
}

impl Chunk {
    /// Its taps of a filter width x H.
    fn of(self, filter: &[f32], units: usize) -> &[f32] {
        &filter[self.tap * units..(self.tap + self.taps) * units]
    }

    fn of_mut(self, filter: &mut [f32], units: usize) -> &mut [f32] {
        &mut filter[self.tap * units..(self.tap + self.taps) * units]
    }
}

impl Chunks {
    /// As few as there can be, of a filter of at least two taps.
    pub fn of(width: usize) -> Chunks {
        assert!(width >= 2, "nothing is saved with one tap");
        // A rest of one tap makes two chunks of two with the three before it.
        let twos = (3 - width % 3) % 3;
        Chunks { threes: (width - 2 * twos) / 3, twos }
    }

    /// Inputs of each product, for one unit.
    pub fn terms(self) -> [usize; PRODUCTS] {
        let all = self.threes + self.twos;
        [all, all, all, self.threes]
    }

    fn iter(self) -> impl Iterator<Item = Chunk> {
        (0..self.threes + self.twos).map(move |number| {
            let twos_before = number.saturating_sub(self.threes);
            let taps = if number < self.threes { 3 } else { 2 };
            Chunk { number, tap: 3 * number - twos_before, taps }
        })
    }
}

/// Pairs of outputs of the sentences `spans`.
pub fn pairs(spans: &[Range<u32>]) -> usize {
    spans.iter().map(|span| span.len().div_ceil(2)).sum()
}

/// The transformed filters of each product, C x n_i H stored for products in `precision`, from `weight` C x H x width.
pub fn filters(
    team: &Team,
    precision: Precision,
    width: usize,
    units: usize,
    weight: &[f32],
    transformed: [&mut [f32]; PRODUCTS],
) {
    let chunks = Chunks::of(width);
    let size = width * units;
    let outputs = weight.len() / size.max(1);
    let stored = stored(chunks, precision, units);
    let widths = widths(chunks, stored, outputs, transformed.each_ref().map(|x| x.len()));
    assert_eq!(weight.len(), outputs * size, "whole filters");
    let shared = transformed.map(SharedMut::new);
    team.split(outputs, FILTER_GRAIN.div_ceil(size.max(1)), |range| {
        let mut store = Store::new(precision);
        with_taps(size, |taps| {
            for output in range {
                taps::split(taps, &weight[output * size..(output + 1) * size], width);
                // SAFETY: `split` gives each thread outputs of its own.
                let rows = unsafe { rows(&shared, widths, output) };
                for (chunk, [first, second, both, opposed]) in split_chunks(chunks, stored, rows) {
                    let (g0, rest) = chunk.of(taps, units).split_at(units);
                    let (g1, g2) = rest.split_at(units);
                    let last = if chunk.taps == 3 { g2 } else { g1 };
                    precision.store(g0, first);
                    precision.store(last, second);
                    for part in cut(units) {
                        let [g0, g1, last] = [g0, g1, last].map(|tap| &tap[part.clone()]);
                        if chunk.taps == 3 {
                            store.write(both, &part, |y| filter_of_three(y, g0, 0.5, g1, last));
                            store.write(opposed, &part, |y| filter_of_three(y, g0, -0.5, g1, last));
                        } else {
                            store.write(both, &part, |y| sum(y, g0, g1));
                        }
                    }
                }
            }
        });
    });
}

/// Gradients through [`filters`]: `d_weight` C x H x width is overwritten.
pub fn filters_backward(
    team: &Team,
    width: usize,
    units: usize,
    d_transformed: [&[f32]; PRODUCTS],
    d_weight: &mut [f32],
) {
    let chunks = Chunks::of(width);
    let size = width * units;
    let outputs = d_weight.len() / size.max(1);
    let widths = widths(chunks, units, outputs, d_transformed.map(<[f32]>::len));
    assert_eq!(d_weight.len(), outputs * size, "whole filters");
    let shared = SharedMut::new(d_weight);
    team.split(outputs, FILTER_GRAIN.div_ceil(size.max(1)), |range| {
        with_taps(size, |taps| {
            for output in range {
                for chunk in chunks.iter() {
                    let [first, second, both, opposed] = parts(d_transformed, widths, output, chunk, units);
                    let (g0, rest) = chunk.of_mut(taps, units).split_at_mut(units);
                    let (g1, g2) = rest.split_at_mut(units);
                    if chunk.taps == 3 {
                        filter_of_three_backward(g0, g1, g2, first, second, both, opposed);
                    } else {
                        sum(g0, first, both);
                        sum(g1, second, both);
                    }
                }
                // SAFETY: `split` gives each thread outputs of its own.
                taps::join(unsafe { shared.slice(output * size..(output + 1) * size) }, taps, width);
            }
        });
    });
}

/// The transformed inputs of each product, P x n_i H stored for products in `precision`, from `x` T x H. Positions beyond a sentence
/// count as zeros. `spans` are the sentences, which together are all T tokens in order.
pub fn inputs(
    team: &Team,
    precision: Precision,
    spans: &[Range<u32>],
    window: Window,
    units: usize,
    x: &[f32],
    transformed: [&mut [f32]; PRODUCTS],
) {
    let chunks = Chunks::of(window.width);
    let stored = stored(chunks, precision, units);
    let widths = widths(chunks, stored, pairs(spans), transformed.each_ref().map(|x| x.len()));
    let shared = transformed.map(SharedMut::new);
    split_sentences(team, spans, x.len(), units, |sentence, pairs| {
        let mut store = Store::new(precision);
        for (pair, at) in pairs.zip(sentence.clone().step_by(2)) {
            // SAFETY: `split_sentences` gives each thread pairs of its own.
            let rows = unsafe { rows(&shared, widths, pair) };
            for (chunk, [first, second, both, opposed]) in split_chunks(chunks, stored, rows) {
                for part in cut(units) {
                    let d: [&[f32]; 4] =
                        std::array::from_fn(|i| match seen(window, &sentence, at, chunk, i) {
                            Some(token) => &x[token * units + part.start..token * units + part.end],
                            None => &ZEROS[..part.len()],
                        });
                    if chunk.taps == 3 {
                        store.write(first, &part, |y| difference(y, d[0], d[2]));
                        store.write(second, &part, |y| difference(y, d[3], d[1]));
                        store.write(both, &part, |y| sum(y, d[1], d[2]));
                        store.write(opposed, &part, |y| difference(y, d[2], d[1]));
                    } else {
                        store.write(first, &part, |y| difference(y, d[0], d[1]));
                        store.write(second, &part, |y| difference(y, d[2], d[1]));
                        store.copy(both, &part, d[1]);
                    }
                }
            }
        }
    });
}

/// Gradients through [`inputs`]: each token gets what the pairs that saw it got. `dx` T x H is overwritten.
pub fn inputs_backward(
    team: &Team,
    spans: &[Range<u32>],
    window: Window,
    units: usize,
    d_transformed: [&[f32]; PRODUCTS],
    dx: &mut [f32],
) {
    let chunks = Chunks::of(window.width);
    let widths = widths(chunks, units, pairs(spans), d_transformed.map(<[f32]>::len));
    let len = dx.len();
    let shared = SharedMut::new(dx);
    split_sentences(team, spans, len, units, |sentence, pairs| {
        // SAFETY: `split_sentences` gives each thread sentences of its own.
        let dx = unsafe { shared.slice(sentence.start * units..sentence.end * units) };
        dx.fill(0.0);
        for (pair, at) in pairs.zip(sentence.clone().step_by(2)) {
            for chunk in chunks.iter() {
                let [first, second, both, opposed] = parts(d_transformed, widths, pair, chunk, units);
                // With two taps the middle input enters both others with a minus.
                let (opposed, last) = if chunk.taps == 3 { (opposed, 3) } else { (first, 2) };
                for i in 0..=last {
                    let Some(token) = seen(window, &sentence, at, chunk, i) else { continue };
                    let start = (token - sentence.start) * units;
                    let dx = &mut dx[start..start + units];
                    match i {
                        0 => add_part(dx, first),
                        1 => add_inner(dx, both, -1.0, opposed, second),
                        2 if last == 3 => add_inner(dx, both, 1.0, opposed, first),
                        _ => add_part(dx, second),
                    }
                }
            }
        }
    });
}

/// The outputs `y` T x C of the products P x C: `y0 = first + both + opposed + bias`, `y1 = second + both - opposed + bias`.
pub fn outputs(team: &Team, spans: &[Range<u32>], bias: &[f32], products: [&[f32]; PRODUCTS], y: &mut [f32]) {
    let (wide, len) = (bias.len(), y.len());
    check_products(products.map(<[f32]>::len), pairs(spans) * wide);
    let shared = SharedMut::new(y);
    split_sentences(team, spans, len, wide, |sentence, pairs| {
        for (pair, at) in pairs.zip(sentence.clone().step_by(2)) {
            let row = |product: &'_ [f32]| (!product.is_empty()).then_some(pair * wide..(pair + 1) * wide);
            let [first, second, both, opposed] =
                products.map(|product| row(product).map_or(&[][..], |row| &product[row]));
            // SAFETY: `split_sentences` gives each thread sentences of its own.
            let y = unsafe { shared.slice(at * wide..sentence.end.min(at + 2) * wide) };
            let (y0, y1) = y.split_at_mut(wide);
            for (y, own, sign) in [(y0, first, 1.0), (y1, second, -1.0)] {
                match (y.is_empty(), opposed.is_empty()) {
                    (true, _) => {}
                    (false, true) => output_of_two(y, own, both, bias),
                    (false, false) => output_of_three(y, own, both, sign, opposed, bias),
                }
            }
        }
    });
}

/// Gradients through [`outputs`], P x C for each product, stored for products in `precision`, from `dy` T x C. A second output that
/// does not exist has none.
pub fn outputs_backward(
    team: &Team,
    precision: Precision,
    spans: &[Range<u32>],
    wide: usize,
    dy: &[f32],
    d_products: [&mut [f32]; PRODUCTS],
) {
    let stored = precision.stored(wide);
    check_products(d_products.each_ref().map(|x| x.len()), pairs(spans) * stored);
    let widths = d_products.each_ref().map(|x| if x.is_empty() { 0 } else { stored });
    let shared = d_products.map(SharedMut::new);
    split_sentences(team, spans, dy.len(), wide, |sentence, pairs| {
        let mut store = Store::new(precision);
        for (pair, at) in pairs.zip(sentence.clone().step_by(2)) {
            // SAFETY: `split_sentences` gives each thread pairs of its own.
            let [first, second, both, opposed] = unsafe { rows(&shared, widths, pair) };
            let (dy0, dy1) = dy[at * wide..sentence.end.min(at + 2) * wide].split_at(wide);
            precision.store(dy0, first);
            if dy1.is_empty() {
                second.fill(0.0);
                both.copy_from_slice(first);
                opposed.copy_from_slice(&first[..opposed.len()]);
                continue;
            }
            precision.store(dy1, second);
            for part in cut(wide) {
                let [dy0, dy1] = [dy0, dy1].map(|dy| &dy[part.clone()]);
                store.write(both, &part, |y| sum(y, dy0, dy1));
                if !opposed.is_empty() {
                    store.write(opposed, &part, |y| difference(y, dy0, dy1));
                }
            }
        }
    });
}

thread_local! {
    /// A filter, width x H, that a thread works on.
    static TAPS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Calls `work` with room of this thread for a filter of `len` elements.
fn with_taps(len: usize, work: impl FnOnce(&mut [f32])) {
    let mut room = TAPS.take();
    room.resize(len.max(room.len()), 0.0);
    work(&mut room[..len]);
    TAPS.set(room);
}

/// Numbers of a row that are transformed and stored together: with what they come from, a part of the first cache.
const PART: usize = 1024;

/// What inputs beyond a sentence are read from, part by part.
static ZEROS: [f32; PART] = [0.0; PART];

/// The parts of so many numbers; they begin at whole words of any precision.
fn cut(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(PART).map(move |start| start..len.min(start + PART))
}

/// Elements of memory of each chunk's part of a row.
fn stored(chunks: Chunks, precision: Precision, units: usize) -> usize {
    let stored = precision.stored(units);
    for terms in chunks.terms() {
        assert_eq!(terms * stored, precision.stored(terms * units), "chunks begin at whole words");
    }
    stored
}

/// Puts numbers where products in a precision read them.
struct Store {
    precision: Precision,
    /// Where they are computed if they are rounded.
    room: [f32; PART],
}

impl Store {
    fn new(precision: Precision) -> Store {
        Store { precision, room: [0.0; PART] }
    }

    /// The place of a part of a row in memory.
    fn place<'a>(&self, row: &'a mut [f32], part: &Range<usize>) -> &'a mut [f32] {
        let start = self.precision.stored(part.start);
        &mut row[start..start + self.precision.stored(part.len())]
    }

    fn copy(&self, row: &mut [f32], part: &Range<usize>, numbers: &[f32]) {
        self.precision.store(numbers, self.place(row, part));
    }

    /// Stores what `compute` makes of the room that it is given.
    fn write(&mut self, row: &mut [f32], part: &Range<usize>, compute: impl FnOnce(&mut [f32])) {
        let place = self.place(row, part);
        match self.precision {
            Precision::F32 => compute(place),
            Precision::Bf16 => {
                let numbers = &mut self.room[..part.len()];
                compute(numbers);
                self.precision.store(numbers, place);
            }
        }
    }
}

/// The token that is input `i` of a chunk for the pair that begins at `at`, if it is in the sentence.
fn seen(window: Window, sentence: &Range<usize>, at: usize, chunk: Chunk, i: usize) -> Option<usize> {
    let token = (at + chunk.tap + i).checked_sub(window.before)?;
    sentence.contains(&token).then_some(token)
}

/// Calls `work` with each sentence's tokens and pairs. The sentences must be all rows of `width` in `len` elements.
fn split_sentences(
    team: &Team,
    spans: &[Range<u32>],
    len: usize,
    width: usize,
    work: impl Fn(Range<usize>, Range<usize>) + Sync,
) {
    let mut end = 0;
    for span in spans {
        assert!(span.start == end && span.end >= end, "sentences follow each other");
        end = span.end;
    }
    assert_eq!(end as usize * width, len, "sentences of all tokens");
    let tokens = |before: usize| spans.get(before).map_or(end, |span| span.start) as usize;
    team.split_by_weight(spans.len(), tokens, |range| {
        let mut pair = pairs(&spans[..range.start]);
        for span in &spans[range] {
            let more = span.len().div_ceil(2);
            work(span.start as usize..span.end as usize, pair..pair + more);
            pair += more;
        }
    });
}

/// Elements in a row of each transformed operand, of so many units a chunk; it has `count` rows and is `lens` long.
fn widths(chunks: Chunks, units: usize, count: usize, lens: [usize; PRODUCTS]) -> [usize; PRODUCTS] {
    let widths = chunks.terms().map(|terms| terms * units);
    assert_eq!(widths.map(|width| count * width), lens, "operands of the products");
    widths
}

fn check_products([first, second, both, opposed]: [usize; PRODUCTS], len: usize) {
    assert_eq!([first, second, both], [len; 3], "one row a pair");
    assert!(opposed == len || opposed == 0, "one row a pair");
}

/// Row `row` of each matrix.
///
/// # Safety
/// As [`SharedMut::slice`]: no other thread may hold the same row, nor may this one hold it twice.
#[allow(clippy::mut_from_ref)]
unsafe fn rows(
    shared: &[SharedMut<f32>; PRODUCTS],
    widths: [usize; PRODUCTS],
    row: usize,
) -> [&mut [f32]; PRODUCTS] {
    // SAFETY: the matrices are different slices; the rest is promised by the caller.
    std::array::from_fn(|i| unsafe { shared[i].slice(row * widths[i]..(row + 1) * widths[i]) })
}

/// The part of each row that belongs to each chunk; nothing of the last one to a chunk of two.
fn split_chunks(
    chunks: Chunks,
    units: usize,
    rows: [&mut [f32]; PRODUCTS],
) -> impl Iterator<Item = (Chunk, [&mut [f32]; PRODUCTS])> {
    let mut rest = rows;
    chunks.iter().map(move |chunk| {
        let part = rest.each_mut().map(|row| {
            let len = units.min(row.len());
            row.split_off_mut(..len).unwrap_or_default()
        });
        (chunk, part)
    })
}

/// The part of row `row` of each matrix that belongs to a chunk.
fn parts(
    matrices: [&[f32]; PRODUCTS],
    widths: [usize; PRODUCTS],
    row: usize,
    chunk: Chunk,
    units: usize,
) -> [&[f32]; PRODUCTS] {
    std::array::from_fn(|i| {
        let start = chunk.number * units;
        let row = &matrices[i][row * widths[i]..(row + 1) * widths[i]];
        row.get(start..start + units).unwrap_or_default()
    })
}

multiversion! {
    /// `y = a + b`.
    fn sum(y: &mut [f32], a: &[f32], b: &[f32]) {
        y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a + b);
    }
}

multiversion! {
    /// `y = a - b`.
    fn difference(y: &mut [f32], a: &[f32], b: &[f32]) {
        y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a - b);
    }
}

multiversion! {
    /// `dx += both + sign opposed - minus`: the gradient of an input that is not at an end of its chunk.
    fn add_inner(dx: &mut [f32], both: &[f32], sign: f32, opposed: &[f32], minus: &[f32]) {
        for (((dx, both), opposed), minus) in dx.iter_mut().zip(both).zip(opposed).zip(minus) {
            *dx += both + sign * opposed - minus;
        }
    }
}

multiversion! {
    fn output_of_two(y: &mut [f32], own: &[f32], both: &[f32], bias: &[f32]) {
        for (((y, own), both), bias) in y.iter_mut().zip(own).zip(both).zip(bias) {
            *y = own + both + bias;
        }
    }
}

multiversion! {
    fn output_of_three(y: &mut [f32], own: &[f32], both: &[f32], sign: f32, opposed: &[f32], bias: &[f32]) {
        for ((((y, own), both), opposed), bias) in y.iter_mut().zip(own).zip(both).zip(opposed).zip(bias) {
            *y = own + both + sign * opposed + bias;
        }
    }
}

multiversion! {
    /// `y = (g0 + g2) / 2 + inner g1`.
    fn filter_of_three(y: &mut [f32], g0: &[f32], inner: f32, g1: &[f32], g2: &[f32]) {
        for (((y, g0), g1), g2) in y.iter_mut().zip(g0).zip(g1).zip(g2) {
            *y = 0.5 * (g0 + g2) + inner * g1;
        }
    }
}

multiversion! {
    fn filter_of_three_backward(
        g0: &mut [f32],
        g1: &mut [f32],
        g2: &mut [f32],
        first: &[f32],
        second: &[f32],
        both: &[f32],
        opposed: &[f32],
    ) {
        let gradients = first.iter().zip(second).zip(both).zip(opposed);
        for (((g0, g1), g2), (((first, second), both), opposed)) in
            g0.iter_mut().zip(g1).zip(g2).zip(gradients)
        {
            let outer = 0.5 * (both + opposed);
            *g0 = first + outer;
            *g1 = 0.5 * (both - opposed);
            *g2 = second + outer;
        }
    }
}
