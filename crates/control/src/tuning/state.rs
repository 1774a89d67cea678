//! The life of a tuning job: `InProgress` goes to `Completed`, `Failed`, or by `Stopping` to `Stopped`. Source: the guide's
//! `DescribeHyperParameterTuningJob`. Times are milliseconds since 1970.

use kokanee_formats::random::combine;
use kokanee_tuner::closing::{Closing, Criteria};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::definition::Definition;
use crate::jobs::{JobState, Refused, Status, Times};

/// A training improves the objective only if it is better by this fraction of the best value. Source: API reference,
/// `BestObjectiveNotImproving`.
pub(super) const LEAST_GAIN: f64 = 0.01;

/// How values are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StrategyKind {
    /// By a model of the measured results.
    Bayesian,
    /// Uniformly at random.
    Random,
    /// All combinations.
    Grid,
    /// At random; only the best trainings continue.
    Hyperband {
        /// Epochs before a training is judged.
        min_resource: u64,
        /// Epochs after which a training ends.
        max_resource: u64,
    },
}

/// The limits of a tuning job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// The most training jobs in total.
    pub most_trainings: u32,
    /// The most training jobs in parallel.
    pub most_parallel: u32,
    /// The most seconds until it ends.
    pub max_runtime_s: Option<u64>,
    /// The value of the objective at which it ends.
    pub target: Option<f64>,
    /// The number of training jobs in a row without an improvement after which it ends.
    pub most_not_improving: Option<u32>,
    /// Whether it ends when more trainings are unlikely to help.
    pub ends_on_convergence: bool,
    /// Whether trainings that perform worse than earlier ones are stopped.
    pub stops_early: bool,
}

impl Limits {
    /// The criteria that end it, apart from the number of training jobs.
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

/// The outcome of a tuning job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It completed.
    Completed,
    /// It found nothing.
    Failed {
        /// The reason.
        reason: String,
    },
    /// It stopped because it was told to.
    Stopped,
}

/// The changing state of a tuning job, and the meaning of its request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuningState {
    /// The definitions of its trainings; usually one.
    pub definitions: Vec<Definition>,
    /// How values are chosen.
    pub strategy: StrategyKind,
    /// The limits of the job.
    pub limits: Limits,
    /// The seed of its random choices.
    pub seed: u64,
    /// The names of a warm start's parents, and whether the job has the same data and algorithm.
    pub parents: Option<(Vec<String>, bool)>,
    /// The status.
    pub status: Status,
    /// When it was created.
    pub created_ms: i64,
    /// When anything here was last changed.
    pub modified_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// Why it creates no more training jobs, and since when.
    pub closing: Option<(Closing, i64)>,
    /// The counts of its training jobs.
    pub counters: Counters,
    /// The number of training jobs that have ended since the objective last improved.
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

    /// Stops the creation of training jobs. If called again, the first reason stays.
    ///
    /// # Errors
    /// If the job has ended.
    pub fn close(&mut self, why: Closing, now_ms: i64) -> Result<(), Refused> {
        self.check_open()?;
        self.touch(now_ms);
        self.closing.get_or_insert((why, self.modified_ms));
        Ok(())
    }

    /// Ends the job.
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

    /// Adds this state to an answer of `DescribeHyperParameterTuningJob`.
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
    /// The strategy in AWS's spelling.
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

/// The seed of a tuning job's random choices.
pub(crate) fn seed(random_seed: Option<u64>, arn: &str, now_ms: i64) -> u64 {
    random_seed
        .unwrap_or_else(|| arn.bytes().fold(now_ms.unsigned_abs(), |state, byte| combine(state, byte.into())))
}
