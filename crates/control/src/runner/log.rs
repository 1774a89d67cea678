//! Finds metrics in the log of a job as its lines arrive.

use std::path::PathBuf;

use regex::Regex;

use super::RunError;
use super::job_folder::machine;
use crate::engine::log_file::read_from;
use crate::training::FinalMetric;

/// The most lines and bytes that are read at once.
const MOST_LINES: usize = 10_000;
const MOST_BYTES: u64 = 1 << 20;

/// Reads a job's log repeatedly, and finds its metrics.
pub(super) struct JobLog {
    path: PathBuf,
    /// The offset of the first line that has not been read.
    offset: u64,
    patterns: Vec<(String, Regex)>,
}

impl JobLog {
    /// Starts to read at `offset`. `metrics` are names and regular expressions, whose first group is the value.
    pub(super) fn new(path: PathBuf, offset: u64, metrics: &[(String, String)]) -> Result<Self, RunError> {
        let patterns = metrics.iter().map(|(name, pattern)| {
            let regex = Regex::new(pattern).map_err(|error| {
                RunError::Client(format!("the regular expression of the metric {name}: {error}"))
            })?;
            Ok((name.clone(), regex))
        });
        Ok(Self { path, offset, patterns: patterns.collect::<Result<_, RunError>>()? })
    }

    /// The offset after the lines that have been read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the metrics in the lines since the last call; none if there were no lines.
    pub(super) fn read(&mut self) -> Result<Option<Vec<FinalMetric>>, RunError> {
        let lines = read_from(&self.path, self.offset, MOST_LINES, MOST_BYTES)
            .map_err(|error| machine(&self.path, error))?;
        let Some(last) = lines.last() else { return Ok(None) };
        self.offset = last.end;
        let mut found = Vec::new();
        for line in &lines {
            for (name, pattern) in &self.patterns {
                let groups = pattern.captures(&line.text);
                let value = groups.and_then(|groups| groups.get(1)?.as_str().parse::<f64>().ok());
                if let Some(value) = value.filter(|value| value.is_finite()) {
                    found.push(FinalMetric { name: name.clone(), value, at_ms: line.at_ms });
                }
            }
        }
        Ok(Some(found))
    }
}
