//! The work of a trainer at checkpoints, at the end, and when resuming from an earlier state.

use kokanee_algorithm::StopFlag;
use std::time::{Duration, Instant};

use kokanee_contract::algorithms::seq2seq::Metric;
use kokanee_seq2seq_nn::Model;

use super::Trainer;
use crate::averaging::Mean;
use crate::checkpoint::{BestModel, CheckpointFolder, LoadedState};
use crate::divergence::{Magnitudes, Place};
use crate::model_folder::ModelFolder;
use crate::observer::{Level, Observer};
use crate::report::{AverageReport, Best, CheckpointReport, Measures, Report};
use crate::run_state::{Outcome, RunState};
use crate::validation::{Extent, Validation};
use crate::{StopReason, TrainError};

/// The time in which a stopping run may measure a model that was never measured. SageMaker leaves 120 seconds from the request to
/// the end, which must also include an update, writing the model twice, and packing it.
const MEASURE_WHEN_STOPPING: Duration = Duration::from_secs(20);

/// The places for the results of a run.
pub struct Keep {
    /// The best model.
    pub model: ModelFolder,
    /// The state to resume from.
    pub checkpoints: CheckpointFolder,
}

impl Trainer {
    /// Resumes from an earlier state; the model that it kept as best is written to this run's folder again, which may be another
    /// one.
    ///
    /// # Errors
    /// When the state does not fit this trainer's model and optimizer, or the best model cannot be written.
    pub fn resume(&mut self, loaded: LoadedState, keep: &mut Keep) -> Result<(), TrainError> {
        let damaged = |problem: String| TrainError::DamagedState { path: loaded.folder.clone(), problem };
        loaded.run.check().map_err(damaged)?;
        let misfit = |what: &str, problem: &dyn std::fmt::Display| damaged(format!("{what}: {problem}"));
        if let (Some(best), Some(tensors)) = (loaded.run.best, loaded.best) {
            let config = self.model.config().clone();
            let model = Model::with_parameters(config, tensors).map_err(|e| misfit("best model", &e))?;
            let report = loaded.run.history.iter().find(|report| report.checkpoint == best.checkpoint);
            let report =
                report.ok_or_else(|| damaged("its best checkpoint is not in its history".to_owned()))?;
            let history = Report::new(self.metric, Some(best), loaded.run.history.clone());
            keep.model.save(&model, report.summary(), &history)?;
        }
        self.model.parameters_mut().load(loaded.parameters).map_err(|e| misfit("parameters", &e))?;
        for (kind, tensors) in loaded.optimizer {
            self.optimizer
                .load(&kind, self.model.parameters(), tensors)
                .map_err(|e| misfit("optimizer", &e))?;
        }
        self.saved = Some(loaded.run.updates);
        self.state = loaded.run;
        Ok(())
    }

    /// Makes a checkpoint of the schedule, and writes the state after it. Returns false when a request to stop came meanwhile: then
    /// nothing has changed, and the checkpoint is still due when the run is resumed.
    pub(super) fn scheduled_checkpoint(
        &mut self,
        validation: &Validation,
        keep: &mut Keep,
        observer: &mut dyn Observer,
        stop: &StopFlag,
    ) -> Result<bool, TrainError> {
        self.settle();
        let go_on = || !stop.is_requested();
        let before = self.state.scheduler.base_rate();
        let Some(report) = self.checkpoint(validation, Extent::Full, &go_on, keep, observer)? else {
            return Ok(false);
        };
        self.save_state(keep)?;
        observer.checkpoint(&report);
        let after = self.state.scheduler.base_rate();
        if after != before {
            observer.message(Level::Info, &format!("learning rate reduced from {before:?} to {after:?}"));
        }
        Ok(true)
    }

