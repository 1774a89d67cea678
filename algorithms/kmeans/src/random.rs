//! Random numbers that depend on the seed, the purpose and the place in the algorithm, and never change between releases.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    state: u64,
}

const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

impl Stream {
    /// A stream of its own for every seed and path, as in `(seed, [purpose, trial])`.
    pub(crate) fn new(seed: u64, path: &[u64]) -> Self {
        let step = |state: u64, &step: &u64| {
            mix(state.wrapping_add(GOLDEN_GAMMA).rotate_left(5) ^ mix(step.wrapping_add(GOLDEN_GAMMA)))
        };
        Self { state: path.iter().fold(mix(seed ^ GOLDEN_GAMMA), step) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `bound`, which is not 0, all equally likely (Lemire's multiplication with rejection).
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = bound as u64;
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}
