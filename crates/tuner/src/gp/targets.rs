//! Losses in the form that a Gaussian process needs: without outliers, with mean 0 and variance 1.

/// Losses after a monotone transformation.
#[derive(Debug, Clone)]
pub(crate) struct Normalized {
    pub(crate) values: Vec<f64>,
    /// The sum of the logarithms of the transformation's slopes, up to terms that do not depend on the exponent. Added to the likelihood of
    /// the values, it gives that of the losses.
    pub(crate) log_slopes: f64,
}

/// The maximum distance of a loss above the median, in quartile distances; greater losses are cut to it.
const FENCE: f64 = 8.0;
/// The same for losses below the median; beyond it, their squares would swamp the others.
const DEPTH: f64 = 1e6;

impl Normalized {
    /// Transforms finite losses; small ones are better.
    ///
    /// Extremely bad losses are cut first. Then Yeo and Johnson's (2000) transformation is applied with `exponent`: 1 leaves losses
    /// unchanged, 0 takes logarithms of bad ones. Finally they are standardised.
    pub(crate) fn new(losses: &[f64], exponent: f64) -> Self {
        let mut values = around_median(losses);
        let bent: f64 = values.iter().map(|x| x.signum() * x.abs().ln_1p()).sum();
        values.iter_mut().for_each(|value| *value = yeo_johnson(*value, exponent));
        let deviation = standardize(&mut values);
        let log_slopes = (exponent - 1.0) * bent - values.len() as f64 * deviation.ln();
        Self { values, log_slopes }
    }
}

/// Scales values to mean 0 and variance 1, or zeros where all are equal. Returns their previous deviation, or 1.
fn standardize(values: &mut [f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter_mut().for_each(|value| *value -= mean);
    let deviation = (values.iter().map(|value| value * value).sum::<f64>() / n).sqrt();
    if deviation == 0.0 {
        return 1.0;
    }
    values.iter_mut().for_each(|value| *value /= deviation);
    deviation
}

/// Distances from the median in quartile distances, cut at [`FENCE`] above and [`DEPTH`] below. Halving keeps differences of large numbers
/// finite.
fn around_median(losses: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = losses.iter().map(|loss| loss / 2.0).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let at = |share: f64| sorted[(share * last as f64).round() as usize];
    let median = at(0.5);
    // If most losses are equal, the quartiles are equal too. The width of the better side is used instead, then that of the worse side.
    let widths = [at(0.75) - at(0.25), median - sorted[0], sorted[last] - median];
    let width = widths.into_iter().find(|width| *width > 0.0).unwrap_or(1.0);
    losses.iter().map(|loss| ((loss / 2.0 - median) / width).clamp(-DEPTH, FENCE)).collect()
}

/// ((x + 1)^λ - 1) / λ for x >= 0, -((1 - x)^(2 - λ) - 1) / (2 - λ) below.
fn yeo_johnson(x: f64, exponent: f64) -> f64 {
    let power = |base: f64, exponent: f64| {
        if exponent == 0.0 { base.ln() } else { (base.powf(exponent) - 1.0) / exponent }
    };
    if x >= 0.0 { power(1.0 + x, exponent) } else { -power(1.0 - x, 2.0 - exponent) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPONENTS: [f64; 3] = [1.0, 0.5, 0.0];

    fn check(losses: &[f64]) {
        EXPONENTS.into_iter().for_each(|exponent| check_one(losses, exponent));
    }

    fn check_one(losses: &[f64], exponent: f64) {
        let values = Normalized::new(losses, exponent).values;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / n;
        assert!(mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-9, "{values:?}");
        for (i, a) in losses.iter().enumerate() {
            for (j, b) in losses.iter().enumerate() {
                assert!(a >= b || values[i] <= values[j], "order of {a} and {b}");
            }
        }
    }

    #[test]
    fn order_stays_and_outliers_do_not_rule() {
        check(&[1.0, 2.0, 3.0, 4.0]);
        let plain: Vec<f64> = (0..20).map(f64::from).collect();
        let mut wild = plain.clone();
        wild[19] = 1e300;
        check(&wild);
        let values = Normalized::new(&wild, 1.0).values;
        assert!(values[18] - values[0] > 1.0, "{values:?}");
        check(&[f64::MAX, f64::MIN, 0.0, 1.0]);
        check(&[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 1.0]);
        check(&[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 9.0]);
    }

    #[test]
    fn slopes_are_finite_differences_up_to_a_constant() {
        let losses: Vec<f64> = (1..=21).map(|i| f64::from(i).powf(1.7)).collect();
        // Only one value varies: the median and the quartiles do not move with it.
        let logarithm = |exponent: f64| {
            let place = |x: f64| (x / 2.0 - losses[10] / 2.0) / (losses[15] / 2.0 - losses[5] / 2.0);
            let scale = Normalized::new(&losses, exponent).values;
            let bent = |x: f64| yeo_johnson(place(x), exponent);
            let unit = (scale[20] - scale[0]) / (bent(losses[20]) - bent(losses[0]));
            let slope = |x: f64| (bent(x + 1e-5) - bent(x - 1e-5)) / 2e-5 * unit;
            losses.iter().map(|x| slope(*x).ln()).sum::<f64>()
        };
        let offset = logarithm(1.0) - Normalized::new(&losses, 1.0).log_slopes;
        for exponent in EXPONENTS {
            let got = Normalized::new(&losses, exponent).log_slopes + offset;
            assert!((got - logarithm(exponent)).abs() < 1e-4, "{exponent}: {got} {}", logarithm(exponent));
        }
    }

    #[test]
    fn equal_losses_and_none_are_zeros() {
        assert_eq!(Normalized::new(&[3.0; 9], 0.0).values, [0.0; 9]);
        assert!(Normalized::new(&[], 1.0).values.is_empty());
    }

    #[test]
    fn the_transformation_is_smooth_at_zero_and_the_identity_at_one() {
        for exponent in EXPONENTS {
            let slope = |x: f64| (yeo_johnson(x + 1e-6, exponent) - yeo_johnson(x - 1e-6, exponent)) / 2e-6;
            assert!((slope(0.0) - 1.0).abs() < 1e-5);
        }
        assert_eq!(yeo_johnson(2.5, 1.0), 2.5);
        assert!((yeo_johnson(-2.5, 1.0) + 2.5).abs() < 1e-12);
    }
}
