//! Quantiles of measurements.

/// The quantile `share` (0 to 1) with linear interpolation between the two values around it; NaN if there are no values.
pub fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    // The difference of equal infinities is not a number.
    if low == high { low } else { low + (high - low) * at.fract() }
}

/// The middle value, or the mean of the two in the middle; NaN if there are no values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        assert_eq!([0.0, 0.25, 0.5, 1.0].map(|share| quantile([9.0, 1.0, 2.0], share)), [1.0, 1.5, 2.0, 9.0]);
        assert_eq!(
            (median([3.0]), median([4.0, 1.0]), median([f64::INFINITY; 2])),
            (3.0, 2.5, f64::INFINITY)
        );
        assert!(median([]).is_nan());
    }
}
