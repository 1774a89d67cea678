//! Elementary functions on one `f32`, written so that a loop over them vectorises: no branches, no tables, no calls.
//!
//! NaN passes through every function, so that a diverging model is noticed instead of hidden.

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts (Cody and Waite): the first has few enough bits that its product with a small integer is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Adding and subtracting 1.5 * 2^23 rounds to the nearest integer, which then also stands in the low mantissa bits.
const ROUND: f32 = 12_582_912.0;

#[inline(always)]
pub(super) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `x`, or zero where its magnitude is below `smallest`.
#[inline(always)]
pub(super) fn flush(x: f32, smallest: f32) -> f32 {
    if x.abs() < smallest { 0.0 } else { x }
}

/// Splits `x` into `n ln 2 + r` with |r| <= ln 2 / 2 and returns `(2^n, e^r - 1)`.
#[inline(always)]
fn exp_parts<const FMA: bool>(x: f32) -> (f32, f32) {
    let shifted = fma::<FMA>(x, LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN_2_HIGH, x);
    let r = fma::<FMA>(n, -LN_2_LOW, r);
    // Taylor series; the first term left out is below 6e-9 of the result on this interval.
    let q = fma::<FMA>(r, 1.0 / 5040.0, 1.0 / 720.0);
    let q = fma::<FMA>(r, q, 1.0 / 120.0);
    let q = fma::<FMA>(r, q, 1.0 / 24.0);
    let q = fma::<FMA>(r, q, 1.0 / 6.0);
    let q = fma::<FMA>(r, q, 0.5);
    let e = fma::<FMA>(r * r, q, r);
    let scale = f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23);
    (scale, e)
}

#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    // Comparisons are false for NaN, and so leave it as it is.
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// e^x, relative error below 2e-7; arguments below -87 give about 1e-38, above 88 about 1.6e38.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    let (scale, e) = exp_parts::<FMA>(clamp(x, -87.0, 88.0));
    fma::<FMA>(scale, e, scale)
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

/// tanh x = (e^2x - 1) / (e^2x + 1), from e^2x - 1 so that small arguments keep their relative precision.
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let (scale, e) = exp_parts::<FMA>(clamp(2.0 * x, -20.0, 20.0));
    let m = fma::<FMA>(scale, e, scale - 1.0);
    m / (m + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, got: fn(f32) -> f32, want: fn(f64) -> f64, range: f32, tolerance: f64) {
        let mut worst = (0.0, 0.0);
        for i in -200_000..=200_000 {
            let x = range * i as f32 / 200_000.0;
            let w = want(f64::from(x));
            let error = (f64::from(got(x)) - w).abs() / w.abs().max(1e-30);
            if error > worst.0 {
                worst = (error, x);
            }
        }
        assert!(worst.0 <= tolerance, "{name}: relative error {} at {}", worst.0, worst.1);
        assert!(got(f32::NAN).is_nan(), "{name} hides NaN");
    }

    #[test]
    fn functions_are_accurate() {
        check("exp", exp::<true>, f64::exp, 86.0, 2e-7);
        check("exp without fma", exp::<false>, f64::exp, 86.0, 3e-7);
        check("tanh", tanh::<true>, f64::tanh, 12.0, 3e-7);
        check("tanh without fma", tanh::<false>, f64::tanh, 12.0, 4e-7);
        check("sigmoid", sigmoid::<true>, |x| 1.0 / (1.0 + (-x).exp()), 30.0, 3e-7);
    }
}
