//! The latency between two cores, which may change from second to second on shared machines.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

/// Number of timed rounds, after as many warm-up rounds.
const ROUNDS: u32 = 5_000;
/// Number of checks of the cache line before a thread yields, in case both threads are on one core.
const LOOKS: u32 = 1 << 14;

/// Nanoseconds that a cache line takes from one core to another and back; `None` on a machine with one core. It is around 60 where the
/// cores share a cache, several hundred where they do not. A virtual machine's cores may be moved from one state to the other at any time:
/// then everything that threads exchange becomes slower or faster, and nothing else.
pub(super) fn between_cores() -> Option<f64> {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        return None;
    }
    let line = AtomicU32::new(0);
    let wait_for = |value: u32| {
        let mut looks = 0;
        while line.load(Ordering::Acquire) != value {
            looks += 1;
            if looks % LOOKS == 0 { thread::yield_now() } else { std::hint::spin_loop() }
        }
    };
    Some(thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..2 * ROUNDS {
                wait_for(2 * round + 1);
                line.store(2 * round + 2, Ordering::Release);
            }
        });
        let mut started = Instant::now();
        for round in 0..2 * ROUNDS {
            if round == ROUNDS {
                started = Instant::now();
            }
            line.store(2 * round + 1, Ordering::Release);
            wait_for(2 * round + 2);
        }
        started.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_some_way_apart() {
        let distance = between_cores();
        assert_eq!(distance.is_some(), thread::available_parallelism().is_ok_and(|cores| cores.get() > 1));
        assert!(distance.is_none_or(|ns| ns > 1.0), "{distance:?}");
    }
}