    /// Ends the run. Unless it was asked to stop, the updates since the last checkpoint get their own checkpoint. That one is off
    /// the schedule, so the state is written before it: resuming with a higher limit is as if the limit had always been there.
    pub(super) fn finish(
        &mut self,
        mut reason: StopReason,
        validation: &Validation,
        keep: &mut Keep,
        observer: &mut dyn Observer,
        stop: &StopFlag,
    ) -> Result<Outcome, TrainError> {
        self.settle();
        if self.state.updates > 0 && self.saved != Some(self.state.updates) {
            self.save_state(keep)?;
        }
        let trailing = self.state.updates > self.state.checkpoint_update;
        if reason != StopReason::Requested && trailing {
            let go_on = || !stop.is_requested();
            match self.checkpoint(validation, Extent::Full, &go_on, keep, observer)? {
                Some(report) => observer.checkpoint(&report),
                None => reason = StopReason::Requested,
            }
        }
        if reason == StopReason::Requested && trailing && self.state.best.is_none() {
            self.keep_unmeasured(validation, keep, observer)?;
        }
        let mut best = self.state.best;
        let average = match reason {
            StopReason::Requested => None,
            _ => self.average(validation, keep, observer, stop)?,
        };
        if let Some(average) = average.as_ref().filter(|average| average.kept) {
            best = self.best_of(average);
        }
        self.keep_time();
        let mut report = self.report();
        (report.stop_reason, report.best, report.average) = (Some(reason), best, average.clone());
        if best.is_some() {
            keep.model.write_report(&report)?;
            keep.model.pack()?;
        } else {
            observer
                .message(Level::Warning, "training was stopped before its first update: there is no model");
        }
        let outcome = Outcome {
            reason,
            updates: self.state.updates,
            best,
            average,
            metric: self.metric,
            elapsed_seconds: self.state.elapsed_seconds,
            resumable: self.saved.is_some(),
        };
        observer.finished(&outcome);
        Ok(outcome)
    }

    /// Writes a model for a run that is stopped before its first checkpoint, measured as far as time allows.
    fn keep_unmeasured(
        &mut self,
        validation: &Validation,
        keep: &mut Keep,
        observer: &mut dyn Observer,
    ) -> Result<(), TrainError> {
        let deadline = Instant::now() + MEASURE_WHEN_STOPPING;
        let in_time = || Instant::now() < deadline;
        if let Some(report) = self.checkpoint(validation, Extent::WithoutBleu, &in_time, keep, observer)? {
            observer.checkpoint(&report);
            return Ok(());
        }
        observer.message(
            Level::Warning,
            "no time was left to measure the model on the validation data before stopping",
        );
        let report = self.take_note(Measures::default(), 0.0);
        keep.model.save(&self.model, report.summary(), &self.report())
    }

    /// Measures the model, and keeps it if it is the best. `None` when `go_on` returned false before anything changed.
    fn checkpoint(
        &mut self,
        validation: &Validation,
        extent: Extent,
        go_on: &dyn Fn() -> bool,
        keep: &mut Keep,
        observer: &mut dyn Observer,
    ) -> Result<Option<CheckpointReport>, TrainError> {
        observer.checkpoint_begins(self.state.history.len() as u64 + 1);
        let started = Instant::now();
        let Some(measures) = validation.measure(&self.model, &self.team, extent, go_on)? else {
            return Ok(None);
        };
        if measures.perplexity.is_none() && measures.target_tokens > 0 {
            // The parameters are not finite any more: such a model is worse than none.
            let parameters = Magnitudes::of_parameters(self.model.parameters());
            return Err(self.diverged(self.state.updates, f64::NAN, Place::Validation { parameters }));
        }
        let report = self.take_note(measures, started.elapsed().as_secs_f64());
        if self.state.best.is_some_and(|best| best.checkpoint == report.checkpoint) {
            keep.model.save(&self.model, report.summary(), &self.report())?;
        } else {
            keep.model.write_report(&self.report())?;
        }
        Ok(Some(report))
    }

    /// Updates the state with a checkpoint: improvement, learning rate, counts, history.
    fn take_note(&mut self, validation: Measures, validation_seconds: f64) -> CheckpointReport {
        self.keep_time();
        self.recent.clear();
        let updates_per_epoch = self.updates_per_epoch();
        let state = &mut self.state;
        let value = validation.get(self.metric);
        let improved = improves(self.metric, value, state.best_value);
        let checkpoint = state.history.len() as u64 + 1;
        if improved {
            state.best_value = value;
        }
        // Even a model that is bad by its metric is better than none.
        if improved || state.best.is_none() {
            state.best = Some(Best { checkpoint, update: state.updates, value });
        }
        let learning_rate = state.scheduler.learning_rate(state.updates);
        state.scheduler.checkpoint(improved, state.updates);
        state.not_improved.checkpoint(improved);
        let sums = std::mem::take(&mut state.sums);
        let train_seconds = std::mem::take(&mut state.train_seconds);
        let sentences = std::mem::take(&mut state.sentences);
        let per_second = |count: u64| if train_seconds > 0.0 { count as f64 / train_seconds } else { 0.0 };
        let report = CheckpointReport {
            checkpoint,
            update: state.updates,
            epoch: state.updates.saturating_sub(1) / updates_per_epoch,
            samples: state.samples,
            learning_rate,
            next_learning_rate: state.scheduler.learning_rate(state.updates + 1),
            train: sums.measures(),
            validation,
            improved,
            not_improved: state.not_improved.0,
            train_seconds,
            validation_seconds,
            elapsed_seconds: state.elapsed_seconds,
            sentences_per_second: per_second(sentences),
            target_tokens_per_second: per_second(sums.tokens()),
        };
        state.checkpoint_update = state.updates;
        state.history.push(report.clone());
        report
    }

