//! The life of a tuning job: `InProgress` goes to `Completed`, `Failed`, or by `Stopping` to `Stopped`. Source: the guide's
//! `DescribeHyperParameterTuningJob`. Times are milliseconds since 1970.

use kokanee_formats::random::combine;
use kokanee_tuner::closing::{Closing, Criteria};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::definition::Definition;
use crate::jobs::{JobState, Refused, Status, Times};

/// The part of the best value by which a training must be better to improve the objective. Source: API reference,
/// `BestObjectiveNotImproving`.
pub(super) const LEAST_GAIN: f64 = 0.01;

/// How values are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StrategyKind {
    /// By a model of what was measured.
    Bayesian,
    /// Evenly at random.
    Random,
    /// All combinations.
    Grid,
    /// At random, and only the best go on.
    Hyperband {
        /// Epochs before a training is judged.
        min_resource: u64,
        /// Epochs after which a training ends.
        max_resource: u64,
    },
}

/// What bounds a tuning job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Training jobs in all.
    pub most_trainings: u32,
    /// Training jobs at a time.
    pub most_parallel: u32,
    /// Seconds until it ends.
    pub max_runtime_s: Option<u64>,
    /// A value of the objective that is good enough.
    pub target: Option<f64>,
    /// Training jobs in a row that do not improve the objective.
    pub most_not_improving: Option<u32>,
    /// Whether it ends when more trainings seem to be of no use.
    pub ends_on_convergence: bool,
    /// Whether trainings that are worse than others were are stopped.
    pub stops_early: bool,
}

impl Limits {
    /// What ends it, beside the number of training jobs.
    pub fn criteria(&self) -> Criteria {
        Criteria {
            target: self.target,
            patience: self.most_not_improving,
            least_gain: LEAST_GAIN,
            seconds: self.max_runtime_s.map(|seconds| seconds as f64),
            convergence: self.ends_on_convergence,
        }
    }
}

/// `TrainingJobStatusCounters` and `ObjectiveStatusCounters`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of the members")]
pub struct Counters {
    pub completed: u32,
    pub in_progress: u32,
    pub retryable_error: u32,
    pub non_retryable_error: u32,
    pub stopped: u32,
    pub succeeded: u32,
    pub pending: u32,
    pub failed: u32,
}

/// How a tuning job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was asked for.
    Completed,
    /// It found nothing.
    Failed {
        /// Why.
        reason: String,
    },
    /// It stopped because it was told to.
    Stopped,
}

/// Everything about a tuning job that changes, and what its request means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuningState {
    /// What is trained; one, as a rule.
    pub definitions: Vec<Definition>,
    /// How values are chosen.
    pub strategy: StrategyKind,
    /// What bounds it.
    pub limits: Limits,
    /// What chance comes from.
    pub seed: u64,
    /// The parents of a warm start, by their names, and whether data and algorithm are theirs.
    pub parents: Option<(Vec<String>, bool)>,
    /// The status.
    pub status: Status,
    /// When it was created.
    pub created_ms: i64,
    /// When anything of this changed last.
    pub modified_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// Why it creates no more training jobs, and since when.
    pub closing: Option<(Closing, i64)>,
    /// How its training jobs get on.
    pub counters: Counters,
    /// Training jobs that have ended since the best one did.
    pub not_improving: u32,
    /// The best result so far.
    pub best: Option<f64>,
}

impl TuningState {
    /// A job that was created now.
    pub fn new(
        definitions: Vec<Definition>,
        strategy: StrategyKind,
        limits: Limits,
        seed: u64,
        now_ms: i64,
    ) -> Self {
        Self {
            definitions,
            strategy,
            limits,
            seed,
            parents: None,
            status: Status::InProgress,
            created_ms: now_ms,
            modified_ms: now_ms,
            ended_ms: None,
            failure_reason: None,
            closing: None,
            counters: Counters::default(),
            not_improving: 0,
            best: None,
        }
    }

