//! Products of two matrices that both change: each thread lays out the blocks that it uses, and they stay in its second cache.
//!
//! The threads share the longer side of the result. All of them first lay out the other side's operand: rows at once, panels once
//! for each part of the depth (the dimension summed over). Each thread then lays out its own side block by block and multiplies a
//! block while it is in its cache. So everything is laid out once, and the larger operand, whose layout would not fit any cache, is
//! read from memory once and never written. Products that do not depend on each other go through these steps together.
//!
//! A product whose depth is far longer than both sides of its result is shared by depth instead: each thread sums up a part alone,
//! and reads nothing that another thread laid out.

mod product;

use std::cell::Cell;

use self::product::{Product, Target};
use super::super::elementwise::add_part;
use super::super::pages::Block;
use super::super::threads::{SharedMut, Team, share};
use super::kernel::{PANEL, ROWS};
use super::layout::{self, Entry};
use super::packed::Format;
use super::tiles::{DEPTH, Output, Panels, Rows, SMALL, Start, panels_in_cache};
use super::{MatMut, Piece, Side};

/// Rows that are laid out together: of 512 words each, they fill a third of the smallest second cache of today's servers. They are
/// a whole number of tiles and of panels.
const ROW_BLOCK: usize = 3 * PANEL;
/// The longer side is not shared where sharing the other wastes less than this share of the work.
const WASTE: f64 = 0.04;

