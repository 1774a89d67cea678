//! A process's predictions of the function, given data and parameters.

use super::Data;
use super::cholesky::{Cholesky, dot};
use super::kernel::{Kernel, Points, difference};
use super::parameters::{Layout, Warp};

/// A process conditioned on data.
#[derive(Debug, Clone)]
pub(crate) struct Posterior {
    warps: Vec<Option<Warp>>,
    kernel: Kernel,
    points: Points,
    factor: Cholesky,
    /// L⁻¹ y, \[n\].
    half: Vec<f64>,
    /// K⁻¹ y, \[n\].
    alpha: Vec<f64>,
}

/// The factor by which noise grows until the covariance is positive definite in 64 bits.
const MORE_NOISE: f64 = 10.0;

impl Posterior {
    pub(crate) fn new(data: &Data, layout: &Layout, theta: &[f64]) -> Self {
        let warps = layout.warps(theta);
        let points = Points::new(data, &warps);
        let mut kernel = Kernel::new(layout, theta);
        let covariances = kernel.triangle(&points);
        let factor = loop {
            match Cholesky::with_noise(data.len(), &covariances, kernel.noise) {
                Some(factor) => break factor,
                None => kernel.noise *= MORE_NOISE,
            }
        };
        let mut half = data.targets.clone();
        factor.solve_lower(&mut half);
        let mut posterior = Self { warps, kernel, points, factor, half, alpha: Vec::new() };
        posterior.solve();
        posterior
    }

    /// Variance of the noise.
    pub(crate) fn noise(&self) -> f64 {
        self.kernel.noise
    }

    fn solve(&mut self) {
        self.alpha.clone_from(&self.half);
        self.factor.solve_upper(&mut self.alpha);
    }

    /// Conditions on one more point with its expected value: the mean stays, the variance shrinks. O(n²).
    pub(crate) fn fantasise(&mut self, point: &[f64]) {
        let warped = self.warped(point);
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
        self.points.push(&warped);
        self.solve();
    }

    fn warped(&self, point: &[f64]) -> Vec<f64> {
        let one = |(warp, x): (&Option<Warp>, &f64)| warp.as_ref().map_or(*x, |warp| warp.value(*x));
        self.warps.iter().zip(point).map(one).collect()
    }

    fn covariances(&self, warped: &[f64]) -> Vec<f64> {
        self.kernel.covariances(&self.points, self.points.len(), warped)
    }

    /// Mean and variance of the function, without noise, at a point.
    pub(crate) fn predict(&self, point: &[f64]) -> (f64, f64) {
        let mut k = self.covariances(&self.warped(point));
        let mean = dot(&k, &self.alpha);
        self.factor.solve_lower(&mut k);
        (mean, self.positive(self.kernel.variance() - dot(&k, &k)))
    }

    /// The mean alone. O(n).
    pub(crate) fn predict_mean(&self, point: &[f64]) -> f64 {
        dot(&self.covariances(&self.warped(point)), &self.alpha)
    }

    /// Variances are at least the resolution of 64 bits.
    fn positive(&self, variance: f64) -> f64 {
        variance.max(1e-14 * self.kernel.variance())
    }

    /// [`Posterior::predict`] with the derivatives of mean and variance with respect to each number of the point; zero for categories.
    pub(crate) fn predict_with_slopes(&self, point: &[f64]) -> (f64, f64, Vec<f64>, Vec<f64>) {
        let (d, n) = (self.kernel.columns.len(), self.points.len());
        let warped = self.warped(point);
        let mut slopes = vec![0.0; d * n];
        let correlations = self.kernel.correlations_with_slopes(&self.points, n, &warped, &mut slopes);
        let k: Vec<f64> = self.kernel.combined(&correlations).collect();
        let mean = dot(&k, &self.alpha);
        let mut solved = k;
        self.factor.solve_lower(&mut solved);
        let left = self.positive(self.kernel.variance() - dot(&solved, &solved));
        self.factor.solve_upper(&mut solved);
        let (mut mean_slopes, mut variance_slopes) = (vec![0.0; d], vec![0.0; d]);
        for j in 0..d {
            let inputs =
                self.points.column(j).iter().zip(&slopes[j * n..]).zip(self.alpha.iter().zip(&solved));
            for ((y, slope), (alpha, solved)) in inputs {
                let difference = difference(self.kernel.columns[j], warped[j], *y);
                let along = 2.0 * slope * self.kernel.weights[j] * difference;
                mean_slopes[j] += along * alpha;
                variance_slopes[j] -= 2.0 * along * solved;
            }
        }
        for j in 0..d {
            let slope = self.warps[j].as_ref().map_or(0.0, |warp| warp.slope(point[j]));
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

    fn posterior() -> (Data, Layout, Vec<f64>, Posterior) {
        let mut random = SplitMix64::from_state(2);
        let mut data = Data::new(vec![Column::Number, Column::Category, Column::Number]);
        for _ in 0..12 {
            let point = [random.unit(), 0.25 + 0.5 * random.below(2) as f64, random.unit()];
            data.push(&point, (4.0 * point[0]).cos() * point[1] + point[2]);
        }
        let layout = Layout::new(&data.columns, Smoothness::Twice);
        let theta: Vec<f64> = layout.start().iter().map(|theta| theta + 0.2 * random.unit()).collect();
        let posterior = Posterior::new(&data, &layout, &theta);
        (data, layout, theta, posterior)
    }

    #[test]
    fn slopes_are_finite_differences() {
        let (_, _, _, posterior) = posterior();
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
        let (mut data, layout, theta, mut posterior) = posterior();
        let (point, elsewhere) = ([0.5, 0.25, 0.1], [0.55, 0.25, 0.2]);
        let (mean, before) = posterior.predict(&elsewhere);
        let value = posterior.predict(&point).0;
        posterior.fantasise(&point);
        data.push(&point, value);
        let anew = Posterior::new(&data, &layout, &theta).predict(&elsewhere);
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
        let mut posterior = Posterior::new(&data, &layout, &theta);
        posterior.fantasise(&[0.5]);
        let (mean, variance) = posterior.predict(&[0.5]);
        assert!((mean - 1.0).abs() < 1e-6 && variance < 1e-6, "{mean} {variance}");
    }
}
