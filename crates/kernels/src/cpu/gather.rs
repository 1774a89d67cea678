//! Copies of whole rows by index.

use super::threads::{SharedMut, Team};

/// Elements that one thread handles at least.
const GRAIN: usize = 8192;

/// Row `i` of `out` = row `indices[i]` of `table`; rows of `width` elements.
pub fn gather_rows(team: &Team, out: &mut [f32], table: &[f32], width: usize, indices: &[u32]) {
    assert_eq!(out.len(), indices.len() * width, "one row of output an index");
    let shared = SharedMut::new(out);
    team.split(indices.len(), (GRAIN / width.max(1)).max(1), |range| {
        // SAFETY: `split` gives each thread rows of its own.
        let out = unsafe { shared.slice(range.start * width..range.end * width) };
        for (row, &index) in out.chunks_exact_mut(width.max(1)).zip(&indices[range]) {
            row.copy_from_slice(&table[index as usize * width..][..width]);
        }
    });
}

/// Row `indices[i]` of `table` = row `i` of `x`. Where an index comes twice, the last row stays.
pub fn scatter_rows(table: &mut [f32], x: &[f32], width: usize, indices: &[u32]) {
    assert_eq!(x.len(), indices.len() * width, "one row of input an index");
    for (row, &index) in x.chunks_exact(width.max(1)).zip(indices) {
        table[index as usize * width..][..width].copy_from_slice(row);
    }
}

/// Row `indices[i]` of `table` += row `i` of `x`, in the order of `i`.
pub fn scatter_add_rows(table: &mut [f32], x: &[f32], width: usize, indices: &[u32]) {
    assert_eq!(x.len(), indices.len() * width, "one row of input an index");
    for (row, &index) in x.chunks_exact(width.max(1)).zip(indices) {
        let sum = &mut table[index as usize * width..][..width];
        sum.iter_mut().zip(row).for_each(|(s, x)| *s += x);
    }
}

/// `out` (cols x rows) = the transpose of `x` (rows x cols, rows starting `stride` elements apart).
pub fn transpose(team: &Team, out: &mut [f32], x: &[f32], rows: usize, cols: usize, stride: usize) {
    /// Side of the squares copied at a time: their lines stay in the first cache.
    const TILE: usize = 16;
    assert!(out.len() == rows * cols && (rows == 0 || (rows - 1) * stride + cols <= x.len()));
    let shared = SharedMut::new(out);
    team.split(cols, TILE, |range| {
        // SAFETY: `split` gives each thread rows of the output of its own.
        let out = unsafe { shared.slice(range.start * rows..range.end * rows) };
        for row in (0..rows).step_by(TILE) {
            for col in range.clone().step_by(TILE) {
                for c in col..(col + TILE).min(range.end) {
                    for r in row..(row + TILE).min(rows) {
                        out[(c - range.start) * rows + r] = x[r * stride + c];
                    }
                }
            }
        }
    });
}
