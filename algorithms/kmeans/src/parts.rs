//! Work of a team on ranges of rows or columns, with ordered results.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use kokanee_kernels::Team;

/// Calls `work` for ranges that together are `0..len`, each at least `grain` long except the last, and returns where each range
/// begins with its result, in order. The number of ranges depends on the team.
pub(crate) fn in_parts<T: Send>(
    team: &Team,
    len: usize,
    grain: usize,
    work: impl Fn(Range<usize>) -> T + Sync,
) -> Vec<(usize, T)> {
    let parts: Mutex<Vec<(usize, T)>> = Mutex::default();
    team.split(len, grain, |range| {
        let part = (range.start, work(range));
        parts.lock().unwrap_or_else(PoisonError::into_inner).push(part);
    });
    let mut parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
    parts.sort_unstable_by_key(|&(start, _)| start);
    parts
}
