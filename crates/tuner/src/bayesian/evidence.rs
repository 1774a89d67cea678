//! The history as points and losses.

use crate::gp::{Column, Data, Normalized};
use crate::history::History;
use crate::options::{Options, WarmStart};
use crate::space::Range;
use crate::trial::{Outcome, Source, Trial};

/// The history in the form that the processes take.
pub(super) struct Evidence {
    /// Trials with losses, \[n\]; [`Evidence::targets`] computes the targets.
    pub(super) measured: Data,
    losses: Vec<f64>,
    sources: Vec<Source>,
    /// +1 for each trial that gave a value, -1 for each that failed.
    pub(super) labels: Data,
    /// Running trials, and those whose losses cannot be compared yet.
    pub(super) expected: Vec<Vec<f64>>,
    /// The points of the space that the best one is chosen from: this tuning's, or all where parents' trials are equivalent.
    pub(super) incumbents: Vec<Vec<f64>>,
    /// The coordinate added to a point of the space for its tuning, where parents' trials belong to other tunings.
    task: Option<f64>,
    /// Whether each tuning's losses have their own scale.
    is_apart: bool,
}

/// The minimum number of losses that give a tuning its own scale.
const LEAST_TO_SCALE: usize = 3;

impl Evidence {
    pub(super) fn new(history: &History<'_>, options: &Options) -> Self {
        let transfers = options.warm_start == WarmStart::TransferLearning
            && history.trials.iter().any(|trial| trial.source != Source::Own);
        let values = |own: bool| {
            let is_one = |trial: &&&Trial| trial.value().is_some() && (trial.source == Source::Own) == own;
            history.trials.iter().filter(is_one).count()
        };
        let own_has_scale = !transfers || values(true) >= LEAST_TO_SCALE || values(false) < LEAST_TO_SCALE;
        // Before that, nothing distinguishes this tuning from its parents.
        let has_tasks = transfers && own_has_scale;
        let columns = columns(history, has_tasks);
        let mut evidence = Self {
            measured: Data::new(columns.clone()),
            losses: Vec::new(),
            sources: Vec::new(),
            labels: Data::new(columns),
            expected: Vec::new(),
            incumbents: Vec::new(),
            task: has_tasks.then_some(0.0),
            is_apart: transfers,
        };
        for trial in &history.trials {
            let is_own = trial.source == Source::Own;
            let mut point = history.space.encode(&trial.values);
            let in_space = point.clone();
            point.extend(has_tasks.then(|| task_of(trial.source)));
            match trial.value() {
                Some(value) => {
                    evidence.labels.push(&point, 1.0);
                    if is_own && !own_has_scale {
                        evidence.expected.push(point);
                        continue;
                    }
                    evidence.measured.push(&point, 0.0);
                    evidence.losses.push(options.goal.loss(value));
                    evidence.sources.push(trial.source);
                    // The parents' points are used until this tuning has values.
                    if is_own || !transfers || !own_has_scale || values(true) == 0 {
                        evidence.incumbents.push(in_space);
                    }
                }
                None if trial.has_failed() => evidence.labels.push(&point, -1.0),
                None if trial.outcome == Outcome::Running => evidence.expected.push(point),
                None => {}
            }
        }
        evidence
    }

    /// Normalised losses of the measured trials; where parents' trials belong to other tunings, each tuning's losses are normalised
    /// separately.
    pub(super) fn targets(&self, exponent: f64) -> Normalized {
        if !self.is_apart {
            return Normalized::new(&self.losses, exponent);
        }
        let mut all = Normalized { values: vec![0.0; self.losses.len()], log_slopes: 0.0 };
        let mut seen = Vec::new();
        for source in &self.sources {
            if seen.contains(source) {
                continue;
            }
            seen.push(*source);
            let places: Vec<usize> =
                (0..self.losses.len()).filter(|place| self.sources[*place] == *source).collect();
            let group: Vec<f64> = places.iter().map(|place| self.losses[*place]).collect();
            let normalized = Normalized::new(&group, exponent);
            all.log_slopes += normalized.log_slopes;
            for (place, value) in places.iter().zip(normalized.values) {
                all.values[*place] = value;
            }
        }
        all
    }

    /// A point of the space in the form that the processes take.
    pub(super) fn asked(&self, point: &[f64]) -> Vec<f64> {
        point.iter().copied().chain(self.task).collect()
    }
}

fn columns(history: &History<'_>, has_tasks: bool) -> Vec<Column> {
    let column = |range: &Range| match range {
        Range::Categorical { .. } => Column::Category,
        _ => Column::Number,
    };
    let own = history.space.dimensions().iter().map(|dimension| column(dimension.range()));
    own.chain(has_tasks.then_some(Column::Category)).collect()
}

/// The coordinate of a tuning among those of a warm start; this tuning's is 0.
fn task_of(source: Source) -> f64 {
    match source {
        Source::Own => 0.0,
        Source::Parent(place) => place as f64 + 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dimension, Goal, Scale, Space, Value};

    #[track_caller]
    fn check(warm_start: WarmStart, own: &[f64], measured: &[f64], incumbents: usize) {
        let space = Space::new(vec![Dimension::continuous("x", 0.0, 1.0, Scale::Linear)]).unwrap();
        let trial = |place: usize, value: f64, source| Trial {
            values: vec![Value::Real(place as f64 / 10.0)],
            outcome: Outcome::Finished(value),
            source,
        };
        let parents = [100.0, 200.0, 300.0].into_iter().enumerate();
        let mut trials: Vec<Trial> = parents.map(|(i, v)| trial(i, v, Source::Parent(4))).collect();
        trials.extend(own.iter().enumerate().map(|(i, v)| trial(i + 5, *v, Source::Own)));
        let options = Options { warm_start, ..Options::bayesian(Goal::Minimize) };
        let evidence = Evidence::new(&History::new(&space, &trials, 0), &options);
        let targets = evidence.targets(1.0).values;
        assert_eq!(targets.len(), measured.len());
        assert!(targets.iter().zip(measured).all(|(a, b)| (a - b).abs() < 1e-3), "{targets:?}");
        assert_eq!(evidence.incumbents.len(), incumbents);
        assert_eq!(evidence.expected.len() + measured.len(), trials.len());
        assert_eq!(evidence.labels.len(), trials.len());
    }

    #[test]
    fn each_tuning_has_a_scale_of_its_own_where_data_differ() {
        let z = 1.224_74;
        check(WarmStart::TransferLearning, &[3.0, 1.0, 2.0], &[-z, 0.0, z, z, -z, 0.0], 3);
        // Two losses have no scale yet; the parents' results are used.
        check(WarmStart::TransferLearning, &[3.0, 1.0], &[-z, 0.0, z], 3);
        check(WarmStart::TransferLearning, &[], &[-z, 0.0, z], 3);
        let all = [-0.5, 0.5, 1.5, -1.5];
        let root = (all.iter().map(|v| v * v).sum::<f64>() / 4.0).sqrt();
        check(WarmStart::IdenticalDataAndAlgorithm, &[0.0], &all.map(|v| v / root), 4);
    }
}
