//! BLEU over a corpus, equal to sacrebleu's with `tokenize=none`.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

use super::MetricError;

#[cfg(test)]
mod tests;

/// Longest n-gram that counts: BLEU-4 (Papineni et al. 2002, and sacrebleu's default).
pub const BLEU_ORDER: usize = 4;

/// Smoothing of the BLEU that watches training: an order without a match counts 0.01 matches
/// (Sockeye 1.x, section "Loss and metrics").
pub const TRAINING_SMOOTHING: Smoothing = Smoothing::Floor(0.01);

/// The replacement for the precision of an order whose n-grams exist but never match (Chen and Cherry 2014; the names are
/// sacrebleu's `smooth_method`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Smoothing {
    /// Nothing: the score is 0.
    None,
    /// That many matches, above 0 and at most 1.
    Floor(f64),
    /// Half a match, then a quarter, an eighth, … for each further such order (mteval-v13a).
    Exp,
}

/// The statistics from which BLEU is computed. They are sums over sentences, so parts of a corpus can be counted separately and
/// merged. Tokens may be ids or words, and a hypothesis and its references are slices with neither `<s>` nor `</s>`.
///
/// Matches of an n-gram are clipped at the largest count in any one reference; the reference length is that of the reference
/// closest in length, the shorter one of two equally close.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BleuCounts {
    matches: [u64; BLEU_ORDER],
    totals: [u64; BLEU_ORDER],
    hypothesis_tokens: u64,
    reference_tokens: u64,
    sentences: u64,
}

impl BleuCounts {
    /// Creates an empty accumulator.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one hypothesis against its references.
    ///
    /// # Errors
    /// [`MetricError::NoReference`] if `references` is empty; nothing is counted then.
    pub fn add<T: Hash + Eq, R: AsRef<[T]>>(
        &mut self,
        hypothesis: &[T],
        references: &[R],
    ) -> Result<(), MetricError> {
        let closest = references
            .iter()
            .map(|reference| reference.as_ref().len())
            .min_by_key(|&length| (length.abs_diff(hypothesis.len()), length))
            .ok_or(MetricError::NoReference(self.sentences))?;
        for order in 1..=BLEU_ORDER {
            let hypothesis_grams = ngrams(hypothesis, order);
            let mut allowed: HashMap<&[T], u64> = HashMap::new();
            for reference in references {
                for (gram, count) in ngrams(reference.as_ref(), order) {
                    let most = allowed.entry(gram).or_default();
                    *most = count.max(*most);
                }
            }
            for (gram, count) in hypothesis_grams {
                self.totals[order - 1] += count;
                self.matches[order - 1] += count.min(allowed.get(gram).copied().unwrap_or(0));
            }
        }
        self.hypothesis_tokens += hypothesis.len() as u64;
        self.reference_tokens += closest as u64;
        self.sentences += 1;
        Ok(())
    }

    /// Adds the content of another accumulator.
    pub fn merge(&mut self, other: &Self) {
        for order in 0..BLEU_ORDER {
            self.matches[order] += other.matches[order];
            self.totals[order] += other.totals[order];
        }
        self.hypothesis_tokens += other.hypothesis_tokens;
        self.reference_tokens += other.reference_tokens;
        self.sentences += other.sentences;
    }

    /// Number of hypotheses seen.
    #[must_use]
    pub fn sentences(&self) -> u64 {
        self.sentences
    }

    /// The score of everything that was counted.
    ///
    /// As in sacrebleu, the number of orders is not reduced for a corpus of short sentences ("effective order" off): without any
    /// 4-gram in the hypotheses the score is 0, whatever the smoothing. It is also 0 when no word matches.
    #[must_use]
    pub fn score(&self, smoothing: Smoothing) -> BleuScore {
        let mut precisions = [0.0; BLEU_ORDER];
        if self.matches.iter().any(|&matches| matches > 0) {
            let mut halved = 1.0;
            for ((precision, &matches), &total) in precisions.iter_mut().zip(&self.matches).zip(&self.totals)
            {
                if total == 0 {
                    break;
                }
                let matches = match (matches, smoothing) {
                    (0, Smoothing::None) => 0.0,
                    (0, Smoothing::Floor(floor)) => floor,
                    (0, Smoothing::Exp) => {
                        halved /= 2.0;
                        halved
                    }
                    (matches, _) => matches as f64,
                };
                *precision = matches / total as f64;
            }
        }
        let brevity_penalty = brevity_penalty(self.hypothesis_tokens, self.reference_tokens);
        // ln 0 is minus infinity, and its exponential 0: an order without precision makes the score 0.
        let mean_log = precisions.iter().map(|p| p.ln()).sum::<f64>() / BLEU_ORDER as f64;
        BleuScore {
            value: brevity_penalty * mean_log.exp(),
            precisions,
            brevity_penalty,
            matches: self.matches,
            totals: self.totals,
            hypothesis_tokens: self.hypothesis_tokens,
            reference_tokens: self.reference_tokens,
        }
    }
}

/// A BLEU score and its components. Displays as in sacrebleu, on the scale of 100:
/// `BLEU = 53.73 83.3/60.0/50.0/33.3 (BP = 1.000 ratio = 1.000 hyp_len = 6 ref_len = 6)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BleuScore {
    /// BLEU, 0 to 1.
    pub value: f64,
    /// Share of hypothesis n-grams that match, smoothed, 0 to 1; for n = 1, 2, 3, 4.
    pub precisions: [f64; BLEU_ORDER],
    /// Factor for hypotheses that are too short, 0 to 1.
    pub brevity_penalty: f64,
    /// Clipped n-gram matches, not smoothed.
    pub matches: [u64; BLEU_ORDER],
    /// n-grams in the hypotheses.
    pub totals: [u64; BLEU_ORDER],
    /// Length of all hypotheses in tokens.
    pub hypothesis_tokens: u64,
    /// Length of the closest references in tokens.
    pub reference_tokens: u64,
}

impl BleuScore {
    /// Hypothesis length divided by reference length; 0 when the references are empty.
    #[must_use]
    pub fn length_ratio(&self) -> f64 {
        if self.reference_tokens == 0 {
            return 0.0;
        }
        self.hypothesis_tokens as f64 / self.reference_tokens as f64
    }
}

impl fmt::Display for BleuScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [one, two, three, four] = self.precisions.map(|precision| 100.0 * precision);
        write!(
            f,
            "BLEU = {:.2} {one:.1}/{two:.1}/{three:.1}/{four:.1} (BP = {:.3} ratio = {:.3} hyp_len = {} ref_len = {})",
            100.0 * self.value,
            self.brevity_penalty,
            self.length_ratio(),
            self.hypothesis_tokens,
            self.reference_tokens
        )
    }
}

/// 1 for long enough hypotheses, otherwise exp(1 - reference / hypothesis); 0 when the hypotheses are empty and the references are
/// not.
fn brevity_penalty(hypothesis: u64, reference: u64) -> f64 {
    if hypothesis >= reference {
        1.0
    } else if hypothesis == 0 {
        0.0
    } else {
        (1.0 - reference as f64 / hypothesis as f64).exp()
    }
}

fn ngrams<T: Hash + Eq>(tokens: &[T], order: usize) -> HashMap<&[T], u64> {
    let mut counts = HashMap::new();
    for gram in tokens.windows(order) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}
