//! The simplest product in each format, for tests of the kernels: one output at a time, as the formats are defined.

use super::Format;

/// The expected result of a product, and how far from it a kernel may be.
pub(super) struct Expected {
    pub(super) value: f32,
    pub(super) tolerance: f32,
}

/// Computes one output: `beta y + x . w`.
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
    // The definition of vdpbf16ps: subnormal numbers are zero, before and after each of the two fused operations.
    let flush = |x: f32| if x.is_subnormal() { 0f32.copysign(x) } else { x };
    let round = |x: &f32| if x.abs() < 2f32.powi(-56) { 0f32.copysign(*x) } else { nearest_bf16(*x) };
    let add = |sum: f32, x: f32, w: f32| flush(x.mul_add(w, flush(sum)));
    let start = if y.abs() < 2f32.powi(-103) { 0f32.copysign(y) } else { y };
    x.chunks(2).zip(w.chunks(2)).fold(start, |sum, (x, w)| {
        let second = |pair: &[f32]| pair.get(1).map_or(0.0, round);
        add(add(sum, second(x), second(w)), round(&x[0]), round(&w[0]))
    })
}

/// The nearer of the two neighbours in bf16; in a tie, the one with an even last bit.
fn nearest_bf16(x: f32) -> f32 {
    let below = f32::from_bits(x.to_bits() & 0xFFFF_0000);
    let above = f32::from_bits((x.to_bits() & 0xFFFF_0000).wrapping_add(0x1_0000));
    if !x.is_finite() || below == x {
        return x;
    }
    let (x, low, high) = (f64::from(x), f64::from(below), f64::from(above));
    // Beyond the largest number the upper neighbour would be the next power of two.
    let high = if high.is_infinite() { 2f64.powi(128).copysign(x) } else { high };
    let even = below.to_bits() >> 16 & 1 == 0;
    match (x - low).abs().total_cmp(&(high - x).abs()) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => above,
        std::cmp::Ordering::Equal => {
            if even {
                below
            } else {
                above
            }
        }
    }
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
