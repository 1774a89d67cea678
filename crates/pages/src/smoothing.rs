//! The trend of a noisy series.

/// The exponential moving average without the bias towards 0 at its beginning, as in TensorBoard. `weight` is the weight of the past, from
/// 0 (no smoothing) to below 1; values that are not finite stay unchanged and are left out of the average.
pub fn smoothed(values: impl IntoIterator<Item = f64>, weight: f64) -> Vec<f64> {
    let weight = if weight.is_finite() { weight.clamp(0.0, 0.999) } else { 0.0 };
    let (mut mean, mut share) = (0.0, 0.0);
    let one = |value: f64| {
        if !value.is_finite() {
            return value;
        }
        mean = weight * mean + (1.0 - weight) * value;
        share = weight * share + (1.0 - weight);
        mean / share
    };
    values.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_stays_and_noise_shrinks() {
        assert_eq!(smoothed([1.0, 5.0, 2.0], 0.0), [1.0, 5.0, 2.0]);
        assert!(smoothed([3.0; 9], 0.9).iter().all(|value| (value - 3.0).abs() < 1e-12));
        let half = smoothed([0.0, 3.0], 0.5);
        assert_eq!(half, [0.0, 2.0], "(0.25 * 0 + 0.5 * 3) / 0.75");
        let gap = smoothed([1.0, f64::NAN, 1.0], 0.9);
        assert!(gap[1].is_nan() && (gap[2] - 1.0).abs() < 1e-12);
        assert_eq!(smoothed([1.0, 2.0], f64::NAN), [1.0, 2.0]);
    }
}
