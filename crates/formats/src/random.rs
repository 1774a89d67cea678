//! Random numbers that never change: which records are drawn, and in which order, is part of a training job's identity. A resumed run must
//! see the same draws even after an upgrade.

/// SplitMix64 (Steele, Lea, Flood 2014): a counter put through a mixing function.
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl SplitMix64 {
    /// A generator whose counter is at `state`.
    pub fn from_state(state: u64) -> Self {
        Self { state }
    }

    /// An independent stream for every `(seed, path)`, as in `(seed, [purpose, epoch, bucket])`.
    pub fn stream(seed: u64, path: &[u64]) -> Self {
        Self { state: path.iter().fold(mix(seed ^ GOLDEN_GAMMA), |state, &step| mix(combine(state, step))) }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number in [0, 1), a multiple of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `bound`, all equally likely (Lemire's multiplication with rejection). `bound` is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
    }

    /// A random index of a list of `len` items, which is not empty.
    pub fn place(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }

    /// Shuffles the items (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.place(last + 1));
        }
    }
}

/// Folds one more number into a hash or a stream's identity.
pub fn combine(state: u64, step: u64) -> u64 {
    state.wrapping_add(GOLDEN_GAMMA).rotate_left(5) ^ mix(step.wrapping_add(GOLDEN_GAMMA))
}

/// The output function of SplitMix64: a bijection in which every input bit moves every output bit.
pub fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_sequence() {
        // First outputs for state 1234567, as printed with the generator's reference implementations.
        let mut random = SplitMix64 { state: 1_234_567 };
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(expected.map(|_| random.next_u64()), expected);
    }

    #[test]
    fn draws_all_numbers_below_a_bound_alike() {
        let mut random = SplitMix64::stream(7, &[1]);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[random.below(6) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        assert_eq!(random.below(1), 0);
    }

    #[test]
    fn streams_differ_in_every_part_of_their_name() {
        let first = |seed, path: &[u64]| SplitMix64::stream(seed, path).next_u64();
        let names =
            [first(0, &[0, 0]), first(0, &[0, 1]), first(0, &[1, 0]), first(1, &[0, 0]), first(0, &[0])];
        for (i, a) in names.iter().enumerate() {
            assert!(!names[..i].contains(a), "{names:?}");
        }
    }
}
