//! From matrices to the words that kernels read, in the two layouts of a product's sides: rows of words for the left side,
//! panels for the right one.
//!
//! A matrix whose memory runs along the inputs (the dimension that a product sums over) becomes rows of words as it is; one
//! whose memory runs across them becomes panels as it is. The other two ways are a transposition of words on top.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;
use std::ops::Range;

use super::kernel::{LANES, LINES, Line, PANEL};
use super::{Format, Mat, Rounded, bf16, f32};
#[cfg(target_arch = "x86_64")]
use crate::cpu::isa::Isa;

/// One group of inputs of a panel.
pub(super) type Entry = [Line; LINES];

/// Room for what is laid out twice, kept by a thread between calls.
#[derive(Default)]
pub(super) struct Scratch {
    words: Vec<u32>,
    panel: Vec<Entry>,
}

impl Scratch {
    pub(super) const EMPTY: Scratch = Scratch { words: Vec::new(), panel: Vec::new() };
}

impl Format {
    /// Words of so many inputs.
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

/// The panel of the columns `cols` (at most a panel's) of `b` (inputs x outputs), of the inputs in `depth`: one entry a group.
/// Lanes beyond the columns become zero.
pub(super) fn panel(
    format: Format,
    b: Mat<'_>,
    depth: Range<usize>,
    cols: Range<usize>,
    panel: &mut [Entry],
    scratch: &mut Scratch,
) {
    let groups = format.groups(depth.len());
    assert!(panel.len() == groups && cols.len() <= PANEL);
    if b.col_stride == 1 {
        return across(format, b, depth, cols, panel);
    }
    let outputs = b.t();
    for (line, first) in cols.clone().step_by(LANES).enumerate() {
        let rows = first..cols.end.min(first + LANES);
        match format {
            Format::F32 => {
                lines_of_rows(rows.map(|row| f32::words(outputs.row(row, depth.clone()))), panel, line);
            }
            _ => {
                scratch.words.resize(LANES * groups, 0);
                for (words, row) in scratch.words.chunks_exact_mut(groups.max(1)).zip(rows.clone()) {
                    format.words(outputs.row(row, depth.clone()), words);
                }
                lines_of_rows(scratch.words.chunks_exact(groups.max(1)).take(rows.len()), panel, line);
            }
        }
    }
    let used = cols.len().div_ceil(LANES);
    panel.iter_mut().for_each(|entry| entry[used..].fill(Line::ZERO));
}

/// The words of the rows `rows` of `a` (rows x inputs), of the inputs in `depth`: one row after the other.
pub(super) fn rows(
    format: Format,
    a: Mat<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    words: &mut [u32],
    scratch: &mut Scratch,
) {
    let groups = format.groups(depth.len());
    assert_eq!(words.len(), rows.len() * groups, "one word a group");
    if a.col_stride == 1 {
        for (words, row) in words.chunks_exact_mut(groups.max(1)).zip(rows) {
            format.words(a.row(row, depth.clone()), words);
        }
        return;
    }
    scratch.panel.resize(groups, [Line::ZERO; LINES]);
    for (words, first) in words.chunks_mut((groups * PANEL).max(1)).zip(rows.clone().step_by(PANEL)) {
        across(format, a.t(), depth.clone(), first..rows.end.min(first + PANEL), &mut scratch.panel);
        for (line, words) in words.chunks_mut((groups * LANES).max(1)).enumerate() {
            rows_of_lines(&scratch.panel, line, words);
        }
    }
}

/// As [`rows`], for a transposed matrix of bf16 numbers; `rows` and `depth` begin at even numbers.
pub(super) fn rows_of_rounded(
    a: Rounded<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    words: &mut [u32],
    scratch: &mut Scratch,
) {
    assert!(a.transposed && rows.start.is_multiple_of(2) && depth.start.is_multiple_of(2));
    let groups = Format::Bf16.groups(depth.len());
    assert_eq!(words.len(), rows.len() * groups, "one word a group");
    scratch.panel.resize(groups, [Line::ZERO; LINES]);
    for (words, first) in words.chunks_mut((groups * PANEL).max(1)).zip(rows.clone().step_by(PANEL)) {
        let cols = first..rows.end.min(first + PANEL);
        for (entry, first) in scratch.panel.iter_mut().zip(depth.clone().step_by(2)) {
            let second = first + 1;
            let second = if second < depth.end { a.words_of(second, cols.clone()) } else { &[] };
            bf16::pair(a.words_of(first, cols.clone()), second, entry);
        }
        for (line, words) in words.chunks_mut((groups * LANES).max(1)).enumerate() {
            rows_of_lines(&scratch.panel, line, words);
        }
    }
}

/// The panel of `b` whose rows lie along the outputs.
fn across(format: Format, b: Mat<'_>, depth: Range<usize>, cols: Range<usize>, panel: &mut [Entry]) {
    let row = |input: usize| b.row(input, cols.clone());
    match format {
        Format::F32 => {
            for (entry, input) in panel.iter_mut().zip(depth) {
                let (whole, rest) = f32::words(row(input)).as_chunks::<LANES>();
                entry.iter_mut().zip(whole).for_each(|(line, words)| line.0 = *words);
                if whole.len() < LINES {
                    entry[whole.len()..].fill(Line::ZERO);
                    entry[whole.len()].0[..rest.len()].copy_from_slice(rest);
                }
            }
        }
        Format::Bf16 => {
            for (entry, first) in panel.iter_mut().zip(depth.clone().step_by(2)) {
                let second = first + 1;
                let second = (second < depth.end).then(|| row(second));
                bf16::interleave(row(first), second.unwrap_or(&[]), entry);
            }
        }
        Format::Int8 => unreachable!("outputs of int8 have a scale each"),
    }
}

/// Makes up to sixteen rows of words the lanes of line `line` of a panel.
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
        // Rows that are not there stay zero, but became columns of the block before.
        square[rows.clone().count().min(LANES)..].fill(Line::ZERO);
        transpose(&mut square);
        entries.iter_mut().zip(&square).for_each(|(entry, words)| entry[line] = *words);
    }
}

