//! IBM Model 1 (Brown, Della Pietra, Della Pietra, Mercer 1993): the probability t(f|e) of a target word f given a source
//! word e, learned by expectation maximisation from pairs of sentences.
//!
//! Each target word is the translation of one source word of its sentence or of the null word, all with equal prior probability. So
//! the share of source word e in target word f of a sentence is `t(f|e) / z`, with `z` the sum of t(f|.) over the sentence's source
//! words and the null word, and the new t(f|e) is the sum of e's shares in f, scaled to sum to 1 over f. One word e has the same
//! t(f|e) in all its shares: the sum is `t(f|e)` times the sum of `1/z`.

use rayon::prelude::*;

use crate::corpus::{Corpus, VocabularySizes};

/// Number of sentences whose `z` are computed together.
const BLOCK: usize = 1024;

/// A target word that is in no row.
const ABSENT: u32 = u32::MAX;

/// Returns for each source word the target words that it occurs with, ascending, with t(f|e).
pub(super) fn train(corpus: &Corpus, sizes: VocabularySizes, iterations: usize) -> Vec<Vec<(u32, f32)>> {
    let occurrences = Occurrences::new(corpus, sizes.source);
    // Only words that occur together can be translations, and all of them are equally likely at first.
    let uniform = 1.0 / sizes.target.max(1) as f32;
    let mut rows: Vec<Vec<(u32, f32)>> = (0..sizes.source)
        .into_par_iter()
        .map_init(
            || vec![false; sizes.target],
            |is_seen, source| {
                let mut ids = Vec::new();
                for &pair in occurrences.of(source) {
                    for &target in corpus.target(pair as usize) {
                        if !std::mem::replace(&mut is_seen[target as usize], true) {
                            ids.push(target);
                        }
                    }
                }
                ids.iter().for_each(|&id| is_seen[id as usize] = false);
                ids.sort_unstable();
                ids.into_iter().map(|id| (id, uniform)).collect()
            },
        )
        .collect();
    let mut null = vec![uniform; sizes.target];
    let mut normalisers = Normalisers::new(corpus);
    for _ in 0..iterations {
        normalisers.compute(corpus, &rows, &null);
        maximise_null(&mut null, corpus, &normalisers);
        rows.par_iter_mut().enumerate().for_each_init(
            || vec![ABSENT; sizes.target],
            |places, (source, row)| maximise(row, places, occurrences.of(source), corpus, &normalisers),
        );
    }
    rows
}

/// Computes a row's new probabilities. All entries of `places` are [`ABSENT`], before and after.
fn maximise(
    row: &mut [(u32, f32)],
    places: &mut [u32],
    pairs: &[u32],
    corpus: &Corpus,
    normalisers: &Normalisers,
) {
    for (&(id, _), place) in row.iter().zip(0..) {
        places[id as usize] = place;
    }
    let mut sums = vec![0_f64; row.len()];
    for &pair in pairs {
        let pair = pair as usize;
        for (&target, z) in corpus.target(pair).iter().zip(normalisers.of(pair)) {
            sums[places[target as usize] as usize] += 1.0 / f64::from(*z);
        }
    }
    row.iter().for_each(|&(id, _)| places[id as usize] = ABSENT);
    for (sum, &(_, probability)) in sums.iter_mut().zip(row.iter()) {
        *sum *= f64::from(probability);
    }
    let total: f64 = sums.iter().sum();
    for ((_, probability), sum) in row.iter_mut().zip(sums) {
        *probability = (sum / total) as f32;
    }
}

/// Computes the same for the null word, which is in every sentence.
fn maximise_null(null: &mut [f32], corpus: &Corpus, normalisers: &Normalisers) {
    let mut sums = vec![0_f64; null.len()];
    for pair in 0..corpus.len() {
        for (&target, z) in corpus.target(pair).iter().zip(normalisers.of(pair)) {
            sums[target as usize] += f64::from(null[target as usize]) / f64::from(*z);
        }
    }
    let total = sums.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    null.iter_mut().zip(sums).for_each(|(probability, sum)| *probability = (sum / total) as f32);
}

/// The pairs in which each source word occurs, repeated as often as it does.
struct Occurrences {
    offsets: Vec<usize>,
    pairs: Vec<u32>,
}

impl Occurrences {
    fn new(corpus: &Corpus, source_size: usize) -> Self {
        let mut offsets = vec![0; source_size + 1];
        let tokens = || {
            (0..corpus.len()).flat_map(|pair| corpus.source(pair).iter().map(move |&id| (pair, id as usize)))
        };
        tokens().for_each(|(_, id)| offsets[id + 1] += 1);
        for id in 0..source_size {
            offsets[id + 1] += offsets[id];
        }
        let mut next = offsets.clone();
        let mut pairs = vec![0; corpus.source_tokens()];
        for (pair, id) in tokens() {
            // A corpus has at most `Corpus::MAX_PAIRS` pairs, which is what u32 can name.
            pairs[next[id]] = pair as u32;
            next[id] += 1;
        }
        Self { offsets, pairs }
    }

    fn of(&self, source: usize) -> &[u32] {
        &self.pairs[self.offsets[source]..self.offsets[source + 1]]
    }
}

/// `z` of every target token.
struct Normalisers {
    blocks: Vec<Vec<f32>>,
    /// Where those of each pair begin within its block.
    begins: Vec<u32>,
}

impl Normalisers {
    fn new(corpus: &Corpus) -> Self {
        let (mut blocks, mut begins) = (Vec::new(), Vec::with_capacity(corpus.len()));
        for first in (0..corpus.len()).step_by(BLOCK) {
            let mut tokens = 0;
            for pair in first..corpus.len().min(first + BLOCK) {
                begins.push(tokens as u32);
                tokens += corpus.target(pair).len();
            }
            blocks.push(vec![0.0; tokens]);
        }
        Self { blocks, begins }
    }

    fn of(&self, pair: usize) -> &[f32] {
        &self.blocks[pair / BLOCK][self.begins[pair] as usize..]
    }

    fn compute(&mut self, corpus: &Corpus, rows: &[Vec<(u32, f32)>], null: &[f32]) {
        self.blocks.par_iter_mut().enumerate().for_each(|(block, values)| {
            let mut values = values.iter_mut();
            for pair in block * BLOCK..corpus.len().min((block + 1) * BLOCK) {
                for (&target, value) in corpus.target(pair).iter().zip(&mut values) {
                    let of_source = |&source: &u32| {
                        let row = &rows[source as usize];
                        row.binary_search_by_key(&target, |&(id, _)| id).map_or(0.0, |place| row[place].1)
                    };
                    *value = null[target as usize] + corpus.source(pair).iter().map(of_source).sum::<f32>();
                }
            }
        });
    }
}
