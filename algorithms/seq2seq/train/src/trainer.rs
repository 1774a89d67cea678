//! The loop: updates and checkpoints until there is a reason to stop.

mod checkpointing;
#[cfg(test)]
pub(crate) mod tests;

use kokanee_algorithm::StopFlag;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use kokanee_contract::algorithms::seq2seq::{Hyperparameters, Metric};
use kokanee_kernels::{Precision, Team};
use kokanee_seq2seq_data::{BatchPlan, Corpus};
use kokanee_seq2seq_nn::random::Stream;
use kokanee_seq2seq_nn::{Batch, BatchLoss, Model};
use kokanee_tensor::Gradient;

use crate::averaging::Averaging;
use crate::divergence::{Divergence, Magnitudes, Place};
use crate::early_stopping::{EarlyStopping, NotImproved};
use crate::gradients;
use crate::lr_scheduler::LrScheduler;
use crate::observer::{Observer, Progress, RECENT_UPDATES, Throughput};
use crate::optim::{Optimizer, Step};
use crate::run_state::{Outcome, RunState};
use crate::validation::{TokenSums, Validation};
use crate::{StopReason, TrainError, precision};

pub use checkpointing::Keep;

/// Trains one model on one corpus. The state after every update is a pure function of hyperparameters, data and the number of
/// threads.
pub struct Trainer {
    model: Model,
    seed: u64,
    team: Arc<Team>,
    precision: Precision,
    optimizer: Optimizer,
    corpus: Corpus,
    plan: BatchPlan,
    batches_per_epoch: u64,
    /// Number of batches per update; the last update of an epoch may have fewer.
    batches_per_update: u64,
    /// The largest norm of all gradients together.
    norm_limit: Option<f64>,
    averaging: Option<Averaging>,
    /// The batches of the epoch used last.
    epoch: Option<(u64, Vec<Vec<u32>>)>,
    limits: Limits,
    early_stopping: EarlyStopping,
    metric: Metric,
    state: RunState,
    recent: VecDeque<Throughput>,
    /// The time up to which [`RunState::elapsed_seconds`] has been updated.
    clock: Instant,
    /// The update whose state was written last.
    saved: Option<u64>,
}

/// The limits of a run, and the interval of its checkpoints.
#[derive(Clone, Copy, Debug)]
struct Limits {
    checkpoint_every: u64,
    updates: Option<u64>,
    epochs: Option<u64>,
}

impl Trainer {
    /// Creates a trainer at the start of its run. Length limits were applied to `corpus`.
    ///
    /// # Errors
    /// When the plan holds no batch.
    pub fn new(
        model: Model,
        corpus: Corpus,
        plan: BatchPlan,
        h: &Hyperparameters,
        team: Arc<Team>,
    ) -> Result<Trainer, TrainError> {
        let batches_per_epoch = plan.batches_per_epoch() as u64;
        if batches_per_epoch == 0 {
            return Err(TrainError::NoPairs("there is no pair to train on".to_owned()));
        }
        Ok(Trainer {
            optimizer: Optimizer::new(h, model.parameters()),
            model,
            seed: h.seed,
            team,
            precision: precision::usable(h),
            corpus,
            plan,
            batches_per_epoch,
            batches_per_update: h.gradient_accumulation.max(1) as u64,
            norm_limit: gradients::norm_limit(h),
            averaging: Averaging::new(h),
            epoch: None,
            limits: Limits {
                checkpoint_every: h.checkpoint_frequency_num_batches.max(1),
                updates: u64::try_from(h.max_num_batches).ok(),
                epochs: h.max_num_epochs,
            },
            early_stopping: EarlyStopping::new(h),
            metric: h.optimized_metric,
            state: RunState {
                updates: 0,
                samples: 0,
                checkpoint_update: 0,
                sums: TokenSums::default(),
                sentences: 0,
                train_seconds: 0.0,
                scheduler: LrScheduler::new(h),
                not_improved: NotImproved::default(),
                best_value: None,
                best: None,
                elapsed_seconds: 0.0,
                history: Vec::new(),
            },
            recent: VecDeque::with_capacity(RECENT_UPDATES),
            clock: Instant::now(),
            saved: None,
        })
    }

