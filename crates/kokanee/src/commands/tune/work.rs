//! The work of a tuning: trials begin, are watched and judged, and end.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use kokanee_algorithm::StopFlag;
use kokanee_tuner::closing::Closing;
use kokanee_tuner::stopping::StoppingRule;
use kokanee_tuner::{Goal, Options, Space, Suggestion, Trial as Known, suggest};

use super::decision::{self, Limits};
use super::history::History;
use super::log::last_words;
use super::process::{End, Launch, RunningTrial, TrialFiles};
use super::progress::Progress;
use super::trial::{Status, Trial};

/// The interval of checks on the trials.
const LOOK: Duration = Duration::from_millis(50);
/// How often a trial that was killed from outside, or by a fault of Kokanee, is run again.
const MOST_RETRIES: u32 = 1;

/// The parts of a running tuning.
pub(super) struct Work<'a> {
    pub(super) output: &'a Path,
    pub(super) launch: Launch<'a>,
    pub(super) space: &'a Space,
    pub(super) options: Options,
    pub(super) seed: u64,
    /// The trials of the parents.
    pub(super) parents: Vec<Known>,
    pub(super) limits: Limits,
    pub(super) parallel: usize,
    pub(super) rule: Option<StoppingRule>,
    pub(super) stop: StopFlag,
    pub(super) progress: &'a Progress,
}

/// The outcome of the work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    /// A limit was reached.
    Closed(Closing),
    /// Interrupted by Ctrl-C; the next run repeats the running trials.
    Interrupted,
}

