//! The console of a training job, which receives its log lines and its progress.

use std::io::{self, Write};

/// The receiver of a job's log and progress: a terminal, a log file, a test.
pub trait Console: Sync {
    /// Whether log lines are discarded. Warnings then go to [`Console::warning`] instead.
    fn is_quiet(&self) -> bool;

    /// Writes a line of the log. Training continues even if the log cannot be written.
    fn line(&self, line: &str);

    /// Shows a warning even when the log is quiet.
    fn warning(&self, text: &str);

    /// Shows a note to a person at a terminal, whether the log is quiet or not.
    fn note(&self, text: &str);

    /// Shows work of unknown length; clears the message where `what` is empty.
    fn busy(&self, what: &str);

    /// Shows the progress of the job.
    fn progress(&self, progress: &Progress<'_>);

    /// Removes what [`Console::progress`] shows.
    fn clear(&self);
}

/// The progress of a job.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The current stage: `epoch 1 update 20`.
    pub stage: &'a str,
    /// Steps done.
    pub done: u64,
    /// Total number of steps, where it is known.
    pub total: Option<u64>,
    /// What the steps lead to: `to checkpoint`.
    pub goal: &'a str,
    /// Work per second, and its unit.
    pub rate: Option<(f64, &'a str)>,
    /// Current figures, in words: `loss 3.125`.
    pub figures: &'a str,
}

/// A [`Write`] implementation that sends lines to a console.
pub struct Lines<'a> {
    console: &'a dyn Console,
    begun: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// A writer to `console`.
    pub fn new(console: &'a dyn Console) -> Self {
        Self { console, begun: Vec::new() }
    }
}

impl Write for Lines<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.begun.extend_from_slice(piece);
            if self.begun.ends_with(b"\n") {
                self.begun.pop();
                self.console.line(&String::from_utf8_lossy(&self.begun));
                self.begun.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
