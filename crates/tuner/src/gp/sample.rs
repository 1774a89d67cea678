//! Parameters drawn from their posterior, since the most likely ones alone underestimate uncertainty.

use kokanee_formats::random::SplitMix64;

use super::Data;
use super::fit::Fitted;
use super::likelihood::log_posterior_alone;
use crate::normal::draw;

/// Maximum reductions of a slice before a move is given up.
const SHRINKS: usize = 12;
/// Length of a slice's first interval: a few posterior deviations at most, since it is in prior deviations.
const WIDTH: f64 = 2.0;

/// `count` draws by slice sampling (Neal 2003) along random directions, `moves` moves apart, starting from the fitted parameters.
pub(crate) fn sample(
    data: &Data,
    fitted: &Fitted,
    count: usize,
    moves: usize,
    random: &mut SplitMix64,
) -> Vec<Vec<f64>> {
    let layout = &fitted.layout;
    let (low, high) = layout.bounds();
    let deviations = layout.deviations();
    let density = |theta: &[f64]| {
        let inside =
            theta.iter().zip(&low).zip(&high).all(|((theta, low), high)| low <= theta && theta <= high);
        if inside {
            log_posterior_alone(data, layout, theta).unwrap_or(f64::NEG_INFINITY)
        } else {
            f64::NEG_INFINITY
        }
    };
    let mut theta = fitted.theta.clone();
    let mut now = density(&theta);
    let mut draws = Vec::with_capacity(count);
    while draws.len() < count && now.is_finite() {
        for _ in 0..moves {
            let direction: Vec<f64> = deviations.iter().map(|deviation| deviation * draw(random)).collect();
            let length = direction.iter().zip(&deviations).map(|(x, s)| (x / s).powi(2)).sum::<f64>().sqrt();
            let level = now + (1.0 - random.unit()).ln();
            let mut left = -WIDTH * random.unit();
            let mut right = left + WIDTH;
            for _ in 0..SHRINKS {
                let step = left + (right - left) * random.unit();
                let moved: Vec<f64> =
                    theta.iter().zip(&direction).map(|(theta, x)| theta + step * x / length).collect();
                let value = density(&moved);
                if value >= level {
                    (theta, now) = (moved, value);
                    break;
                }
                if step < 0.0 { left = step } else { right = step }
            }
        }
        draws.push(theta.clone());
    }
    draws
}

#[cfg(test)]
mod tests {
    use super::super::fit::{Effort, fit};
    use super::super::parameters::Column;
    use super::*;

    #[test]
    fn draws_are_those_of_the_prior_where_data_say_nothing() {
        // One point contains next to no information about lengths.
        let mut data = Data::new(vec![Column::Number; 2]);
        data.push(&[0.5, 0.5], 0.0);
        let fitted = fit(&data, Effort { points: 10, evaluations: 3 });
        let mut random = SplitMix64::from_state(6);
        let draws = sample(&data, &fitted, 2000, 10, &mut random);
        let n = draws.len() as f64;
        for index in 0..2 {
            let mean = draws.iter().map(|draw| draw[index]).sum::<f64>() / n;
            let variance = draws.iter().map(|draw| (draw[index] - mean).powi(2)).sum::<f64>() / n;
            let want = fitted.layout.deviations()[index];
            assert!((mean - fitted.layout.start()[index]).abs() < 0.15, "{mean}");
            assert!((variance.sqrt() / want - 1.0).abs() < 0.15, "{} {want}", variance.sqrt());
        }
    }

    #[test]
    fn draws_stay_near_what_data_say() {
        let mut random = SplitMix64::from_state(6);
        let mut data = Data::new(vec![Column::Number; 2]);
        for _ in 0..30 {
            let point = [random.unit(), random.unit()];
            data.push(&point, 1.5 * (9.0 * point[0]).sin());
        }
        let fitted = fit(&data, Effort { points: 100, evaluations: 100 });
        let draws = sample(&data, &fitted, 50, 10, &mut random);
        assert_eq!(draws.len(), 50);
        assert!(draws.iter().all(|draw| draw[0] < draw[1]), "the second input does not matter");
    }
}
