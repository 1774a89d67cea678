//! The terminal as the observer of a training: log lines on stdout, a line with the progress at the bottom.

use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use kokanee_algorithm::human;
use kokanee_algorithm::{Console, Progress};

use crate::exit::say;
use crate::{process, terminal};

/// How many times the progress is shown between two checks of the memory.
const MEMORY_TURNS: u64 = 20;

/// Stdout and stderr; the progress line is only shown if stderr is a terminal.
pub(crate) struct Terminal {
    is_quiet: bool,
    bar: ProgressBar,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    turn: u64,
    text: String,
}

impl Terminal {
    /// A console; a quiet one writes no log.
    pub(crate) fn new(is_quiet: bool) -> Self {
        let template = "{prefix} {bar:20} {pos}/{len} {msg}";
        let bar = terminal::progress_bar(0, template);
        bar.set_prefix("starting");
        Self { is_quiet, bar, memory: Mutex::default() }
    }

    fn memory(&self) -> String {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.turn.is_multiple_of(MEMORY_TURNS) {
            memory.text = process::memory_bytes()
                .map_or_else(String::new, |bytes| format!(", {}", human::bytes(bytes)));
        }
        memory.turn += 1;
        memory.text.clone()
    }
}

impl Console for Terminal {
    fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    fn line(&self, line: &str) {
        if !self.is_quiet {
            self.bar.suspend(|| {
                let mut out = io::stdout();
                // A closed reader does not end the training.
                let _ = writeln!(out, "{line}").and_then(|()| out.flush());
            });
        }
    }

    fn warning(&self, text: &str) {
        self.bar.suspend(|| say(&format!("warning: {text}")));
    }

    fn note(&self, text: &str) {
        self.bar.suspend(|| say(text));
    }

    fn busy(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        if what.is_empty() {
            self.bar.reset();
        }
    }

    fn progress(&self, progress: &Progress<'_>) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_prefix(progress.stage.to_owned());
        let left = match progress.total {
            Some(total) => {
                self.bar.set_length(total);
                format!(", {} left", human::duration(self.bar.eta()))
            }
            None => {
                self.bar.unset_length();
                String::new()
            }
        };
        let rate = progress
            .rate
            .map_or_else(String::new, |(rate, what)| format!("  {} {what}", human::count(rate as u64)));
        let figures =
            if progress.figures.is_empty() { String::new() } else { format!(", {}", progress.figures) };
        self.bar.set_message(format!("{}{left}{rate}{figures}{}", progress.goal, self.memory()));
        self.bar.set_position(progress.done);
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // After an error no half bar must remain on the terminal.
        self.bar.finish_and_clear();
    }
}
