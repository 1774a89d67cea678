//! The line at the bottom of the terminal while a model is trained.

use std::io::{self, Write};

use indicatif::ProgressBar;
use kokanee_seq2seq_train::{CheckpointReport, Level, Observer, Outcome, Progress};

use crate::exit::say;
use crate::render::human;
use crate::{process, terminal};

/// Updates between two looks at the memory.
const MEMORY_UPDATES: u64 = 20;

/// A bar from checkpoint to checkpoint; nothing where stderr is no terminal.
pub(crate) struct ProgressLine {
    bar: ProgressBar,
    checkpoint_every: u64,
    memory: String,
}

impl ProgressLine {
    /// A bar for checkpoints every so many updates.
    pub(crate) fn new(checkpoint_every: u64) -> Self {
        let template = "{prefix} {bar:20} {pos}/{len} to checkpoint, {eta} left  {msg}";
        let bar = terminal::progress_bar(checkpoint_every, template);
        bar.set_prefix("starting");
        Self { bar, checkpoint_every, memory: String::new() }
    }

    /// The bar, to be suspended while something else is written.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// Stdout, written to so that the bar is not torn apart where both are on one terminal.
    pub(crate) fn stdout(&self) -> BesideBar {
        BesideBar(self.bar.clone())
    }
}

impl Observer for ProgressLine {
    fn update(&mut self, progress: &Progress) {
        if self.bar.is_hidden() {
            return;
        }
        if self.memory.is_empty() || progress.update.is_multiple_of(MEMORY_UPDATES) {
            self.memory = process::memory_bytes()
                .map_or_else(String::new, |bytes| format!(", {}", human::bytes(bytes)));
        }
        let perplexity = progress.train.perplexity.map_or("-".to_owned(), |value| format!("{value:.2}"));
        let rate = progress.recent.target_tokens_per_second() as u64;
        self.bar.set_prefix(format!("epoch {} update {}", progress.epoch, progress.update));
        self.bar.set_message(format!(
            "{} tokens/s, loss {:.3}, perplexity {perplexity}{}",
            human::count(rate),
            progress.loss,
            self.memory
        ));
        self.bar.set_position(self.checkpoint_every.saturating_sub(progress.updates_to_checkpoint));
    }

    fn checkpoint_begins(&mut self, checkpoint: u64) {
        self.bar.set_message(format!("measuring checkpoint {checkpoint} …"));
    }

    fn checkpoint(&mut self, _report: &CheckpointReport) {
        self.bar.set_message("");
        self.bar.reset();
    }

    fn finished(&mut self, _outcome: &Outcome) {
        self.bar.finish_and_clear();
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        // After an error the terminal must not keep half a bar.
        self.bar.finish_and_clear();
    }
}

/// Stdout beside a bar.
pub(crate) struct BesideBar(ProgressBar);

impl Write for BesideBar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// Only warnings, on stderr.
pub(super) struct Warnings(pub(super) ProgressBar);

impl Observer for Warnings {
    fn started(&mut self, summary: &kokanee_seq2seq_train::Summary) {
        summary.warnings.iter().for_each(|warning| self.message(Level::Warning, warning));
    }

    fn message(&mut self, level: Level, text: &str) {
        if level == Level::Warning {
            self.0.suspend(|| say(&format!("warning: {text}")));
        }
    }
}
