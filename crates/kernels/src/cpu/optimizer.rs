//! Parameter updates, one pass over memory each.

use super::threads::{SharedMut, Team};

/// Elements that one thread handles at least.
const GRAIN: usize = 16_384;

/// Constants of one Adam update (Kingma and Ba 2015, as MXNet computes it; `sockeye` section 8).
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Learning rate times the bias correction `sqrt(1 - beta2^t) / (1 - beta1^t)`.
    pub rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Weight decay, added to the gradient as `decay * w` before it is clipped.
    pub weight_decay: f32,
    /// Gradients are clamped to `[-clip, clip]`; infinite for none.
    pub clip: f32,
}

/// One Adam update of `weights` with moments `m` and `v`; without `gradients` the gradient is zero.
///
/// `g = clip(gradient + decay w)`, `m = b1 m + (1-b1) g`, `v = b2 v + (1-b2) g^2`, `w -= rate m / (sqrt(v) + eps)`.
pub fn adam(
    team: &Team,
    adam: Adam,
    weights: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    gradients: Option<&[f32]>,
) {
    let len = weights.len();
    assert!(m.len() == len && v.len() == len && gradients.is_none_or(|g| g.len() == len));
    let (weights, m, v) = (SharedMut::new(weights), SharedMut::new(m), SharedMut::new(v));
    team.split(len, GRAIN, |range| {
        // SAFETY: `split` gives each thread a range of its own.
        let (weights, m, v) =
            unsafe { (weights.slice(range.clone()), m.slice(range.clone()), v.slice(range.clone())) };
        match gradients {
            Some(gradients) => adam_part(adam, weights, m, v, &gradients[range]),
            None => adam_part_without_gradient(adam, weights, m, v),
        }
    });
}

/// A gradient that is zero outside some rows of a matrix, as that of an embedding table is.
#[derive(Clone, Copy, Debug)]
pub struct SparseRows<'a> {
    /// Numbers of the rows, strictly ascending.
    pub rows: &'a [u32],
    /// rows.len() x `width`.
    pub values: &'a [f32],
    /// Columns of the matrix.
    pub width: usize,
}

/// As [`adam`] with a gradient that is zero but for some rows; bit for bit what the dense gradient would give.
pub fn adam_rows(
    team: &Team,
    adam: Adam,
    weights: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    gradient: SparseRows<'_>,
) {
    let SparseRows { rows, values, width } = gradient;
    let len = weights.len();
    assert!(m.len() == len && v.len() == len && values.len() == rows.len() * width);
    assert!(width > 0 && len.is_multiple_of(width), "rows of {width} do not fill {len} elements");
    assert!(rows.is_sorted_by(|a, b| a < b), "rows ascend, each once");
    assert!(rows.last().is_none_or(|&row| (row as usize) < len / width), "a row beyond the matrix");
    let (weights, m, v) = (SharedMut::new(weights), SharedMut::new(m), SharedMut::new(v));
    team.split(len / width, (GRAIN / width).max(1), |part| {
        let elements = part.start * width..part.end * width;
        // SAFETY: `split` gives each thread rows of its own.
        let (mut weights, mut m, mut v) =
            unsafe { (weights.slice(elements.clone()), m.slice(elements.clone()), v.slice(elements)) };
        let below = |row: usize| rows.partition_point(|&r| (r as usize) < row);
        let mut next = part.start;
        for touched in below(part.start)..below(part.end) {
            // The run of rows without a gradient up to this one, then this one.
            let row = rows[touched] as usize;
            let (w_run, w_row, w_rest) = cut(weights, (row - next) * width, width);
            let (m_run, m_row, m_rest) = cut(m, (row - next) * width, width);
            let (v_run, v_row, v_rest) = cut(v, (row - next) * width, width);
            adam_part_without_gradient(adam, w_run, m_run, v_run);
            adam_part(adam, w_row, m_row, v_row, &values[touched * width..(touched + 1) * width]);
            (weights, m, v, next) = (w_rest, m_rest, v_rest, row + 1);
        }
        adam_part_without_gradient(adam, weights, m, v);
    });
}

