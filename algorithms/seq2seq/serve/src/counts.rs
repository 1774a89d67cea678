//! The counts of requests, for their lines in the log.

use kokanee_http::{Columns, Counters, columns};

/// The names of the counts.
pub(crate) static COLUMNS: Columns = columns![instances, tokens_in, tokens_out];

/// Counts an answered instance for the log: its source tokens, and the target tokens of its best hypothesis.
pub(crate) fn count(counters: &Counters, tokens_in: usize, tokens_out: usize) {
    let counts = [1, tokens_in as u64, tokens_out as u64];
    counts.into_iter().enumerate().for_each(|(index, count)| counters.add(index, count));
}
