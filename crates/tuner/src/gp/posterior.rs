//! A process's predictions of the function, given data and parameters.

use super::Data;
use super::cholesky::{Cholesky, dot};
use super::likelihood::{Kernel, difference};
use super::parameters::{Layout, Warp};

/// A process conditioned on data.
#[derive(Debug, Clone)]
pub(crate) struct Posterior {
    layout: Layout,
    theta: Vec<f64>,
    kernel: Kernel,
    /// The warped points, \[n, d\].
    points: Vec<f64>,
    factor: Cholesky,
    /// L⁻¹ y, \[n\].
    half: Vec<f64>,
    /// K⁻¹ y, \[n\].
    alpha: Vec<f64>,
}

/// The factor by which noise grows until the covariance is positive definite in 64 bits.
const MORE_NOISE: f64 = 10.0;

impl Posterior {
    pub(crate) fn new(data: &Data, layout: Layout, mut theta: Vec<f64>) -> Self {
        let d = data.columns.len();
        let points: Vec<f64> = (0..data.len()).flat_map(|i| layout.warped(&theta, data.point(i))).collect();
        let mut kernel = Kernel::new(&layout, &theta);
        let factor = loop {
            let at = |i: usize| &points[i * d..(i + 1) * d];
            let entry = |i: usize, j: usize| {
                kernel.covariance(at(i), at(j)) + if i == j { kernel.noise } else { 0.0 }
            };
            match Cholesky::new(data.len(), entry) {
                Some(factor) => break factor,
                None => kernel.noise *= MORE_NOISE,
            }
        };
        theta[layout.noise()] = kernel.noise.ln();
        let mut half = data.targets.clone();
        factor.solve_lower(&mut half);
        let mut posterior = Self { layout, theta, kernel, points, factor, half, alpha: Vec::new() };
        posterior.solve();
        posterior
    }

    fn solve(&mut self) {
        self.alpha.clone_from(&self.half);
        self.factor.solve_upper(&mut self.alpha);
    }

    /// Conditions on one more point with its expected value: the mean stays, the variance shrinks. O(n²).
    pub(crate) fn fantasise(&mut self, point: &[f64]) {
        let warped = self.layout.warped(&self.theta, point);
        let mut row = self.covariances(&warped);
        let mut half = row.clone();
        self.factor.solve_lower(&mut half);
        let mean = dot(&half, &self.half);
        row.push(self.kernel.variance() + self.kernel.noise);
        // A point that adds nothing in 64 bits can be skipped.
        if self.factor.append(row.into_iter()).is_none() {
            return;
        }
        let last = self.factor.row(half.len());
        // Zero up to rounding: the residual of a value that equals its expectation.
        self.half.push((mean - dot(&last[..half.len()], &self.half)) / last[half.len()]);
        self.points.extend(warped);
        self.solve();
    }

    fn covariances(&self, warped: &[f64]) -> Vec<f64> {
        let d = self.kernel.columns.len();
        self.points.chunks_exact(d).map(|point| self.kernel.covariance(warped, point)).collect()
    }

    /// Mean and variance of the function, without noise, at a point.
    pub(crate) fn predict(&self, point: &[f64]) -> (f64, f64) {
        let mut k = self.covariances(&self.layout.warped(&self.theta, point));
        let mean = dot(&k, &self.alpha);
        self.factor.solve_lower(&mut k);
        (mean, self.positive(self.kernel.variance() - dot(&k, &k)))
    }

    /// The mean alone. O(n).
    pub(crate) fn predict_mean(&self, point: &[f64]) -> f64 {
        dot(&self.covariances(&self.layout.warped(&self.theta, point)), &self.alpha)
    }

    /// Variances are at least the resolution of 64 bits.
    fn positive(&self, variance: f64) -> f64 {
        variance.max(1e-14 * self.kernel.variance())
    }

