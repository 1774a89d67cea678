//! The posterior density of parameters, and its gradient.

use super::Data;
use super::cholesky::Cholesky;
use super::kernel::{Kernel, Points, difference};
use super::parameters::Layout;

/// The number of columns whose slopes are summed at once. Each sum is a chain of additions, and several chains run in parallel.
const TOGETHER: usize = 4;

/// The posterior density of parameters given data, with buffers that its evaluations share.
pub(super) struct LogPosterior<'a> {
    data: &'a Data,
    layout: &'a Layout,
    /// Of all pairs in the layout of the factor, rows up to the diagonal: correlations and covariances.
    together: Vec<f64>,
    additive: Vec<f64>,
    covariances: Vec<f64>,
    /// For each row of pairs, derivatives of the covariances \[d, i + 1\].
    slopes: Vec<f64>,
}

impl<'a> LogPosterior<'a> {
    pub(super) fn new(data: &'a Data, layout: &'a Layout) -> Self {
        let count = data.len() * (data.len() + 1) / 2;
        let [together, additive, covariances] = std::array::from_fn(|_| Vec::with_capacity(count));
        Self {
            data,
            layout,
            together,
            additive,
            covariances,
            slopes: vec![0.0; count * layout.columns().len()],
        }
    }

    /// The logarithm of prior times likelihood of `theta`, up to a constant, with its gradient; `None` where the covariance is not positive
    /// definite in 64 bits.
    ///
    /// With K = LLᵀ and α = K⁻¹y: ln p = -½ yᵀα - ½ ln det K, and for each parameter ½ tr((ααᵀ - K⁻¹) dK) (Rasmussen and Williams
    /// 2006, equation 5.9).
    pub(super) fn at(&mut self, theta: &[f64], gradient: &mut [f64]) -> Option<f64> {
        let Self { data, layout, .. } = *self;
        let (n, d) = (data.len(), layout.columns().len());
        let kernel = Kernel::new(layout, theta);
        let warps = layout.warps(theta);
        // The derivatives of warped numbers by their ln a and ln b, [d, n].
        let mut warp_slopes = Vec::with_capacity(n * d);
        let points = Points::mapped(data, |column, x| {
            let (value, slopes) =
                warps[column].as_ref().map_or((x, [0.0; 2]), |warp| warp.value_with_slopes(x));
            warp_slopes.push(slopes);
            value
        });
        self.correlate(&kernel, &points);
        let factor = Cholesky::with_noise(n, &self.covariances, kernel.noise)?;
        let mut alpha = data.targets.clone();
        factor.solve_lower(&mut alpha);
        let fit: f64 = alpha.iter().map(|x| x * x).sum();
        factor.solve_upper(&mut alpha);
        let inverse = factor.inverse();

        gradient.fill(0.0);
        // The derivatives of ln p by the warped numbers, [d, n].
        let mut moved = vec![0.0; d * n];
        let mut outers = vec![0.0; n];
        let mut group: [Pulls; TOGETHER] = std::array::from_fn(|_| Pulls::new(n));
        for i in 0..n {
            let row = i * (i + 1) / 2;
            for j in 0..i {
                // Both halves of the symmetric matrix are summed, which cancels the ½.
                outers[j] = alpha[i] * alpha[j] - inverse[row + j];
                gradient[layout.signal()] += outers[j] * kernel.signal * self.together[row + j];
                gradient[layout.additive()] += outers[j] * kernel.additive * self.additive[row + j];
            }
            for first in (0..d).step_by(TOGETHER) {
                for (pulls, k) in group.iter_mut().zip(first..d) {
                    let slopes = &self.slopes[row * d + k * (i + 1)..][..i];
                    pulls.set(&kernel, &points, k, &outers, slopes, &mut moved[k * n..]);
                }
                let mut sums = [(0.0, 0.0); TOGETHER];
                sums.iter_mut().zip(first..d).for_each(|(sums, k)| sums.0 = gradient[k]);
                add_pulls(&group, i, &mut sums);
                // The last group may have fewer columns; the other sums are not used.
                for (k, (by_length, by_number)) in (first..d).zip(sums) {
                    (gradient[k], moved[k * n + i]) = (by_length, by_number);
                }
            }
            let outer = 0.5 * (alpha[i] * alpha[i] - inverse[row + i]);
            gradient[layout.signal()] += outer * kernel.signal;
            gradient[layout.additive()] += outer * kernel.additive;
            gradient[layout.noise()] += outer * kernel.noise;
        }
        for k in 0..d {
            let Some(place) = layout.warp(k) else { continue };
            for (moved, [by_a, by_b]) in moved[k * n..][..n].iter().zip(&warp_slopes[k * n..]) {
                gradient[place] += moved * by_a;
                gradient[place + 1] += moved * by_b;
            }
        }
        let likelihood = -0.5 * (fit + factor.log_determinant());
        Some(likelihood + layout.log_prior_with_slopes(theta, gradient))
    }

