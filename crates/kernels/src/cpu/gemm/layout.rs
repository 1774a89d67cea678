//! Conversion of matrices to the words that kernels read, in the two layouts of a product's sides: rows of words for the left side,
//! panels for the right one.
//!
//! A matrix whose memory runs along the inputs (the dimension that a product sums over) needs no reordering to become rows of
//! words; one whose memory runs across them needs none to become panels. The other two conversions also transpose words.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::ops::Range;

use super::kernel::{LANES, LINES, Line, PANEL, prefetch};
use super::matrix::{Numbers, Rounded};
use super::{Format, Mat, Side, bf16, f32};
#[cfg(target_arch = "x86_64")]
use crate::cpu::isa::Isa;

/// The number of groups of inputs that are fetched ahead of their use.
const FETCH_AHEAD: usize = 8;

/// One group of inputs of a panel.
pub(super) type Entry = [Line; LINES];

/// Buffers for operands that are laid out in two steps, kept by a thread between calls.
#[derive(Default)]
pub(super) struct Scratch {
    words: Vec<u32>,
}

impl Format {
    /// The number of words for so many inputs.
    pub(super) fn groups(self, inputs: usize) -> usize {
        inputs.div_ceil(self.group())
    }

    /// The words of inputs that lie together, for the formats without a scale.
    fn words(self, row: &[f32], words: &mut [u32]) {
        match self {
            Format::F32 => words.copy_from_slice(f32::words(row)),
            Format::Bf16 => bf16::words(row, words),
            Format::Int8 => unreachable!("rows of int8 have a scale each"),
        }
    }
}

/// Lays out some panels of `b` (inputs x outputs), of the inputs in `depth`, one after the other with one entry per group each.
/// Lanes beyond the last column become zero.
pub(super) fn panels(
    format: Format,
    b: Side<'_>,
    depth: Range<usize>,
    panels: Range<usize>,
    entries: &mut [Entry],
    scratch: &mut Scratch,
) {
    let (groups, all) = (format.groups(depth.len()), b.shape().1);
    assert_eq!(entries.len(), panels.len() * groups, "one entry a panel and group");
    let cols = |panel: usize| panel * PANEL..((panel + 1) * PANEL).min(all);
    match b.0 {
        Numbers::Plain(b) if b.col_stride == 1 => {
            let entry =
                |inputs: Range<usize>, cols, entry: &mut Entry| entry_across(format, b, inputs, cols, entry);
            panels_across(format, depth, panels, cols, entries, entry, |input, cols| {
                fetch(b.row(input, cols))
            });
        }
        Numbers::Rounded(b) if !b.transposed => {
            let entry = |inputs: Range<usize>, cols, entry: &mut Entry| pair_across(b, inputs, cols, entry);
            panels_across(format, depth, panels, cols, entries, entry, |input, cols| {
                fetch(b.words_of(input, cols))
            });
        }
        Numbers::Plain(b) => {
            for (entries, panel) in entries.chunks_exact_mut(groups.max(1)).zip(panels) {
                panel_along(format, b.t(), cols(panel), depth.clone(), entries, scratch);
            }
        }
        Numbers::Rounded(b) => {
            for (entries, panel) in entries.chunks_exact_mut(groups.max(1)).zip(panels) {
                panel_of_words(cols(panel), |output| b.words_of(output, depth.clone()), entries);
            }
        }
    }
}

/// Lays out some panels of a matrix whose memory runs across them. `entry` makes the entry of a group of inputs, `fetch` fetches
/// the memory that it reads.
fn panels_across(
    format: Format,
    depth: Range<usize>,
    panels: Range<usize>,
    cols: impl Fn(usize) -> Range<usize>,
    entries: &mut [Entry],
    entry: impl Fn(Range<usize>, Range<usize>, &mut Entry),
    fetch: impl Fn(usize, Range<usize>),
) {
    let groups = format.groups(depth.len());
    // Memory is read in order.
    for (group, first) in depth.clone().step_by(format.group()).enumerate() {
        let inputs = first..depth.end.min(first + format.group());
        let ahead = first + FETCH_AHEAD * format.group();
        for input in ahead..depth.end.min(ahead + format.group()) {
            fetch(input, cols(panels.start).start..cols(panels.end - 1).end);
        }
        for (index, panel) in panels.clone().enumerate() {
            entry(inputs.clone(), cols(panel), &mut entries[index * groups + group]);
        }
    }
}

