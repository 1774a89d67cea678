//! The progress of a running tuning for people: a line when a trial begins and when it ends, and on a terminal one at the bottom.

use std::io::{self, Write as _};
use std::time::Duration;

use indicatif::ProgressBar;
use kokanee_algorithm::human;
use kokanee_pages::svg::number;
use kokanee_tuner::Goal;

use super::history::History;
use super::trial::{Status, Trial};
use crate::exit::say;
use crate::terminal;

/// Progress on stdout and stderr.
pub(super) struct Progress {
    is_quiet: bool,
    bar: ProgressBar,
    trials: u32,
    parallel: u32,
}

impl Progress {
    /// Creates the progress of `trials` trials, `parallel` at a time.
    pub(super) fn new(is_quiet: bool, trials: u32, parallel: u32) -> Self {
        let bar = terminal::progress_bar(u64::from(trials), "trials {bar:20} {pos}/{len} {msg}");
        Self { is_quiet, bar, trials, parallel }
    }

    /// Shows a sentence to the user.
    pub(super) fn note(&self, text: &str) {
        if !self.is_quiet {
            self.bar.suspend(|| say(text));
        }
    }

    /// Shows that a trial begins.
    pub(super) fn begins(&self, trial: &Trial) {
        let again = match (trial.retries, trial.seconds > 0.0) {
            (0, false) => "",
            _ => ", again",
        };
        self.line(&format!("trial {}/{}{again}: {}", trial.number, self.trials, values(trial)));
    }

    /// Shows that a trial has ended.
    pub(super) fn ends(&self, history: &History, goal: Goal, trial: &Trial) {
        let time = human::duration(Duration::from_secs_f64(trial.seconds));
        let result = match (trial.status, trial.result()) {
            (Status::Failed, _) | (_, None) => match &trial.reason {
                Some(reason) => format!("no result: {}", reason.lines().next().unwrap_or_default()),
                None => "no result".to_owned(),
            },
            (Status::Stopped, Some(value)) => {
                format!(
                    "{} {}, stopped: {}",
                    history.request.objective,
                    number(value),
                    trial.reason.as_deref().unwrap_or("")
                )
            }
            (_, Some(value)) => format!("{} {}", history.request.objective, number(value)),
        };
        let best = history
            .best(goal)
            .and_then(|best| Some(format!("; best {} of trial {}", number(best.result()?), best.number)));
        let left = self.left(history).map(|left| format!("; about {} left", human::duration(left)));
        self.line(&format!(
            "trial {}/{}: {result} ({time}){}{}",
            trial.number,
            self.trials,
            best.unwrap_or_default(),
            left.unwrap_or_default()
        ));
    }

    /// Shows the current state.
    pub(super) fn shows(&self, history: &History, goal: Goal, at_work: &[u32]) {
        if self.bar.is_hidden() {
            return;
        }
        let latest = |number: &u32| {
            let trial = history.trials.iter().find(|trial| trial.number == *number)?;
            Some(format!("trial {number} at {}", self::number(*trial.curve.last()?)))
        };
        let mut parts: Vec<String> = at_work.iter().filter_map(latest).collect();
        if let Some((best, value)) = history.best(goal).and_then(|best| Some((best, best.result()?))) {
            parts.push(format!("best {} of trial {}", self::number(value), best.number));
        }
        if let Some(left) = self.left(history) {
            parts.push(format!("about {} left", human::duration(left)));
        }
        self.bar.set_position(history.ended().len() as u64);
        self.bar.set_message(parts.join(", "));
    }

    /// Estimates the remaining time from the trials that have ended.
    fn left(&self, history: &History) -> Option<Duration> {
        let ended = history.ended();
        let seconds: f64 = ended.iter().map(|trial| trial.seconds).sum();
        let left = f64::from(self.trials) - ended.len() as f64;
        let estimate = seconds / ended.len() as f64 * left / f64::from(self.parallel);
        (left > 0.0 && estimate.is_finite()).then(|| Duration::from_secs_f64(estimate))
    }

    fn line(&self, line: &str) {
        if !self.is_quiet {
            self.bar.suspend(|| {
                let mut out = io::stdout();
                // A closed reader does not end the tuning.
                let _ = writeln!(out, "{line}").and_then(|()| out.flush());
            });
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Formats `k=3 epochs=2`.
fn values(trial: &Trial) -> String {
    let pairs: Vec<String> = trial.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}
