//! Quantiles of measurements.

/// The quantiles `shares` (0 to 1) with linear interpolation between the two values around each; NaN of nothing.
pub fn quantiles<const N: usize>(values: impl IntoIterator<Item = f64>, shares: [f64; N]) -> [f64; N] {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return [f64::NAN; N] };
    shares.map(|share| {
        let at = share * last as f64;
        let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
        // Equal infinities have no difference to go part of the way.
        if low == high { low } else { low + (high - low) * at.fract() }
    })
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let [median] = quantiles(values, [0.5]);
    median
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        assert_eq!(quantiles([9.0, 1.0, 2.0], [0.0, 0.25, 0.5, 1.0]), [1.0, 1.5, 2.0, 9.0]);
        assert_eq!(
            (median([3.0]), median([4.0, 1.0]), median([f64::INFINITY; 2])),
            (3.0, 2.5, f64::INFINITY)
        );
        assert!(median([]).is_nan());
    }
}