    /// No more training jobs are created. The first reason stays.
    ///
    /// # Errors
    /// If the job has ended.
    pub fn close(&mut self, why: Closing, now_ms: i64) -> Result<(), Refused> {
        self.check_open()?;
        self.touch(now_ms);
        self.closing.get_or_insert((why, self.modified_ms));
        Ok(())
    }

    /// The job ends.
    ///
    /// # Errors
    /// If it has ended.
    pub fn finish(&mut self, outcome: Outcome, now_ms: i64) -> Result<(), Refused> {
        self.check_open()?;
        self.touch(now_ms);
        self.status = match outcome {
            Outcome::Completed => Status::Completed,
            Outcome::Failed { reason } => {
                self.failure_reason = Some(reason);
                Status::Failed
            }
            Outcome::Stopped => Status::Stopped,
        };
        self.ended_ms = Some(self.modified_ms);
        Ok(())
    }

    /// Adds to an answer of `DescribeHyperParameterTuningJob` what this knows.
    pub fn describe(&self, answer: &mut Map<String, Value>, now_ms: i64) {
        let mut set = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        let seconds = |ms: i64| json!(ms as f64 / 1000.0);
        set("HyperParameterTuningJobStatus", json!(self.status.as_str()));
        set("CreationTime", seconds(self.created_ms));
        set("LastModifiedTime", seconds(self.modified_ms));
        set("TrainingJobStatusCounters", self.counters.of_jobs());
        set("ObjectiveStatusCounters", self.counters.of_objectives());
        let mut details = json!({"NumberOfTrainingJobsObjectiveNotImproving": self.not_improving});
        if let Some((Closing::Converged, since_ms)) = self.closing {
            details["ConvergenceDetectedTime"] = seconds(since_ms);
        }
        set("TuningJobCompletionDetails", details);
        let end_ms = self.ended_ms.unwrap_or(now_ms).max(self.created_ms);
        set("ConsumedResources", json!({"RuntimeInSeconds": (end_ms - self.created_ms + 999) / 1000}));
        if let Some(ended_ms) = self.ended_ms {
            set("HyperParameterTuningEndTime", seconds(ended_ms));
        }
        if let Some(reason) = &self.failure_reason {
            set("FailureReason", json!(reason));
        }
    }
}

impl Counters {
    /// `TrainingJobStatusCounters`.
    pub fn of_jobs(&self) -> Value {
        json!({
            "Completed": self.completed,
            "InProgress": self.in_progress,
            "RetryableError": self.retryable_error,
            "NonRetryableError": self.non_retryable_error,
            "Stopped": self.stopped,
        })
    }

    /// `ObjectiveStatusCounters`.
    pub fn of_objectives(&self) -> Value {
        json!({"Succeeded": self.succeeded, "Pending": self.pending, "Failed": self.failed})
    }
}

impl StrategyKind {
    /// Its spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bayesian => "Bayesian",
            Self::Random => "Random",
            Self::Grid => "Grid",
            Self::Hyperband { .. } => "Hyperband",
        }
    }
}

impl JobState for TuningState {
    const NOUN: &'static str = "hyperparameter tuning job";

    fn status(&self) -> Status {
        self.status
    }

    fn times(&self) -> Times {
        Times { created_ms: self.created_ms, modified_ms: self.modified_ms, ended_ms: self.ended_ms }
    }

    fn begin_stopping(&mut self, now_ms: i64) {
        self.touch(now_ms);
        self.status = Status::Stopping;
    }

    fn end_unstarted(&mut self, now_ms: i64) -> Result<(), Refused> {
        self.finish(Outcome::Stopped, now_ms)
    }

    fn touch(&mut self, now_ms: i64) {
        // The clock may have been set back.
        self.modified_ms = self.modified_ms.max(now_ms);
    }
}

/// What the chance of a tuning job is drawn from.
pub(crate) fn seed(random_seed: Option<u64>, arn: &str, now_ms: i64) -> u64 {
    random_seed
        .unwrap_or_else(|| arn.bytes().fold(now_ms.unsigned_abs(), |state, byte| combine(state, byte.into())))
}
