//! The quality of a model, on text with references.

use std::collections::HashMap;

use anyhow::Result;
use kokanee_seq2seq_data::text::tokens;
use kokanee_seq2seq_train::metrics::{
    Accuracy, BleuCounts, BleuScore, ErrorRates, Perplexity, Smoothing, SourceErrors, floored_nll,
};

use kokanee_seq2seq_serve::{Answer, Translator};

/// Number of sentences passed to the model at a time; the progress is reported after each chunk.
const CHUNK: usize = 256;

/// A source with all correct answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) source: String,
    /// At least one.
    pub(crate) references: Vec<String>,
}

/// The model's likelihood of the references, word by word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Likelihood {
    /// exp of the mean negative log-probability per target token; as in training, a probability counts as at least 1e-10.
    pub(crate) perplexity: Perplexity,
    pub(crate) accuracy: Accuracy,
    /// Pairs that were not computed, because their source has no token.
    pub(crate) skipped: u64,
}

/// The quality of the model's own answers.
#[derive(Clone, Debug)]
pub(crate) struct Quality {
    pub(crate) bleu: BleuScore,
    pub(crate) errors: ErrorRates,
    /// The judged answers, one for each item in order.
    pub(crate) judged: Vec<Judged>,
}

/// One answer and the nearest reference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    pub(crate) hypothesis: Vec<String>,
    pub(crate) reference: Vec<String>,
    pub(crate) errors: SourceErrors,
}

impl Judged {
    /// Edits per token of the reference; if that is empty, the number of edits.
    pub(crate) fn rate(&self) -> f64 {
        self.errors.edits.total() as f64 / self.errors.reference_tokens.max(1) as f64
    }
}

/// The treatment of stress in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stress {
    /// Whole tokens are compared.
    Counts,
    /// ARPAbet vowels are compared without the digit of their stress: `AA1` is `AA`.
    Stripped,
}

impl Stress {
    fn of(self, token: &str) -> &str {
        let bare = token.strip_suffix(['0', '1', '2']).unwrap_or(token);
        let is_phoneme = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_uppercase());
        if self == Self::Stripped && is_phoneme { bare } else { token }
    }
}

/// Groups equal sources, at the position of the first; equal references count once.
pub(crate) fn group_by_source(items: Vec<Item>) -> Vec<Item> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut grouped: Vec<Item> = Vec::new();
    for item in items {
        let key = tokens(&item.source).collect::<Vec<_>>().join(" ");
        match places.get(&key) {
            Some(&place) => {
                for reference in item.references {
                    if !grouped[place].references.contains(&reference) {
                        grouped[place].references.push(reference);
                    }
                }
            }
            None => {
                places.insert(key, grouped.len());
                grouped.push(item);
            }
        }
    }
    grouped
}

/// Computes the model's probability of each reference. `advance` is called with the number of items done since the last call.
pub(crate) fn likelihood(translator: &Translator, items: &[Item], advance: impl Fn(u64)) -> Likelihood {
    let mut likelihood = Likelihood::default();
    for items in items.chunks(CHUNK) {
        let pairs: Vec<(&str, &str)> = items
            .iter()
            .flat_map(|item| {
                item.references.iter().map(|reference| (item.source.as_str(), reference.as_str()))
            })
            .collect();
        for score in translator.score(&pairs) {
            let tokens = score.log_probabilities.len() as u64;
            likelihood.skipped += u64::from(tokens == 0);
            likelihood.perplexity.add(score.log_probabilities.iter().map(|&p| floored_nll(p)).sum(), tokens);
            likelihood.accuracy.add(score.correct, tokens);
        }
        advance(items.len() as u64);
    }
    likelihood
}

