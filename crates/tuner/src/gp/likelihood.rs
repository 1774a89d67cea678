//! The posterior density of parameters, and its gradient.

use super::Data;
use super::cholesky::Cholesky;
use super::parameters::{Column, Layout, MEAN_VARIANCE, Smoothness, Warp};

/// √5.
const ROOT_5: f64 = 2.236_067_977_499_79;

/// The correlation at a squared distance r², and its derivative with respect to r²: (1 + √5 r + 5/3 r²) e^(-√5 r) or e^(-r²/2).
fn correlation(smoothness: Smoothness, squared: f64) -> (f64, f64) {
    match smoothness {
        Smoothness::Twice => {
            let r = ROOT_5 * squared.sqrt();
            let decay = (-r).exp();
            ((1.0 + r + r * r / 3.0) * decay, -5.0 / 6.0 * (1.0 + r) * decay)
        }
        Smoothness::Always => {
            let value = (-0.5 * squared).exp();
            (value, -0.5 * value)
        }
    }
}

/// The difference along a column before scaling by its length: `x - y` for numbers, and 1 or 0 for categories.
pub(super) fn difference(column: Column, x: f64, y: f64) -> f64 {
    match column {
        Column::Number => x - y,
        Column::Category => f64::from(u8::from(x != y)),
    }
}

/// A kernel with its parameters, for warped points.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub(super) columns: Vec<Column>,
    smoothness: Smoothness,
    /// 1 / length², \[d\].
    pub(super) weights: Vec<f64>,
    pub(super) signal: f64,
    pub(super) noise: f64,
}

impl Kernel {
    pub(super) fn new(layout: &Layout, theta: &[f64]) -> Self {
        Self {
            columns: layout.columns().to_vec(),
            smoothness: layout.smoothness(),
            weights: theta[..layout.columns().len()].iter().map(|log| (-2.0 * log).exp()).collect(),
            signal: theta[layout.signal()].exp(),
            noise: theta[layout.noise()].exp(),
        }
    }

    fn squared(&self, x: &[f64], y: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (((column, weight), x), y) in self.columns.iter().zip(&self.weights).zip(x).zip(y) {
            let difference = difference(*column, *x, *y);
            sum += weight * difference * difference;
        }
        sum
    }

    /// The correlation of two warped points, and its derivative with respect to their squared distance.
    pub(super) fn correlation(&self, x: &[f64], y: &[f64]) -> (f64, f64) {
        correlation(self.smoothness, self.squared(x, y))
    }

    /// Covariance of the function at two warped points, without noise.
    pub(super) fn covariance(&self, x: &[f64], y: &[f64]) -> f64 {
        self.signal * self.correlation(x, y).0 + MEAN_VARIANCE
    }

    /// Variance of the function anywhere.
    pub(super) fn variance(&self) -> f64 {
        self.signal + MEAN_VARIANCE
    }
}

/// The logarithm of prior times likelihood of `theta`, up to a constant, with its gradient; `None` where the covariance is not positive
/// definite in 64 bits.
///
/// With K = LLᵀ and α = K⁻¹y: ln p = -½ yᵀα - ½ ln det K, and for each parameter ½ tr((ααᵀ - K⁻¹) dK) (Rasmussen and Williams
/// 2006, equation 5.9).
pub(super) fn log_posterior(
    data: &Data,
    layout: &Layout,
    theta: &[f64],
    gradient: &mut [f64],
) -> Option<f64> {
    let (n, d) = (data.len(), layout.columns().len());
    let kernel = Kernel::new(layout, theta);
    let warped: Vec<f64> = (0..n).flat_map(|i| layout.warped(theta, data.point(i))).collect();
    let at = |i: usize| &warped[i * d..(i + 1) * d];
    // Values and derivatives of all pairs, in the layout of the factor: rows up to the diagonal.
    let mut pairs = Vec::with_capacity(n * (n + 1) / 2);
    for i in 0..n {
        pairs.extend((0..=i).map(|j| kernel.correlation(at(i), at(j))));
    }
    let entry = |i: usize, j: usize| {
        let diagonal = if i == j { kernel.noise } else { 0.0 };
        kernel.signal * pairs[i * (i + 1) / 2 + j].0 + MEAN_VARIANCE + diagonal
    };
    let factor = Cholesky::new(n, entry)?;
    let mut alpha = data.targets.clone();
    factor.solve_lower(&mut alpha);
    let fit: f64 = alpha.iter().map(|x| x * x).sum();
    factor.solve_upper(&mut alpha);
    let inverse = factor.inverse();

    gradient.fill(0.0);
    let mut moved = vec![0.0; n * d];
    let mut numbers = vec![0.0; d];
    for i in 0..n {
        for j in 0..i {
            let place = i * (i + 1) / 2 + j;
            // Both halves of the symmetric matrix are summed, which cancels the ½.
            let outer = (alpha[i] * alpha[j] - inverse[place]) * kernel.signal;
            let (value, slope) = pairs[place];
            gradient[layout.signal()] += outer * value;
            let outer = outer * slope;
            for k in 0..d {
                let difference = difference(kernel.columns[k], at(i)[k], at(j)[k]);
                let pull = 2.0 * outer * kernel.weights[k] * difference;
                numbers[k] -= pull * difference;
                moved[i * d + k] += pull;
                moved[j * d + k] -= pull;
            }
        }
        let outer = 0.5 * (alpha[i] * alpha[i] - inverse[i * (i + 1) / 2 + i]);
        gradient[layout.signal()] += outer * kernel.signal;
        gradient[layout.noise()] += outer * kernel.noise;
    }
    gradient[..d].copy_from_slice(&numbers);
    for k in 0..d {
        let Some(place) = layout.warp(k) else { continue };
        let warp = Warp::new(theta, place);
        for i in 0..n {
            let (by_a, by_b) = warp.slopes(data.point(i)[k]);
            gradient[place] += moved[i * d + k] * by_a;
            gradient[place + 1] += moved[i * d + k] * by_b;
        }
    }
    let likelihood = -0.5 * (fit + factor.log_determinant());
    Some(likelihood + layout.log_prior_with_slopes(theta, gradient))
}

