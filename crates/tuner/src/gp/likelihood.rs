//! The posterior density of parameters, and its gradient.

use super::Data;
use super::cholesky::Cholesky;
use super::kernel::{Kernel, Points, difference};
use super::parameters::Layout;

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
    let warps = layout.warps(theta);
    // The derivatives of warped numbers by their ln a and ln b, [d, n].
    let mut warp_slopes = Vec::with_capacity(n * d);
    let points = Points::mapped(data, |column, x| {
        let (value, slopes) = warps[column].as_ref().map_or((x, [0.0; 2]), |warp| warp.value_with_slopes(x));
        warp_slopes.push(slopes);
        value
    });
    // Of all pairs in the layout of the factor, rows up to the diagonal: correlations, covariances, and for each row derivatives [d, i + 1].
    let count = n * (n + 1) / 2;
    let (mut together, mut additive) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut covariances = Vec::with_capacity(count);
    let mut slopes = vec![0.0; count * d];
    for i in 0..n {
        let slopes = &mut slopes[covariances.len() * d..][..(i + 1) * d];
        let row = kernel.correlations_with_slopes(&points, i + 1, &points.point(i), slopes);
        covariances.extend(kernel.combined(&row));
        together.extend(row.together);
        additive.extend(row.additive);
    }
    let factor = Cholesky::with_noise(n, &covariances, kernel.noise)?;
    let mut alpha = data.targets.clone();
    factor.solve_lower(&mut alpha);
    let fit: f64 = alpha.iter().map(|x| x * x).sum();
    factor.solve_upper(&mut alpha);
    let inverse = factor.inverse();

    gradient.fill(0.0);
    let mut moved = vec![0.0; d * n];
    let mut outers = vec![0.0; n];
    let mut pulls = vec![(0.0, 0.0); n];
    for i in 0..n {
        let row = i * (i + 1) / 2;
        for j in 0..i {
            // Both halves of the symmetric matrix are summed, which cancels the ½.
            outers[j] = alpha[i] * alpha[j] - inverse[row + j];
            gradient[layout.signal()] += outers[j] * kernel.signal * together[row + j];
            gradient[layout.additive()] += outers[j] * kernel.additive * additive[row + j];
        }
        for k in 0..d {
            let (weight, column) = (kernel.weights[k], points.column(k));
            let slopes = &slopes[row * d + k * (i + 1)..][..i];
            let moved = &mut moved[k * n..][..=i];
            let inputs = outers.iter().zip(slopes).zip(column);
            for ((pull, ((outer, slope), y)), moved) in pulls.iter_mut().zip(inputs).zip(&mut *moved) {
                let difference = difference(kernel.columns[k], column[i], *y);
                *pull = (2.0 * outer * slope * weight * difference, difference);
                *moved -= pull.0;
            }
            for (pull, difference) in &pulls[..i] {
                gradient[k] -= pull * difference;
                moved[i] += pull;
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

/// [`log_posterior`] without its gradient, for a third of the work.
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
        let got = log_posterior(&data, &layout, &theta, &mut [0.0; 4]).unwrap();
        assert!((got - want).abs() < 1e-12, "{got} {want}");
    }
}
