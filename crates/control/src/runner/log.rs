//! The log of a job as it is written, and the metrics in it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use regex::Regex;

use super::RunError;
use super::job_folder::machine;
use crate::training::FinalMetric;

/// Lines of a job: each is written to a file, with its time in milliseconds, and searched for metrics.
#[derive(Clone)]
pub(super) struct JobLog(Arc<Mutex<Open>>);

struct Open {
    file: File,
    patterns: Vec<(String, Regex)>,
    /// Metrics that were found and not taken yet.
    found: Vec<FinalMetric>,
}

impl JobLog {
    /// Opens the log of a job; lines are added to those of an earlier run.
    pub(super) fn open(path: &Path, metrics: &[(String, String)]) -> Result<Self, RunError> {
        let patterns = metrics.iter().map(|(name, pattern)| {
            let regex = Regex::new(pattern).map_err(|error| {
                RunError::Client(format!("the regular expression of the metric {name}: {error}"))
            })?;
            Ok((name.clone(), regex))
        });
        let patterns = patterns.collect::<Result<_, RunError>>()?;
        let file =
            OpenOptions::new().create(true).append(true).open(path).map_err(|error| machine(path, error))?;
        Ok(Self(Arc::new(Mutex::new(Open { file, patterns, found: Vec::new() }))))
    }

    /// Adds a line.
    pub(super) fn line(&self, line: &str) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Open { file, patterns, found } = &mut *open;
        // A disk that is full does not end the training.
        let _ = writeln!(file, "{at_ms}\t{line}");
        for (name, pattern) in patterns {
            let value = pattern.captures(line).and_then(|groups| groups.get(1)?.as_str().parse::<f64>().ok());
            if let Some(value) = value.filter(|value| value.is_finite()) {
                found.push(FinalMetric { name: name.clone(), value, at_ms });
            }
        }
    }

    /// Metrics that were found since the last time.
    pub(super) fn take(&self) -> Vec<FinalMetric> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).found)
    }
}
