//! Edit distance, and the error rates of a corpus derived from it: PER and WER as defined in the grapheme-to-phoneme field.

use super::MetricError;

#[cfg(test)]
mod tests;

/// The edits that turn a reference into a hypothesis, in an alignment with the fewest edits (Levenshtein: each edit costs 1). Of
/// several such alignments the one with most matching tokens counts, which makes the numbers unique.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Edits {
    /// Reference tokens replaced by another one.
    pub substitutions: u64,
    /// Hypothesis tokens that correspond to nothing in the reference.
    pub insertions: u64,
    /// Reference tokens that the hypothesis lacks.
    pub deletions: u64,
}

impl Edits {
    /// Aligns `hypothesis` with `reference`. Time is the product of the lengths, memory the
    /// length of the reference.
    #[must_use]
    pub fn between<T: Eq>(hypothesis: &[T], reference: &[T]) -> Self {
        // A cell is (edits, substitutions) of the best alignment of two prefixes; comparing pairs finds fewest edits first, then
        // fewest substitutions, which is the same as most matches. Insertions and deletions follow from the lengths.
        let mut row: Vec<(u64, u64)> = (0..=reference.len() as u64).map(|deleted| (deleted, 0)).collect();
        for (inserted, said) in (1..).zip(hypothesis) {
            let mut diagonal = row[0];
            row[0] = (inserted, 0);
            for (column, meant) in reference.iter().enumerate() {
                let aligned = if said == meant { diagonal } else { (diagonal.0 + 1, diagonal.1 + 1) };
                diagonal = row[column + 1];
                let (above, left) = (row[column + 1], row[column]);
                row[column + 1] = aligned.min((above.0 + 1, above.1)).min((left.0 + 1, left.1));
            }
        }
        let (edits, substitutions) = row[reference.len()];
        let unpaired = edits - substitutions;
        let (said, meant) = (hypothesis.len() as u64, reference.len() as u64);
        // insertions + deletions = unpaired and insertions - deletions = said - meant.
        let insertions = (unpaired + said - meant) / 2;
        Self { substitutions, insertions, deletions: unpaired - insertions }
    }

    /// Number of edits: the Levenshtein distance.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.substitutions + self.insertions + self.deletions
    }
}

/// The errors of one output, measured against the reference that fits it best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceErrors {
    /// Edits from that reference.
    pub edits: Edits,
    /// Index of that reference in those given.
    pub reference: usize,
    /// Its length in tokens.
    pub reference_tokens: u64,
}

impl SourceErrors {
    /// Measures `hypothesis` against the reference with the fewest edits; of several such, the one
    /// with the lowest rate of edits per reference token (the longest), then the first. `None` if
    /// there is no reference.
    #[must_use]
    pub fn of<T: Eq, R: AsRef<[T]>>(hypothesis: &[T], references: &[R]) -> Option<Self> {
        references
            .iter()
            .enumerate()
            .map(|(index, reference)| Self {
                edits: Edits::between(hypothesis, reference.as_ref()),
                reference: index,
                reference_tokens: reference.as_ref().len() as u64,
            })
            .min_by_key(|errors| (errors.edits.total(), std::cmp::Reverse(errors.reference_tokens)))
    }

    /// Whether the output equals one of its references.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.edits.total() == 0
    }
}

/// Error rates of a corpus. With phonemes as tokens and a word's pronunciation as the sequence,
/// [`token_error_rate`](Self::token_error_rate) is the PER and
/// [`sequence_error_rate`](Self::sequence_error_rate) the WER of the grapheme-to-phoneme field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorRates {
    edits: Edits,
    reference_tokens: u64,
    sources: u64,
    wrong: u64,
}

impl ErrorRates {
    /// Creates an empty accumulator.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one output against the references of its source, and returns its errors.
    ///
    /// # Errors
    /// [`MetricError::NoReference`] if `references` is empty; nothing is counted then.
    pub fn add<T: Eq, R: AsRef<[T]>>(
        &mut self,
        hypothesis: &[T],
        references: &[R],
    ) -> Result<SourceErrors, MetricError> {
        let errors =
            SourceErrors::of(hypothesis, references).ok_or(MetricError::NoReference(self.sources))?;
        self.merge(&Self {
            edits: errors.edits,
            reference_tokens: errors.reference_tokens,
            sources: 1,
            wrong: u64::from(!errors.is_exact()),
        });
        Ok(errors)
    }

    /// Adds the content of another accumulator.
    pub fn merge(&mut self, other: &Self) {
        self.edits.substitutions += other.edits.substitutions;
        self.edits.insertions += other.edits.insertions;
        self.edits.deletions += other.edits.deletions;
        self.reference_tokens += other.reference_tokens;
        self.sources += other.sources;
        self.wrong += other.wrong;
    }

    /// All edits.
    #[must_use]
    pub fn edits(&self) -> Edits {
        self.edits
    }

    /// Length in tokens of all references that were used.
    #[must_use]
    pub fn reference_tokens(&self) -> u64 {
        self.reference_tokens
    }

    /// Number of outputs seen.
    #[must_use]
    pub fn sources(&self) -> u64 {
        self.sources
    }

    /// Number of outputs that equal none of their references.
    #[must_use]
    pub fn wrong(&self) -> u64 {
        self.wrong
    }

    /// Edits per reference token, 0 at best, above 1 if many tokens were inserted; `None` if the references hold no token.
    #[must_use]
    pub fn token_error_rate(&self) -> Option<f64> {
        (self.reference_tokens > 0).then(|| self.edits.total() as f64 / self.reference_tokens as f64)
    }

    /// Share of outputs that equal none of their references, 0 to 1; `None` if there was no output.
    #[must_use]
    pub fn sequence_error_rate(&self) -> Option<f64> {
        (self.sources > 0).then(|| self.wrong as f64 / self.sources as f64)
    }
}
