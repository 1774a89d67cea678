//! The demo's training: a small model, as good as possible in a few minutes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kokanee_algorithm::human;
use kokanee_algorithm::{JobFiles, Resume, StopFlag};
use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_contract::algorithms::seq2seq::TrainingChannels;
use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_kernels::Team;
use kokanee_seq2seq::ShownProgress;
use kokanee_seq2seq_serve::Translator;
use kokanee_seq2seq_train::{
    CheckpointReport, Level, Observer, Outcome, Progress, StopReason, Summary, TrainingData, TrainingJob,
};

use super::DemoFolder;
use crate::cmudict;
use crate::console::Terminal;
use crate::exit::say;
use crate::output_file::{print, write_json};
use crate::process;

/// The differences from SageMaker's defaults: a model that two cores train in minutes, with a learning rate that falls with time,
/// since the time is known. The clip is far below the default: the gradients of ordinary batches stay under it, and without it
/// single odd batches set Adam back. Words longer than the limits are few, and would form a separate batch, repeated to fill it;
/// for the same reason there is one bucket for all (which costs nothing, since padding is not computed).
const HYPERPARAMETERS: [&str; 15] = [
    "num_embed_source=64",
    "num_embed_target=64",
    "rnn_num_hidden=256",
    "rnn_decoder_hidden_dropout=0.2",
    "batch_size=64",
    "max_seq_len_source=18",
    "max_seq_len_target=20",
    "overlong_sequences=drop",
    "bucket_width=50",
    "learning_rate=0.003",
    "lr_scheduler_type=fixed_rate_inv_t",
    "fixed_rate_lr_half_life=3",
    "clip_gradient=0.005",
    "checkpoint_frequency_num_batches=500",
    "checkpoint_threshold=8",
];

/// Number of words whose pronunciation is shown as it improves.
const WATCHED_WORDS: usize = 3;

/// The settings that the user can choose.
pub(super) struct Settings<'a> {
    pub(super) budget: Duration,
    pub(super) threads: usize,
    pub(super) retrain: bool,
    pub(super) words: &'a [String],
}