    /// The dropout of a batch in an update is a function of the seed and both numbers: so a resumed run equals an uninterrupted one
    /// without any stored state.
    fn dropout_seed(&self, update: u64, batch: usize) -> u64 {
        let name = match batch {
            0 => format!("dropout of update {update}"),
            _ => format!("dropout of update {update}, batch {batch}"),
        };
        Stream::new(self.seed, &name).next_u64()
    }

    /// The number of updates in one pass through the training data.
    pub fn updates_per_epoch(&self) -> u64 {
        self.batches_per_epoch.div_ceil(self.batches_per_update)
    }

    /// The model, as of the beginning or the end of [`Trainer::run`], or of the last call of [`Trainer::settle`]: between updates,
    /// rows of embeddings that no batch has read lag behind.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Brings every parameter up to date after single updates.
    pub fn settle(&mut self) {
        self.optimizer.settle(&self.team, self.model.parameters_mut());
    }

    /// The state of the run.
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// Trains until there is a reason to stop. A run that was stopped on request can be resumed from the checkpoint folder in
    /// `keep`; so can one that reached a limit, with a higher limit.
    ///
    /// # Errors
    /// When the loss is not finite any more, or files cannot be written. The best model so far is kept in either case.
    pub fn run(
        &mut self,
        validation: &Validation,
        keep: &mut Keep,
        observer: &mut dyn Observer,
        stop: &StopFlag,
    ) -> Result<Outcome, TrainError> {
        self.clock = Instant::now();
        let reason = loop {
            if stop.is_requested() {
                break StopReason::Requested;
            }
            if self.checkpoint_is_due() && !self.scheduled_checkpoint(validation, keep, observer, stop)? {
                continue;
            }
            if let Some(reason) = self.reason_to_stop() {
                break reason;
            }
            let progress = self.update()?;
            observer.update(&progress);
        };
        self.finish(reason, validation, keep, observer, stop)
    }

    /// Makes one update.
    ///
    /// # Errors
    /// When the loss or a gradient is not finite: then training cannot continue.
    pub fn update(&mut self) -> Result<Progress, TrainError> {
        let started = Instant::now();
        let update = self.state.updates + 1;
        let learning_rate = self.state.scheduler.learning_rate(update);
        let updates_per_epoch = self.updates_per_epoch();
        let (epoch, index) = (self.state.updates / updates_per_epoch, self.state.updates % updates_per_epoch);
        let first = index * self.batches_per_update;
        let last = (first + self.batches_per_update).min(self.batches_per_epoch) - 1;
        let batches = self.batches(epoch, first as usize..last as usize + 1);
        let read: Vec<_> = batches.iter().flat_map(|batch| self.model.rows_read(batch)).collect();
        self.optimizer.catch_up(&self.team, self.model.parameters_mut(), &read);
        let mut loss = self.loss(update, &batches);
        let pairs = batches.iter().map(Batch::len).sum::<usize>();
        let mean = loss.nll_sum() / loss.tokens.len().max(1) as f64;
        let step = Step { update, learning_rate };
        let updated = mean.is_finite() && {
            if let Some(limit) = self.norm_limit {
                gradients::clip_to_norm(&self.team, &mut loss.gradients, limit);
            }
            self.optimizer.update(&self.team, self.model.parameters_mut(), &loss.gradients, step).is_ok()
        };
        if !updated {
            let gradients = Magnitudes::of_gradients(self.model.parameters(), &loss.gradients);
            let place = Place::Update { pairs, target_tokens: loss.tokens.len(), gradients };
            return Err(self.diverged(update, mean, place));
        }

        let work = Throughput {
            sentences: pairs as u64,
            target_tokens: loss.tokens.len() as u64,
            seconds: started.elapsed().as_secs_f64(),
        };
        let state = &mut self.state;
        state.updates = update;
        state.samples += work.sentences;
        state.sums.add(&loss.tokens);
        state.sentences += work.sentences;
        state.train_seconds += work.seconds;
        if self.recent.len() == RECENT_UPDATES {
            self.recent.pop_front();
        }
        self.recent.push_back(work);
        let mut recent = Throughput::default();
        self.recent.iter().for_each(|work| recent += *work);
        let every = self.limits.checkpoint_every;
        Ok(Progress {
            update,
            epoch,
            batch: last,
            batches_per_epoch: self.batches_per_epoch,
            updates_to_checkpoint: update.next_multiple_of(every) - update,
            updates_to_limit: self.last_update().map(|last| last.saturating_sub(update)),
            loss: mean,
            learning_rate,
            work,
            recent,
            train: self.state.sums.measures(),
        })
    }

