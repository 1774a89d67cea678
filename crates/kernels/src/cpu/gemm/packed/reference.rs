//! The plainest product in each format, which the kernels are tested equal to: one output at a time, as the formats are
//! defined.

use super::{Format, bf16};

/// What a product must give, and how far from it a kernel may be.
pub(super) struct Expected {
    pub(super) value: f32,
    pub(super) tolerance: f32,
}

/// One output: `beta y + x . w`.
pub(super) fn product(format: Format, x: &[f32], w: &[f32], y: f32, beta: f32) -> Expected {
    let y = if beta == 0.0 { 0.0 } else { y };
    match format {
        Format::F32 => {
            let terms = || x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w));
            let value = (f64::from(y) + terms().sum::<f64>()) as f32;
            let magnitude = f64::from(y.abs()) + terms().map(f64::abs).sum::<f64>();
            Expected { value, tolerance: magnitude as f32 * f32::EPSILON * (x.len() as f32).sqrt().max(1.0) }
        }
        Format::Bf16 => Expected { value: bf16_product(x, w, y), tolerance: 0.0 },
        Format::Int8 => Expected { value: int8_product(x, w, y, beta), tolerance: 0.0 },
    }
}

fn bf16_product(x: &[f32], w: &[f32], y: f32) -> f32 {
    let round = |x: &f32| f32::from_bits(bf16::round(*x));
    let add = |sum: f32, x: f32, w: f32| bf16::flush(x.mul_add(w, sum));
    x.chunks(2).zip(w.chunks(2)).fold(y, |sum, (x, w)| {
        let second = |pair: &[f32]| pair.get(1).map_or(0.0, round);
        add(add(bf16::flush(sum), second(x), second(w)), round(&x[0]), round(&w[0]))
    })
}

fn int8_product(x: &[f32], w: &[f32], y: f32, beta: f32) -> f32 {
    let ((x, x_scale), (w, w_scale)) = (quantise(x), quantise(w));
    let sum: i64 = x.iter().zip(&w).map(|(x, w)| x * w).sum();
    let value = sum as i32 as f32 * (x_scale * w_scale);
    if beta == 0.0 { value } else { y + value }
}

/// The integers of a row and their scale.
fn quantise(row: &[f32]) -> (Vec<i64>, f32) {
    if row.iter().any(|x| !x.is_finite()) {
        return (vec![0; row.len()], f32::NAN);
    }
    let largest = row.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    if largest < 1e-36 {
        return (vec![0; row.len()], 0.0);
    }
    (row.iter().map(|x| (x * (127.0 / largest)).round_ties_even() as i64).collect(), largest / 127.0)
}
