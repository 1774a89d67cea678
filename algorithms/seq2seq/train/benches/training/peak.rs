//! The peak speed of the machine, in the same run, and the peak memory.

use kokanee_kernels::{Precision, Team, peak};

/// The speed of the multipliers of the team's cores in `precision` when nothing has to be fetched, in GFLOP/s.
pub(crate) fn gflops(team: &Team, precision: Precision) -> f64 {
    peak(team, precision) / 1e9
}

/// The peak memory of this process so far, in MiB, if the system tells it.
pub(crate) fn memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}
