//! Measurements: a checkpoint's figures, and `metrics.json`.

use std::collections::BTreeMap;

use kokanee_contract::algorithms::seq2seq::{Metric, TrainingMetric};
use kokanee_seq2seq_nn::artifact::TrainingSummary;
use serde::{Deserialize, Serialize};

use crate::StopReason;

/// Version of the layout of `metrics.json`; raised when older readers could not read a new layout.
const FORMAT_VERSION: u32 = 1;

/// `metrics.json`: the history of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of the layout of this file.
    pub format_version: u32,
    /// Metric that decides which checkpoint is best.
    pub optimized_metric: Metric,
    /// The checkpoint whose model is kept; none before the first.
    pub best: Option<Best>,
    /// The reason why training ended; none while it runs, or when it was interrupted.
    pub stop_reason: Option<StopReason>,
    /// The result of averaging checkpoints at the end, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<AverageReport>,
    /// Every checkpoint in order.
    pub checkpoints: Vec<CheckpointReport>,
}

impl Report {
    /// A report of a running training.
    pub fn new(optimized_metric: Metric, best: Option<Best>, checkpoints: Vec<CheckpointReport>) -> Report {
        let (format_version, stop_reason, average) = (FORMAT_VERSION, None, None);
        Report { format_version, optimized_metric, best, stop_reason, average, checkpoints }
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a report is plain data");
        text.push('\n');
        text
    }
}

/// The checkpoint whose model is kept.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Its number, from 1.
    pub checkpoint: u64,
    /// Number of updates that the model has received.
    pub update: u64,
    /// Its value of the optimized metric; none if that could not be measured.
    pub value: Option<f64>,
}

/// Metrics over some target tokens; none if they were not measured or are NaN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// exp of the mean negative log-likelihood per token, probabilities floored at 1e-10.
    pub perplexity: Option<f64>,
    /// Share of tokens that were the most probable word, 0 to 1.
    pub accuracy: Option<f64>,
    /// BLEU of beam-search output, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bleu: Option<f64>,
    /// Target tokens counted, `</s>` included.
    pub target_tokens: u64,
}

impl Measures {
    /// One metric, if it was measured.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Perplexity => self.perplexity,
            Metric::Accuracy => self.accuracy,
            Metric::Bleu => self.bleu,
        }
    }

    /// All metrics that were measured.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, f64)> + '_ {
        Metric::ALL.iter().filter_map(|&metric| Some((metric, self.get(metric)?)))
    }

    /// The metric that is reported while training.
    pub fn training(&self, metric: TrainingMetric) -> Option<(Metric, f64)> {
        let metric = match metric {
            TrainingMetric::Perplexity => Metric::Perplexity,
            TrainingMetric::Accuracy => Metric::Accuracy,
        };
        Some((metric, self.get(metric)?))
    }
}

/// The figures of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointReport {
    /// Its number, from 1.
    pub checkpoint: u64,
    /// Number of updates done.
    pub update: u64,
    /// Epoch of the last update, from 0.
    pub epoch: u64,
    /// Number of pairs trained on since the run began.
    pub samples: u64,
    /// Learning rate up to this checkpoint.
    pub learning_rate: f64,
    /// Learning rate from here on.
    pub next_learning_rate: f64,
    /// Metrics of the batches since the last checkpoint, each measured before its update.
    pub train: Measures,
    /// Metrics of the validation data, every pair once.
    pub validation: Measures,
    /// Whether the optimized metric is strictly better than ever before.
    pub improved: bool,
    /// Number of checkpoints in a row without improvement, including this one.
    pub not_improved: u64,
    /// Seconds of training since the last checkpoint.
    pub train_seconds: f64,
    /// Seconds it took to measure on the validation data.
    pub validation_seconds: f64,
    /// Seconds since the run began, interruptions not counted.
    pub elapsed_seconds: f64,
    /// Pairs trained on per second since the last checkpoint.
    pub sentences_per_second: f64,
    /// Target tokens trained on per second since the last checkpoint, padding not counted.
    pub target_tokens_per_second: f64,
}

impl CheckpointReport {
    /// The part of the model's `config.json` on its training.
    pub fn summary(&self) -> TrainingSummary {
        let validation: BTreeMap<String, f64> =
            self.validation.iter().map(|(metric, value)| (metric.to_string(), value)).collect();
        TrainingSummary { updates: self.update, epoch: self.epoch, checkpoint: self.checkpoint, validation }
    }
}
/// The result of averaging.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AverageReport {
    /// Numbers of the checkpoints whose parameters were averaged, ascending.
    pub checkpoints: Vec<u64>,
    /// Metrics of the average on the validation data.
    pub validation: Measures,
    /// Whether it is better than the best checkpoint by the optimized metric, and so replaced it.
    pub kept: bool,
}
