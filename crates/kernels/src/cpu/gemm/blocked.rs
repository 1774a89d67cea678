//! Products of two matrices that both change: laid out in blocks that stay in the second cache, by the thread that uses them.
//!
//! The longer side of the result is shared between the threads. What belongs to the other side is laid out first, by all of
//! them: rows at once, panels once for each part of the depth (the dimension summed over). Each thread then lays out its own side
//! block by block and multiplies a block while it is in its cache. So everything is laid out once, and the larger operand, whose
//! layout would not stay in any cache, is read from memory once and never written.

use std::cell::Cell;
use std::ops::Range;

use super::super::pages::Block;
use super::super::threads::{SharedMut, Team, share};
use super::kernel::{Kernel, PANEL, ROWS};
use super::layout::{self, Entry};
use super::matrix::Numbers;
use super::packed::Format;
use super::tiles::{DEPTH, Output, Panels, Part, Rows, SMALL, Start, panels_in_cache};
use super::{MatMut, Piece, Side, f32};

/// Rows that are laid out together: of 512 words, a third of the smallest second cache of today's servers, and whole tiles and
/// panels.
const ROW_BLOCK: usize = 3 * PANEL;
/// The longer side is not the one that is shared where sharing the other wastes less than this share of the work.
const WASTE: f64 = 0.04;

/// Where the sums of a product go.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// Into the result, beginning with what it holds or with zero.
    Output(Output, Start),
    /// To this, a piece at a time.
    Taken(&'a (dyn Fn(Piece<'_>) + Sync)),
}

/// `C = beta C + A B` in `format`, f32 or bf16.
pub(super) fn multiply(team: &Team, format: Format, c: MatMut<'_>, beta: f32, a: Side<'_>, b: Side<'_>) {
    let output = Output { stride: c.row_stride, cols: c.cols, data: SharedMut::new(c.data) };
    let start = if beta == 0.0 { Start::Zero } else { Start::Output };
    Product::new(format, a, b, Target::Output(output, start)).compute(team);
}

