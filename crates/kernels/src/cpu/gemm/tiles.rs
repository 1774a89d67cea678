//! The tiles of a product's result, one after the other, in the order that keeps their operands in caches.

use std::ops::Range;

use super::super::threads::{SharedMut, share};
use super::int8::Quantised;
use super::kernel::{Kernel, LANES, LINES, PANEL, ROWS, Sums, Tile};
use super::layout::Entry;
use super::{bf16, f32, int8};

/// Products with fewer steps (words of one side times outputs) than this, about 3 microseconds, stay on the calling thread.
pub(super) const SMALL: usize = 1 << 18;
/// Bytes of panels that stay in the second cache: a quarter of the smallest of today's server cores.
const PANELS_BYTES: usize = 1 << 18;
/// Groups of inputs that a tile sums over before it is written to memory: a tile's rows of words then stay in the first cache while
/// panels are read, and a panel's part in the second.
pub(super) const DEPTH: usize = 512;

/// The number of panels with so many groups that stay in the second cache together, at least one.
pub(super) fn panels_in_cache(groups: usize) -> usize {
    (PANELS_BYTES / (groups * size_of::<Entry>()).max(1)).max(1)
}

/// The left side: rows of words, `stride` words apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) words: &'a [u32],
    pub(super) stride: usize,
}

impl<'a> Rows<'a> {
    /// The same rows without the first `row` rows and the first `word` words of each; empty where there are none.
    pub(super) fn from(self, row: usize, word: usize) -> Rows<'a> {
        let start = (row * self.stride + word).min(self.words.len());
        Rows { words: &self.words[start..], stride: self.stride }
    }
}

/// The right side: panels of `groups` entries each, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    pub(super) entries: &'a [Entry],
    pub(super) groups: usize,
}

/// The result: row-major. Each thread writes its own elements.
#[derive(Clone, Copy)]
pub(super) struct Output {
    pub(super) data: SharedMut<f32>,
    pub(super) stride: usize,
    pub(super) cols: usize,
}

/// The initial value of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Zero, whatever the output holds.
    Zero,
    /// The content of the output.
    Output,
    /// The content of the output, with the smallest numbers taken as zero for bf16.
    OutputFlushed,
}

/// The factors of integer sums: the scales of the outputs, line by line of the part's panels, and of its rows.
#[derive(Clone, Copy)]
pub(super) struct Scales<'a> {
    pub(super) outputs: &'a [Quantised],
    pub(super) rows: &'a [f32],
}

/// The part of a product that one thread computes.
pub(super) struct Part<'a> {
    pub(super) kernel: Kernel,
    pub(super) x: Rows<'a>,
    pub(super) panels: Panels<'a>,
    pub(super) output: Output,
    /// Position in the output of the first row of `x` and of the first panel.
    pub(super) first_row: usize,
    pub(super) first_panel: usize,
    pub(super) start: Start,
    /// For int8 only.
    pub(super) scales: Option<Scales<'a>>,
}

