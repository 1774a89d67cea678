//! Where the time of an update goes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kokanee_contract::Hyperparameters;
use kokanee_data::{BatchPlan, Corpus};
use kokanee_kernels::{Team, work};
use kokanee_nn::Model;
use kokanee_train::gradients;
use kokanee_train::optim::{Optimizer, Step};

/// Time and multiply-adds of one phase.
#[derive(Clone, Copy, Default)]
struct Phase {
    time: Duration,
    multiply_adds: u64,
}

/// Does `count` updates as the trainer does them, phase by phase, after as many to warm up.
///
/// The forward pass is that without a tape; what recording it costs, and the gradients of the output layer, which are made in the
/// forward pass, count as backward.
pub(crate) fn measure(
    mut model: Model,
    corpus: &Corpus,
    plan: &BatchPlan,
    h: &Hyperparameters,
    team: &Arc<Team>,
    count: usize,
) -> String {
    let mut optimizer = Optimizer::new(h, model.parameters());
    let batches = (0..).flat_map(|epoch| plan.epoch(epoch));
    let mut phases = [Phase::default(); 5];
    for (update, pairs) in (1..).zip(batches.take(2 * count)) {
        if update == count as u64 + 1 {
            phases = Default::default();
        }
        let [data, forward, both, norm, step] = &mut phases;
        let batch = data.of(|| {
            let pairs = pairs.iter().map(|&pair| pair as usize);
            model.batch(pairs.map(|pair| (corpus.source(pair), corpus.target(pair))))
        });
        forward.of(|| model.loss(team, &batch));
        let loss = both.of(|| model.loss_and_gradients(team, &batch, update));
        norm.of(|| gradients::norm(team, &loss.gradients));
        let rate = Step { update, learning_rate: h.learning_rate };
        step.of(|| optimizer.update(team, model.parameters_mut(), &loss.gradients, rate));
    }
    let [data, forward, both, norm, step] = phases;
    let backward = Phase {
        time: both.time.saturating_sub(forward.time),
        multiply_adds: both.multiply_adds - forward.multiply_adds,
    };
    let total = data.time + both.time + norm.time + step.time;
    let mut text = format!("an update by phase, mean of {count} (batches as in the first epoch):\n");
    let phases =
        [("data", data), ("forward", forward), ("backward", backward), ("norm", norm), ("optimizer", step)];
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