/// The first `run` elements, the `width` after them, and the rest.
fn cut(all: &mut [f32], run: usize, width: usize) -> (&mut [f32], &mut [f32], &mut [f32]) {
    let (run, rest) = all.split_at_mut(run);
    let (row, rest) = rest.split_at_mut(width);
    (run, row, rest)
}

#[inline(always)]
fn clamp(x: f32, limit: f32) -> f32 {
    let x = if x > limit { limit } else { x };
    if x < -limit { -limit } else { x }
}

/// Zero instead of a number too small to be normal. The moments of a word that is not seen any more would shrink into that
/// range and stay there, where many processors compute a hundred times slower; no update is large enough to differ.
#[inline(always)]
fn flush(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}

#[inline(always)]
fn adam_element(adam: Adam, w: &mut f32, m: &mut f32, v: &mut f32, gradient: f32) {
    let g = clamp(gradient + adam.weight_decay * *w, adam.clip);
    *m = flush(adam.beta1 * *m + (1.0 - adam.beta1) * g);
    *v = flush(adam.beta2 * *v + (1.0 - adam.beta2) * g * g);
    *w -= adam.rate * *m / (v.sqrt() + adam.epsilon);
}

multiversion! {
    fn adam_part(adam: Adam, weights: &mut [f32], m: &mut [f32], v: &mut [f32], gradients: &[f32]) {
        for (((w, m), v), &g) in weights.iter_mut().zip(m).zip(v).zip(gradients) {
            adam_element(adam, w, m, v, g);
        }
    }
}

multiversion! {
    fn adam_part_without_gradient(adam: Adam, weights: &mut [f32], m: &mut [f32], v: &mut [f32]) {
        for ((w, m), v) in weights.iter_mut().zip(m).zip(v) {
            adam_element(adam, w, m, v, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAM: Adam =
        Adam { rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, clip: 0.5 };

    /// Runs some updates with sparse gradients and with the same ones dense, and compares every bit.
    fn check(threads: usize, height: usize, width: usize, touched: &[&[u32]]) {
        let team = Team::new(threads);
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        let weights: Vec<f32> = (0..height * width).map(value).collect();
        let mut dense = (weights.clone(), vec![0.0; weights.len()], vec![0.0; weights.len()]);
        let mut sparse = dense.clone();
        for rows in touched {
            let values: Vec<f32> = (0..rows.len() * width).map(|i| value(i + 7)).collect();
            let mut whole = vec![0.0; weights.len()];
            for (row, values) in rows.iter().zip(values.chunks_exact(width)) {
                whole[*row as usize * width..][..width].copy_from_slice(values);
            }
            adam(&team, ADAM, &mut dense.0, &mut dense.1, &mut dense.2, Some(&whole));
            let gradient = SparseRows { rows, values: &values, width };
            adam_rows(&team, ADAM, &mut sparse.0, &mut sparse.1, &mut sparse.2, gradient);
        }
        assert!(dense == sparse, "{threads} threads, {height} x {width}, rows {touched:?}");
    }

    #[test]
    fn sparse_rows_update_as_their_dense_gradient_does() {
        for threads in [1, 2, 3] {
            check(threads, 5, 3, &[&[0, 4], &[], &[2], &[0, 1, 2, 3, 4]]);
            check(threads, 500, 128, &[&[0, 7, 8, 255, 256, 499], &[3], &[250, 251]]);
        }
    }

    #[test]
    fn moments_never_become_subnormal() {
        let team = Team::new(1);
        let (mut w, mut m, mut v) = ([1.0], [2e-38], [2e-38]);
        let still = Adam { weight_decay: 0.0, ..ADAM };
        for _ in 0..2000 {
            adam(&team, still, &mut w, &mut m, &mut v, None);
        }
        assert_eq!((m, v), ([0.0], [0.0]));
    }
}