    /// [`Posterior::predict`] with the derivatives of mean and variance with respect to each number of the point; zero for categories.
    pub(crate) fn predict_with_slopes(&self, point: &[f64]) -> (f64, f64, Vec<f64>, Vec<f64>) {
        let d = self.kernel.columns.len();
        let warped = self.layout.warped(&self.theta, point);
        let pairs: Vec<(f64, f64)> =
            self.points.chunks_exact(d).map(|other| self.kernel.correlation(&warped, other)).collect();
        let variance = self.kernel.variance();
        let offset = variance - self.kernel.signal;
        let k: Vec<f64> = pairs.iter().map(|(value, _)| self.kernel.signal * value + offset).collect();
        let mean = dot(&k, &self.alpha);
        let mut solved = k;
        self.factor.solve_lower(&mut solved);
        let left = self.positive(variance - dot(&solved, &solved));
        self.factor.solve_upper(&mut solved);
        let (mut mean_slopes, mut variance_slopes) = (vec![0.0; d], vec![0.0; d]);
        for (i, other) in self.points.chunks_exact(d).enumerate() {
            let pull = 2.0 * self.kernel.signal * pairs[i].1;
            for j in 0..d {
                let along =
                    pull * self.kernel.weights[j] * difference(self.kernel.columns[j], warped[j], other[j]);
                mean_slopes[j] += along * self.alpha[i];
                variance_slopes[j] -= 2.0 * along * solved[i];
            }
        }
        for j in 0..d {
            let slope = self.layout.warp(j).map_or(0.0, |at| Warp::new(&self.theta, at).slope(point[j]));
            mean_slopes[j] *= slope;
            variance_slopes[j] *= slope;
        }
        (mean, left, mean_slopes, variance_slopes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Smoothness};
    use super::*;
    use kokanee_formats::random::SplitMix64;

    fn posterior() -> (Data, Posterior) {
        let mut random = SplitMix64::from_state(2);
        let mut data = Data::new(vec![Column::Number, Column::Category, Column::Number]);
        for _ in 0..12 {
            let point = [random.unit(), 0.25 + 0.5 * random.below(2) as f64, random.unit()];
            data.push(&point, (4.0 * point[0]).cos() * point[1] + point[2]);
        }
        let layout = Layout::new(&data.columns, Smoothness::Twice);
        let theta = layout.start().iter().map(|theta| theta + 0.2 * random.unit()).collect();
        let posterior = Posterior::new(&data, layout, theta);
        (data, posterior)
    }

    #[test]
    fn slopes_are_finite_differences() {
        let (_, posterior) = posterior();
        let point = [0.37, 0.75, 0.81];
        let (mean, variance, mean_slopes, variance_slopes) = posterior.predict_with_slopes(&point);
        let (want_mean, want_variance) = posterior.predict(&point);
        assert!((mean - want_mean).abs() < 1e-12 && (variance - want_variance).abs() < 1e-12);
        for j in [0, 2] {
            let at = |shift: f64| {
                let mut moved = point;
                moved[j] += shift;
                posterior.predict(&moved)
            };
            let (after, before) = (at(1e-5), at(-1e-5));
            assert!((mean_slopes[j] - (after.0 - before.0) / 2e-5).abs() < 1e-6);
            assert!((variance_slopes[j] - (after.1 - before.1) / 2e-5).abs() < 1e-6);
        }
        assert_eq!((mean_slopes[1], variance_slopes[1]), (0.0, 0.0));
    }

    #[test]
    fn a_fantasy_is_an_observation_of_the_mean() {
        let (mut data, mut posterior) = posterior();
        let (point, elsewhere) = ([0.5, 0.25, 0.1], [0.55, 0.25, 0.2]);
        let (mean, before) = posterior.predict(&elsewhere);
        let value = posterior.predict(&point).0;
        let theta = posterior.theta.clone();
        posterior.fantasise(&point);
        data.push(&point, value);
        let anew =
            Posterior::new(&data, Layout::new(&data.columns, Smoothness::Twice), theta).predict(&elsewhere);
        let grown = posterior.predict(&elsewhere);
        assert!((grown.0 - mean).abs() < 1e-9 && grown.1 < before);
        assert!((grown.0 - anew.0).abs() < 1e-9 && (grown.1 - anew.1).abs() < 1e-9);
    }

    #[test]
    fn points_that_stand_twice_are_no_obstacle() {
        let mut data = Data::new(vec![Column::Number]);
        for _ in 0..20 {
            data.push(&[0.5], 1.0);
        }
        let layout = Layout::new(&data.columns, Smoothness::Twice);
        let mut theta = layout.start();
        theta[layout.noise()] = -80.0;
        let mut posterior = Posterior::new(&data, layout, theta);
        posterior.fantasise(&[0.5]);
        let (mean, variance) = posterior.predict(&[0.5]);
        assert!((mean - 1.0).abs() < 1e-6 && variance < 1e-6, "{mean} {variance}");
    }
}
