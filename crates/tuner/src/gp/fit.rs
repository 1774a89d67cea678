//! Maximum a posteriori parameters, searched for from several starts.

use super::Data;
use super::likelihood::LogPosterior;
use super::parameters::{Layout, Smoothness};
use crate::minimize::minimize;

/// The limits of a fit's work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Maximum points used in the fit; the process itself is conditioned on all.
    pub(crate) points: usize,
    /// Maximum evaluations of the likelihood, for all starts together.
    pub(crate) evaluations: usize,
}

/// Starts of the search: logarithms of the noise variance, and the terms added to the logarithms of lengths. A deterministic and a noisy
/// objective are two explanations of the same data, each with its own maximum.
const STARTS: [(f64, f64); 3] = [(-10.0, -0.3), (-2.0, 0.3), (-6.0, -1.0)];

/// Parameters, and how likely they are given the data they were fitted to.
#[derive(Debug, Clone)]
pub(crate) struct Fitted {
    pub(crate) layout: Layout,
    pub(crate) theta: Vec<f64>,
    /// ln (prior · likelihood) up to a constant; minus infinity without data.
    pub(crate) log_posterior: f64,
}

impl Fitted {
    /// The share of noise in the variance of the data.
    pub(crate) fn noise_share(&self) -> f64 {
        let layout = &self.layout;
        let [signal, additive, noise] =
            [layout.signal(), layout.additive(), layout.noise()].map(|index| self.theta[index].exp());
        noise / (signal + additive + noise)
    }
}

/// The most likely parameters of a Matérn-5/2 process, searched for from all starts. With fewer than two points, the most likely ones of
/// the prior.
pub(crate) fn fit(data: &Data, effort: Effort) -> Fitted {
    let layout = Layout::new(&data.columns, Smoothness::Twice);
    let starts = STARTS.iter().map(|(noise, length)| {
        let mut start = layout.start();
        start[layout.noise()] = *noise;
        start[..data.columns.len()].iter_mut().for_each(|theta| *theta += length);
        start
    });
    fit_from(data, effort, layout.clone(), &starts.collect::<Vec<_>>())
}

/// The most likely parameters near those fitted to similar data or for another kernel.
pub(crate) fn refit(data: &Data, effort: Effort, smoothness: Smoothness, fitted: &Fitted) -> Fitted {
    let layout = Layout::new(&data.columns, smoothness);
    fit_from(data, effort, layout, std::slice::from_ref(&fitted.theta))
}

fn fit_from(data: &Data, effort: Effort, layout: Layout, starts: &[Vec<f64>]) -> Fitted {
    let mut best = Fitted { theta: layout.start(), log_posterior: f64::NEG_INFINITY, layout };
    if data.len() < 2 {
        return best;
    }
    let chosen = thinned(data, effort.points);
    let layout = best.layout.clone();
    let (low, high) = layout.bounds();
    let mut posterior = LogPosterior::new(&chosen, &layout);
    let mut objective = |theta: &[f64], gradient: &mut [f64]| {
        let value = posterior.at(theta, gradient);
        gradient.iter_mut().for_each(|slope| *slope = -*slope);
        value.map_or(f64::INFINITY, |value| -value)
    };
    for start in starts {
        let (theta, value) = minimize(start, &low, &high, effort.evaluations / STARTS.len(), &mut objective);
        if value.is_finite() && -value > best.log_posterior {
            (best.theta, best.log_posterior) = (theta, -value);
        }
    }
    best
}

/// At most `limit` of the points: for half of the limit the best ones, for the other half an even choice of the rest in the order of the
/// history.
fn thinned(data: &Data, limit: usize) -> Data {
    if data.len() <= limit {
        return data.clone();
    }
    let mut order: Vec<usize> = (0..data.len()).collect();
    order.sort_by(|i, j| data.targets[*i].total_cmp(&data.targets[*j]).then(i.cmp(j)));
    let mut rest = order.split_off(limit / 2);
    rest.sort_unstable();
    let wanted = limit - order.len();
    order.extend((0..wanted).map(|k| rest[k * rest.len() / wanted]));
    let mut chosen = Data::new(data.columns.clone());
    for index in order {
        chosen.push(data.point(index), data.targets[index]);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::super::{Column, Posterior};
    use super::*;
    use kokanee_formats::random::SplitMix64;

    const EFFORT: Effort = Effort { points: 200, evaluations: 120 };

    /// A function of the first of two inputs, with noise of this standard deviation.
    fn data(n: usize, noise: f64) -> Data {
        let mut random = SplitMix64::from_state(5);
        let mut data = Data::new(vec![Column::Number; 2]);
        for _ in 0..n {
            let point = [random.unit(), random.unit()];
            let normal = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
            data.push(&point, 1.4 * (6.0 * point[0]).sin() + noise * normal);
        }
        data
    }

    #[test]
    fn noise_and_irrelevant_inputs_are_inferred() {
        for (noise, low, high) in [(0.0, 0.0, 1e-4), (0.5, 0.12, 0.5)] {
            let data = data(60, noise);
            let Fitted { layout, theta, .. } = fit(&data, EFFORT);
            let variance = theta[layout.noise()].exp();
            assert!((low..high).contains(&variance), "noise {noise} gives the variance {variance}");
            assert!(theta[1] > theta[0] + 0.5, "lengths {:?}", &theta[..2]);
            let posterior = Posterior::new(&data, &layout, &theta);
            let (mean, _) = posterior.predict(&[0.3, 0.5]);
            assert!((mean - 1.4 * 1.8f64.sin()).abs() < 0.05 + noise, "{mean}");
        }
    }

    #[test]
    fn thinning_keeps_the_best_and_the_number() {
        let data = data(100, 0.1);
        let thin = thinned(&data, 31);
        assert_eq!(thin.len(), 31);
        let best = |data: &Data| data.targets.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(best(&thin), best(&data));
        assert_eq!(thinned(&data, 100).targets, data.targets);
    }
}
