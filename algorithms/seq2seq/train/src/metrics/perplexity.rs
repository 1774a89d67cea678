//! Perplexity: the average number of words between which the model hesitates.

/// Smallest probability that is distinguished from 0, so that one impossible word does not make the perplexity of a whole corpus
/// infinite (Sockeye's and MXNet's value).
pub const PROBABILITY_FLOOR: f64 = 1e-10;

/// Sums the negative log-likelihood of target tokens. Perplexity = exp(mean over tokens of
/// -ln max(p, [`PROBABILITY_FLOOR`])); padding is not a token, `</s>` is one (Sockeye's validation
/// perplexity).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Perplexity {
    sum_nll: f64,
    tokens: u64,
}

impl Perplexity {
    /// Creates an empty accumulator.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the sum over `tokens` real target tokens of [`floored_nll`] (in nats).
    pub fn add(&mut self, sum_nll: f64, tokens: u64) {
        self.sum_nll += sum_nll;
        self.tokens += tokens;
    }

    /// Adds the content of another accumulator.
    pub fn merge(&mut self, other: &Self) {
        self.add(other.sum_nll, other.tokens);
    }

    /// Number of target tokens seen.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Mean negative log-likelihood per token in nats; `None` if no token was seen.
    #[must_use]
    pub fn mean_nll(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.sum_nll / self.tokens as f64)
    }

    /// Perplexity, 1 at best; `None` if no token was seen. NaN if the model's probabilities were NaN, so that a diverged model
    /// never looks good.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.mean_nll().map(f64::exp)
    }
}

/// Negative log-likelihood (nats) of one token from its log-probability, with p at least [`PROBABILITY_FLOOR`]. NaN stays NaN.
#[must_use]
pub fn floored_nll(log_probability: f64) -> f64 {
    let ceiling = -PROBABILITY_FLOOR.ln();
    // Not `f64::min`, which would turn NaN into the ceiling and hide a diverged model.
    if -log_probability > ceiling { ceiling } else { -log_probability }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(probabilities: &[f64], expected: Option<f64>) {
        let mut whole = Perplexity::new();
        whole.add(probabilities.iter().map(|p| floored_nll(p.ln())).sum(), probabilities.len() as u64);
        let mut merged = Perplexity::new();
        for &p in probabilities {
            let mut one = Perplexity::new();
            one.add(floored_nll(p.ln()), 1);
            merged.merge(&one);
        }
        for got in [whole, merged] {
            assert_eq!(got.tokens(), probabilities.len() as u64);
            match (got.value(), expected) {
                (Some(got), Some(want)) => assert!((got / want - 1.0).abs() < 1e-12, "{got} for {want}"),
                (got, want) => assert_eq!(got, want),
            }
        }
    }

    #[test]
    fn is_the_inverse_geometric_mean_of_the_probabilities() {
        check(&[], None);
        check(&[1.0, 1.0], Some(1.0));
        check(&[0.25; 7], Some(4.0));
        check(&[0.5, 0.125], Some(4.0));
        check(&[0.0], Some(1e10));
        check(&[1e-30], Some(1e10));
        check(&[0.0, 1.0], Some(1e5));
    }

    #[test]
    fn not_a_number_is_never_hidden() {
        assert!(floored_nll(f64::NAN).is_nan());
        let mut perplexity = Perplexity::new();
        perplexity.add(1.0, 1);
        perplexity.add(f64::NAN, 1);
        assert!(perplexity.value().is_some_and(f64::is_nan));
    }
}
