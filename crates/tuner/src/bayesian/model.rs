//! What the history says: a process of losses, and one of failures where there are any.

use crate::gp::{Column, Data, Effort, Normalized, Posterior, fit};
use crate::history::History;
use crate::options::{Options, WarmStart};
use crate::space::Range;
use crate::trial::{Outcome, Source};

/// The processes, conditioned on the history, and what they say of it.
pub(crate) struct Model {
    /// Of losses, fantasies of running trials included.
    pub(crate) losses: Posterior,
    /// Of failures: +1 for a trial that gave a value, -1 for one that failed. Nothing where none failed.
    pub(crate) feasibility: Option<Posterior>,
    /// The least expected loss among the measured and running trials.
    pub(crate) best: f64,
    /// Measured points, the best expected first.
    pub(crate) incumbents: Vec<Vec<f64>>,
    /// What is added to a point of the space: the tuning that it is of, where parents' trials are of others.
    task: Option<f64>,
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

/// The coordinate of a tuning among those of a warm start; this one's is 0.
fn task(source: Source) -> f64 {
    match source {
        Source::Own => 0.0,
        Source::Parent(place) => place as f64 + 1.0,
    }
}

impl Model {
    pub(crate) fn new(history: &History<'_>, options: &Options) -> Self {
        let transfers = options.warm_start == WarmStart::TransferLearning
            && history.trials.iter().any(|trial| trial.source != Source::Own);
        let columns = columns(history, transfers);
        let model_point = |values: &[_], source| {
            let mut point = history.space.encode(values);
            point.extend(transfers.then(|| task(source)));
            point
        };
        let (losses, sources): (Vec<f64>, Vec<Source>) = history
            .trials
            .iter()
            .filter_map(|trial| Some((options.goal.loss(trial.value()?), trial.source)))
            .unzip();
        let targets =
            if transfers { normalized_apart(&losses, &sources) } else { Normalized::new(&losses).values };
        let mut data = Data::new(columns.clone());
        let mut labels = Data::new(columns);
        let mut points = Vec::new();
        let mut targets_left = targets.iter();
        for trial in &history.trials {
            let point = model_point(&trial.values, trial.source);
            if trial.value().is_some() {
                data.push(&point, targets_left.next().copied().unwrap_or_default());
                labels.push(&point, 1.0);
                points.push((history.space.encode(&trial.values), trial.source));
            } else if trial.has_failed() {
                labels.push(&point, -1.0);
            }
        }
        let (layout, theta) = fit(&data, effort(data.len()));
        let mut losses = Posterior::new(&data, layout, theta);
        let task = transfers.then_some(0.0);
        let has_own = points.iter().any(|(_, source)| *source == Source::Own);
        let mut incumbents: Vec<(f64, Vec<f64>)> = points
            .into_iter()
            // What parents found stands in until this tuning has values.
            .filter(|(_, source)| !transfers || !has_own || *source == Source::Own)
            .map(|(point, _)| {
                let mut asked = point.clone();
                asked.extend(task);
                (losses.predict(&asked).0, point)
            })
            .collect();
        incumbents.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut best = incumbents.first().map_or(0.0, |(mean, _)| *mean);
        for trial in history.trials.iter().filter(|trial| trial.outcome == Outcome::Running) {
            let point = model_point(&trial.values, trial.source);
            best = best.min(losses.predict(&point).0);
            losses.fantasise(&point);
        }
        let feasibility = labels.targets.contains(&-1.0).then(|| {
            let (layout, theta) = fit(&labels, effort(labels.len()));
            Posterior::new(&labels, layout, theta)
        });
        let incumbents = incumbents.into_iter().map(|(_, point)| point).collect();
        Self { losses, feasibility, best, incumbents, task }
    }

    /// The point of the space as the processes take it.
    pub(super) fn asked(&self, point: &[f64]) -> Vec<f64> {
        point.iter().copied().chain(self.task).collect()
    }
}

fn columns(history: &History<'_>, transfers: bool) -> Vec<Column> {
    let column = |range: &Range| match range {
        Range::Categorical { .. } => Column::Category,
        _ => Column::Number,
    };
    let own = history.space.dimensions().iter().map(|dimension| column(dimension.range()));
    own.chain(transfers.then_some(Column::Category)).collect()
}

/// Each tuning's losses normalised on their own.
fn normalized_apart(losses: &[f64], sources: &[Source]) -> Vec<f64> {
    let mut targets = vec![0.0; losses.len()];
    let mut seen = Vec::new();
    for source in sources {
        if seen.contains(source) {
            continue;
        }
        seen.push(*source);
        let places: Vec<usize> = (0..losses.len()).filter(|place| sources[*place] == *source).collect();
        let group: Vec<f64> = places.iter().map(|place| losses[*place]).collect();
        for (place, value) in places.iter().zip(Normalized::new(&group).values) {
            targets[*place] = value;
        }
    }
    targets
}