    /// Some batches of an epoch.
    fn batches(&mut self, epoch: u64, range: Range<usize>) -> Vec<Batch> {
        let (model, corpus) = (&self.model, &self.corpus);
        let batches = match &mut self.epoch {
            Some((number, batches)) if *number == epoch => batches,
            other => &mut other.insert((epoch, self.plan.epoch(epoch))).1,
        };
        let batch = |pairs: &Vec<u32>| {
            let pairs = pairs.iter().map(|&pair| pair as usize);
            model.batch(pairs.map(|pair| (corpus.source(pair), corpus.target(pair))))
        };
        batches[range].iter().map(batch).collect()
    }

    /// Loss of all tokens of an update's batches, and the gradients of its mean: each batch is weighted by its tokens.
    fn loss(&self, update: u64, batches: &[Batch]) -> BatchLoss {
        let of = |number: usize| {
            let seed = self.dropout_seed(update, number);
            self.model.loss_and_gradients(&self.team, self.precision, &batches[number], seed)
        };
        if batches.len() == 1 {
            return of(0);
        }
        let all_tokens: usize = batches.iter().map(|batch| batch.labels.len()).sum();
        let mut tokens = Vec::with_capacity(all_tokens);
        let mut sums: Vec<Option<Gradient>> = Vec::new();
        sums.resize_with(self.model.parameters().len(), || None);
        for number in 0..batches.len() {
            let loss = of(number);
            let share = loss.tokens.len() as f64 / all_tokens.max(1) as f64;
            gradients::add(&self.team, &mut sums, loss.gradients, share as f32);
            tokens.extend(loss.tokens);
        }
        BatchLoss { tokens, gradients: sums }
    }

    fn diverged(&self, update: u64, loss: f64, place: Place) -> TrainError {
        let learning_rate = self.state.scheduler.learning_rate(update);
        TrainError::Diverged(Box::new(Divergence { update, learning_rate, loss, place, kept: self.kept() }))
    }

    /// The update that a limit makes the last one.
    fn last_update(&self) -> Option<u64> {
        let by_epochs = self.limits.epochs.map(|epochs| epochs.saturating_mul(self.updates_per_epoch()));
        self.limits.updates.into_iter().chain(by_epochs).min()
    }

    fn checkpoint_is_due(&self) -> bool {
        let RunState { updates, checkpoint_update, .. } = self.state;
        updates > checkpoint_update && updates.is_multiple_of(self.limits.checkpoint_every)
    }

    /// Checked before each update; early stopping only right after a checkpoint.
    fn reason_to_stop(&self) -> Option<StopReason> {
        let state = &self.state;
        let finished_epochs = state.updates / self.updates_per_epoch();
        if self.limits.updates.is_some_and(|limit| state.updates >= limit) {
            return Some(StopReason::MaxUpdates);
        }
        if self.limits.epochs.is_some_and(|limit| finished_epochs >= limit) {
            return Some(StopReason::MaxEpochs);
        }
        let at_checkpoint = state.updates > 0 && state.updates == state.checkpoint_update;
        let enough = at_checkpoint && self.early_stopping.says_stop(state.not_improved, finished_epochs);
        enough.then_some(StopReason::NoImprovement { checkpoints: state.not_improved.0 })
    }

    /// The model that is left if the run fails, as a sentence.
    fn kept(&self) -> String {
        match self.state.best {
            Some(best) => {
                format!("The model of checkpoint {} (update {}) is kept", best.checkpoint, best.update)
            }
            None => "There was no checkpoint yet, so no model is kept".to_owned(),
        }
    }
}