    /// Averages checkpoints if that was asked for, and keeps the average if it is better than the best of them. The state does not
    /// contain it: a run that is resumed with a higher limit continues from the trained parameters.
    fn average(
        &mut self,
        validation: &Validation,
        keep: &mut Keep,
        observer: &mut dyn Observer,
        stop: &StopFlag,
    ) -> Result<Option<AverageReport>, TrainError> {
        let Some(averaging) = &self.averaging else { return Ok(None) };
        let chosen = averaging.chosen(&self.state.history, self.state.best);
        if chosen.len() < 2 {
            let text = "checkpoints are not averaged: there is only one that could be";
            observer.message(Level::Warning, text);
            return Ok(None);
        }
        let mut model = Model::zeros(self.model.config().clone())?;
        let mut mean = Mean::new(self.model.parameters());
        for &checkpoint in &chosen {
            if self.is_checkpoint(checkpoint) {
                mean.add(self.model.parameters());
            } else {
                let (path, tensors) = keep.checkpoints.load_kept(checkpoint)?;
                mean.add_named(&mut model, tensors)
                    .map_err(|problem| TrainError::DamagedState { path, problem })?;
            }
        }
        let model = mean.into_model(model);
        let go_on = || !stop.is_requested();
        let Some(measures) = validation.measure(&model, &self.team, Extent::Full, &go_on)? else {
            observer.message(Level::Warning, "checkpoints are not averaged: a stop was requested meanwhile");
            return Ok(None);
        };
        let (value, best) = (measures.get(self.metric), self.state.best_value);
        let kept = improves(self.metric, value, best);
        let report = AverageReport { checkpoints: chosen, validation: measures, kept };
        if kept && let Some(last) = self.last_of(&report) {
            let summary = CheckpointReport { validation: measures, ..last.clone() }.summary();
            let average = (self.best_of(&report), Some(report.clone()));
            let mut history = self.report();
            (history.best, history.average) = average;
            keep.model.save(&model, summary, &history)?;
        }
        let shown =
            |value: Option<f64>| value.map_or("not measured".to_owned(), |value| format!("{value:.6}"));
        let text = format!(
            "average of checkpoints {}: validation {} {}, best checkpoint {}: {}",
            report.checkpoints.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
            self.metric,
            shown(value),
            shown(best),
            if kept {
                "the average is kept as the best model"
            } else {
                "the best checkpoint stays the model"
            },
        );
        observer.message(Level::Info, &text);
        Ok(Some(report))
    }

    /// Whether the parameters are those of this checkpoint.
    fn is_checkpoint(&self, number: u64) -> bool {
        let last = self.state.history.last();
        last.is_some_and(|last| last.checkpoint == number && last.update == self.state.updates)
    }

    fn last_of(&self, average: &AverageReport) -> Option<&CheckpointReport> {
        let last = average.checkpoints.last()?;
        self.state.history.iter().find(|report| report.checkpoint == *last)
    }

    fn best_of(&self, average: &AverageReport) -> Option<Best> {
        let CheckpointReport { checkpoint, update, .. } = *self.last_of(average)?;
        Some(Best { checkpoint, update, value: average.validation.get(self.metric) })
    }

    fn save_state(&mut self, keep: &mut Keep) -> Result<(), TrainError> {
        self.keep_time();
        let best = match self.state.best {
            None => BestModel::None,
            Some(best) if best.update == self.state.updates => BestModel::Current,
            Some(_) => BestModel::Earlier,
        };
        let averaging = self.averaging.as_ref();
        let candidates = averaging.map_or(Vec::new(), |a| a.candidates(&self.state.history, self.state.best));
        keep.checkpoints.save(&self.state, self.model.parameters(), &self.optimizer, best, &candidates)?;
        self.saved = Some(self.state.updates);
        Ok(())
    }

    fn report(&self) -> Report {
        let RunState { best, history, .. } = &self.state;
        Report::new(self.metric, *best, history.clone())
    }

    fn keep_time(&mut self) {
        self.state.elapsed_seconds += self.clock.elapsed().as_secs_f64();
        self.clock = Instant::now();
    }
}

/// Whether a value is strictly better than all before; one that could not be measured never is.
fn improves(metric: Metric, value: Option<f64>, best: Option<f64>) -> bool {
    value.is_some_and(|value| metric.improves(value, best.unwrap_or(metric.worst())))
}