/// Lays out the panel of some outputs (at most a panel's) of a matrix outputs x inputs whose memory runs along the inputs.
fn panel_along(
    format: Format,
    outputs: Mat<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    panel: &mut [Entry],
    scratch: &mut Scratch,
) {
    let groups = panel.len();
    if format == Format::F32 {
        return panel_of_words(rows, |row| f32::words(outputs.row(row, depth.clone())), panel);
    }
    for (line, first) in rows.clone().step_by(LANES).enumerate() {
        let rows = first..rows.end.min(first + LANES);
        scratch.words.resize(LANES * groups, 0);
        for (words, row) in scratch.words.chunks_exact_mut(groups.max(1)).zip(rows.clone()) {
            format.words(outputs.row(row, depth.clone()), words);
        }
        lines_of_rows(scratch.words.chunks_exact(groups.max(1)).take(rows.len()), panel, line);
    }
    let used = rows.len().div_ceil(LANES);
    panel.iter_mut().for_each(|entry| entry[used..].fill(Line::ZERO));
}

/// Lays out the panel of some outputs (at most a panel's) whose words lie together.
fn panel_of_words<'a>(
    outputs: Range<usize>,
    words: impl Fn(usize) -> &'a [u32] + Clone,
    panel: &mut [Entry],
) {
    for (line, first) in outputs.clone().step_by(LANES).enumerate() {
        lines_of_rows((first..outputs.end.min(first + LANES)).map(words.clone()), panel, line);
    }
    let used = outputs.len().div_ceil(LANES);
    panel.iter_mut().for_each(|entry| entry[used..].fill(Line::ZERO));
}

/// Lays out one entry of a panel, for one group of inputs, of a matrix inputs x outputs whose memory runs along the outputs.
fn entry_across(format: Format, b: Mat<'_>, inputs: Range<usize>, cols: Range<usize>, entry: &mut Entry) {
    let row = |input: usize| b.row(input, cols.clone());
    match format {
        Format::F32 => {
            let (whole, rest) = f32::words(row(inputs.start)).as_chunks::<LANES>();
            entry.iter_mut().zip(whole).for_each(|(line, words)| line.0 = *words);
            if whole.len() < LINES {
                entry[whole.len()..].fill(Line::ZERO);
                entry[whole.len()].0[..rest.len()].copy_from_slice(rest);
            }
        }
        Format::Bf16 => {
            let second: &[f32] = if inputs.len() > 1 { row(inputs.start + 1) } else { &[] };
            bf16::interleave(row(inputs.start), second, entry);
        }
        Format::Int8 => unreachable!("outputs of int8 have a scale each"),
    }
}

/// As `entry_across`, for rounded numbers; `inputs` and `cols` begin at even numbers.
fn pair_across(b: Rounded<'_>, inputs: Range<usize>, cols: Range<usize>, entry: &mut Entry) {
    let second = if inputs.len() > 1 { b.words_of(inputs.start + 1, cols.clone()) } else { &[] };
    bf16::pair(b.words_of(inputs.start, cols), second, entry);
}

/// Lays out the words of the rows `rows` of `a` (rows x inputs), of the inputs in `depth`: one row after the other. For rounded
/// numbers, `rows` and `depth` begin at even numbers.
pub(super) fn rows(format: Format, a: Side<'_>, rows: Range<usize>, depth: Range<usize>, words: &mut [u32]) {
    let groups = format.groups(depth.len());
    assert_eq!(words.len(), rows.len() * groups, "one word a group");
    let each = words.chunks_exact_mut(groups.max(1)).zip(rows.clone());
    match a.0 {
        Numbers::Plain(a) if a.col_stride == 1 => {
            each.for_each(|(words, row)| format.words(a.row(row, depth.clone()), words));
        }
        Numbers::Rounded(a) if !a.transposed => {
            each.for_each(|(words, row)| words.copy_from_slice(a.words_of(row, depth.clone())));
        }
        Numbers::Plain(a) => {
            let a = a.t();
            let entry =
                |inputs: Range<usize>, rows, entry: &mut Entry| entry_across(format, a, inputs, rows, entry);
            rows_across(format, rows, depth, words, entry, |input, rows| fetch(a.row(input, rows)));
        }
        Numbers::Rounded(a) => {
            let a = a.t();
            let entry = |inputs: Range<usize>, rows, entry: &mut Entry| pair_across(a, inputs, rows, entry);
            rows_across(format, rows, depth, words, entry, |input, rows| fetch(a.words_of(input, rows)));
        }
    }
}

