//! One product: its parts, their layout, and the multiplication of what is laid out.

use std::ops::Range;

use super::super::super::pages::Block;
use super::super::super::threads::{SharedMut, share};
use super::super::kernel::{Kernel, PANEL, ROWS};
use super::super::layout::{self, Entry};
use super::super::matrix::Numbers;
use super::super::packed::Format;
use super::super::tiles::{DEPTH, Output, Panels, Part, Rows, Start, panels_in_cache};
use super::super::{Piece, Side, f32};

/// The destination of the sums of a product.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    /// Into the result, beginning with what it holds or with zero.
    Output(Output, Start),
    /// To this function, a piece at a time.
    Taken(&'a (dyn Fn(Piece<'_>) + Sync)),
}

/// A product to be computed.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    format: Format,
    kernel: Kernel,
    a: Side<'a>,
    b: Side<'a>,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// The range that is summed over: the groups from this one on, up to the given number of inputs.
    first_group: usize,
    inputs: usize,
    pub(super) target: Target<'a>,
}

/// A range of groups of inputs, out of all that a product sums over.
pub(super) type Groups = Range<usize>;

impl<'a> Product<'a> {
    pub(super) fn new(format: Format, a: Side<'a>, b: Side<'a>, target: Target<'a>) -> Self {
        let ((rows, inputs), cols) = (a.shape(), b.shape().1);
        Product { format, kernel: format.kernel(), a, b, rows, cols, first_group: 0, inputs, target }
    }

    /// The product over the given groups only.
    pub(super) fn of_groups(&self, groups: Groups, target: Target<'a>) -> Self {
        Product {
            first_group: self.first_group + groups.start,
            inputs: self.inputs_of(&groups).end,
            target,
            ..*self
        }
    }

    /// The number of groups of the whole depth (the dimension summed over).
    pub(super) fn groups(&self) -> usize {
        self.format.groups(self.inputs) - self.first_group
    }

    /// The number of parts in which the depth is summed over. Sums that are taken must be whole.
    pub(super) fn depths(&self) -> usize {
        match self.target {
            Target::Output(..) => self.groups().div_ceil(DEPTH).max(1),
            Target::Taken(_) => 1,
        }
    }

    /// One part of the depth; all are of nearly the same length.
    pub(super) fn part_of_depth(&self, number: usize) -> Groups {
        share(self.groups(), self.depths(), number)
    }

    /// The inputs of some groups.
    fn inputs_of(&self, groups: &Groups) -> Range<usize> {
        let input = |group: usize| (self.first_group + group) * self.format.group();
        input(groups.start)..input(groups.end).min(self.inputs)
    }

    /// Rows of A as words, where they need no layout.
    pub(super) fn direct_rows(&self) -> Option<Rows<'a>> {
        let rows = match self.a.0 {
            Numbers::Plain(a) if self.format == Format::F32 && a.col_stride == 1 && a.table.is_empty() => {
                Rows { words: f32::words(a.data), stride: a.row_stride }
            }
            Numbers::Rounded(a) if !a.transposed => Rows { words: a.words, stride: a.stride() },
            _ => return None,
        };
        Some(rows.from(0, self.first_group))
    }

    /// Lays out some rows of A.
    pub(super) fn lay_out_rows(&self, rows: Range<usize>, groups: &Groups, words: &mut [u32]) {
        layout::rows(self.format, self.a, rows, self.inputs_of(groups), words);
    }

    /// Lays out some panels of B.
    pub(super) fn lay_out_panels(
        &self,
        panels: Range<usize>,
        groups: &Groups,
        entries: &mut [Entry],
        scratch: &mut layout::Scratch,
    ) {
        layout::panels(self.format, self.b, self.inputs_of(groups), panels, entries, scratch);
    }

    /// Multiplies what is laid out: `rows` and `panels` are the numbers of what `x` and `laid_out` hold, `first_group` that of
    /// the first input group of both.
    pub(super) fn multiply(
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
