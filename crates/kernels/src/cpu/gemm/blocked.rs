//! Products of two matrices that both change: laid out in blocks that stay in the second cache, by the thread that uses them.
//!
//! The longer side of the result is shared between the threads. What belongs to the other side is laid out first, by all of
//! them, once for each part of the depth (the dimension summed over); each thread then lays out its own side block by block and
//! multiplies a block while it is in its cache. So everything is laid out once, and the larger operand, whose layout would not
//! stay in any cache, is read from memory once and never written.

use std::cell::Cell;
use std::ops::Range;

use super::super::pages::{Block, Plain};
use super::super::threads::{SharedMut, Team, share};
use super::kernel::{Kernel, PANEL, ROWS};
use super::layout::{self, Entry};
use super::packed::Format;
use super::tiles::{DEPTH, Output, Panels, Part, Rows, SMALL, Start, panels_in_cache};
use super::{Mat, MatMut, Rounded, f32};

/// Rows that are laid out together: of 512 words, a third of the smallest second cache of today's servers, and whole tiles and
/// panels.
const ROW_BLOCK: usize = 3 * PANEL;
/// The longer side is not the one that is shared where sharing the other wastes less than this share of the work.
const WASTE: f64 = 0.04;

/// The left side of a product.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    Plain(Mat<'a>),
    /// In bf16.
    Rounded(Rounded<'a>),
}

/// `C = beta C + A B` in `format`, f32 or bf16.
pub(super) fn multiply(team: &Team, format: Format, c: MatMut<'_>, beta: f32, a: Left<'_>, b: Mat<'_>) {
    let (m, n, k) = (c.rows, c.cols, b.rows);
    let output = Output { stride: c.row_stride, cols: n, data: SharedMut::new(c.data) };
    let product = Product { format, kernel: format.kernel(), rows: m, a, b, output };
    let team = (m * n * format.groups(k) >= SMALL && team.size() > 1).then_some(team);
    let mut shared = SHARED.take().unwrap_or_default();
    // Parts of the depth of nearly the same length, borders between whole groups.
    let groups = format.groups(k);
    let depths = groups.div_ceil(DEPTH).max(1);
    let by_columns = shares_columns(m, n, team.map_or(1, Team::size));
    for number in 0..depths {
        let depth = share(groups, depths, number);
        let depth = depth.start * format.group()..(depth.end * format.group()).min(k);
        let start = if beta == 0.0 && number == 0 { Start::Zero } else { Start::Output };
        if by_columns {
            product.by_columns(team, depth, start, &mut shared);
        } else {
            product.by_rows(team, depth, start, &mut shared);
        }
    }
    SHARED.set(Some(shared));
}

/// Whether the columns of an m x n result are shared between threads, and not its rows.
fn shares_columns(m: usize, n: usize, threads: usize) -> bool {
    // The part of the work that the busiest thread would have nothing to do without.
    let waste = |units: usize| {
        let most = units.div_ceil(threads) * threads;
        (most - units) as f64 / units as f64
    };
    let (by_columns, by_rows) = (waste(n.div_ceil(PANEL)), waste(m.div_ceil(ROWS)));
    if n >= m { by_columns <= by_rows + WASTE } else { by_columns + WASTE < by_rows }
}

thread_local! {
    /// What all threads of a product read, kept by the thread that calls for it.
    static SHARED: Cell<Option<Box<Shared>>> = const { Cell::new(None) };
    /// What each thread lays out for itself.
    static OWN: Cell<Option<Box<Own>>> = const { Cell::new(None) };
}

#[derive(Default)]
struct Shared {
    words: Block<u32>,
    panels: Block<Entry>,
}

#[derive(Default)]
struct Own {
    words: Block<u32>,
    panels: Block<Entry>,
    scratch: layout::Scratch,
}

/// Calls `work` with what this thread keeps for itself.
fn with_own<R>(work: impl FnOnce(&mut Own) -> R) -> R {
    let mut own = OWN.take().unwrap_or_default();
    let result = work(&mut own);
    OWN.set(Some(own));
    result
}

struct Product<'a> {
    format: Format,
    kernel: Kernel,
    rows: usize,
    a: Left<'a>,
    b: Mat<'a>,
    output: Output,
}

