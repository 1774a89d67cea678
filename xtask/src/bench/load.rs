//! The load that other processes put on the machine, from Linux's accounting.

use std::fs;
use std::time::Instant;

/// `/proc` counts time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time until a moment, in seconds: of the whole machine, and of this process and its ended children.
#[derive(Debug)]
pub(super) struct CpuTime {
    at: Instant,
    all: f64,
    ours: f64,
}

impl CpuTime {
    /// The times until now; zeros on systems without this accounting.
    pub(super) fn now() -> CpuTime {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        CpuTime {
            at: Instant::now(),
            all: busy(&read("/proc/stat")).unwrap_or(0.0),
            ours: own(&read("/proc/self/stat")).unwrap_or(0.0),
        }
    }

    /// The average number of cores that other processes have kept busy since then.
    pub(super) fn taken_by_others(&self) -> f64 {
        let now = CpuTime::now();
        let others = (now.all - self.all) - (now.ours - self.ours);
        (others / (now.at - self.at).as_secs_f64()).max(0.0)
    }
}

/// The busy time of all processors, without idling and waiting for disks; time that the host took away counts as busy.
fn busy(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user, nice, system, idle, iowait, irq, softirq, steal; the fields after them are already included in user.
    let ticks: Vec<f64> = line.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((ticks.iter().sum::<f64>() - idle) / TICKS_PER_SECOND)
}

/// The time of a process and its children.
fn own(stat: &str) -> Option<f64> {
    // The name in brackets may hold spaces and brackets.
    let (_, fields) = stat.rsplit_once(')')?;
    // Fields 14 to 17: utime, stime, cutime, cstime; the third field follows the name.
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    (ticks.len() == 4).then(|| ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accounts_of_linux_are_read() {
        let stat = "cpu  100 20 30 5000 7 1 2 40 9 9\ncpu0 1 1 1 1\n";
        assert_eq!(busy(stat), Some(1.93));
        assert_eq!(busy("intr 5\n"), None);
        let stat = "42 (a b) c) S 1 1 1 0 -1 4194304 100 200 0 0 500 60 7000 800 20 0 4 0 100\n";
        assert_eq!(own(stat), Some(83.6));
        assert_eq!(own("42 (a) S 1"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn time_that_a_child_takes_is_not_that_of_others() {
        let before = CpuTime::now();
        let spin = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", spin]).status().unwrap().success());
        assert!(CpuTime::now().ours > before.ours, "{before:?}");
    }
}
