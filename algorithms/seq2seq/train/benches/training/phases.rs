//! The time of an update by phase.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::{Precision, Team, work};
use kokanee_seq2seq_data::{BatchPlan, Corpus};
use kokanee_seq2seq_nn::Model;
use kokanee_seq2seq_train::optim::{Optimizer, Step};

/// Time and multiply-adds of one phase.
#[derive(Clone, Copy, Default)]
struct Phase {
    time: Duration,
    multiply_adds: u64,
}

/// Makes `count` updates like the trainer, phase by phase, after as many to warm up.
pub(crate) fn measure(
    mut model: Model,
    corpus: &Corpus,
    plan: &BatchPlan,
    h: &Hyperparameters,
    team: &Arc<Team>,
    precision: Precision,
    count: usize,
) -> String {
    let mut optimizer = Optimizer::new(h, model.parameters());
    let batches = (0..).flat_map(|epoch| plan.epoch(epoch));
    let mut phases = [Phase::default(); 3];
    for (update, pairs) in (1..).zip(batches.take(2 * count)) {
        if update == count as u64 + 1 {
            phases = Default::default();
        }
        let [data, gradient, step] = &mut phases;
        let batch = data.of(|| {
            let pairs = pairs.iter().map(|&pair| pair as usize);
            model.batch(pairs.map(|pair| (corpus.source(pair), corpus.target(pair))))
        });
        let read = model.rows_read(&batch);
        step.of(|| optimizer.catch_up(team, model.parameters_mut(), &read));
        let loss = gradient.of(|| model.loss_and_gradients(team, precision, &batch, update));
        let rate = Step { update, learning_rate: h.learning_rate };
        let updated = step.of(|| optimizer.update(team, model.parameters_mut(), &loss.gradients, rate));
        assert!(updated.is_ok(), "gradients of update {update} are no numbers");
    }
    let [data, gradient, step] = phases;
    let total = data.time + gradient.time + step.time;
    let mut text = format!("an update by phase, mean of {count} (batches as in the first epoch):\n");
    let phases = [("data", data), ("gradients", gradient), ("optimizer", step)];
    for (name, phase) in phases {
        let seconds = phase.time.as_secs_f64();
        let _ = writeln!(
            text,
            "  {name:<10} {:>8.2} ms {:>5.1}% {:>6.0} GFLOP/s",
            1e3 * seconds / count as f64,
            100.0 * seconds / total.as_secs_f64(),
            2.0 * phase.multiply_adds as f64 / seconds / 1e9
        );
    }
    text
}

impl Phase {
    fn of<T>(&mut self, phase: impl FnOnce() -> T) -> T {
        let (started, before) = (Instant::now(), work::multiply_adds());
        let result = phase();
        self.time += started.elapsed();
        self.multiply_adds += work::multiply_adds().wrapping_sub(before);
        result
    }
}