impl<'a> Product<'a> {
    /// Rows of A as words where they need no layout.
    fn direct_rows(&self, depth: &Range<usize>) -> Option<Rows<'a>> {
        match self.a {
            Left::Plain(a) if self.format == Format::F32 && a.col_stride == 1 && a.table.is_empty() => {
                let words = &f32::words(a.data)[depth.start.min(a.data.len())..];
                Some(Rows { words, stride: a.row_stride })
            }
            Left::Rounded(a) if !a.transposed => {
                Some(Rows { words: &a.words[(depth.start / 2).min(a.words.len())..], stride: a.cols })
            }
            _ => None,
        }
    }

    /// Lays out some rows of A.
    fn lay_out_rows(&self, rows: Range<usize>, depth: &Range<usize>, words: &mut [u32]) {
        match self.a {
            Left::Plain(a) => layout::rows(self.format, a, rows, depth.clone(), words),
            Left::Rounded(a) => layout::rows_of_rounded(a, rows, depth.clone(), words),
        }
    }

    fn part<'p>(&self, x: Rows<'p>, panels: Panels<'p>, start: Start) -> Part<'p> {
        Part {
            kernel: self.kernel,
            x,
            panels,
            output: self.output,
            first_row: 0,
            first_panel: 0,
            start,
            scales: None,
        }
    }

    /// Threads share the columns: rows of A are laid out by all, panels of B by their thread.
    fn by_columns(&self, team: Option<&Team>, depth: Range<usize>, start: Start, shared: &mut Shared) {
        let (m, n) = (self.rows, self.b.cols);
        let groups = self.format.groups(depth.len());
        let x = self.direct_rows(&depth).unwrap_or_else(|| {
            let words = room(&mut shared.words, m * groups);
            let target = SharedMut::new(words);
            split(team, m, PANEL, |rows| {
                // SAFETY: `split` gives each thread rows of its own.
                let words = unsafe { target.slice(rows.start * groups..rows.end * groups) };
                self.lay_out_rows(rows, &depth, words);
            });
            Rows { words, stride: groups }
        });
        let (all, block) = (n.div_ceil(PANEL), panels_in_cache(groups));
        take_turns(team, all.div_ceil(block), |number| {
            with_own(|own| {
                let some = number * block..all.min((number + 1) * block);
                let entries = room(&mut own.panels, some.len() * groups);
                layout::panels(self.format, self.b, depth.clone(), some.clone(), entries, &mut own.scratch);
                let part = self.part(x, Panels { entries, groups }, start);
                Part { first_panel: some.start, ..part }.multiply(0..some.len(), 0..m);
            });
        });
    }

    /// Threads share the rows: panels of B are laid out by all, rows of A by their thread.
    fn by_rows(&self, team: Option<&Team>, depth: Range<usize>, start: Start, shared: &mut Shared) {
        let (m, n) = (self.rows, self.b.cols);
        let groups = self.format.groups(depth.len());
        let panels = n.div_ceil(PANEL);
        let entries = room(&mut shared.panels, panels * groups);
        let target = SharedMut::new(entries);
        split(team, panels, 1, |panels| {
            // SAFETY: `split` gives each thread panels of its own.
            let entries = unsafe { target.slice(panels.start * groups..panels.end * groups) };
            with_own(|own| {
                layout::panels(self.format, self.b, depth.clone(), panels, entries, &mut own.scratch);
            });
        });
        let laid_out = Panels { entries, groups };
        let direct = self.direct_rows(&depth);
        // Blocks of nearly the same size and of whole tiles, as many for each thread as for any other.
        let tiles = m.div_ceil(ROWS);
        let threads = team.map_or(1, Team::size);
        let blocks = (m.div_ceil(ROW_BLOCK).next_multiple_of(threads)).min(tiles);
        take_turns(team, blocks, |number| {
            let tiles = share(tiles, blocks, number);
            let block = tiles.start * ROWS..m.min(tiles.end * ROWS);
            match direct {
                Some(x) => self.part(x, laid_out, start).multiply(0..panels, block),
                None => with_own(|own| {
                    let words = room(&mut own.words, block.len() * groups);
                    self.lay_out_rows(block.clone(), &depth, words);
                    let part = self.part(Rows { words, stride: groups }, laid_out, start);
                    Part { first_row: block.start, ..part }.multiply(0..panels, 0..block.len());
                }),
            }
        });
    }
}

/// Shares a range as [`Team::split`] does, or keeps it on this thread.
fn split(team: Option<&Team>, len: usize, grain: usize, part: impl Fn(Range<usize>) + Sync) {
    match team {
        Some(team) => team.split(len, grain, part),
        None => part(0..len),
    }
}

/// Shares parts as [`Team::take_turns`] does, or keeps them on this thread.
fn take_turns(team: Option<&Team>, count: usize, part: impl Fn(usize) + Sync) {
    match team {
        Some(team) => team.take_turns(count, part),
        None => (0..count).for_each(part),
    }
}

/// The first `len` elements of a buffer that only grows; of any content.
fn room<T: Plain>(buffer: &mut Block<T>, len: usize) -> &mut [T] {
    if buffer.len() < len {
        // Somewhat more, so that slightly larger products do not ask for memory again.
        *buffer = Block::zeros(len + len / 4);
    }
    &mut buffer[..len]
}
