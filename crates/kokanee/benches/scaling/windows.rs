//! Repeated measurements of a time.

use std::time::Instant;

use kokanee_testkit::quantiles;

/// A median with its spread, in seconds for one unit of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Windows {
    /// Runs `work`, which returns the number of units that it did, for `count` windows of at least `seconds` each, after one run
    /// that does not count.
    pub(crate) fn measure(count: usize, seconds: f64, work: &mut dyn FnMut() -> usize) -> Windows {
        work();
        let times = (0..count).map(|_| {
            let started = Instant::now();
            let mut units = 0;
            loop {
                units += work();
                let elapsed = started.elapsed().as_secs_f64();
                if elapsed >= seconds {
                    return elapsed / units as f64;
                }
            }
        });
        let [low, median, high] = quantiles(times, [0.0, 0.5, 1.0]);
        Windows { median, low, high }
    }
}
