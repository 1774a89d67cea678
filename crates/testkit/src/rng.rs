//! Random test data that is the same on every machine and in every release.

use std::ops::Range;

/// A seeded generator (SplitMix64). Its stream never changes: tests pin values made from it.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator whose stream depends on `seed` alone.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        // SplitMix64: the golden-ratio increment, then Stafford's mixing "variant 13".
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number in `[0, 1)` with 53 random bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in `[lo, hi)`, uniformly (`hi` itself only where rounding to f32 gives it).
    ///
    /// # Panics
    /// When `lo > hi`.
    pub fn uniform(&mut self, lo: f32, hi: f32) -> f32 {
        assert!(lo <= hi, "uniform({lo}, {hi}): the bounds are the wrong way round");
        let (lo, hi) = (f64::from(lo), f64::from(hi));
        (lo + (hi - lo) * self.unit()) as f32
    }

    /// A whole number in `range`, uniformly up to a bias of at most `len / 2^64`.
    ///
    /// # Panics
    /// When `range` is empty.
    pub fn range(&mut self, range: Range<usize>) -> usize {
        assert!(!range.is_empty(), "range({range:?}): nothing to choose from");
        let len = range.len() as u128;
        range.start + ((u128::from(self.next_u64()) * len) >> 64) as usize
    }

    /// A number of the normal distribution with mean 0 and standard deviation 1.
    pub fn normal(&mut self) -> f32 {
        // Box-Muller; 1 - unit() lies in (0, 1], so the logarithm is finite. The second value is discarded: each call takes two draws and
        // keeps no state.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.unit()).cos()) as f32
    }

    /// `len` numbers in `[lo, hi)`.
    pub fn uniform_vec(&mut self, len: usize, lo: f32, hi: f32) -> Vec<f32> {
        (0..len).map(|_| self.uniform(lo, hi)).collect()
    }

    /// `len` numbers of the standard normal distribution.
    pub fn normal_vec(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.normal()).collect()
    }

    /// Shuffles `items`, every order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.range(0..last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_pinned() {
        // SplitMix64's published first outputs for the seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let got = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn uniform_and_range_stay_inside_and_reach_everything() {
        let mut rng = Rng::new(1);
        let mut seen = [0usize; 5];
        for _ in 0..2000 {
            let value = rng.uniform(-0.5, 0.25);
            assert!((-0.5..=0.25).contains(&value), "{value}");
            seen[rng.range(3..8) - 3] += 1;
        }
        assert!(seen.iter().all(|&count| (300..500).contains(&count)), "{seen:?}");
    }

    #[test]
    fn normal_has_mean_zero_and_deviation_one() {
        let draws = Rng::new(2).normal_vec(20_000);
        let mean = draws.iter().sum::<f32>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "mean {mean}, variance {variance}");
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..50).collect();
        Rng::new(3).shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
