//! The life of a training job: statuses, their times, and its results.
//!
//! `InProgress` leads to `Completed`, to `Failed`, or through `Stopping` to `Stopped`; secondary statuses give details. Source: the guide's
//! `DescribeTrainingJob`. Times are milliseconds since 1970.

use kokanee_contract::container::failure::failure_reason;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::jobs::{JobState, Refused, Status, Times};

/// The most entries of `FinalMetricDataList`.
const MOST_FINAL_METRICS: usize = 40;

/// `SecondaryStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Secondary {
    /// The job waits for its turn, or is being prepared.
    Starting,
    /// The job downloads its data.
    Downloading,
    /// Its program runs.
    Training,
    /// Its model is being uploaded to S3.
    Uploading,
    /// Its program died with the machine, and waits to be resumed.
    Interrupted,
    /// It resumes from its checkpoint.
    Restarting,
    /// It was told to stop.
    Stopping,
    /// It has stopped.
    Stopped,
    /// It was stopped because its time was over.
    MaxRuntimeExceeded,
    /// It has completed.
    Completed,
    /// It ended with an error.
    Failed,
}

impl Secondary {
    /// The status in SageMaker's spelling.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// SageMaker's message for the status.
    pub const fn message(self) -> &'static str {
        self.row().1
    }

    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Starting => ("Starting", "Preparing the instances for training"),
            Self::Downloading => ("Downloading", "Downloading input data"),
            Self::Training => ("Training", "Training image download completed. Training in progress."),
            Self::Uploading => ("Uploading", "Uploading generated training model"),
            Self::Interrupted => ("Interrupted", "Training job interrupted"),
            Self::Restarting => ("Restarting", "Restarting the training job from its checkpoint"),
            Self::Stopping => ("Stopping", "Stopping the training job"),
            Self::Stopped => ("Stopped", "Training job stopped"),
            Self::MaxRuntimeExceeded => {
                ("MaxRuntimeExceeded", "Resource released due to max runtime exceeded")
            }
            Self::Completed => ("Completed", "Training job completed"),
            Self::Failed => ("Failed", "Training job failed"),
        }
    }

    /// Whether a job has this status only at its end.
    const fn is_final(self) -> bool {
        matches!(self, Self::Stopped | Self::MaxRuntimeExceeded | Self::Completed | Self::Failed)
    }
}

/// An entry of `SecondaryStatusTransitions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The status.
    pub status: Secondary,
    /// When it began.
    pub start_ms: i64,
    /// When it ended; none for the present one.
    pub end_ms: Option<i64>,
    /// The message for it.
    pub message: String,
}

/// An entry of `FinalMetricDataList`: the last value of a metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalMetric {
    /// The metric's name.
    pub name: String,
    /// Its value; finite.
    pub value: f64,
    /// When it was logged.
    pub at_ms: i64,
}

/// The outcome of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It completed; its model is at this address.
    Completed {
        /// `s3://…/output/model.tar.gz`.
        artefacts: String,
    },
    /// It ended with an error.
    Failed {
        /// `ClientError: …`; only its first 1024 characters are kept.
        reason: String,
    },
    /// It stopped because it was told to.
    Stopped {
        /// The address of the model that it left.
        artefacts: Option<String>,
    },
    /// It was stopped because its time was over.
    MaxRuntimeExceeded {
        /// The address of the model that it left.
        artefacts: Option<String>,
    },
}

/// The changing state of a training job, and the meaning of its image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// The built-in algorithm that its image names; none for a user's own image.
    pub algorithm: Option<String>,
    /// The status.
    pub status: Status,
    /// The secondary status.
    pub secondary: Secondary,
    /// When it was created.
    pub created_ms: i64,
    /// When anything here was last changed.
    pub modified_ms: i64,
    /// When its machine became available.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// The history of its secondary statuses, in order.
    pub transitions: Vec<Transition>,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// The address of its model.
    pub artefacts: Option<String>,
    /// The last value of each metric.
    pub metrics: Vec<FinalMetric>,
    /// The offset at which the log continues after the lines whose metrics are recorded.
    #[serde(default)]
    pub log_offset: u64,
}

impl TrainingState {
    /// A job that was created now.
    pub fn new(algorithm: Option<&str>, now_ms: i64) -> Self {
        let mut state = Self {
            algorithm: algorithm.map(str::to_owned),
            status: Status::InProgress,
            secondary: Secondary::Starting,
            created_ms: now_ms,
            modified_ms: now_ms,
            started_ms: None,
            ended_ms: None,
            transitions: Vec::new(),
            failure_reason: None,
            artefacts: None,
            metrics: Vec::new(),
            log_offset: 0,
        };
        state.push(Secondary::Starting, None, now_ms);
        state
    }

    /// Sets the secondary status, or a new message for the present one.
    ///
    /// # Errors
    /// If it has ended.
    ///
    /// # Panics
    /// If `secondary` is a final status, which only [`finish`](Self::finish) may set.
    pub fn enter(&mut self, secondary: Secondary, message: Option<&str>, now_ms: i64) -> Result<(), Refused> {
        assert!(!secondary.is_final(), "a job ends by `finish`");
        self.check_open()?;
        let now_ms = self.change_at(now_ms);
        if secondary != Secondary::Starting {
            self.started_ms.get_or_insert(now_ms);
        }
        self.push(secondary, message, now_ms);
        Ok(())
    }