/// Trains, unless an earlier run has, and returns whether the model is finished: false after Ctrl-C.
pub(super) fn run(folder: &DemoFolder, settings: &Settings<'_>, stop: &StopFlag) -> Result<bool> {
    let mark = folder.finished_mark();
    if !settings.retrain && mark.exists() && folder.model().exists() {
        print(&format!(
            "the model of an earlier run is in {}; --retrain trains anew\n\n",
            folder.model().display()
        ))?;
        return Ok(true);
    }
    let raw: BTreeMap<String, String> = HYPERPARAMETERS
        .iter()
        .filter_map(|setting| setting.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    write_json(&folder.hyperparameters(), &raw)?;
    // The number of threads belongs to this machine: it is not stored in any file, so that the model can be trained further
    // elsewhere.
    let h = Hyperparameters { num_threads: settings.threads, ..Hyperparameters::resolve(&raw)? };
    if settings.retrain && mark.exists() {
        std::fs::remove_file(&mark)?;
    }
    let data = TrainingData::read(&TrainingChannels {
        train: folder.train_records(),
        validation: folder.validation_records(),
        vocab_source: folder.path().join(VOCAB_SOURCE_FILE),
        vocab_target: folder.path().join(VOCAB_TARGET_FILE),
        model: None,
    })?;
    let files = JobFiles {
        model: folder.model(),
        checkpoints: folder.checkpoints(),
        archive: Some(folder.model().join("model.tar.gz")),
    };
    let resume = if settings.retrain { Resume::Never } else { Resume::IfPresent };
    let mut job = TrainingJob::new(&h, data, files, resume).with_context(|| {
        format!("the training in {} cannot go on; --retrain begins anew", folder.path().display())
    })?;
    let before = Duration::from_secs_f64(job.trainer().state().elapsed_seconds.max(0.0));
    let enough = StopFlag::default();
    let watch = Watch {
        model: folder.model(),
        team: process::team(settings.threads)?,
        words: watched(settings.words),
        deadline: Instant::now() + settings.budget.saturating_sub(before),
        started: Instant::now(),
        last_checkpoint: None,
        stop: stop.clone(),
        enough: enough.clone(),
    };
    let terminal = Terminal::new(true);
    let progress = ShownProgress::new(&terminal, h.checkpoint_frequency_num_batches);
    let mut observers: Vec<Box<dyn Observer + '_>> = vec![Box::new(watch), Box::new(progress)];
    let outcome = job.run(&mut observers, stop)?;
    let finished = outcome.reason != StopReason::Requested || enough.is_requested();
    if finished && outcome.best.is_some() {
        let mark_text = BTreeMap::from([("updates", outcome.updates)]);
        write_json(&mark, &mark_text)?;
    }
    Ok(finished && outcome.best.is_some())
}

fn watched(own: &[String]) -> Vec<String> {
    let own = own.iter().map(String::as_str);
    let words = own.chain(["tapeworm", "cat", "expialidocious"]).take(WATCHED_WORDS);
    words.map(str::to_owned).collect()
}

/// Shows the progress of learning, and ends it when the time is over.
struct Watch {
    model: std::path::PathBuf,
    team: Arc<Team>,
    words: Vec<String>,
    deadline: Instant,
    started: Instant,
    last_checkpoint: Option<Instant>,
    stop: StopFlag,
    /// Raised together with `stop` if this watch stops the training.
    enough: StopFlag,
}

impl Watch {
    fn end(&self) {
        self.enough.request();
        self.stop.request();
    }

    /// Lines that show how the latest kept model pronounces some words.
    fn said(&self, model: &Path) -> Result<String> {
        let translator = Translator::open(model, Arc::clone(&self.team))?;
        let letters: Vec<String> = self.words.iter().map(|word| cmudict::letters(word)).collect();
        let answers = translator.translate(&letters);
        let said = self.words.iter().zip(answers).map(|(word, answer)| {
            let best = answer.hypotheses.first().map(|best| best.text()).unwrap_or_default();
            format!("{word}: {best}")
        });
        Ok(said.collect::<Vec<_>>().join("   "))
    }
}

impl Observer for Watch {
    fn started(&mut self, summary: &Summary) {
        let minutes = self.deadline.saturating_duration_since(Instant::now());
        let again =
            summary.resumed_from.map_or_else(String::new, |updates| format!(", from update {updates} on"));
        let text = format!(
            "training a model of {} numbers on {} thread(s) for about {}{again}\n",
            human::count(summary.parameters as u64),
            summary.threads,
            human::duration(minutes)
        );
        let _ = print(&text);
    }

    fn update(&mut self, _progress: &Progress) {
        // If time ends before the first checkpoint, there is still a model, if a poor one.
        if self.last_checkpoint.is_none() && Instant::now() >= self.deadline {
            self.end();
        }
    }

    fn checkpoint(&mut self, report: &CheckpointReport) {
        let now = Instant::now();
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        let right = report.validation.accuracy.map_or("-".to_owned(), human::percent);
        let said = self.said(&self.model).unwrap_or_else(|error| format!("(not shown: {error})"));
        let text = format!(
            "{:>7}  {:>9} words seen  perplexity {}  {right} of phonemes right\n         {said}\n",
            human::duration(Duration::from_secs_f64(report.elapsed_seconds.max(0.0))),
            human::count(report.samples),
            number(report.validation.perplexity),
        );
        let _ = print(&text);
        // Stopping between checkpoints would lose the updates since the last one: the training ends at the checkpoint that is
        // nearest to the deadline.
        let interval = now.duration_since(self.last_checkpoint.unwrap_or(self.started));
        self.last_checkpoint = Some(now);
        if now + interval / 2 >= self.deadline {
            self.end();
        }
    }

    fn message(&mut self, level: Level, text: &str) {
        if level == Level::Warning {
            say(&format!("warning: {text}"));
        }
    }

    fn finished(&mut self, outcome: &Outcome) {
        let _ = print(&format!(
            "trained for {} updates in {}\n\n",
            human::count(outcome.updates),
            human::duration(Duration::from_secs_f64(outcome.elapsed_seconds.max(0.0)))
        ));
    }
}
