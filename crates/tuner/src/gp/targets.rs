//! Losses as a Gaussian process wants them: without outliers, symmetric, with mean 0 and variance 1.

/// Losses after a monotone transformation.
#[derive(Debug, Clone)]
pub(crate) struct Normalized {
    pub(crate) values: Vec<f64>,
}

/// Losses further above the median than so many quartile distances say "bad", and no more.
const FENCE: f64 = 8.0;
/// The same for good ones; beyond, squares would lose the others.
const DEPTH: f64 = 1e6;

/// Candidates of Yeo and Johnson's exponent; 1 is the identity, 0 a logarithm of what is above the median. Above 1 would stretch
/// bad losses.
const EXPONENTS: [f64; 9] = [1.0, 0.75, 0.5, 0.25, 0.0, -0.25, -0.5, -0.75, -1.0];

/// Fewer losses than this have no shape.
const LEAST: usize = 6;

impl Normalized {
    /// Transforms finite losses, small ones being good.
    ///
    /// Bad losses are cut where they are far out; then Yeo and Johnson's (2000) transformation with the exponent of greatest
    /// likelihood makes what is left symmetric; then it is standardised.
    pub(crate) fn new(losses: &[f64]) -> Self {
        let mut values = around_median(losses);
        if values.len() >= LEAST {
            let exponent = likeliest(&values);
            values.iter_mut().for_each(|value| *value = yeo_johnson(*value, exponent));
        }
        standardize(&mut values);
        Self { values }
    }
}

/// Mean 0, variance 1; zeros where all are equal.
fn standardize(values: &mut [f64]) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter_mut().for_each(|value| *value -= mean);
    let deviation = (values.iter().map(|value| value * value).sum::<f64>() / n).sqrt();
    if deviation > 0.0 {
        values.iter_mut().for_each(|value| *value /= deviation);
    }
}

/// Distances from the median in quartile distances, cut at [`FENCE`] above and [`DEPTH`] below. Halves keep differences of great numbers finite.
fn around_median(losses: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = losses.iter().map(|loss| loss / 2.0).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return Vec::new() };
    let at = |share: f64| sorted[(share * last as f64).round() as usize];
    let median = at(0.5);
    // Where most are equal, quartiles meet; the good side's whole width stands in, then the bad one's.
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

/// The exponent under which the values are likeliest normal.
fn likeliest(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let jacobian: f64 = values.iter().map(|x| x.signum() * x.abs().ln_1p()).sum();
    let likelihood = |exponent: f64| {
        let moved: Vec<f64> = values.iter().map(|x| yeo_johnson(*x, exponent)).collect();
        let mean = moved.iter().sum::<f64>() / n;
        let variance = moved.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
        -0.5 * n * variance.max(1e-300).ln() + (exponent - 1.0) * jacobian
    };
    let better = |best: f64, other: &f64| if likelihood(*other) > likelihood(best) { *other } else { best };
    EXPONENTS.iter().fold(1.0, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(losses: &[f64]) -> Vec<f64> {
        let values = Normalized::new(losses).values;
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / n;
        assert!(mean.abs() < 1e-9 && (variance - 1.0).abs() < 1e-9, "{values:?}");
        for (i, a) in losses.iter().enumerate() {
            for (j, b) in losses.iter().enumerate() {
                assert!(a >= b || values[i] <= values[j], "order of {a} and {b}");
            }
        }
        values
    }

    #[test]
    fn order_stays_and_outliers_do_not_rule() {
        check(&[1.0, 2.0, 3.0, 4.0]);
        let plain: Vec<f64> = (0..20).map(f64::from).collect();
        let mut wild = plain.clone();
        wild[19] = 1e300;
        let values = check(&wild);
        assert!(values[18] - values[0] > 1.0, "{values:?}");
        check(&[f64::MAX, f64::MIN, 0.0, 1.0]);
        check(&[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 1.0]);
        check(&[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 9.0]);
    }

    #[test]
    fn a_skewed_sample_becomes_symmetric() {
        let losses: Vec<f64> = (1..=50).map(|i| (f64::from(i) / 10.0).exp()).collect();
        let mut values = check(&losses);
        values.sort_by(f64::total_cmp);
        let skew = values.iter().map(|v| v.powi(3)).sum::<f64>() / 50.0;
        assert!(skew.abs() < 0.7, "{skew}");
    }

    #[test]
    fn equal_losses_and_none_are_zeros() {
        assert_eq!(Normalized::new(&[3.0; 9]).values, [0.0; 9]);
        assert!(Normalized::new(&[]).values.is_empty());
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
