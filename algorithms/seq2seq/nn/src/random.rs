//! Random numbers that never change: named streams derived from one seed.
//!
//! A stream is a pure function of (seed, name, index), so a resumed run equals an uninterrupted one without any stored random
//! state. The generator is SplitMix64 (Steele, Lea, Flood 2014), whose state is a counter.

use kokanee_formats::fnv1a;
use kokanee_formats::random::SplitMix64;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Stream {
    random: SplitMix64,
}

impl Stream {
    /// The stream called `name` of a seed; streams of different names or seeds are unrelated.
    pub fn new(seed: u64, name: &str) -> Stream {
        // A hash spreads the name over 64 bits; two rounds of the generator separate close seeds.
        let hash = fnv1a(name.bytes().map(u64::from));
        let first = SplitMix64::from_state(seed).next_u64() ^ hash;
        Stream { random: SplitMix64::from_state(SplitMix64::from_state(first).next_u64()) }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// Uniform in [-limit, limit).
    pub fn symmetric(&mut self, limit: f32) -> f32 {
        let unit = (self.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
        (2.0 * unit - 1.0) * limit
    }

    /// `count` of the numbers `0..len`, each at most once, ascending.
    pub fn sample(&mut self, len: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..len).collect();
        let count = count.min(len);
        for i in 0..count {
            let j = i + (self.next_u64() % (len - i) as u64) as usize;
            all.swap(i, j);
        }
        all.truncate(count);
        all.sort_unstable();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_pinned_and_differ() {
        let first = |seed, name| Stream::new(seed, name).next_u64();
        assert_eq!(first(13, "initialisation"), 0xa81a_6c4c_97cd_5764);
        assert_ne!(first(13, "initialisation"), first(14, "initialisation"));
        assert_ne!(first(13, "initialisation"), first(13, "dropout"));
    }

    #[test]
    fn symmetric_numbers_fill_their_range() {
        let mut stream = Stream::new(1, "test");
        let numbers: Vec<f32> = (0..10_000).map(|_| stream.symmetric(2.0)).collect();
        assert!(numbers.iter().all(|x| (-2.0..2.0).contains(x)));
        let mean = numbers.iter().sum::<f32>() / 10_000.0;
        let variance = numbers.iter().map(|x| x * x).sum::<f32>() / 10_000.0;
        assert!(mean.abs() < 0.05 && (variance - 4.0 / 3.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn samples_are_distinct_and_in_order() {
        let sample = Stream::new(1, "test").sample(100, 30);
        assert!(sample.len() == 30 && sample.windows(2).all(|w| w[0] < w[1]) && sample[29] < 100);
        assert_eq!(Stream::new(1, "test").sample(3, 9), [0, 1, 2]);
    }
}
