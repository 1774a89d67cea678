//! The run as lines of text, in the formats that SageMaker's metric definitions and Sockeye's readers expect.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use kokanee_contract::algorithms::seq2seq::metrics::{
    Split, checkpoint_line, checkpoint_metric_line, progress_line, quality_line, speed_line, throughput_line,
};
use kokanee_contract::algorithms::seq2seq::{Metric, TrainingMetric};
use kokanee_formats::utc;

use crate::observer::{Level, Observer, Progress, RECENT_UPDATES};
use crate::report::CheckpointReport;
use crate::run_state::Outcome;
use crate::summary::Summary;

/// Writes a line for each event, each with the time (UTC) in front. A log that cannot be written to does not end training.
pub struct LogLines<W> {
    out: W,
    host: String,
    training_metric: TrainingMetric,
    optimized_metric: Metric,
    percent: Option<f64>,
}

impl<W: Write> LogLines<W> {
    /// Lines for `out`; `host` is the name in SageMaker's lines, `algo-1` on a single machine.
    pub fn new(
        out: W,
        host: impl Into<String>,
        training_metric: TrainingMetric,
        optimized_metric: Metric,
    ) -> LogLines<W> {
        LogLines { out, host: host.into(), training_metric, optimized_metric, percent: None }
    }

    fn line(&mut self, level: Level, text: &str) {
        let label = match level {
            Level::Info => "INFO",
            Level::Warning => "WARNING",
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let _ = writeln!(self.out, "[{} {label}] {text}", utc(since)).and_then(|()| self.out.flush());
    }

    fn info(&mut self, text: &str) {
        self.line(Level::Info, text);
    }
}

impl<W: Write> Observer for LogLines<W> {
    fn started(&mut self, summary: &Summary) {
        summary.lines().iter().for_each(|line| self.info(line));
        summary.warnings.iter().for_each(|line| self.line(Level::Warning, line));
    }

    fn update(&mut self, progress: &Progress) {
        self.percent = progress.percent();
        if progress.update == 1 {
            // This line shows that everything fits together: with large models the next one comes minutes later.
            let (pairs, seconds, loss) = (progress.work.sentences, progress.work.seconds, progress.loss);
            self.info(&format!("first update: {pairs} pairs in {seconds:.3} seconds, loss {loss:.6}"));
        }
        if progress.update.is_multiple_of(RECENT_UPDATES as u64) {
            let metric = progress.train.training(self.training_metric);
            let speed = progress.recent.sentences_per_second();
            let line = speed_line(progress.epoch, progress.batch, speed, metric.as_slice());
            self.info(&line);
        }
    }

    fn checkpoint(&mut self, report: &CheckpointReport) {
        let CheckpointReport { checkpoint, epoch, .. } = *report;
        let seconds = report.train_seconds + report.validation_seconds;
        self.info(&checkpoint_line(checkpoint, report.update, epoch, report.samples, seconds));
        for (split, measures) in [(Split::Train, &report.train), (Split::Validation, &report.validation)] {
            for (metric, value) in measures.iter() {
                self.info(&checkpoint_metric_line(checkpoint, split, metric, value));
                let line = quality_line(&self.host, epoch, split, metric, value);
                self.info(&line);
            }
        }
        let line = throughput_line(&self.host, report.sentences_per_second);
        self.info(&line);
        if let Some(percent) = self.percent {
            let line = progress_line(&self.host, percent);
            self.info(&line);
        }
        let verdict = if report.improved {
            "new best model".to_owned()
        } else if report.validation.get(self.optimized_metric).is_none() {
            // A training that is asked to stop skips measurements that take long.
            format!("{} not measured", self.optimized_metric)
        } else {
            format!("no improvement for {} checkpoint(s)", report.not_improved)
        };
        self.info(&format!(
            "Checkpoint [{checkpoint}]\t{verdict}; {:.0} target tokens/sec, learning rate {:?}",
            report.target_tokens_per_second, report.learning_rate
        ));
    }

    fn message(&mut self, level: Level, text: &str) {
        self.line(level, text);
    }

    fn finished(&mut self, outcome: &Outcome) {
        let Outcome { reason, updates, elapsed_seconds, .. } = outcome;
        self.info(&format!(
            "training ended after {updates} updates and {elapsed_seconds:.1} seconds: {reason}"
        ));
        if let Some(best) = outcome.best {
            let value = best.value.map_or("not measured".to_owned(), |value| format!("{value:.6}"));
            let (metric, checkpoint, update) = (outcome.metric, best.checkpoint, best.update);
            self.info(&format!("best model: checkpoint {checkpoint} (update {update}), {metric} {value}"));
        }
    }
}

#[cfg(test)]
mod tests;