/// Lays out the words of rows whose memory runs across the inputs. `entry` makes the entry of a panel for one group of inputs and
/// at most a panel's rows.
fn rows_across(
    format: Format,
    rows: Range<usize>,
    depth: Range<usize>,
    words: &mut [u32],
    entry: impl Fn(Range<usize>, Range<usize>, &mut Entry),
    fetch: impl Fn(usize, Range<usize>),
) {
    let groups = format.groups(depth.len());
    let mut entries = [[Line::ZERO; LINES]; LANES];
    let mut square = [Line::ZERO; LANES];
    // A square of groups at a time: the memory of its inputs is read along the rows, and stays in the first cache.
    for (block, first_input) in depth.clone().step_by(LANES * format.group()).enumerate() {
        let count = LANES.min(groups - block * LANES);
        for (strip, first_row) in rows.clone().step_by(PANEL).enumerate() {
            let strip_rows = first_row..rows.end.min(first_row + PANEL);
            let next = first_input + LANES * format.group();
            for input in next..depth.end.min(next + LANES * format.group()) {
                fetch(input, strip_rows.clone());
            }
            for (group, to) in entries[..count].iter_mut().enumerate() {
                let input = first_input + group * format.group();
                entry(input..depth.end.min(input + format.group()), strip_rows.clone(), to);
            }
            let words = &mut words[strip * PANEL * groups..];
            for line in 0..strip_rows.len().div_ceil(LANES) {
                square.iter_mut().zip(&entries).for_each(|(words, entry)| *words = entry[line]);
                transpose(&mut square);
                let lanes = LANES.min(strip_rows.len() - line * LANES);
                for (lane, from) in square[..lanes].iter().enumerate() {
                    let start = (line * LANES + lane) * groups + block * LANES;
                    let words = &mut words[start..start + count];
                    // A whole line is one store; any other length would be a call.
                    match words.as_mut_array() {
                        Some(words) => *words = from.0,
                        None => words.copy_from_slice(&from.0[..count]),
                    }
                }
            }
        }
    }
}

/// Fetches the memory of the slice into the first cache.
fn fetch<T>(slice: &[T]) {
    slice.chunks(64 / size_of::<T>()).for_each(|line| prefetch(line.as_ptr()));
}

/// Copies up to sixteen rows of words to the lanes of line `line` of a panel.
pub(super) fn lines_of_rows<'a>(
    rows: impl Iterator<Item = &'a [u32]> + Clone,
    panel: &mut [Entry],
    line: usize,
) {
    let mut square = [Line::ZERO; LANES];
    for (block, entries) in panel.chunks_mut(LANES).enumerate() {
        let start = block * LANES;
        for (to, row) in square.iter_mut().zip(rows.clone()) {
            match row[start..].first_chunk() {
                Some(words) => to.0 = *words,
                None => to.0[..entries.len()].copy_from_slice(&row[start..]),
            }
        }
        // Missing rows must be zero, but hold columns of the block before.
        square[rows.clone().count().min(LANES)..].fill(Line::ZERO);
        transpose(&mut square);
        entries.iter_mut().zip(&square).for_each(|(entry, words)| entry[line] = *words);
    }
}