/// Makes the lanes of line `line` of a panel rows of words, as many as there is room for.
fn rows_of_lines(panel: &[Entry], line: usize, words: &mut [u32]) {
    let groups = panel.len();
    let mut square = [Line::ZERO; LANES];
    for (block, entries) in panel.chunks(LANES).enumerate() {
        square.iter_mut().zip(entries).for_each(|(words, entry)| *words = entry[line]);
        transpose(&mut square);
        for (row, from) in words.chunks_exact_mut(groups).zip(&square) {
            let row = &mut row[block * LANES..];
            match row.first_chunk_mut() {
                Some(row) => *row = from.0,
                None => row.copy_from_slice(&from.0[..entries.len()]),
            }
        }
    }
}

/// Makes sixteen rows of sixteen words its columns.
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
    // Squares of 2 x 2 words, then of 4 x 4, in each quarter of the registers.
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
    // Quarter q of `quads[4 b + i]` is column 4 q + i of the rows 4 b to 4 b + 3: the quarters change places with the rows.
    // Of two registers the quarters 0 and 2 of both, or 1 and 3.
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

    /// A matrix and its transpose give the same words in both layouts.
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
        ];
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
                rows(format, view, 0..count, depth.clone(), &mut words, &mut scratch);
                assert!(words == expected, "{context}: rows");

                let mut entries = vec![[Line([u32::MAX; LANES]); LINES]; groups];
                let cols = 0..count.min(PANEL);
                panel(format, view.t(), depth.clone(), cols, &mut entries, &mut scratch);
                for (group, entry) in entries.iter().enumerate() {
                    for output in 0..PANEL {
                        let word = entry[output / LANES].0[output % LANES];
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