impl Work<'_> {
    /// Works until a limit is reached or a stop is requested. The history is on disk after every change.
    ///
    /// # Errors
    /// When a trial cannot be started or watched, or the history cannot be written.
    pub(super) fn run(&self, history: &mut History) -> Result<Ending> {
        let begun = (Instant::now(), history.seconds);
        let mut running: Vec<RunningTrial> = Vec::new();
        let mut exhausted = false;
        loop {
            history.seconds = begun.1 + begun.0.elapsed().as_secs_f64();
            if self.stop.is_requested() {
                self.interrupt(history, running)?;
                return Ok(Ending::Interrupted);
            }
            self.look(history, &mut running)?;
            let closing = decision::closing(history, &self.limits, self.goal())
                .or_else(|| exhausted.then_some(Closing::Exhausted));
            if let Some(why) = closing.filter(|why| why.stops_trials()) {
                for trial in &mut running {
                    trial.stop(&self.limits.describe(why));
                }
            } else if running.len() < self.parallel {
                // An interrupted trial goes first, even when all have begun.
                let is_running = |trial: &Trial| running.iter().any(|other| other.number == trial.number);
                let cut_off = history
                    .trials
                    .iter()
                    .find(|trial| trial.status == Status::InProgress && !is_running(trial));
                let next = match cut_off {
                    Some(trial) => Some(trial.clone()),
                    None if closing.is_some() => None,
                    None => match self.next(history)? {
                        Some(trial) => {
                            history.trials.push(trial.clone());
                            Some(trial)
                        }
                        None => {
                            exhausted = true;
                            continue;
                        }
                    },
                };
                if let Some(trial) = next {
                    // A resumed trial reports its values again.
                    for entry in history.trials.iter_mut().filter(|entry| entry.number == trial.number) {
                        entry.curve.clear();
                    }
                    history.write(self.output)?;
                    self.progress.begins(&trial);
                    running.extend(self.launch.start(&trial, &self.stop, self.progress)?);
                    continue;
                }
            }
            if let (Some(why), true) = (closing, running.is_empty()) {
                history.write(self.output)?;
                return Ok(Ending::Closed(why));
            }
            let at_work: Vec<u32> = running.iter().map(|trial| trial.number).collect();
            self.progress.shows(history, self.goal(), &at_work);
            sleep(LOOK);
        }
    }

    fn goal(&self) -> Goal {
        self.options.goal
    }

    /// Chooses the next configuration; none if all were tried.
    fn next(&self, history: &History) -> Result<Option<Trial>> {
        let mut known = self.parents.clone();
        known.extend(known_trials(self.space, history)?);
        match suggest(self.space, &known, &self.options, self.seed)? {
            Suggestion::Exhausted { .. } => Ok(None),
            Suggestion::Configuration(values) => {
                let number = u32::try_from(history.trials.len()).unwrap_or(u32::MAX).saturating_add(1);
                let values = self.space.print(&values).into_iter();
                Ok(Some(Trial::new(number, values.map(|(name, value)| (name.to_owned(), value)).collect())))
            }
        }
    }

    /// Reads the progress of the trials, stops the worse ones, and records those that have ended.
    fn look(&self, history: &mut History, running: &mut Vec<RunningTrial>) -> Result<()> {
        let mut place = 0;
        while place < running.len() {
            let trial = &mut running[place];
            // In this order nothing that it wrote before its end is missed.
            let end = trial.poll()?;
            let values = trial.new_values()?;
            let Some(entry) = history.trials.iter_mut().find(|entry| entry.number == trial.number) else {
                place += 1;
                continue;
            };
            entry.curve.extend(&values);
            let entry = entry.clone();
            match end {
                Some(end) => {
                    let trial = running.remove(place);
                    self.ends(history, trial, end)?;
                }
                None => {
                    if let Some(rule) = self.rule.filter(|_| trial.stopped.is_none()) {
                        let why = decision::stop(rule, history, self.goal(), &entry, trial.judged);
                        trial.judged = entry.curve.len();
                        if let Some(why) = why {
                            trial.stop(&why.to_string());
                        }
                    }
                    place += 1;
                }
            }
        }
        Ok(())
    }

    fn ends(&self, history: &mut History, running: RunningTrial, end: End) -> Result<()> {
        let order = u32::try_from(history.ended().len()).unwrap_or(u32::MAX).saturating_add(1);
        let log = TrialFiles::new(self.output, running.number).log();
        let Some(trial) = history.trials.iter_mut().find(|trial| trial.number == running.number) else {
            return Ok(());
        };
        trial.seconds += running.begun.elapsed().as_secs_f64();
        trial.objective = trial.curve.iter().rev().copied().find(|value| value.is_finite());
        let said =
            || last_words(&log).unwrap_or_else(|| format!("it printed nothing; see {}", log.display()));
        match (end, running.stopped.clone()) {
            (_, Some(reason)) => (trial.status, trial.reason) = (Status::Stopped, Some(reason)),
            (End::Done, None) => {
                trial.status = Status::Completed;
                if trial.objective.is_none() {
                    trial.reason = Some(format!("its log has no {}", history.request.objective));
                }
            }
            (End::Broken, None) if trial.retries < MOST_RETRIES => {
                trial.retries += 1;
                self.progress.note(&format!(
                    "trial {} was killed or failed, and runs again: {}",
                    trial.number,
                    said().lines().next().unwrap_or_default()
                ));
                return history.write(self.output);
            }
            (End::Broken | End::Failed, None) => {
                (trial.status, trial.reason) = (Status::Failed, Some(said()));
            }
        }
        trial.ended = Some(order);
        let trial = trial.clone();
        history.write(self.output)?;
        self.progress.ends(history, self.goal(), &trial);
        Ok(())
    }

    /// Stops the running trials. They stay in progress, so that the next run takes them up.
    fn interrupt(&self, history: &mut History, mut running: Vec<RunningTrial>) -> Result<()> {
        for trial in &mut running {
            trial.stop("interrupted");
        }
        self.progress.note("stopping the running trials; press Ctrl-C again to exit at once");
        for mut trial in running {
            while trial.poll()?.is_none() {
                sleep(LOOK);
            }
            if let Some(entry) = history.trials.iter_mut().find(|entry| entry.number == trial.number) {
                entry.seconds += trial.begun.elapsed().as_secs_f64();
            }
        }
        history.write(self.output)
    }
}

/// The trials of a tuning in the form for the search.
///
/// # Errors
/// When values of the history do not fit the space.
pub(super) fn known_trials(space: &Space, history: &History) -> Result<Vec<Known>> {
    let known = |trial: &Trial| {
        let values = space.parse(|name| trial.values.get(name).map(String::as_str));
        let values = values.with_context(|| format!("trial {} of the history", trial.number))?;
        Ok(Known::new(values, trial.outcome()))
    };
    history.trials.iter().map(known).collect()
}
