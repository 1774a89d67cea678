//! Runs a job as a training of this algorithm, with its events as lines and progress.

use kokanee_algorithm::console::Lines;
use kokanee_algorithm::{AlgorithmError, Console, Progress as Shown, TrainingJob};
use kokanee_contract::algorithms::seq2seq::{Hyperparameters, TrainingChannels};
use kokanee_contract::resolve;
use kokanee_seq2seq_train::{
    CheckpointReport, InitialModel, Level, LogLines, Observer, Outcome, Progress, StopReason, Summary,
    TrainError, TrainingData, TrainingJob as Training,
};

/// Runs a job.
pub(crate) fn run(job: &TrainingJob, console: &dyn Console) -> Result<(), AlgorithmError> {
    let resolved = resolve::<Hyperparameters>(&job.hyperparameters).map_err(AlgorithmError::user)?;
    let channels = TrainingChannels::locate(&job.channels).map_err(AlgorithmError::user)?;
    let outcome = train(job, &resolved.hyperparameters, &channels, &resolved.notes, console);
    let outcome = outcome.map_err(|error| {
        if error.is_user_error() { AlgorithmError::user(error) } else { AlgorithmError::ours(error) }
    })?;
    // A job of a container was given no command; whoever runs it knows how to resume it.
    let is_by_hand = job.files.archive.is_some();
    if outcome.reason == StopReason::Requested && outcome.resumable && is_by_hand {
        let folder = job.files.checkpoints.display();
        console.note(&format!("stopped; the same command with --resume goes on from {folder}"));
    }
    Ok(())
}

fn train(
    job: &TrainingJob,
    h: &Hyperparameters,
    channels: &TrainingChannels,
    notes: &[String],
    console: &dyn Console,
) -> Result<Outcome, TrainError> {
    let mut log: Box<dyn Observer> = if console.is_quiet() {
        Box::new(Warnings(console))
    } else {
        Box::new(LogLines::new(Lines::new(console), job.host.as_str(), h.training_metric, h.optimized_metric))
    };
    for note in job.notes.iter().chain(&job.channels.notes).chain(notes) {
        log.message(Level::Info, note);
    }
    let data = TrainingData::read(channels)?;
    let initial = channels.model.as_deref().map(InitialModel::read).transpose()?;
    let mut training = Training::starting_from(initial.as_ref(), h, data, job.files.clone(), job.resume)?;
    let shown = ShownProgress::new(console, h.checkpoint_frequency_num_batches);
    let mut observers: Vec<Box<dyn Observer + '_>> = vec![log, Box::new(shown)];
    training.run(&mut observers, &job.stop)
}

/// An observer that reports only warnings.
struct Warnings<'a>(&'a dyn Console);

impl Observer for Warnings<'_> {
    fn started(&mut self, summary: &Summary) {
        summary.warnings.iter().for_each(|warning| self.message(Level::Warning, warning));
    }

    fn message(&mut self, level: Level, text: &str) {
        if level == Level::Warning {
            self.0.warning(text);
        }
    }
}

/// The progress from checkpoint to checkpoint.
pub struct ShownProgress<'a> {
    console: &'a dyn Console,
    checkpoint_every: u64,
}

impl<'a> ShownProgress<'a> {
    /// For a checkpoint every `checkpoint_every` updates.
    pub fn new(console: &'a dyn Console, checkpoint_every: u64) -> Self {
        Self { console, checkpoint_every }
    }
}

impl Observer for ShownProgress<'_> {
    fn update(&mut self, progress: &Progress) {
        let perplexity = progress.train.perplexity.map_or("-".to_owned(), |value| format!("{value:.2}"));
        self.console.progress(&Shown {
            stage: &format!("epoch {} update {}", progress.epoch, progress.update),
            done: self.checkpoint_every.saturating_sub(progress.updates_to_checkpoint),
            total: Some(self.checkpoint_every),
            goal: "to checkpoint",
            rate: Some((progress.recent.target_tokens_per_second(), "tokens/s")),
            figures: &format!("loss {:.3}, perplexity {perplexity}", progress.loss),
        });
    }

    fn checkpoint_begins(&mut self, checkpoint: u64) {
        self.console.busy(&format!("measuring checkpoint {checkpoint} …"));
    }

    fn checkpoint(&mut self, _: &CheckpointReport) {
        self.console.busy("");
    }

    fn finished(&mut self, _: &Outcome) {
        self.console.clear();
    }
}