    /// Ends the job.
    ///
    /// # Errors
    /// If it has ended.
    pub fn finish(&mut self, outcome: Outcome, now_ms: i64) -> Result<(), Refused> {
        self.check_open()?;
        let now_ms = self.change_at(now_ms);
        let (status, secondary) = match outcome {
            Outcome::Completed { artefacts } => {
                self.artefacts = Some(artefacts);
                (Status::Completed, Secondary::Completed)
            }
            Outcome::Failed { reason } => {
                self.failure_reason = Some(failure_reason(&reason).to_owned());
                (Status::Failed, Secondary::Failed)
            }
            Outcome::Stopped { artefacts } => {
                self.artefacts = artefacts;
                (Status::Stopped, Secondary::Stopped)
            }
            Outcome::MaxRuntimeExceeded { artefacts } => {
                self.artefacts = artefacts;
                (Status::Stopped, Secondary::MaxRuntimeExceeded)
            }
        };
        self.status = status;
        // SDK v2 reads TrainingStartTime for every job that has ended.
        self.started_ms.get_or_insert(now_ms);
        self.ended_ms = Some(now_ms);
        self.push(secondary, None, now_ms);
        if let Some(last) = self.transitions.last_mut() {
            last.end_ms = Some(now_ms);
        }
        Ok(())
    }

    /// Records metrics that were logged; those that are not finite are ignored.
    ///
    /// # Errors
    /// If the job has ended.
    pub fn measured(
        &mut self,
        metrics: impl IntoIterator<Item = FinalMetric>,
        now_ms: i64,
    ) -> Result<(), Refused> {
        self.check_open()?;
        self.change_at(now_ms);
        for metric in metrics.into_iter().filter(|metric| metric.value.is_finite()) {
            if let Some(known) = self.metrics.iter_mut().find(|known| known.name == metric.name) {
                *known = metric;
            } else if self.metrics.len() < MOST_FINAL_METRICS {
                self.metrics.push(metric);
            }
        }
        Ok(())
    }

    /// The seconds from start to end, rounded up; none before the end.
    pub fn training_seconds(&self) -> Option<i64> {
        Some((self.ended_ms? - self.started_ms? + 999) / 1000)
    }

    /// Adds this state to an answer of `DescribeTrainingJob`.
    pub fn describe(&self, answer: &mut Map<String, Value>) {
        let transitions: Vec<Value> = self.transitions.iter().map(Transition::describe).collect();
        let mut set = |name: &str, value: Value| answer.insert(name.to_owned(), value);
        set("TrainingJobStatus", json!(self.status.as_str()));
        set("SecondaryStatus", json!(self.secondary.as_str()));
        set("CreationTime", seconds(self.created_ms));
        set("LastModifiedTime", seconds(self.modified_ms));
        set("SecondaryStatusTransitions", json!(transitions));
        // Clients read it whatever the status.
        set("ModelArtifacts", json!({"S3ModelArtifacts": self.artefacts.as_deref().unwrap_or_default()}));
        if let Some(started_ms) = self.started_ms {
            set("TrainingStartTime", seconds(started_ms));
        }
        if let Some(ended_ms) = self.ended_ms {
            set("TrainingEndTime", seconds(ended_ms));
        }
        if let Some(time) = self.training_seconds() {
            set("TrainingTimeInSeconds", json!(time));
            set("BillableTimeInSeconds", json!(time));
        }
        if let Some(reason) = &self.failure_reason {
            set("FailureReason", json!(reason));
        }
        if !self.metrics.is_empty() {
            let metrics: Vec<Value> = self.metrics.iter().map(FinalMetric::describe).collect();
            set("FinalMetricDataList", json!(metrics));
        }
    }

    /// Records the time of a change. It never decreases, even if the clock is set back.
    fn change_at(&mut self, now_ms: i64) -> i64 {
        self.modified_ms = self.modified_ms.max(now_ms);
        self.modified_ms
    }

    fn push(&mut self, secondary: Secondary, message: Option<&str>, now_ms: i64) {
        self.secondary = secondary;
        let message = message.unwrap_or_else(|| secondary.message()).to_owned();
        match self.transitions.last_mut() {
            Some(last) if last.status == secondary => last.message = message,
            last => {
                if let Some(last) = last {
                    last.end_ms = Some(now_ms);
                }
                self.transitions.push(Transition {
                    status: secondary,
                    start_ms: now_ms,
                    end_ms: None,
                    message,
                });
            }
        }
    }
}

impl JobState for TrainingState {
    const NOUN: &'static str = "training job";

    fn status(&self) -> Status {
        self.status
    }

    fn times(&self) -> Times {
        Times { created_ms: self.created_ms, modified_ms: self.modified_ms, ended_ms: self.ended_ms }
    }

    fn begin_stopping(&mut self, now_ms: i64) {
        let now_ms = self.change_at(now_ms);
        self.status = Status::Stopping;
        self.push(Secondary::Stopping, None, now_ms);
    }

    fn end_unstarted(&mut self, now_ms: i64) -> Result<(), Refused> {
        self.finish(Outcome::Stopped { artefacts: None }, now_ms)
    }

    fn touch(&mut self, now_ms: i64) {
        self.change_at(now_ms);
    }
}

impl Transition {
    fn describe(&self) -> Value {
        let mut entry = json!({
            "Status": self.status.as_str(),
            "StartTime": seconds(self.start_ms),
            "StatusMessage": self.message,
        });
        if let Some(end_ms) = self.end_ms {
            entry["EndTime"] = seconds(end_ms);
        }
        entry
    }
}

impl FinalMetric {
    fn describe(&self) -> Value {
        json!({"MetricName": self.name, "Value": self.value, "Timestamp": seconds(self.at_ms)})
    }
}

/// A point in time in the form that AWS uses in JSON.
pub(crate) fn seconds(ms: i64) -> Value {
    json!(ms as f64 / 1000.0)
}
