//! Runs tuning jobs.
//!
//! `decision` computes the next step from a job and its children alone, `search` the values to try; [`Tuner`] carries out the steps.

mod decision;
mod search;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use kokanee_formats::random::{SplitMix64, combine};
use kokanee_tuner::closing::Closing;
use kokanee_tuner::early_stopping::MedianRule;
use kokanee_tuner::hyperband::Hyperband;
use kokanee_tuner::stopping::{Reports, Stop, StoppingRule};
use serde_json::json;
use tokio::sync::watch;

use self::decision::Step;
use self::search::{Parent, Search};
use crate::api::Control;
use crate::jobs::queue::{self, Worker};
use crate::jobs::{JobError, NewJob, Status};
use crate::metrics::{self, Metric};
use crate::store::now_ms;
use crate::training::{self, TrainingState, refused_hyperparameters};
use crate::tuning::{Child, OBJECTIVE_HYPERPARAMETER, Outcome, StrategyKind, Tuning, TuningJob, TuningJobs};

/// The most tuning jobs that run at once; others wait. Each is a thread that mostly sleeps.
const MOST_AT_ONCE: usize = 100;
/// The time between two looks at the children of a tuning job.
const LOOK: Duration = Duration::from_millis(100);

/// Runs tuning jobs.
pub struct Tuner {
    /// The jobs.
    pub control: Arc<Control>,
    /// Whether jobs wait for the next server when this one ends, instead of being stopped.
    pub keeps_jobs: bool,
}

/// The reason why a tuning job cannot continue.
#[derive(Debug, thiserror::Error)]
enum TuningFault {
    /// A property that was checked at its creation no longer holds.
    #[error("InternalServerError: {0}")]
    Search(String),
    /// The job is gone or has ended meanwhile, or the database fails.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Tuner {
    /// Runs jobs until `stop` counts 1. Then running jobs are stopped, unless they are to wait for the next server.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<u32>) {
        queue::run(self, MOST_AT_ONCE, stop).await;
    }
}

impl Worker for Tuner {
    type Kind = Tuning;

    fn jobs(&self) -> &TuningJobs {
        &self.control.tuning_jobs
    }

    fn work(&self, job: &TuningJob, is_ending: &AtomicBool) {
        let result = Work::new(self, job).and_then(|mut work| work.run(is_ending));
        let outcome = match result {
            Ok(()) => return,
            Err(TuningFault::Job(error)) => {
                tracing::error!(job = job.name, %error, "a tuning job cannot go on");
                return;
            }
            Err(error) => Outcome::Failed { reason: error.to_string() },
        };
        if let Err(error) = self.jobs().finish(job.id, outcome) {
            tracing::error!(job = job.name, %error, "the end of a tuning job cannot be noted");
        }
    }
}

/// A running tuning job.
struct Work<'a> {
    tuner: &'a Tuner,
    job: TuningJob,
    children: Vec<Child>,
    searches: Vec<Search>,
    curves: Curves,
}

/// The objective of each child after each of its epochs, as far as needed.
#[derive(Default)]
struct Curves {
    values: HashMap<u32, Vec<f64>>,
    /// Children whose curves are complete.
    complete: HashSet<u32>,
    /// The number of epochs of each child that have been judged.
    judged: HashMap<u32, usize>,
}