    /// Fills the buffers for these parameters.
    fn correlate(&mut self, kernel: &Kernel, points: &Points) {
        let d = kernel.columns.len();
        self.together.clear();
        self.additive.clear();
        self.covariances.clear();
        for i in 0..points.len() {
            let slopes = &mut self.slopes[self.covariances.len() * d..][..(i + 1) * d];
            let row = kernel.correlations_with_slopes(points, i + 1, &points.point(i), slopes);
            self.covariances.extend(kernel.combined(&row));
            self.together.extend(row.together);
            self.additive.extend(row.additive);
        }
    }
}

/// For one point and one column: derivatives of ln p by the point's warped number, as far as other points cause them.
struct Pulls {
    pulls: Vec<f64>,
    differences: Vec<f64>,
}

impl Pulls {
    fn new(n: usize) -> Self {
        Self { pulls: vec![0.0; n], differences: vec![0.0; n] }
    }

    /// Computes them for column `k` and the point after as many others as there are `slopes`, and subtracts each from the other point's
    /// derivative.
    fn set(
        &mut self,
        kernel: &Kernel,
        points: &Points,
        k: usize,
        outers: &[f64],
        slopes: &[f64],
        moved: &mut [f64],
    ) {
        let (kind, weight) = (kernel.columns[k], kernel.weights[k]);
        let (others, point) = points.column(k).split_at(slopes.len());
        let x = point[0];
        for (to, y) in self.differences.iter_mut().zip(others) {
            *to = difference(kind, x, *y);
        }
        let inputs = outers.iter().zip(slopes).zip(&self.differences);
        for ((pull, moved), ((outer, slope), difference)) in self.pulls.iter_mut().zip(moved).zip(inputs) {
            *pull = 2.0 * outer * slope * weight * difference;
            *moved -= *pull;
        }
    }

    /// The first `n`.
    fn first(&self, n: usize) -> impl Iterator<Item = (&f64, &f64)> {
        self.pulls[..n].iter().zip(&self.differences[..n])
    }
}

/// Subtracts the first `n` pulls times differences from the first sums, and adds the pulls to the second ones.
fn add_pulls(group: &[Pulls; TOGETHER], n: usize, sums: &mut [(f64, f64); TOGETHER]) {
    let [a, b, c, d] = group.each_ref().map(|pulls| pulls.first(n));
    for ((a, b), (c, d)) in a.zip(b).zip(c.zip(d)) {
        for (sums, (pull, difference)) in sums.iter_mut().zip([a, b, c, d]) {
            sums.0 -= pull * difference;
            sums.1 += pull;
        }
    }
}

/// [`LogPosterior::at`] without its gradient, for a third of the work.
pub(super) fn log_posterior_alone(data: &Data, layout: &Layout, theta: &[f64]) -> Option<f64> {
    let kernel = Kernel::new(layout, theta);
    let points = Points::new(data, &layout.warps(theta));
    let factor = Cholesky::with_noise(data.len(), &kernel.triangle(&points), kernel.noise)?;
    let mut half = data.targets.clone();
    factor.solve_lower(&mut half);
    let fit: f64 = half.iter().map(|x| x * x).sum();
    Some(-0.5 * (fit + factor.log_determinant()) + layout.log_prior(theta))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gp::parameters::{Column, Smoothness};
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
            let mut posterior = LogPosterior::new(&data, &layout);
            let value = posterior.at(&theta, &mut gradient).unwrap();
            let alone = log_posterior_alone(&data, &layout, &theta).unwrap();
            assert!((value - alone).abs() < 1e-9 * (1.0 + value.abs()));
            for (index, slope) in gradient.iter().enumerate() {
                let mut at = |shift: f64| {
                    let mut moved = theta.clone();
                    moved[index] += shift;
                    posterior.at(&moved, &mut vec![0.0; theta.len()]).unwrap()
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
    fn two_points_by_hand() {
        let mut data = Data::new(vec![Column::Category]);
        data.push(&[0.25], 1.0);
        data.push(&[0.75], -0.5);
        let layout = Layout::new(&data.columns, Smoothness::Twice);
        let theta = [0.3, 0.2, -0.4, -1.0];
        let kernel = Kernel::new(&layout, &theta);
        let same = kernel.variance() + kernel.noise;
        let other = kernel.triangle(&Points::new(&data, &layout.warps(&theta)))[1];
        let determinant = same * same - other * other;
        let fit = (same * (1.0 + 0.25) - 2.0 * other * -0.5) / determinant;
        let want = -0.5 * (fit + determinant.ln()) + layout.log_prior(&theta);
        let got = LogPosterior::new(&data, &layout).at(&theta, &mut [0.0; 4]).unwrap();
        assert!((got - want).abs() < 1e-12, "{got} {want}");
    }
}
