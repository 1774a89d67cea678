//! An answer with the options of its request: the input of the codecs for writing.

use kokanee_contract::algorithms::seq2seq::special_ids::UNK;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::Configuration;
use crate::attention::AttentionMatrix;
use crate::translator::Sentence;

/// The answer to one instance.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Tokens of the source, if unknown words are to be replaced.
    pub source: Vec<String>,
    /// Number of tokens of the source.
    pub columns: usize,
    /// Best first; none for a source without tokens.
    pub hypotheses: Vec<Sentence>,
    /// The options of the request.
    pub configuration: Configuration,
}

impl Answered {
    /// The tokens of the best hypothesis, separated by one blank; empty for an empty source.
    pub fn target(&self) -> String {
        self.hypotheses.first().map(|best| self.text(best)).unwrap_or_default()
    }

    /// Ids of the best hypothesis.
    pub fn ids(&self) -> &[u32] {
        self.hypotheses.first().map_or(&[], |best| &best.ids)
    }

    /// The score of the best hypothesis, if wanted.
    pub fn score(&self) -> Option<f64> {
        let best = self.hypotheses.first()?;
        self.configuration.scores.then_some(best.score)
    }

    /// The attention of the best hypothesis, if wanted.
    pub fn matrix(&self) -> Option<&AttentionMatrix> {
        let best = self.hypotheses.first().map_or(AttentionMatrix::nothing(), |best| &best.matrix);
        self.configuration.attention_matrix.then_some(best)
    }

    /// For each target token of the best hypothesis the index of the source token with the greatest attention, if wanted.
    pub fn alignments(&self) -> Option<Vec<u32>> {
        let best = self.hypotheses.first().map_or(&[][..], |best| best.matrix.rows());
        self.configuration.alignments.then(|| best.iter().map(|row| row.strongest() as u32).collect())
    }

    /// The text of a hypothesis, with unknown words replaced if that is wanted.
    pub fn text(&self, sentence: &Sentence) -> String {
        if !self.configuration.replace_unk {
            return sentence.text();
        }
        let tokens = sentence.tokens.iter().enumerate().map(|(place, token)| {
            let looked_at = || self.source.get(sentence.matrix.rows().get(place)?.strongest());
            if sentence.ids[place] == UNK { looked_at().unwrap_or(token) } else { token }
        });
        tokens.map(String::as_str).collect::<Vec<_>>().join(" ")
    }
}

impl Serialize for Answered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("target", &self.target())?;
        if let Some(score) = self.score() {
            map.serialize_entry("score", &score)?;
        }
        if let Some(matrix) = self.matrix() {
            map.serialize_entry("matrix", matrix)?;
        }
        if let Some(alignments) = self.alignments() {
            map.serialize_entry("alignments", &alignments)?;
        }
        if self.configuration.nbest.is_some() {
            let all: Vec<Hypothesis> =
                self.hypotheses.iter().map(|h| Hypothesis { target: self.text(h), score: h.score }).collect();
            map.serialize_entry("nbest", &all)?;
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Hypothesis {
    target: String,
    score: f64,
}