impl<'a> Work<'a> {
    fn new(tuner: &'a Tuner, job: &TuningJob) -> Result<Self, TuningFault> {
        let jobs = tuner.jobs();
        let names = job.state.parents.as_ref().map_or(&[][..], |(names, _)| names);
        let mut parents = Vec::new();
        for name in names {
            match jobs.find(&job.region, name) {
                Ok(parent) => parents.push(Parent {
                    children: jobs.children(parent.id)?,
                    definitions: parent.state.definitions,
                }),
                // The parent has been deleted since.
                Err(JobError::NotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let places = 0..job.state.definitions.len();
        let searches = places.map(|place| Search::new(&job.state, place, &parents));
        let searches =
            searches.collect::<Result<_, _>>().map_err(|error| TuningFault::Search(error.to_string()))?;
        let children = jobs.children(job.id)?;
        Ok(Self { tuner, job: job.clone(), children, searches, curves: Curves::default() })
    }

    fn run(&mut self, is_ending: &AtomicBool) -> Result<(), TuningFault> {
        let jobs = self.tuner.jobs();
        loop {
            if is_ending.load(Ordering::SeqCst) {
                if self.tuner.keeps_jobs {
                    return Ok(());
                }
                if self.job.state.status == Status::InProgress {
                    jobs.stop(&self.job.region, &self.job.name)?;
                }
            }
            self.job = jobs.get(self.job.id)?;
            if self.job.state.status.is_final() {
                return Ok(());
            }
            self.look()?;
            match decision::next(&self.job.state, &self.children, now_ms()) {
                Step::Wait => {
                    self.judge()?;
                    sleep(LOOK);
                }
                Step::Stop(places) => {
                    for place in places {
                        self.stop(place)?;
                    }
                }
                Step::Close(why) => jobs.close(self.job.id, why)?,
                Step::Create { definition, retries } => self.create(definition, retries)?,
                Step::Finish(outcome) => return Ok(jobs.finish(self.job.id, outcome)?),
            }
        }
    }

    /// Updates the children from their training jobs.
    fn look(&mut self) -> Result<(), TuningFault> {
        let mut changed = Vec::new();
        for child in self.children.iter_mut().filter(|child| !child.has_ended()) {
            let metric = self.job.state.definitions.get(child.definition).map_or("", |found| &found.metric);
            match self.tuner.control.training_jobs.find(&self.job.region, &child.name) {
                Ok(training) if training.arn == child.arn => {
                    if child.update(&training, metric) {
                        changed.push(child.clone());
                    }
                }
                Ok(_) | Err(JobError::NotFound) => {
                    child.lose(now_ms());
                    changed.push(child.clone());
                }
                Err(error) => return Err(error.into()),
            }
        }
        if !changed.is_empty() {
            self.tuner.jobs().update_children(self.job.id, &changed)?;
            self.job = self.tuner.jobs().get(self.job.id)?;
        }
        Ok(())
    }

    fn stop(&mut self, place: usize) -> Result<(), TuningFault> {
        let child = &mut self.children[place];
        match self.tuner.control.training_jobs.stop(&self.job.region, &child.name) {
            // It may have ended or been deleted meanwhile.
            Ok(()) | Err(JobError::Refused(_) | JobError::NotFound) => {
                if !child.has_ended() {
                    child.status = Status::Stopping;
                }
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn create(&mut self, definition: usize, retries: Option<usize>) -> Result<(), TuningFault> {
        let values = match retries {
            Some(place) => self.children[place].values.clone(),
            None => {
                let search = &self.searches[definition];
                let next = search.next(&self.children);
                match next.map_err(|error| TuningFault::Search(error.to_string()))? {
                    Some(values) => values,
                    None => return Ok(self.tuner.jobs().close(self.job.id, Closing::Exhausted)?),
                }
            }
        };
        let retries = retries.map(|place| self.children[place].number);
        let number = u32::try_from(self.children.len()).unwrap_or(u32::MAX).saturating_add(1);
        let mut salt = 0;
        loop {
            let (child, training) = self.child(number, definition, &values, retries, salt);
            let jobs = self.tuner.jobs();
            let trainings = &self.tuner.control.training_jobs;
            match jobs.create_child(trainings, self.job.id, child.clone(), training) {
                Ok(created) => {
                    if created.is_some() {
                        self.children.push(child);
                    }
                    return Ok(());
                }
                // Another training job already has that name.
                Err(JobError::Exists { .. }) if salt < 100 => salt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Builds a child, and the training job to be created with it.
    fn child(
        &self,
        number: u32,
        definition: usize,
        values: &BTreeMap<String, String>,
        retries: Option<u32>,
        salt: u64,
    ) -> (Child, NewJob<training::Training>) {
        let place = definition;
        let definition = &self.job.state.definitions[place];
        let identity = SplitMix64::stream(self.job.state.seed, &[number.into(), salt]).next_u64();
        let hash = combine(identity, self.job.state.created_ms.unsigned_abs()) as u32;
        let name = format!("{}-{number:03}-{hash:08x}", self.job.name);
        let arn = match self.job.arn.split_once(":hyper-parameter-tuning-job/") {
            Some((account, _)) => format!("{account}:training-job/{}", name.to_ascii_lowercase()),
            None => name.clone(),
        };
        let mut hyperparameters = definition.statics.clone();
        hyperparameters.extend(values.clone());
        hyperparameters.insert(OBJECTIVE_HYPERPARAMETER.to_owned(), definition.metric.clone());
        let algorithm = definition.algorithm.as_deref();
        let mut state = TrainingState::new(algorithm, now_ms());
        let refused = algorithm.and_then(kokanee_contract::algorithm);
        if let Some(reason) = refused.and_then(|contract| refused_hyperparameters(contract, &hyperparameters))
        {
            // A new job has not ended, so this cannot fail.
            let _ = state.finish(training::Outcome::Failed { reason }, now_ms());
        }
        let mut request = definition.template.clone();
        request.insert("TrainingJobName".to_owned(), json!(name));
        request.insert("TuningJobArn".to_owned(), json!(self.job.arn));
        request.insert("HyperParameters".to_owned(), json!(hyperparameters));
        let child = Child {
            number,
            name: name.clone(),
            arn: arn.clone(),
            definition: place,
            values: values.clone(),
            retries,
            created_ms: state.created_ms,
            started_ms: None,
            ended_ms: None,
            status: Status::InProgress,
            objective: None,
            failure_reason: None,
        };
        let region = self.job.region.clone();
        (child, NewJob { region, name, arn, request, tags: Vec::new(), state })
    }

    /// Stops trainings that perform worse than earlier ones.
    fn judge(&mut self) -> Result<(), TuningFault> {
        let state = &self.job.state;
        let rule = match state.strategy {
            StrategyKind::Hyperband { min_resource, max_resource } => {
                let hyperband = Hyperband::new(min_resource, max_resource);
                let hyperband = hyperband.map_err(|error| TuningFault::Search(error.to_string()))?;
                StoppingRule::Hyperband { hyperband, seed: state.seed }
            }
            _ if state.limits.stops_early => StoppingRule::Median(MedianRule::default()),
            _ => return Ok(()),
        };
        self.read_curves()?;
        for place in 0..self.children.len() {
            if self.children[place].status == Status::InProgress
                && let Some(why) = self.stop_reason(place, rule)
            {
                tracing::info!(job = self.children[place].name, "stopped: {why}");
                self.stop(place)?;
            }
        }
        Ok(())
    }

    fn read_curves(&mut self) -> Result<(), TuningFault> {
        for child in &self.children {
            if self.curves.complete.contains(&child.number) {
                continue;
            }
            let Some(definition) = self.job.state.definitions.get(child.definition) else { continue };
            let metric =
                Metric::new(metrics::TRAINING_JOBS, &definition.metric, [("TrainingJobName", &*child.name)]);
            let metrics = &self.tuner.control.metrics;
            let values =
                metrics.values(&self.job.region, &metric, child.created_ms).map_err(JobError::from)?;
            self.curves.values.insert(child.number, values);
            if child.has_ended() {
                self.curves.complete.insert(child.number);
            }
        }
        Ok(())
    }

    /// The reason to stop a training, if any, after an epoch that has not been judged yet. It is compared with others of its definition.
    fn stop_reason(&mut self, place: usize, rule: StoppingRule) -> Option<Stop> {
        let child = &self.children[place];
        let goal = self.job.state.definitions[child.definition].goal();
        let values = |child: &Child| self.curves.values.get(&child.number).map_or(&[][..], Vec::as_slice);
        let reports = |child: &Child| Reports { number: child.number, values: values(child) };
        let is_rival = |other: &&Child| other.number != child.number && other.definition == child.definition;
        let others: Vec<Reports<'_>> = self.children.iter().filter(is_rival).map(reports).collect();
        let trial = reports(child);
        let judged = self.curves.judged.insert(child.number, trial.values.len()).unwrap_or(0);
        rule.judge(goal, trial, judged, &others)
    }
}

impl std::fmt::Debug for Tuner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tuner").field("keeps_jobs", &self.keeps_jobs).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
