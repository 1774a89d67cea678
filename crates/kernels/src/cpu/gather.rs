//! Copies of whole rows by index.

use super::elementwise::add_part;
use super::threads::{SharedMut, Team};

/// The least number of elements that a thread handles.
const GRAIN: usize = 8192;

/// Row `i` of `out` = row `indices[i]` of `table`; rows of `width` elements.
pub fn gather_rows(team: &Team, out: &mut [f32], table: &[f32], width: usize, indices: &[u32]) {
    assert_eq!(out.len(), indices.len() * width, "one row of output an index");
    let shared = SharedMut::new(out);
    team.split(indices.len(), (GRAIN / width.max(1)).max(1), |range| {
        // SAFETY: `split` gives each thread its own rows.
        let out = unsafe { shared.slice(range.start * width..range.end * width) };
        for (row, &index) in out.chunks_exact_mut(width.max(1)).zip(&indices[range]) {
            row.copy_from_slice(&table[index as usize * width..][..width]);
        }
    });
}

/// Row `indices[i]` of `table` = row `i` of `x`. Where an index occurs twice, the last row stays.
pub fn scatter_rows(team: &Team, table: &mut [f32], x: &[f32], width: usize, indices: &[u32]) {
    scatter(team, table, x, width, indices, <[f32]>::copy_from_slice);
}

/// Row `indices[i]` of `table` += row `i` of `x`, in the order of `i`.
pub fn scatter_add_rows(team: &Team, table: &mut [f32], x: &[f32], width: usize, indices: &[u32]) {
    scatter(team, table, x, width, indices, add_part);
}

/// Applies each row of `x` to its row of `table`. Threads share the columns, so that several rows may have the same target.
fn scatter(
    team: &Team,
    table: &mut [f32],
    x: &[f32],
    width: usize,
    indices: &[u32],
    bring: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    assert_eq!(x.len(), indices.len() * width, "one row of input an index");
    let shared = SharedMut::new(table);
    team.split(width, GRAIN / indices.len().max(1) + 1, |columns| {
        for (row, &index) in x.chunks_exact(width).zip(indices) {
            let start = index as usize * width;
            // SAFETY: `split` gives each thread its own columns, and the slice of one row is dropped before the next.
            let to = unsafe { shared.slice(start + columns.start..start + columns.end) };
            bring(to, &row[columns.clone()]);
        }
    });
}

/// Sets row `i` of `sums` (R x `width`) to the sum of the i-th of `runs`, in its order. The number of each row in a run does not
/// matter here.
pub fn sum_runs(team: &Team, sums: &mut [f32], width: usize, runs: &[&[(u32, &[f32])]]) {
    assert_eq!(sums.len(), runs.len() * width, "one row a run");
    let sums = SharedMut::new(sums);
    team.split(runs.len(), (GRAIN / width.max(1)).max(1), |range| {
        for index in range {
            // SAFETY: `split` gives each thread its own rows.
            let sum = unsafe { sums.slice(index * width..(index + 1) * width) };
            let mut rows = runs[index].iter().map(|(_, row)| *row);
            match rows.next() {
                Some(first) => sum.copy_from_slice(first),
                None => sum.fill(0.0),
            }
            rows.for_each(|row| add_part(sum, row));
        }
    });
}