/// Transposes sixteen rows of sixteen words.
fn transpose(square: &mut [Line; LANES]) {
    #[cfg(target_arch = "x86_64")]
    if Isa::detect() >= Isa::Avx512 {
        // SAFETY: the machine has the feature, as `detect` says.
        return unsafe { transpose_avx512(square) };
    }
    let before = *square;
    for (row, words) in square.iter_mut().enumerate() {
        for (word, from) in words.0.iter_mut().zip(&before) {
            *word = from.0[row];
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn transpose_avx512(square: &mut [Line; LANES]) {
    let mut rows = [_mm512_setzero_si512(); LANES];
    for i in 0..LANES {
        // SAFETY: a `Line` is 64 aligned bytes.
        rows[i] = unsafe { _mm512_load_si512((&raw const square[i]).cast()) };
    }
    // First squares of 2 x 2 words, then of 4 x 4, in each quarter of the registers.
    let mut pairs = rows;
    for i in (0..LANES).step_by(2) {
        pairs[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    let mut quads = pairs;
    for i in (0..LANES).step_by(4) {
        for half in 0..2 {
            let (above, below) = (pairs[i + half], pairs[i + half + 2]);
            quads[i + 2 * half] = _mm512_unpacklo_epi64(above, below);
            quads[i + 2 * half + 1] = _mm512_unpackhi_epi64(above, below);
        }
    }
    // Quarter q of `quads[4 b + i]` is column 4 q + i of the rows 4 b to 4 b + 3: the quarters change places with the rows. These
    // select from two registers the quarters 0 and 2 of both, or 1 and 3.
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    for i in 0..4 {
        let (above, below) = (
            [
                _mm512_shuffle_i32x4::<EVEN>(quads[i], quads[i + 4]),
                _mm512_shuffle_i32x4::<ODD>(quads[i], quads[i + 4]),
            ],
            [
                _mm512_shuffle_i32x4::<EVEN>(quads[i + 8], quads[i + 12]),
                _mm512_shuffle_i32x4::<ODD>(quads[i + 8], quads[i + 12]),
            ],
        );
        let columns = [
            _mm512_shuffle_i32x4::<EVEN>(above[0], below[0]),
            _mm512_shuffle_i32x4::<EVEN>(above[1], below[1]),
            _mm512_shuffle_i32x4::<ODD>(above[0], below[0]),
            _mm512_shuffle_i32x4::<ODD>(above[1], below[1]),
        ];
        for quarter in 0..4 {
            // SAFETY: as above.
            unsafe { _mm512_store_si512((&raw mut square[4 * quarter + i]).cast(), columns[quarter]) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_transposed() {
        let mut square: [Line; LANES] =
            std::array::from_fn(|r| Line(std::array::from_fn(|c| (100 * r + c) as u32)));
        transpose(&mut square);
        for (r, line) in square.iter().enumerate() {
            for (c, &word) in line.0.iter().enumerate() {
                assert_eq!(word, (100 * c + r) as u32, "row {r}, column {c}");
            }
        }
    }

    /// Checks that a matrix and its transpose give the same words in both layouts.
    fn check(format: Format, count: usize, inputs: usize) {
        let stride = inputs + 3;
        let along: Vec<f32> = (0..count * stride).map(|i| (i % 251) as f32 - 100.0).collect();
        let across: Vec<f32> = (0..inputs * (count + 2))
            .map(|i| {
                let (input, index) = (i / (count + 2), i % (count + 2));
                if index < count { along[index * stride + input] } else { f32::NAN }
            })
            .collect();
        let views = [
            Mat::strided(&along, count, inputs, stride),
            Mat::strided(&across, inputs, count, count + 2).t(),
        ]
        .map(Side::from);
        let mut scratch = Scratch::default();
        for depth in [0..inputs, inputs / 4 * 2..inputs] {
            let groups = format.groups(depth.len());
            let mut expected = vec![0; count * groups];
            for index in 0..count {
                let row = &along[index * stride..][depth.clone()];
                format.words(row, &mut expected[index * groups..(index + 1) * groups]);
            }
            for (which, view) in views.into_iter().enumerate() {
                let context = format!("{format:?} {count} x {inputs}, inputs {depth:?}, view {which}");
                let mut words = vec![u32::MAX; count * groups];
                rows(format, view, 0..count, depth.clone(), &mut words);
                assert!(words == expected, "{context}: rows");

                let all = count.div_ceil(PANEL);
                let mut entries = vec![[Line([u32::MAX; LANES]); LINES]; all * groups];
                panels(format, view.t(), depth.clone(), 0..all, &mut entries, &mut scratch);
                for output in 0..all * PANEL {
                    let (panel, lane) = (output / PANEL, output % PANEL);
                    for group in 0..groups {
                        let word = entries[panel * groups + group][lane / LANES].0[lane % LANES];
                        let want = if output < count { expected[output * groups + group] } else { 0 };
                        assert_eq!(word, want, "{context}: output {output}, group {group}");
                    }
                }
            }
        }
    }

    #[test]
    fn both_layouts_hold_the_same_words() {
        for format in [Format::F32, Format::Bf16] {
            for (count, inputs) in [(1, 1), (64, 32), (16, 16), (17, 33), (70, 61), (33, 130), (5, 0)] {
                check(format, count, inputs);
            }
        }
    }
}
