//! Element-wise operations.

use super::math;
use super::threads::{SharedMut, Team};

/// The least number of elements that a thread handles; below this the work is not worth sharing.
const GRAIN: usize = 8192;

/// Applies `kernel` to matching parts of `y` and `x`, on all threads of the team.
fn split2(team: &Team, y: &mut [f32], x: &[f32], kernel: impl Fn(&mut [f32], &[f32]) + Sync) {
    assert_eq!(y.len(), x.len(), "element-wise operands differ in size");
    let shared = SharedMut::new(y);
    team.split(x.len(), GRAIN, |range| {
        // SAFETY: `split` gives each thread its own range.
        kernel(unsafe { shared.slice(range.clone()) }, &x[range]);
    });
}

/// `y = value`.
pub fn fill(team: &Team, y: &mut [f32], value: f32) {
    let shared = SharedMut::new(y);
    team.split(shared.len(), GRAIN, |range| {
        // SAFETY: `split` gives each thread its own range.
        unsafe { shared.slice(range) }.fill(value);
    });
}

/// `y += x`.
pub fn add_assign(team: &Team, y: &mut [f32], x: &[f32]) {
    split2(team, y, x, add_part);
}

multiversion! {
    /// `y += x`, on the calling thread only.
    pub(crate) fn add_part(y: &mut [f32], x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
    }
}

/// `y *= factor`.
pub fn scale(team: &Team, y: &mut [f32], factor: f32) {
    let len = y.len();
    let shared = SharedMut::new(y);
    team.split(len, GRAIN, |range| {
        // SAFETY: `split` gives each thread its own range.
        unsafe { shared.slice(range) }.iter_mut().for_each(|y| *y *= factor);
    });
}

/// Multiplies each row of `y`, `factors.len()` of them, by its factor.
pub fn scale_rows(team: &Team, y: &mut [f32], factors: &[f32]) {
    let width = y.len() / factors.len().max(1);
    assert_eq!(y.len(), width * factors.len(), "one factor a row");
    let shared = SharedMut::new(y);
    team.split(factors.len(), (GRAIN / width.max(1)).max(1), |range| {
        for row in range {
            // SAFETY: `split` gives each thread its own rows.
            let row_of_y = unsafe { shared.slice(row * width..(row + 1) * width) };
            row_of_y.iter_mut().for_each(|y| *y *= factors[row]);
        }
    });
}

/// `y = tanh y`.
pub fn tanh(team: &Team, y: &mut [f32]) {
    let len = y.len();
    let shared = SharedMut::new(y);
    team.split(len, GRAIN / 8, |range| {
        // SAFETY: `split` gives each thread its own range.
        tanh_part(unsafe { shared.slice(range) });
    });
}

multiversion! {
    fn tanh_part(y: &mut [f32]) {
        y.iter_mut().for_each(|y| *y = math::tanh::<FMA>(*y));
    }
}

/// Derivative of tanh: `d *= 1 - y^2`, with `y` the result of tanh.
pub fn tanh_backward(team: &Team, d: &mut [f32], y: &[f32]) {
    split2(team, d, y, tanh_backward_part);
}

multiversion! {
    fn tanh_backward_part(d: &mut [f32], y: &[f32]) {
        d.iter_mut().zip(y).for_each(|(d, y)| *d *= 1.0 - y * y);
    }
}

/// Sets every row of `y` (rows x `bias.len()`) to the sum of the biases given.
pub fn fill_rows(team: &Team, y: &mut [f32], biases: &[&[f32]]) {
    let Some(first) = biases.first() else {
        y.fill(0.0);
        return;
    };
    let width = first.len();
    let mut sum = first.to_vec();
    for bias in &biases[1..] {
        assert_eq!(bias.len(), width, "biases differ in size");
        add_part(&mut sum, bias);
    }
    assert!(width > 0 && y.len().is_multiple_of(width), "rows of {width} do not fill {} elements", y.len());
    let rows = y.len() / width;
    let shared = SharedMut::new(y);
    team.split(rows, (GRAIN / width).max(1), |range| {
        // SAFETY: `split` gives each thread its own rows.
        let part = unsafe { shared.slice(range.start * width..range.end * width) };
        part.chunks_exact_mut(width).for_each(|row| row.copy_from_slice(&sum));
    });
}
