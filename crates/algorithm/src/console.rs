//! Whoever watches a training: lines of its log, and how far it is.

use std::io::{self, Write};

/// A terminal, a log file, a test.
pub trait Console: Sync {
    /// Whether lines of the log go nowhere. Warnings are then told by [`Console::warning`] instead.
    fn is_quiet(&self) -> bool;

    /// Writes a line of the log. A log that cannot be written to does not end training.
    fn line(&self, line: &str);

    /// Says something that should be known though the log is quiet.
    fn warning(&self, text: &str);

    /// Says what a person at a terminal should know, whether the log is quiet or not.
    fn note(&self, text: &str);

    /// Shows that something is done whose end is not known; nothing where it is empty.
    fn busy(&self, what: &str);

    /// Shows how far the job is.
    fn progress(&self, progress: &Progress<'_>);

    /// Takes what [`Console::progress`] shows away.
    fn clear(&self);
}

/// How far a job is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// What is being done: `epoch 1 update 20`.
    pub stage: &'a str,
    /// Steps done.
    pub done: u64,
    /// Steps in all, where it is known.
    pub total: Option<u64>,
    /// What the steps lead to: `to checkpoint`.
    pub goal: &'a str,
    /// Work per second, and what of.
    pub rate: Option<(f64, &'a str)>,
    /// Figures of now, in words: `loss 3.125`.
    pub figures: &'a str,
}

/// A console as something to write lines to.
pub struct Lines<'a> {
    console: &'a dyn Console,
    begun: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Writes to `console`.
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