/// Computes the model's answer to every source. `advance` is called with the number of items done since the last call.
pub(crate) fn answers(translator: &Translator, items: &[Item], advance: impl Fn(u64)) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(items.len());
    for items in items.chunks(CHUNK) {
        let sources: Vec<&str> = items.iter().map(|item| item.source.as_str()).collect();
        answers.extend(translator.translate(&sources));
        advance(items.len() as u64);
    }
    answers
}

/// Compares the best hypothesis of each answer with the references.
///
/// # Errors
/// When an item has no reference.
pub(crate) fn quality(items: &[Item], answers: &[Answer], stress: Stress) -> Result<Quality> {
    let (mut bleu, mut errors) = (BleuCounts::new(), ErrorRates::new());
    let mut judged = Vec::with_capacity(items.len());
    for (item, answer) in items.iter().zip(answers) {
        let best = answer.hypotheses.first();
        let hypothesis: Vec<&str> =
            best.into_iter().flat_map(|best| &best.tokens).map(|token| stress.of(token)).collect();
        let references: Vec<Vec<&str>> = item
            .references
            .iter()
            .map(|reference| tokens(reference).map(|token| stress.of(token)).collect())
            .collect();
        bleu.add(&hypothesis, &references)?;
        let nearest = errors.add(&hypothesis, &references)?;
        let owned = |tokens: &[&str]| tokens.iter().map(|&token| token.to_owned()).collect();
        judged.push(Judged {
            hypothesis: owned(&hypothesis),
            reference: owned(&references[nearest.reference]),
            errors: nearest,
        });
    }
    // sacrebleu's default; it matters only if an order of n-grams has no match at all.
    Ok(Quality { bleu: bleu.score(Smoothing::Exp), errors, judged })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(source: &str, references: &[&str]) -> Item {
        Item { source: source.to_owned(), references: references.iter().map(|&r| r.to_owned()).collect() }
    }

    fn answer(text: &str) -> Answer {
        let sentence = kokanee_seq2seq_serve::Sentence {
            tokens: tokens(text).map(str::to_owned).collect(),
            ids: Vec::new(),
            score: 1.0,
            matrix: kokanee_seq2seq_serve::AttentionMatrix::default(),
        };
        Answer { source: Vec::new(), unknown: 0, pieces: 0, hypotheses: vec![sentence] }
    }

    #[track_caller]
    fn check(said: &str, references: &[&str], stress: Stress, edits: u64, reference: &str) {
        let quality = quality(&[item("x", references)], &[answer(said)], stress).unwrap();
        assert_eq!(quality.errors.edits().total(), edits);
        assert_eq!(quality.judged[0].reference.join(" "), reference);
    }

    #[test]
    fn the_nearest_reference_counts() {
        check("K AA1 R", &["K AA1 R"], Stress::Counts, 0, "K AA1 R");
        check("K AA0 R", &["K AE1 T S", "K AA1 R"], Stress::Counts, 1, "K AA1 R");
        check("K AA0 R", &["K AE1 T S", "K AA1 R"], Stress::Stripped, 0, "K AA R");
        check("", &["K AA1 R"], Stress::Counts, 3, "K AA1 R");
    }

    #[test]
    fn only_phonemes_lose_their_digit() {
        for (token, bare) in [("AA1", "AA"), ("K", "K"), ("2", "2"), ("a1", "a1"), ("AA3", "AA3")] {
            assert_eq!(Stress::Stripped.of(token), bare);
            assert_eq!(Stress::Counts.of(token), token);
        }
    }

    #[test]
    fn equal_sources_become_one_with_several_references() {
        let items = vec![item("a b", &["x"]), item("c", &["y"]), item(" a  b", &["z"]), item("a b", &["x"])];
        assert_eq!(group_by_source(items), [item("a b", &["x", "z"]), item("c", &["y"])]);
    }

    #[test]
    fn an_item_without_reference_is_refused() {
        let error = quality(&[item("a", &[])], &[answer("x")], Stress::Counts).unwrap_err();
        assert!(error.to_string().contains("has no reference"), "{error}");
    }
}
