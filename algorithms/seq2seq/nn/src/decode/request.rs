//! A request to a decoder: one sentence, and the options of the search.

use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::special_ids::{BOS, EOS, PAD};

use super::Search;
use crate::ModelConfig;

/// The caller's name for a request.
pub type Ticket = u64;

/// A sentence to translate, with options.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Source ids without `<s>` and `</s>`. An empty source has no translation.
    pub source: Vec<u32>,
    /// The options of the search.
    pub search: Search,
    /// The words that every answer begins with. Their costs count in the score, as in forced decoding. If a source is cut into
    /// pieces, the answer of the first begins with them.
    pub prefix: Vec<u32>,
    /// Whether the unknown word is never emitted; the other words keep their costs, as with Sockeye's `--prevent-unk`.
    pub forbid_unk: bool,
    /// The largest number of target words; the model's own limit applies as well. An answer of exactly this many words ends without
    /// `</s>`. If a source is cut into pieces, their joined answer is cut to this many words, with an unchanged score.
    pub max_length: Option<usize>,
    /// Target words that may be emitted, in any order; `</s>` and the words of the prefix always may. The softmax is over these
    /// words alone, as with Sockeye's `--restrict-lexicon`.
    pub shortlist: Option<Arc<[u32]>>,
}

/// A request that a model cannot answer. Positions count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// A source id without an embedding.
    #[error(
        "source word {position} has the id {id}, but ids are less than {vocabulary}, the size of the source vocabulary"
    )]
    SourceWord {
        /// Position in the source.
        position: usize,
        /// The id.
        id: u32,
        /// Number of source words of the model.
        vocabulary: usize,
    },
    /// A prefix id that is not a word.
    #[error(
        "prefix word {position} has the id {id}, but words have ids less than {vocabulary}, the size of the target \
             vocabulary, and other than those of <pad>, <s> and </s>"
    )]
    PrefixWord {
        /// Position in the prefix.
        position: usize,
        /// The id.
        id: u32,
        /// Number of target words of the model.
        vocabulary: usize,
    },
    /// A prefix that is longer than the answer may be.
    #[error("the prefix has {words} words, but answers have at most {most}; shorten it or raise the limit")]
    PrefixTooLong {
        /// Its length.
        words: usize,
        /// The largest number of words of an answer: by `max_length`, or by the positions of a convolutional decoder.
        most: usize,
    },
    /// A shortlist id that is not a target word.
    #[error(
        "the shortlist holds the id {id}, but ids are less than {vocabulary}, the size of the target vocabulary"
    )]
    ShortlistWord {
        /// The id.
        id: u32,
        /// Number of target words of the model.
        vocabulary: usize,
    },
    /// A beam without hypotheses.
    #[error("the beam size is 0, but a search keeps one hypothesis at least")]
    NoBeam,
    /// An answer without words.
    #[error("the longest answer allowed has 0 words, but one word is the least")]
    NoLength,
}

impl Request {
    /// A request without further options.
    pub fn new(source: Vec<u32>, search: Search) -> Request {
        Request { source, search, ..Request::default() }
    }

    /// Checks that a model of this configuration can answer; [`super::Decoding::admit`] accepts only such requests.
    ///
    /// # Errors
    /// Returns the first fault.
    pub fn check(&self, config: &ModelConfig) -> Result<(), RequestError> {
        let vocabulary = config.source_vocabulary;
        let out = |&(_, &id): &(usize, &u32)| id as usize >= vocabulary;
        if let Some((position, &id)) = self.source.iter().enumerate().find(out) {
            return Err(RequestError::SourceWord { position, id, vocabulary });
        }
        let vocabulary = config.target_vocabulary;
        let out = |id: u32| id as usize >= vocabulary;
        let no_word = |id: u32| out(id) || matches!(id, PAD | BOS | EOS);
        if let Some((position, &id)) = self.prefix.iter().enumerate().find(|&(_, &id)| no_word(id)) {
            return Err(RequestError::PrefixWord { position, id, vocabulary });
        }
        if self.search.beam_size == 0 {
            return Err(RequestError::NoBeam);
        }
        if self.max_length == Some(0) {
            return Err(RequestError::NoLength);
        }
        let positions = config.target_positions().unwrap_or(usize::MAX);
        let (words, most) = (self.prefix.len(), self.max_length.unwrap_or(usize::MAX).min(positions));
        if words > most {
            return Err(RequestError::PrefixTooLong { words, most });
        }
        match self.shortlist.iter().flat_map(|list| list.iter()).find(|&&id| out(id)) {
            Some(&id) => Err(RequestError::ShortlistWord { id, vocabulary }),
            None => Ok(()),
        }
    }
}
