//! Points that cover a cube more evenly than random ones.

/// An Owen-scrambled Sobol sequence in [0, 1)^dimensions.
pub(crate) struct Sobol {
    dimensions: usize,
    seed: u32,
}

/// The limits of `sobol_burley`; indices and dimensions beyond them start over with another scrambling.
const DIMENSIONS: usize = sobol_burley::NUM_DIMENSIONS as usize;
const INDICES: usize = 1 << 16;

impl Sobol {
    pub(crate) fn new(dimensions: usize, seed: u64) -> Self {
        let seed = kokanee_formats::random::mix(seed) as u32;
        Self { dimensions, seed }
    }

    /// The point at `index`, a pure function of index and seed.
    pub(crate) fn point(&self, index: usize) -> Vec<f64> {
        let round = (index / INDICES) as u32;
        let coordinate = |dimension: usize| {
            let seed = self.seed.wrapping_add(round).wrapping_add((dimension / DIMENSIONS) as u32);
            f64::from(sobol_burley::sample((index % INDICES) as u32, (dimension % DIMENSIONS) as u32, seed))
        };
        (0..self.dimensions).map(coordinate).collect()
    }
}
