//! The speed that a product could reach on this machine if its operands cost nothing: the measure of all others.

use std::time::{Duration, Instant};

use super::super::threads::Team;
use super::Precision;
use super::kernel::{LANES, LINES, Line, PANEL, ROWS, Sums, Tile};
use super::packed::Format;

/// Entries of the panel: with its rows of words it fills half of a first cache.
const GROUPS: usize = 96;
/// The number of measurements, of which the best counts, and their length.
const WINDOWS: usize = 10;
const WINDOW: Duration = Duration::from_millis(30);

/// Measures the floating-point operations per second (a multiply-add is two) of the kernel for `precision` on operands that stay in
/// the first cache, on all threads of the team together. Takes a third of a second.
pub fn peak(team: &Team, precision: Precision) -> f64 {
    let format = Format::from(precision);
    let kernel = format.kernel();
    let window = |_| {
        let rates: Vec<std::sync::Mutex<f64>> = (0..team.size()).map(|_| 0.0.into()).collect();
        team.run(|thread| {
            let panel = vec![[Line([0; LANES]); LINES]; GROUPS];
            let x = vec![0u32; ROWS * GROUPS];
            let mut tile = Tile::ZERO;
            let started = Instant::now();
            let mut steps = 0;
            while started.elapsed() < WINDOW {
                for _ in 0..100 {
                    kernel.run(
                        &panel,
                        &x,
                        GROUPS,
                        ROWS,
                        true,
                        &mut Sums::of(std::hint::black_box(&mut tile), LINES),
                    );
                }
                steps += 100 * ROWS * PANEL * GROUPS * format.group();
            }
            let rate = 2.0 * steps as f64 / started.elapsed().as_secs_f64();
            *rates[thread].lock().expect("nothing panics while holding it") = rate;
        });
        rates.into_iter().map(|rate| rate.into_inner().expect("as above")).sum()
    };
    (0..WINDOWS).map(window).fold(0.0, f64::max)
}
