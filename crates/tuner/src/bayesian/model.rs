//! Processes conditioned on the history: of losses, and of failures where there are any.

use super::evidence::Evidence;
use crate::gp::{Data, Effort, Fitted, Posterior, fit, refit, sample};
use crate::history::History;
use crate::options::Options;

/// The processes, and what they say of the history.
pub(crate) struct Model {
    /// Of losses, several with parameters that are about as likely.
    pub(super) losses: Vec<Losses>,
    /// Of labels: +1 for a trial that gave a value, -1 for one that failed. Nothing where none failed.
    pub(super) feasibility: Option<Posterior>,
    /// Measured points, the best expected first.
    pub(super) incumbents: Vec<Vec<f64>>,
    evidence: Evidence,
}

/// A process of losses.
pub(super) struct Losses {
    /// Conditioned on fantasies of running trials, too.
    pub(super) posterior: Posterior,
    /// The least expected loss among the measured and the running trials.
    pub(super) best: f64,
}

/// Evaluations of the likelihood for n points: a suggestion is to take less than 100 ms with 100 observations, 2 s with 500.
fn effort(n: usize) -> Effort {
    let evaluations = match n {
        0..=40 => 180,
        41..=80 => 90,
        81..=120 => 45,
        _ => 36,
    };
    Effort { points: 200, evaluations }
}

/// Draws of parameters beside the most likely ones for n points, and moves between two: what is averaged over costs as often.
fn draws(n: usize) -> (usize, usize) {
    match n {
        0..=40 => (9, 12),
        41..=80 => (6, 6),
        81..=120 => (3, 6),
        _ => (0, 0),
    }
}

/// A stream of random numbers of its own.
const SAMPLE_STREAM: u64 = 4;

impl Model {
    pub(super) fn new(history: &History<'_>, options: &Options) -> Self {
        let evidence = Evidence::new(history, options);
        let (data, fitted) = fit_losses(&evidence);
        let (count, moves) = draws(data.len());
        let drawn = sample(&data, &fitted, count, moves, &mut history.stream(SAMPLE_STREAM));
        // Of each measured point, the sum of what the processes expect.
        let mut sums = vec![0.0; evidence.incumbents.len()];
        let condition = |theta: Vec<f64>| {
            let mut posterior = Posterior::new(&data, fitted.layout.clone(), theta);
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
            Losses { posterior, best }
        };
        let losses = std::iter::once(fitted.theta.clone()).chain(drawn).map(condition).collect();
        let mut order: Vec<usize> = (0..sums.len()).collect();
        order.sort_by(|i, j| sums[*i].total_cmp(&sums[*j]));
        let incumbents = order.into_iter().map(|place| evidence.incumbents[place].clone()).collect();
        let feasibility = evidence.labels.targets.contains(&-1.0).then(|| {
            let fitted = fit(&evidence.labels, effort(evidence.labels.len()));
            Posterior::new(&evidence.labels, fitted.layout, fitted.theta)
        });
        Self { losses, feasibility, incumbents, evidence }
    }

    /// A point of the space as the processes take it.
    pub(super) fn asked(&self, point: &[f64]) -> Vec<f64> {
        self.evidence.asked(point)
    }
}

/// Fits parameters to the losses as they are and to their logarithms, and gives those under which the losses are likelier. A
/// transformation that made targets look normal would take noise among good losses for what matters most.
fn fit_losses(evidence: &Evidence) -> (Data, Fitted) {
    let (plain, bent) = (evidence.targets(1.0), evidence.targets(0.0));
    let mut data = evidence.measured.clone();
    data.targets = plain.values;
    let fitted = fit(&data, effort(data.len()));
    let mut logarithms = data.clone();
    logarithms.targets = bent.values;
    let refitted = refit(&logarithms, effort(data.len()), &fitted);
    if refitted.log_posterior + bent.log_slopes > fitted.log_posterior + plain.log_slopes {
        (logarithms, refitted)
    } else {
        (data, fitted)
    }
}
