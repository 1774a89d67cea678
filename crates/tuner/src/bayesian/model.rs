//! Processes conditioned on the history: one kind for losses, and one for failures if there are any.

use super::evidence::Evidence;
use crate::gp::{Data, Effort, Fitted, Posterior, Smoothness, fit, refit, sample};
use crate::history::History;
use crate::options::Options;

/// The processes, and the history they are conditioned on.
pub(crate) struct Model {
    /// Processes of losses, with several similarly likely sets of parameters.
    pub(super) losses: Vec<Losses>,
    /// The process of labels: +1 for a trial that gave a value, -1 for one that failed. `None` if none failed.
    pub(super) feasibility: Option<Posterior>,
    /// Measured points, the best expected first.
    pub(super) incumbents: Vec<Vec<f64>>,
    /// Whether it regards most of the variation as noise.
    pub(super) is_noise: bool,
    evidence: Evidence,
}

/// A process of losses.
pub(super) struct Losses {
    /// The process, also conditioned on fantasies of running trials.
    pub(super) posterior: Posterior,
    /// The loss to improve on: the least expected one among the measured and the running trials, less [`MARGIN`].
    pub(super) best: f64,
}

/// Evaluations of the likelihood for n points. A suggestion should take less than 100 ms with 100 observations, 2 s with 500.
fn effort(n: usize) -> Effort {
    let evaluations = match n {
        0..=40 => 180,
        41..=80 => 90,
        81..=120 => 45,
        _ => 36,
    };
    Effort { points: 200, evaluations }
}

/// Maximum dimensions in which about 100 points get several draws. A gradient costs more with each dimension.
const FEW_DIMENSIONS: usize = 10;

/// For n points in d dimensions, the number of parameter draws besides the most likely ones, and of moves between two. Averaging multiplies
/// the cost of a prediction.
fn draws(n: usize, d: usize) -> (usize, usize) {
    match n {
        0..=40 => (9, 12),
        41..=80 => (6, 6),
        81..=120 if d <= FEW_DIMENSIONS => (3, 6),
        81..=120 => (1, 6),
        _ => (0, 0),
    }
}

/// A kernel is used if the logarithm of its posterior density is at most this much below that of the likelier one.
const PLAUSIBLE: f64 = 2.0;

/// The share of noise in the variance from which noise dominates. Rankings by the rest are mostly chance.
const MOST_NOISE: f64 = 0.4;

/// The improvement that a search looks for, in standard deviations of the noise. With 0, it repeats the best trials where ripples look like
/// noise.
const MARGIN: f64 = 0.5;

/// A separate stream of random numbers.
const SAMPLE_STREAM: u64 = 4;

impl Model {
    pub(super) fn new(history: &History<'_>, options: &Options) -> Self {
        let evidence = Evidence::new(history, options);
        let (data, fitted) = fit_losses(&evidence);
        let (count, moves) = draws(data.len(), data.columns.len());
        let mut random = history.stream(SAMPLE_STREAM);
        let mut parameters = Vec::new();
        for kernel in &fitted {
            let drawn = sample(&data, kernel, count / fitted.len(), moves, &mut random);
            let all = std::iter::once(kernel.theta.clone()).chain(drawn);
            parameters.extend(all.map(|theta| (kernel, theta)));
        }
        // For each measured point, the sum of the processes' expectations.
        let mut sums = vec![0.0; evidence.incumbents.len()];
        let condition = |(kernel, theta): (&Fitted, Vec<f64>)| {
            let mut posterior = Posterior::new(&data, &kernel.layout, &theta);
            let mut best = f64::INFINITY;
            for (point, sum) in evidence.incumbents.iter().zip(&mut sums) {
                let mean = posterior.predict_mean(&evidence.asked(point));
                best = best.min(mean);
                *sum += mean;
            }
            for point in &evidence.expected {
                best = best.min(posterior.predict_mean(point));
                posterior.fantasise(point);
            }
            best -= MARGIN * posterior.noise().sqrt();
            Losses { posterior, best }
        };
        let losses = parameters.into_iter().map(condition).collect();
        let mut order: Vec<usize> = (0..sums.len()).collect();
        order.sort_by(|i, j| sums[*i].total_cmp(&sums[*j]));
        let incumbents = order.into_iter().map(|place| evidence.incumbents[place].clone()).collect();
        let feasibility = evidence.labels.targets.contains(&-1.0).then(|| {
            let fitted = fit(&evidence.labels, effort(evidence.labels.len()));
            Posterior::new(&evidence.labels, &fitted.layout, &fitted.theta)
        });
        let is_noise = fitted[0].noise_share() > MOST_NOISE;
        Self { losses, feasibility, incumbents, is_noise, evidence }
    }

    /// A point of the space in the form that the processes take.
    pub(super) fn asked(&self, point: &[f64]) -> Vec<f64> {
        self.evidence.asked(point)
    }
}

/// Fits parameters to the losses and to their logarithms, and keeps the form under which the losses are likelier. Returns the fit of each
/// kernel that explains them about as well, the likeliest first. A transformation that made the targets look normal would treat noise among
/// good losses as the most important differences.
fn fit_losses(evidence: &Evidence) -> (Data, Vec<Fitted>) {
    let (plain, bent) = (evidence.targets(1.0), evidence.targets(0.0));
    let mut data = evidence.measured.clone();
    data.targets = plain.values;
    let effort = effort(data.len());
    let twice = fit(&data, effort);
    let always = refit(&data, effort, Smoothness::Always, &twice);
    let mut kernels = ranked([twice, always]);
    let mut logarithms = data.clone();
    logarithms.targets = bent.values;
    let first = refit(&logarithms, effort, kernels[0].layout.smoothness(), &kernels[0]);
    if first.log_posterior + bent.log_slopes > kernels[0].log_posterior + plain.log_slopes {
        let second = refit(&logarithms, effort, kernels[1].layout.smoothness(), &first);
        kernels = ranked([first, second]);
        data = logarithms;
    }
    let least = kernels[0].log_posterior - PLAUSIBLE;
    (data, kernels.into_iter().filter(|fitted| fitted.log_posterior >= least).collect())
}

fn ranked(mut kernels: [Fitted; 2]) -> [Fitted; 2] {
    if kernels[1].log_posterior > kernels[0].log_posterior {
        kernels.swap(0, 1);
    }
    kernels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dimension, Goal, Outcome, Scale, Space, Trial, Value};

    /// The plausible kernels for a function of one variable, the likeliest first.
    fn kernels(function: impl Fn(f64) -> f64) -> Vec<Smoothness> {
        let space = Space::new(vec![Dimension::continuous("x", 0.0, 1.0, Scale::Linear)]).unwrap();
        let trial = |place: u32| {
            let x = f64::from(place) / 19.0;
            Trial::new(vec![Value::Real(x)], Outcome::Finished(function(x)))
        };
        let trials: Vec<Trial> = (0..20).map(trial).collect();
        let options = Options::bayesian(Goal::Minimize);
        let evidence = Evidence::new(&History::new(&space, &trials, 0), &options);
        fit_losses(&evidence).1.iter().map(|fitted| fitted.layout.smoothness()).collect()
    }

    #[test]
    fn the_kernel_is_as_smooth_as_the_losses() {
        assert_eq!(kernels(|x| (5.0 * x).sin()), [Smoothness::Always]);
        // The additive part, which is smooth with both kernels, makes the second one plausible too.
        assert_eq!(kernels(|x| (x - 0.4).abs()), [Smoothness::Twice, Smoothness::Always]);
    }
}
