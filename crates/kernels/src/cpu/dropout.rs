//! Dropout whose mask is a pure function of a key and the position: nothing is stored, and the backward pass computes the mask
//! again.

use super::threads::{SharedMut, Team};

/// The least number of elements that a thread handles.
const GRAIN: usize = 8192;

/// Applies inverted dropout (Srivastava et al. 2014) in place: each element is zeroed with probability `rate` in [0, 1), the others
/// are divided by `1 - rate`. The same key gives the same mask, so calling this function on the gradients propagates them.
pub fn dropout(team: &Team, x: &mut [f32], rate: f32, key: u64) {
    assert!((0.0..1.0).contains(&rate), "a dropout rate is in [0, 1)");
    // The number of the 2^32 values of the hash that are dropped.
    let threshold = (f64::from(rate) * 4_294_967_296.0) as u32;
    let scale = 1.0 / (1.0 - rate);
    let len = x.len();
    let shared = SharedMut::new(x);
    team.split(len, GRAIN, |range| {
        let start = range.start;
        // SAFETY: `split` gives each thread its own range.
        dropout_part(
            unsafe { shared.slice(range) },
            start as u32,
            key as u32,
            (key >> 32) as u32,
            threshold,
            scale,
        );
    });
}

multiversion! {
    fn dropout_part(x: &mut [f32], start: u32, low: u32, high: u32, threshold: u32, scale: f32) {
        for (i, x) in x.iter_mut().enumerate() {
            let kept = mix(mix(start.wrapping_add(i as u32) ^ low).wrapping_add(high)) >= threshold;
            *x = if kept { *x * scale } else { 0.0 };
        }
    }
}

/// Applies dropout with one mask per sequence instead of per token (Gal and Ghahramani 2016): row r of `x` (rows of `width`
/// elements) has the mask of sequence `sequences[r]`.
pub fn dropout_rows(team: &Team, x: &mut [f32], width: usize, sequences: &[u32], rate: f32, key: u64) {
    assert!((0.0..1.0).contains(&rate), "a dropout rate is in [0, 1)");
    assert_eq!(x.len(), sequences.len() * width, "one sequence a row");
    let threshold = (f64::from(rate) * 4_294_967_296.0) as u32;
    let scale = 1.0 / (1.0 - rate);
    let shared = SharedMut::new(x);
    team.split(sequences.len(), (GRAIN / width.max(1)).max(1), |range| {
        for row in range {
            // SAFETY: `split` gives each thread its own rows.
            let x = unsafe { shared.slice(row * width..(row + 1) * width) };
            let start = sequences[row].wrapping_mul(width as u32);
            dropout_part(x, start, key as u32, (key >> 32) as u32, threshold, scale);
        }
    });
}

/// Maps 32 bits one to one, such that every input bit changes every output bit (two multiplications and three shifts, with the
/// constants of Wellons' search for the least biased ones).
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_sequence_share_their_mask() {
        let mut x = vec![1f32; 4 * 500];
        dropout_rows(&Team::new(2), &mut x, 500, &[3, 1, 3, 0], 0.5, 9);
        let row = |r: usize| &x[r * 500..(r + 1) * 500];
        assert_eq!(row(0), row(2));
        assert!(row(0) != row(1) && row(1) != row(3));
    }

    #[test]
    fn the_share_dropped_is_the_rate_and_the_mean_stays() {
        for rate in [0.0, 0.1, 0.5, 0.9] {
            for key in [0, 1, 0xdead_beef_0000_0001] {
                let mut x = vec![1f32; 100_000];
                dropout(&Team::new(2), &mut x, rate, key);
                let dropped = x.iter().filter(|&&x| x == 0.0).count() as f32 / 1e5;
                let mean = x.iter().sum::<f32>() / 1e5;
                assert!(
                    (dropped - rate).abs() < 0.01 && (mean - 1.0).abs() < 0.05,
                    "{rate} {key}: {dropped} {mean}"
                );
            }
        }
    }

    #[test]
    fn masks_depend_on_the_key_and_not_on_the_threads() {
        let mask = |threads, key| {
            let mut x = vec![1f32; 50_000];
            dropout(&Team::new(threads), &mut x, 0.5, key);
            x
        };
        assert_eq!(mask(1, 7), mask(3, 7));
        let same = mask(1, 7).iter().zip(mask(1, 8)).filter(|(a, b)| **a == *b).count();
        assert!((20_000..30_000).contains(&same), "{same} of 50000 agree");
    }
}
