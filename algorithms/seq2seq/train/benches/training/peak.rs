//! What the machine can do, in the same run, and the most memory that was held.

use kokanee_kernels::{Precision, Team, peak};

/// What the multipliers of the team's cores do in `precision` when nothing has to be fetched, in GFLOP/s.
pub(crate) fn gflops(team: &Team, precision: Precision) -> f64 {
    peak(team, precision) / 1e9
}

/// The most memory that this process held so far, in MiB, where the system says.
pub(crate) fn memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}