/// Computes `C = beta C + A B` in `format`, f32 or bf16, for each product that is present.
pub(super) fn multiply<const N: usize>(
    team: &Team,
    format: Format,
    beta: f32,
    products: [Option<(MatMut<'_>, Side<'_>, Side<'_>)>; N],
) {
    let start = if beta == 0.0 { Start::Zero } else { Start::Output };
    let product = |(c, a, b): (MatMut<'_>, _, _)| {
        let output = Output { stride: c.row_stride, cols: c.cols, data: SharedMut::new(c.data) };
        Product::new(format, a, b, Target::Output(output, start))
    };
    compute(team, products.map(|one| one.map(product)));
}

/// Computes `A B` in `format`, f32 or bf16, a piece at a time.
pub(super) fn multiply_into(
    team: &Team,
    format: Format,
    a: Side<'_>,
    b: Side<'_>,
    take: &(dyn Fn(Piece<'_>) + Sync),
) {
    compute(team, [Some(Product::new(format, a, b, Target::Taken(take)))]);
}

/// The number of panels in one part of the columns of a product whose sums are taken, with `depth` terms each.
pub(super) fn part_panels(format: Format, depth: usize) -> usize {
    panels_in_cache(format.groups(depth))
}

/// Whether threads share the columns of an m x n result instead of its rows.
fn shares_columns(m: usize, n: usize, threads: usize) -> bool {
    // The idle time of the threads that wait for the busiest one, as a share of the work.
    let waste = |units: usize| {
        let most = units.div_ceil(threads) * threads;
        (most - units) as f64 / units as f64
    };
    let (by_columns, by_rows) = (waste(n.div_ceil(PANEL)), waste(m.div_ceil(ROWS)));
    if n >= m { by_columns <= by_rows + WASTE } else { by_columns + WASTE < by_rows }
}

/// Threads share the depth of a product that is this many times longer than its result, in groups: adding up their sums is then a
/// small part of the work.
const DEEP: usize = 4;

thread_local! {
    /// The sums of all threads but the first that share the depth, kept by the calling thread.
    static PARTIAL: Cell<Option<Box<Block<f32>>>> = const { Cell::new(None) };
    /// The operands that all threads of a product read, kept by the calling thread.
    static SHARED: Cell<Option<Box<Shared>>> = const { Cell::new(None) };
    /// The operands that each thread lays out for itself.
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

/// Calls `work` with this thread's own operands.
fn with_own<R>(work: impl FnOnce(&mut Own) -> R) -> R {
    let mut own = OWN.take().unwrap_or_default();
    let result = work(&mut own);
    OWN.set(Some(own));
    result
}

/// Computes products in the way that suits their shapes, and on this thread alone if they are small.
fn compute<const N: usize>(team: &Team, products: [Option<Product<'_>>; N]) {
    let steps: usize =
        products.iter().flatten().map(|product| product.rows * product.cols * product.groups()).sum();
    let team = (steps >= SMALL && team.size() > 1).then_some(team);
    match (team, &products[..]) {
        (Some(team), [Some(product)]) if is_deep(product, team.size()) => compute_by_depth(team, *product),
        _ => compute_together(team, products),
    }
}

/// Whether threads share the depth of a product.
fn is_deep(product: &Product<'_>, threads: usize) -> bool {
    let groups = product.groups();
    matches!(product.target, Target::Output(..))
        && groups >= DEEP * product.rows.max(product.cols)
        && groups >= 2 * DEPTH * threads
}

/// Computes a product of which each thread sums up a part of the depth. The first part goes straight to the result, and the others
/// are added to it.
fn compute_by_depth(team: &Team, product: Product<'_>) {
    let Target::Output(output, _) = product.target else { unreachable!("sums that are taken are whole") };
    let (cols, len, threads) = (product.cols, product.rows * product.cols, team.size());
    let mut partial = PARTIAL.take().unwrap_or_default();
    let others = SharedMut::new(partial.room((threads - 1) * len));
    team.run(|thread| {
        let target = match thread.checked_sub(1) {
            None => product.target,
            Some(other) => {
                // SAFETY: each thread has separate sums.
                let sums = unsafe { others.slice(other * len..(other + 1) * len) };
                Target::Output(Output { data: SharedMut::new(sums), stride: cols, cols }, Start::Zero)
            }
        };
        compute_together(None, [Some(product.of_groups(share(product.groups(), threads, thread), target))]);
    });
    team.split(product.rows, ROWS, |rows| {
        for (row, other) in rows.flat_map(|row| (0..threads - 1).map(move |other| (row, other))) {
            let (start, from) = (row * output.stride, other * len + row * cols);
            // SAFETY: `split` gives each thread its own rows, and nobody writes the sums any more.
            let (y, sums) =
                unsafe { (output.data.slice(start..start + cols), others.slice(from..from + cols)) };
            add_part(y, sums);
        }
    });
    PARTIAL.set(Some(partial));
}

/// Computes products together. There is a round for each part of the depth: all threads lay out what all of them read, then each
/// takes the next block of any product.
fn compute_together<const N: usize>(team: Option<&Team>, products: [Option<Product<'_>>; N]) {
    let threads = team.map_or(1, Team::size);
    let mut room = Room::default();
    let plans = products.map(|product| product.map(|product| Plan::new(product, threads, &mut room)));
    let plans = || plans.iter().flatten();
    let mut shared = SHARED.take().unwrap_or_default();
    let Shared { words, panels } = &mut *shared;
    let (words, entries) = (words.room(room.words), panels.room(room.entries));
    for round in 0..plans().map(Plan::rounds).max().unwrap_or(0) {
        if plans().any(|plan| plan.reads_shared(round)) {
            let (words, entries) = (SharedMut::new(words), SharedMut::new(entries));
            let lay_out =
                |thread| plans().for_each(|plan| plan.lay_out(round, thread, threads, words, entries));
            match team {
                Some(team) => team.run(lay_out),
                None => lay_out(0),
            }
        }
        let (words, entries) = (&*words, &*entries);
        let block = |mut number: usize| {
            for plan in plans() {
                if number < plan.blocks(round) {
                    return with_own(|own| plan.compute(round, number, words, entries, own));
                }
                number -= plan.blocks(round);
            }
        };
        let blocks = plans().map(|plan| plan.blocks(round)).sum();
        match team {
            Some(team) => team.take_turns(blocks, block),
            None => (0..blocks).for_each(block),
        }
    }
    SHARED.set(Some(shared));
}

/// Room for the operands that all threads read.
#[derive(Default)]
struct Room {
    words: usize,
    entries: usize,
}

/// The division of a product between threads.
struct Plan<'a> {
    product: Product<'a>,
    /// Rows of A as words, where they need no layout.
    direct: Option<Rows<'a>>,
    sharing: Sharing,
    /// Where the operands that all threads read begin.
    start: usize,
}

enum Sharing {
    /// Threads share the columns in blocks of `block` panels. Rows of A are laid out by all threads, panels of B by their own
    /// thread, which goes through the whole depth alone.
    Columns { block: usize },
    /// Threads share the rows in this many blocks. Panels of B are laid out by all threads, for one part of the depth after the
    /// other, rows of A by their own thread.
    Rows { blocks: usize },
}

impl<'a> Plan<'a> {
    fn new(product: Product<'a>, threads: usize, room: &mut Room) -> Self {
        let (m, n, direct) = (product.rows, product.cols, product.direct_rows());
        let deepest = product.groups().div_ceil(product.depths());
        if shares_columns(m, n, threads) {
            let start = room.words;
            room.words += if direct.is_some() { 0 } else { m * product.groups() };
            return Plan {
                product,
                direct,
                sharing: Sharing::Columns { block: panels_in_cache(deepest) },
                start,
            };
        }
        let start = room.entries;
        room.entries += n.div_ceil(PANEL) * deepest;
        // Blocks have nearly the same size and consist of whole tiles, and each thread gets the same number of them.
        let blocks = m.div_ceil(ROW_BLOCK).next_multiple_of(threads).min(m.div_ceil(ROWS));
        Plan { product, direct, sharing: Sharing::Rows { blocks }, start }
    }

    fn rounds(&self) -> usize {
        match self.sharing {
            Sharing::Columns { .. } => 1,
            Sharing::Rows { .. } => self.product.depths(),
        }
    }

    /// Whether there are operands to lay out that all threads read.
    fn reads_shared(&self, round: usize) -> bool {
        match self.sharing {
            Sharing::Columns { .. } => round == 0 && self.direct.is_none(),
            Sharing::Rows { .. } => round < self.rounds(),
        }
    }

    /// The number of blocks of a round, each for one thread.
    fn blocks(&self, round: usize) -> usize {
        match self.sharing {
            _ if round >= self.rounds() => 0,
            Sharing::Columns { block } => self.panels().div_ceil(block),
            Sharing::Rows { blocks } => blocks,
        }
    }

    /// The number of panels of B.
    fn panels(&self) -> usize {
        self.product.cols.div_ceil(PANEL)
    }

    /// Lays out one thread's share of the operands that all threads read.
    fn lay_out(
        &self,
        round: usize,
        thread: usize,
        threads: usize,
        words: SharedMut<u32>,
        entries: SharedMut<Entry>,
    ) {
        if !self.reads_shared(round) {
            return;
        }
        let product = &self.product;
        match self.sharing {
            Sharing::Columns { .. } => {
                let (m, groups) = (product.rows, product.groups());
                let rows = share(m.div_ceil(PANEL), threads, thread);
                let rows = (rows.start * PANEL).min(m)..(rows.end * PANEL).min(m);
                // SAFETY: each thread has its own rows.
                let words =
                    unsafe { words.slice(self.start + rows.start * groups..self.start + rows.end * groups) };
                product.lay_out_rows(rows, &(0..groups), words);
            }
            Sharing::Rows { .. } => {
                let (panels, groups) = (share(self.panels(), threads, thread), product.part_of_depth(round));
                let count = groups.len();
                if panels.is_empty() {
                    return;
                }
                // SAFETY: each thread has its own panels.
                let entries = unsafe {
                    entries.slice(self.start + panels.start * count..self.start + panels.end * count)
                };
                with_own(|own| product.lay_out_panels(panels, &groups, entries, &mut own.scratch));
            }
        }
    }

    /// Computes a block of a round.
    fn compute(&self, round: usize, number: usize, words: &[u32], entries: &[Entry], own: &mut Own) {
        let product = &self.product;
        match self.sharing {
            Sharing::Columns { block } => {
                let all_groups = product.groups();
                let x = self.direct.unwrap_or(Rows { words: &words[self.start..], stride: all_groups });
                let panels = number * block..self.panels().min((number + 1) * block);
                for part in 0..product.depths() {
                    let groups = product.part_of_depth(part);
                    let entries = own.panels.room(panels.len() * groups.len());
                    product.lay_out_panels(panels.clone(), &groups, entries, &mut own.scratch);
                    let laid_out = Panels { entries, groups: groups.len() };
                    let x = x.from(0, groups.start);
                    product.multiply(
                        x,
                        0..product.rows,
                        laid_out,
                        panels.clone(),
                        groups.start,
                        &mut own.sums,
                    );
                }
            }
            Sharing::Rows { blocks } => {
                let groups = product.part_of_depth(round);
                let tiles = share(product.rows.div_ceil(ROWS), blocks, number);
                let rows = tiles.start * ROWS..product.rows.min(tiles.end * ROWS);
                let x = match self.direct {
                    Some(x) => x.from(rows.start, groups.start),
                    None => {
                        let words = own.words.room(rows.len() * groups.len());
                        product.lay_out_rows(rows.clone(), &groups, words);
                        Rows { words, stride: groups.len() }
                    }
                };
                let laid_out = Panels { entries: &entries[self.start..], groups: groups.len() };
                product.multiply(x, rows, laid_out, 0..self.panels(), groups.start, &mut own.sums);
            }
        }
    }
}
