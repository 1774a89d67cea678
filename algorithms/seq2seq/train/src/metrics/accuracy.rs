//! Token accuracy: the share of tokens for which the most probable word is correct.

/// Counts target tokens that the model predicted correctly, given the correct words before them. Padding is not a token, `</s>` is
/// one (Sockeye's validation accuracy).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accuracy {
    correct: u64,
    tokens: u64,
}

impl Accuracy {
    /// Creates an empty accumulator.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `correct` correct predictions out of `tokens` real target tokens (`correct` <= `tokens`).
    pub fn add(&mut self, correct: u64, tokens: u64) {
        debug_assert!(correct <= tokens, "{correct} right predictions out of {tokens} tokens");
        self.correct += correct;
        self.tokens += tokens;
    }

    /// Adds the content of another accumulator.
    pub fn merge(&mut self, other: &Self) {
        self.add(other.correct, other.tokens);
    }

    /// Number of target tokens seen.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Share of correct predictions, 0 to 1; `None` if no token was seen.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.correct as f64 / self.tokens as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[(u64, u64)], expected: Option<f64>) {
        let mut added = Accuracy::new();
        let mut merged = Accuracy::new();
        for &(correct, tokens) in parts {
            added.add(correct, tokens);
            let mut one = Accuracy::new();
            one.add(correct, tokens);
            merged.merge(&one);
        }
        assert_eq!(added.value(), expected);
        assert_eq!(merged, added);
        assert_eq!(added.tokens(), parts.iter().map(|part| part.1).sum::<u64>());
    }

    #[test]
    fn counts_tokens_not_batches() {
        check(&[], None);
        check(&[(0, 0)], None);
        check(&[(0, 3)], Some(0.0));
        check(&[(1, 1), (0, 3)], Some(0.25));
        check(&[(5, 5), (2, 2)], Some(1.0));
    }
}
