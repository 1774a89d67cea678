//! The choice of starting centres.

use kokanee_formats::random::SplitMix64;
use kokanee_formats::rows::{Row, Rows};
use kokanee_kernels::Team;

use crate::nearest::squared_distance;
use crate::parts::in_parts;

/// The method of drawing starting centres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Distinct rows, all equally likely.
    Random,
    /// Each further row with a probability proportional to its squared distance to the nearest chosen one (Arthur and
    /// Vassilvitskii 2007, "k-means++").
    KMeansPlusPlus,
}

/// The least number of rows that a thread measures after a centre was added.
const GRAIN: usize = 256;

/// Returns the indices of `count` distinct rows, in the order in which they were drawn. `weights` are none or one per row; a row of
/// weight 0 is drawn only if no other is left.
pub(crate) fn draw(
    team: &Team,
    rows: &Rows,
    weights: Option<&[f64]>,
    count: usize,
    start: Start,
    random: &mut SplitMix64,
) -> Vec<usize> {
    assert!(count <= rows.len(), "as many rows as are drawn");
    match start {
        Start::Random => draw_uniformly(rows.len(), count, random),
        Start::KMeansPlusPlus => {
            let ones;
            let weights = match weights {
                Some(weights) => weights,
                None => {
                    ones = vec![1.0; rows.len()];
                    &ones
                }
            };
            draw_by_distance(team, rows, weights, count, random)
        }
    }
}

/// Runs the first steps of Fisher and Yates.
fn draw_uniformly(from: usize, count: usize, random: &mut SplitMix64) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..from).collect();
    for at in 0..count {
        let other = at + random.place(from - at);
        indices.swap(at, other);
    }
    indices.truncate(count);
    indices
}

fn draw_by_distance(
    team: &Team,
    rows: &Rows,
    weights: &[f64],
    count: usize,
    random: &mut SplitMix64,
) -> Vec<usize> {
    let mut chosen = Vec::with_capacity(count);
    let mut is_chosen = vec![false; rows.len()];
    let mut nearest = vec![f64::INFINITY; rows.len()];
    while chosen.len() < count {
        let mass = |row: usize| match (is_chosen[row], chosen.is_empty()) {
            (true, _) => 0.0,
            (false, true) => weights[row],
            (false, false) => weights[row] * nearest[row],
        };
        let next = by_mass(rows.len(), mass, random).unwrap_or_else(|| {
            // All remaining rows lie on chosen ones: a duplicate is legal.
            let left: Vec<usize> = (0..rows.len()).filter(|&row| !is_chosen[row]).collect();
            left[random.place(left.len())]
        });
        chosen.push(next);
        is_chosen[next] = true;
        if chosen.len() < count {
            come_nearer(team, rows, next, &mut nearest);
        }
    }
    chosen
}

/// Draws an index with a probability proportional to its mass; none if all masses are 0.
fn by_mass(count: usize, mass: impl Fn(usize) -> f64, random: &mut SplitMix64) -> Option<usize> {
    let total: f64 = (0..count).map(&mass).sum();
    if !(total > 0.0 && total.is_finite()) {
        return None;
    }
    let mut rest = random.unit() * total;
    let mut last = None;
    for index in 0..count {
        let mass = mass(index);
        if mass > 0.0 {
            last = Some(index);
            if rest < mass {
                break;
            }
            rest -= mass;
        }
    }
    last
}

/// Lowers each row's distance to its nearest chosen row, given the new row `chosen`.
fn come_nearer(team: &Team, rows: &Rows, chosen: usize, nearest: &mut [f64]) {
    let center = center_of(rows.row(chosen), rows.width());
    let parts = in_parts(team, rows.len(), GRAIN, |range| -> Vec<f64> {
        range.map(|row| squared_distance(rows.row(row), &center)).collect()
    });
    for (start, distances) in parts {
        for (nearest, distance) in nearest[start..].iter_mut().zip(distances) {
            *nearest = nearest.min(distance);
        }
    }
}

/// A row as a centre.
pub(crate) fn center_of(row: Row<'_>, width: usize) -> Vec<f64> {
    let mut center = vec![0.0; width];
    row.for_each(|column, value| center[column] = f64::from(value));
    center
}