/// [`log_posterior`] without its gradient, for a third of the work.
pub(super) fn log_posterior_alone(data: &Data, layout: &Layout, theta: &[f64]) -> Option<f64> {
    let (n, d) = (data.len(), layout.columns().len());
    let kernel = Kernel::new(layout, theta);
    let warped: Vec<f64> = (0..n).flat_map(|i| layout.warped(theta, data.point(i))).collect();
    let at = |i: usize| &warped[i * d..(i + 1) * d];
    let factor =
        Cholesky::new(n, |i, j| kernel.covariance(at(i), at(j)) + if i == j { kernel.noise } else { 0.0 })?;
    let mut half = data.targets.clone();
    factor.solve_lower(&mut half);
    let fit: f64 = half.iter().map(|x| x * x).sum();
    Some(-0.5 * (fit + factor.log_determinant()) + layout.log_prior(theta))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kokanee_formats::random::SplitMix64;

    fn data(n: usize) -> Data {
        let mut random = SplitMix64::from_state(3);
        let mut data = Data::new(vec![Column::Number, Column::Category, Column::Number]);
        for _ in 0..n {
            let point = [random.unit(), 0.25 + 0.5 * random.below(2) as f64, random.unit()];
            let target = (5.0 * point[0]).sin() + point[1] - point[2] * point[2] + 0.1 * random.unit();
            data.push(&point, target);
        }
        data
    }

    #[track_caller]
    fn check_gradients(smoothness: Smoothness) {
        let data = data(15);
        let layout = Layout::new(&data.columns, smoothness);
        let mut random = SplitMix64::from_state(9);
        for _ in 0..5 {
            let theta: Vec<f64> = layout.start().iter().map(|theta| theta + random.unit() - 0.5).collect();
            let mut gradient = vec![0.0; theta.len()];
            let value = log_posterior(&data, &layout, &theta, &mut gradient).unwrap();
            let alone = log_posterior_alone(&data, &layout, &theta).unwrap();
            assert!((value - alone).abs() < 1e-9 * (1.0 + value.abs()));
            for (index, slope) in gradient.iter().enumerate() {
                let at = |shift: f64| {
                    let mut moved = theta.clone();
                    moved[index] += shift;
                    log_posterior(&data, &layout, &moved, &mut vec![0.0; theta.len()]).unwrap()
                };
                let want = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slope - want).abs() < 1e-5 * (1.0 + want.abs()), "{index}: {slope} {want}");
            }
        }
    }

    #[test]
    fn gradients_are_finite_differences() {
        check_gradients(Smoothness::Twice);
        check_gradients(Smoothness::Always);
    }

    #[test]
    fn the_derivatives_of_the_kernels_are_finite_differences() {
        for smoothness in [Smoothness::Twice, Smoothness::Always] {
            for squared in [1e-3, 0.1, 1.0, 30.0] {
                let at = |squared: f64| correlation(smoothness, squared);
                let want = (at(squared * 1.0001).0 - at(squared * 0.9999).0) / (squared * 0.0002);
                assert!((at(squared).1 - want).abs() < 1e-6 * want.abs().max(1e-6));
            }
        }
        assert_eq!(correlation(Smoothness::Twice, 0.0), (1.0, -5.0 / 6.0));
        assert_eq!(correlation(Smoothness::Always, 0.0), (1.0, -0.5));
    }

    #[test]
    fn two_points_by_hand() {
        let mut data = Data::new(vec![Column::Category]);
        data.push(&[0.25], 1.0);
        data.push(&[0.75], -0.5);
        let layout = Layout::new(&data.columns, Smoothness::Twice);
        let theta = [0.3, 0.2, -1.0];
        let kernel = Kernel::new(&layout, &theta);
        let same = kernel.variance() + kernel.noise;
        let other = kernel.covariance(&[0.25], &[0.75]);
        let determinant = same * same - other * other;
        let fit = (same * (1.0 + 0.25) - 2.0 * other * -0.5) / determinant;
        let want = -0.5 * (fit + determinant.ln()) + layout.log_prior(&theta);
        let got = log_posterior(&data, &layout, &theta, &mut [0.0; 3]).unwrap();
        assert!((got - want).abs() < 1e-12, "{got} {want}");
    }
}