impl Part<'_> {
    /// Computes the product of some panels with some rows, both counted from the part's first. As many panels as the second cache
    /// holds stay there while the rows are read, and each tile of rows is multiplied with all of them, so that what is written of a
    /// row lies together.
    pub(super) fn multiply(&self, panels: Range<usize>, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        let tiles = rows.len().div_ceil(ROWS);
        // Created only where needed: multiplying a tile of few inputs takes not much more time.
        let mut tile = None;
        // The parts of the depth have the same length, so that none is short. Integers are scaled after all of them are summed up.
        let depths = if self.scales.is_some() { 1 } else { self.panels.groups.div_ceil(DEPTH).max(1) };
        let block = panels_in_cache(self.panels.groups.div_ceil(depths));
        for first in panels.clone().step_by(block) {
            for number in 0..depths {
                let depth = share(self.panels.groups, depths, number);
                let start = if number == 0 { self.start } else { Start::Output };
                let last = panels.end.min(first + block);
                let of_tile = |index| {
                    let part = share(rows.len(), tiles, index);
                    rows.start + part.start..rows.start + part.end
                };
                for index in 0..tiles {
                    for panel in first..last {
                        if start != Start::Zero {
                            // The initial values of the next sums, fetched while this tile is computed.
                            let next = if panel + 1 < last { (panel + 1, index) } else { (first, index + 1) };
                            if next.1 < tiles && self.is_whole(next.0) {
                                self.sums(next.0, of_tile(next.1)).fetch();
                            }
                        }
                        self.tile(panel, of_tile(index), depth.clone(), start, &mut tile);
                    }
                }
            }
        }
    }

    /// Computes the product of one panel with at most [`ROWS`] rows, over some groups of inputs.
    fn tile(
        &self,
        panel: usize,
        rows: Range<usize>,
        depth: Range<usize>,
        start: Start,
        tile: &mut Option<Tile>,
    ) {
        let words = &self.x.words[rows.start * self.x.stride + depth.start..];
        let entries = &self.panels.entries[panel * self.panels.groups..][depth];
        if let Some(scales) = self.scales {
            let tile = tile.get_or_insert(Tile::ZERO);
            let mut sums = Sums::of(tile, self.lines(panel));
            self.kernel.run(entries, words, self.x.stride, rows.len(), false, &mut sums);
            let outputs = &scales.outputs[panel * LINES..(panel + 1) * LINES];
            for (sums, row) in tile.rows.iter().zip(rows) {
                let y = self.outputs(panel, row);
                int8::finish(sums, self.kernel.biased, outputs, scales.rows[row], y, start != Start::Zero);
            }
            return;
        }
        if start == Start::OutputFlushed {
            rows.clone().for_each(|row| bf16::start(self.outputs(panel, row)));
        }
        let (count, add) = (rows.len(), start != Start::Zero);
        if self.is_whole(panel) {
            let mut sums = self.sums(panel, rows);
            // The sums are written at the end; without this fetch the stores would wait for the old content.
            sums.fetch();
            return self.kernel.run(entries, words, self.x.stride, count, add, &mut sums);
        }
        let tile = tile.get_or_insert(Tile::ZERO);
        if add {
            for (sums, row) in tile.rows.iter_mut().zip(rows.clone()) {
                f32::begin(sums, self.outputs(panel, row));
            }
        }
        self.kernel.run(entries, words, self.x.stride, count, add, &mut Sums::of(tile, self.lines(panel)));
        for (sums, row) in tile.rows.iter().zip(rows) {
            f32::finish(sums, self.outputs(panel, row));
        }
    }

    /// Whether a panel has its full number of outputs.
    fn is_whole(&self, panel: usize) -> bool {
        (self.first_panel + panel + 1) * PANEL <= self.output.cols
    }

    /// The number of lines in which a panel has outputs.
    fn lines(&self, panel: usize) -> usize {
        let outputs = self.output.cols - (self.first_panel + panel) * PANEL;
        outputs.div_ceil(LANES).min(LINES)
    }

    /// The result itself as sums, for a panel with its full number of outputs.
    fn sums(&self, panel: usize, rows: Range<usize>) -> Sums<'_> {
        let output = &self.output;
        let first = (self.first_row + rows.start) * output.stride + (self.first_panel + panel) * PANEL;
        assert!(first + (rows.len() - 1) * output.stride + PANEL <= output.data.len());
        // SAFETY: the rows lie inside, as asserted; parts of a product have their own panels or rows, so that no other thread uses
        // these elements.
        unsafe { Sums::at(output.data.as_mut_ptr().add(first), output.stride, rows.len()) }
    }

    /// The elements of one row that one panel produces.
    #[allow(clippy::mut_from_ref)]
    fn outputs(&self, panel: usize, row: usize) -> &mut [f32] {
        let output = &self.output;
        let cols = (self.first_panel + panel) * PANEL;
        let start = (self.first_row + row) * output.stride;
        // SAFETY: parts of a product have their own panels or rows, so no other thread has these elements, and the slice of one row
        // is dropped before the next is asked for.
        unsafe { output.data.slice(start + cols..start + output.cols.min(cols + PANEL)) }
    }
}