/// `A B` in `format`, f32 or bf16, a piece at a time.
pub(super) fn multiply_into(
    team: &Team,
    format: Format,
    a: Side<'_>,
    b: Side<'_>,
    take: &(dyn Fn(Piece<'_>) + Sync),
) {
    Product::new(format, a, b, Target::Taken(take)).compute(team);
}

/// Panels of one part of the columns of a product whose sums are taken, with `depth` terms each.
pub(super) fn part_panels(format: Format, depth: usize) -> usize {
    panels_in_cache(format.groups(depth))
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
    sums: Block<f32>,
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
    a: Side<'a>,
    b: Side<'a>,
    rows: usize,
    cols: usize,
    /// The depth: what is summed over.
    inputs: usize,
    target: Target<'a>,
}

/// Groups of inputs, some of all that a product sums over.
type Groups = Range<usize>;

impl<'a> Product<'a> {
    fn new(format: Format, a: Side<'a>, b: Side<'a>, target: Target<'a>) -> Self {
        let ((rows, inputs), cols) = (a.shape(), b.shape().1);
        Product { format, kernel: format.kernel(), a, b, rows, cols, inputs, target }
    }

    fn compute(&self, team: &Team) {
        let (m, n) = (self.rows, self.cols);
        let team = (m * n * self.groups() >= SMALL && team.size() > 1).then_some(team);
        let mut shared = SHARED.take().unwrap_or_default();
        if shares_columns(m, n, team.map_or(1, Team::size)) {
            self.by_columns(team, &mut shared);
        } else {
            self.by_rows(team, &mut shared);
        }
        SHARED.set(Some(shared));
    }

    /// Groups of the whole depth (the dimension summed over).
    fn groups(&self) -> usize {
        self.format.groups(self.inputs)
    }

    /// In how many parts the depth is summed over. Sums that are taken must be whole.
    fn depths(&self) -> usize {
        match self.target {
            Target::Output(..) => self.groups().div_ceil(DEPTH).max(1),
            Target::Taken(_) => 1,
        }
    }

    /// The parts of the depth, of nearly the same length.
    fn parts_of_depth(&self) -> impl Iterator<Item = Groups> {
        let (groups, depths) = (self.groups(), self.depths());
        (0..depths).map(move |number| share(groups, depths, number))
    }

    /// The inputs of some groups.
    fn inputs_of(&self, groups: &Groups) -> Range<usize> {
        groups.start * self.format.group()..(groups.end * self.format.group()).min(self.inputs)
    }

    /// Rows of A as words where they need no layout.
    fn direct_rows(&self) -> Option<Rows<'a>> {
        match self.a.0 {
            Numbers::Plain(a) if self.format == Format::F32 && a.col_stride == 1 && a.table.is_empty() => {
                Some(Rows { words: f32::words(a.data), stride: a.row_stride })
            }
            Numbers::Rounded(a) if !a.transposed => Some(Rows { words: a.words, stride: a.stride() }),
            _ => None,
        }
    }

    /// Lays out some rows of A.
    fn lay_out_rows(&self, rows: Range<usize>, groups: &Groups, words: &mut [u32]) {
        layout::rows(self.format, self.a, rows, self.inputs_of(groups), words);
    }

    /// Lays out some panels of B.
    fn lay_out_panels(
        &self,
        panels: Range<usize>,
        groups: &Groups,
        entries: &mut [Entry],
        scratch: &mut layout::Scratch,
    ) {
        layout::panels(self.format, self.b, self.inputs_of(groups), panels, entries, scratch);
    }

    /// Threads share the columns: rows of A are laid out by all, panels of B by their thread, which goes through the whole
    /// depth alone.
    fn by_columns(&self, team: Option<&Team>, shared: &mut Shared) {
        let (m, n, all_groups) = (self.rows, self.cols, self.groups());
        let x = self.direct_rows().unwrap_or_else(|| {
            let words = shared.words.room(m * all_groups);
            let target = SharedMut::new(words);
            split(team, m, PANEL, |rows| {
                // SAFETY: `split` gives each thread rows of its own.
                let words = unsafe { target.slice(rows.start * all_groups..rows.end * all_groups) };
                self.lay_out_rows(rows, &(0..all_groups), words);
            });
            Rows { words, stride: all_groups }
        });
        let (all, block) = (n.div_ceil(PANEL), panels_in_cache(all_groups.div_ceil(self.depths())));
        take_turns(team, all.div_ceil(block), |number| {
            with_own(|own| {
                let some = number * block..all.min((number + 1) * block);
                for groups in self.parts_of_depth() {
                    let entries = own.panels.room(some.len() * groups.len());
                    self.lay_out_panels(some.clone(), &groups, entries, &mut own.scratch);
                    let laid_out = Panels { entries, groups: groups.len() };
                    self.multiply(
                        x.from(0, groups.start),
                        0..m,
                        laid_out,
                        some.clone(),
                        groups.start,
                        &mut own.sums,
                    );
                }
            });
        });
    }

    /// Threads share the rows: panels of B are laid out by all, for one part of the depth after the other, rows of A by their
    /// thread.
    fn by_rows(&self, team: Option<&Team>, shared: &mut Shared) {
        let (m, n) = (self.rows, self.cols);
        let panels = n.div_ceil(PANEL);
        let direct = self.direct_rows();
        // Blocks of nearly the same size and of whole tiles, as many for each thread as for any other.
        let tiles = m.div_ceil(ROWS);
        let threads = team.map_or(1, Team::size);
        let blocks = (m.div_ceil(ROW_BLOCK).next_multiple_of(threads)).min(tiles);
        for groups in self.parts_of_depth() {
            let count = groups.len();
            let entries = shared.panels.room(panels * count);
            let target = SharedMut::new(entries);
            split(team, panels, 1, |panels| {
                // SAFETY: `split` gives each thread panels of its own.
                let entries = unsafe { target.slice(panels.start * count..panels.end * count) };
                with_own(|own| self.lay_out_panels(panels, &groups, entries, &mut own.scratch));
            });
            let laid_out = Panels { entries, groups: count };
            take_turns(team, blocks, |number| {
                with_own(|own| {
                    let tiles = share(tiles, blocks, number);
                    let block = tiles.start * ROWS..m.min(tiles.end * ROWS);
                    let x = match direct {
                        Some(x) => x.from(block.start, groups.start),
                        None => {
                            let words = own.words.room(block.len() * count);
                            self.lay_out_rows(block.clone(), &groups, words);
                            Rows { words, stride: count }
                        }
                    };
                    self.multiply(x, block, laid_out, 0..panels, groups.start, &mut own.sums);
                });
            });
        }
    }

    /// Multiplies what is laid out: `rows` and `panels` are the numbers of what `x` and `laid_out` hold, `first_group` that of
    /// the first input group of both.
    fn multiply(
        &self,
        x: Rows<'_>,
        rows: Range<usize>,
        laid_out: Panels<'_>,
        panels: Range<usize>,
        first_group: usize,
        sums: &mut Block<f32>,
    ) {
        let part = |x, panels, output, start| Part {
            kernel: self.kernel,
            x,
            panels,
            output,
            first_row: 0,
            first_panel: 0,
            start,
            scales: None,
        };
        let take = match self.target {
            Target::Output(output, start) => {
                let start = if first_group == 0 { start } else { Start::Output };
                let part = part(x, laid_out, output, start);
                let part = Part { first_row: rows.start, first_panel: panels.start, ..part };
                return part.multiply(0..panels.len(), 0..rows.len());
            }
            Target::Taken(take) => take,
        };
        let (groups, tiles) = (laid_out.groups, rows.len().div_ceil(ROWS));
        let block = panels_in_cache(groups);
        for first in panels.clone().step_by(block) {
            let some = first..panels.end.min(first + block);
            let entries = &laid_out.entries[(some.start - panels.start) * groups..];
            let stride = some.len() * PANEL;
            let sums = sums.room(ROWS * stride);
            for index in 0..tiles {
                let tile = share(rows.len(), tiles, index);
                let output = Output { data: SharedMut::new(sums), stride, cols: stride };
                let x = x.from(tile.start, 0);
                part(x, Panels { entries, groups }, output, Start::Zero)
                    .multiply(0..some.len(), 0..tile.len());
                take(Piece {
                    part: first / block,
                    rows: rows.start + tile.start..rows.start + tile.end,
                    cols: first * PANEL..self.cols.min(some.end * PANEL),
                    sums: &mut sums[..tile.len() * stride],
                    stride,
                });
            }
        }
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
