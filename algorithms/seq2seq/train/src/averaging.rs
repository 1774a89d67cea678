//! The average of several checkpoints' parameters, which is often better than each of them.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::{CheckpointAveragingStrategy, Hyperparameters, Metric};
use kokanee_seq2seq_nn::{Model, Parameters};
use kokanee_tensor::Tensor;

use crate::report::{Best, CheckpointReport};

/// The rule for choosing the checkpoints that are averaged (Sockeye 1.x, `sockeye.average`).
#[derive(Clone, Copy, Debug)]
pub struct Averaging {
    count: usize,
    strategy: CheckpointAveragingStrategy,
    metric: Metric,
}

impl Averaging {
    /// The rule according to hyperparameters; none without averaging.
    pub fn new(h: &Hyperparameters) -> Option<Averaging> {
        (h.checkpoint_averaging > 1).then_some(Averaging {
            count: h.checkpoint_averaging,
            strategy: h.checkpoint_averaging_strategy,
            metric: h.optimized_metric,
        })
    }

    /// The checkpoints to average if training ended now, ascending.
    pub fn chosen(&self, history: &[CheckpointReport], best: Option<Best>) -> Vec<u64> {
        let mut chosen = match self.strategy {
            CheckpointAveragingStrategy::Best => self.best(history),
            CheckpointAveragingStrategy::Last => {
                best.map_or(Vec::new(), |best| self.up_to(best.checkpoint, history))
            }
        };
        chosen.sort_unstable();
        chosen
    }

    /// The checkpoints that may be chosen now or later: only their parameters need to be kept.
    pub fn candidates(&self, history: &[CheckpointReport], best: Option<Best>) -> Vec<u64> {
        let mut candidates = self.chosen(history, best);
        if self.strategy == CheckpointAveragingStrategy::Last
            && let Some(last) = history.last()
        {
            candidates.extend(self.up_to(last.checkpoint, history));
            candidates.sort_unstable();
            candidates.dedup();
        }
        candidates
    }

    /// The checkpoints with the best values; of equal ones the first.
    fn best(&self, history: &[CheckpointReport]) -> Vec<u64> {
        let mut measured: Vec<(f64, u64)> = history
            .iter()
            .filter_map(|report| Some((report.validation.get(self.metric)?, report.checkpoint)))
            .collect();
        measured.sort_by(|&(a, _), &(b, _)| match (self.metric.improves(a, b), self.metric.improves(b, a)) {
            (true, _) => Ordering::Less,
            (_, true) => Ordering::Greater,
            _ => Ordering::Equal,
        });
        measured.into_iter().take(self.count).map(|(_, checkpoint)| checkpoint).collect()
    }

    /// A checkpoint and the ones right before it.
    fn up_to(&self, last: u64, history: &[CheckpointReport]) -> Vec<u64> {
        let first = last.saturating_sub(self.count as u64 - 1);
        let numbers = history.iter().map(|report| report.checkpoint);
        numbers.filter(|number| (first..=last).contains(number)).collect()
    }
}

/// Adds up parameters to compute their mean.
pub(crate) struct Mean {
    sums: Vec<Tensor>,
    count: usize,
}

impl Mean {
    pub(crate) fn new(parameters: &Parameters) -> Mean {
        let sums = parameters.iter().map(|p| Tensor::lasting(p.value.shape().clone())).collect();
        Mean { sums, count: 0 }
    }

    /// Adds a model's parameters.
    pub(crate) fn add(&mut self, parameters: &Parameters) {
        self.count += 1;
        for (sum, parameter) in self.sums.iter_mut().zip(parameters.iter()) {
            let values = parameter.value.data();
            sum.data_mut().iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
    }

    /// Adds parameters by name, which must be those of `model`; the model's own are overwritten.
    pub(crate) fn add_named(
        &mut self,
        model: &mut Model,
        named: HashMap<String, Tensor>,
    ) -> Result<(), String> {
        model.parameters_mut().load(named).map_err(|mismatch| mismatch.to_string())?;
        self.add(model.parameters());
        Ok(())
    }

    /// Returns `model` with the mean as its parameters.
    pub(crate) fn into_model(self, mut model: Model) -> Model {
        let divisor = self.count.max(1) as f32;
        for (parameter, mut sum) in model.parameters_mut().iter_mut().zip(self.sums) {
            sum.data_mut().iter_mut().for_each(|x| *x /= divisor);
            parameter.value = Arc::new(sum);
        }
        model
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Measures;

    /// Checks histories with a checkpoint for each value (none if it was not measured): which are chosen, and which are kept for
    /// later.
    #[track_caller]
    fn check(strategy: CheckpointAveragingStrategy, values: &[f64], chosen: &[u64], candidates: &[u64]) {
        let h = Hyperparameters {
            checkpoint_averaging: 3,
            checkpoint_averaging_strategy: strategy,
            ..Hyperparameters::default()
        };
        let averaging = Averaging::new(&h).unwrap();
        let mut best: Option<Best> = None;
        let mut history = Vec::new();
        let mut kept: Vec<u64> = Vec::new();
        for (checkpoint, &value) in (1..).zip(values) {
            let value = Some(value).filter(|value| value.is_finite());
            let validation = Measures { perplexity: value, ..Measures::default() };
            history.push(CheckpointReport { checkpoint, validation, ..CheckpointReport::default() });
            if value.is_some_and(|v| best.and_then(|best| best.value).is_none_or(|b| v < b)) {
                best = Some(Best { checkpoint, update: checkpoint, value });
            }
            // Nothing is ever chosen that was dropped before.
            let now = averaging.candidates(&history, best);
            assert!(now.iter().all(|c| *c == checkpoint || kept.contains(c)), "{now:?} of {kept:?}");
            let ready = averaging.chosen(&history, best);
            assert!(ready.iter().all(|c| now.contains(c)), "{ready:?} of {now:?}");
            kept = now;
        }
        assert_eq!(averaging.chosen(&history, best), chosen, "{values:?}");
        assert_eq!(kept, candidates, "{values:?}");
    }

    #[test]
    fn checkpoints_are_chosen_by_strategy() {
        use CheckpointAveragingStrategy::{Best, Last};
        check(Best, &[5.0, 4.0, 6.0, 3.0, 7.0], &[1, 2, 4], &[1, 2, 4]);
        check(Best, &[5.0, 5.0, 5.0, 5.0], &[1, 2, 3], &[1, 2, 3]);
        check(Best, &[f64::NAN, 5.0], &[2], &[2]);
        check(Last, &[5.0, 4.0, 6.0, 3.0, 7.0, 8.0], &[2, 3, 4], &[2, 3, 4, 5, 6]);
        check(Last, &[1.0, 4.0, 6.0, 3.0, 7.0, 8.0], &[1], &[1, 4, 5, 6]);
        check(Last, &[3.0, 2.0], &[1, 2], &[1, 2]);
        assert!(Averaging::new(&Hyperparameters::default()).is_none());
    }
}
