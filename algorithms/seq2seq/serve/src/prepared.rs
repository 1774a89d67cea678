//! An instance prepared for the decoder: checked, in ids, with the memory that it will need.

use kokanee_contract::algorithms::seq2seq::special_ids::{PAD, UNK};
use kokanee_http::{Counters, ServeError};
use kokanee_seq2seq_data::text::tokens;
use kokanee_seq2seq_nn::decode::{Extent, Request, RequestError, Search, Translation};

use crate::codec::{Answered, Configuration, Form, Input, Instance, MAX_INSTANCE_TOKENS, Placed};
use crate::counts::count;
use crate::service::Service;

/// The largest number of attention weights that the decoder keeps for one instance: those of all hypotheses, until the best is
/// known.
const MAX_KEPT_WEIGHTS: usize = 1 << 23;
/// The largest number of weights in an attention matrix, zeros included: source tokens times target tokens.
const MAX_MATRIX_WEIGHTS: usize = 1 << 21;
/// Bytes per weight in a JSON answer, most weights being zeros.
const WRITTEN_WEIGHT_BYTES: usize = 4;

/// An instance that can be decoded.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) configuration: Configuration,
    /// Tokens of the source, if the answer needs them.
    pub(crate) source: Vec<String>,
    pub(crate) unknown: usize,
    /// The input, if it is to be logged.
    pub(crate) text: Option<String>,
    /// Bytes needed until it is answered: its own, the decoder's copy, attention, and the answer.
    pub(crate) bytes: usize,
}

impl Service {
    /// Turns an instance into the decoder's input.
    pub(crate) fn prepare(&self, placed: &Placed, to: Form) -> Result<Prepared, ServeError> {
        let Placed { place, instance: Instance { input, configuration } } = placed;
        let wrong = |key: &str, problem: String| place.bad(Some(&format!("configuration.{key}")), problem);
        to.has_room_for(configuration).map_err(|(key, problem)| wrong(key, problem))?;
        let (ids, unknown) = match input {
            Input::Text(text) => {
                let ids = self.vocabularies.source.encode(text);
                let unknown = ids.iter().filter(|&&id| id == UNK).count();
                (ids, unknown)
            }
            Input::Ids(ids) => {
                if let Some(position) = ids.iter().position(|&id| id == PAD) {
                    let problem =
                        format!("value {} is 0, the id of <pad>, which stands for no word", position + 1);
                    return Err(place.bad(Some("features[\"source\"]"), problem));
                }
                (ids.clone(), ids.iter().filter(|&&id| id == UNK).count())
            }
        };
        if ids.len() > MAX_INSTANCE_TOKENS {
            let count = ids.len();
            let problem =
                format!("{count} tokens; expected at most {MAX_INSTANCE_TOKENS}: send sentences one by one");
            return Err(place.bad(None, problem));
        }
        let beam_size = configuration.beam_size.unwrap_or(self.search.beam_size);
        let nbest = configuration.nbest.unwrap_or(1);
        if nbest > beam_size {
            let problem =
                format!("{nbest} hypotheses of a beam of {beam_size}; set beam_size to {nbest} as well");
            return Err(wrong("nbest", problem));
        }
        let source = if configuration.replace_unk { self.words_of(input) } else { Vec::new() };
        let request = Request {
            search: Search {
                beam_size,
                nbest,
                attention: configuration.needs_attention(),
                ..self.search.clone()
            },
            prefix: self.prefix(&configuration.prefix).map_err(|problem| wrong("prefix", problem))?,
            forbid_unk: configuration.forbid_unk,
            max_length: configuration.max_length,
            source: ids,
            ..Request::default()
        };
        request.check(&self.config).map_err(|error| match error {
            RequestError::PrefixTooLong { .. } => wrong("prefix", error.to_string()),
            RequestError::SourceWord { position, id, vocabulary } => {
                let problem = format!(
                    "value {} is {id}; expected ids less than {vocabulary}, the size of the source vocabulary",
                    position + 1
                );
                place.bad(Some("features[\"source\"]"), problem)
            }
            other => place.bad(None, other),
        })?;
        let extent = self.lengths.extent(&self.config, &request);
        check_attention(configuration, &request, extent).map_err(|(key, problem)| wrong(key, problem))?;
        let text = self.settings.log_text.then(|| self.words_of(input).join(" "));
        let mut prepared =
            Prepared { request, configuration: configuration.clone(), source, unknown, text, bytes: 0 };
        prepared.bytes = prepared.bytes_with(extent);
        Ok(prepared)
    }

    /// The decoder's request for an instance, with its shortlist. An instance is prepared once to be checked and once to be sent;
    /// the long list is only created the second time.
    pub(crate) fn request_of(&self, prepared: &mut Prepared) -> Request {
        let request = prepared.request.clone();
        let shortlist = self.shortlists.as_ref().map(|shortlists| shortlists(&request.source));
        prepared.bytes += shortlist.as_ref().map_or(0, |list| size_of_val(&**list));
        Request { shortlist, ..request }
    }

    /// Builds an answer from the decoder's result, and counts it.
    pub(crate) fn answered(
        &self,
        prepared: Prepared,
        translation: Translation,
        counters: &Counters,
    ) -> Answered {
        let Prepared { request, configuration, source, unknown, text, .. } = prepared;
        let columns = request.source.len();
        let best = translation.hypotheses.first();
        let said = best.map_or(0, |best| best.words.len());
        let metrics = &self.metrics;
        metrics.instances.inc();
        metrics.tokens_in.inc_by(columns as u64);
        metrics.tokens_out.inc_by(said as u64);
        metrics.unknown_words.inc_by(unknown as u64);
        let in_pieces = translation.pieces > 1;
        metrics.inputs_in_pieces.inc_by(u64::from(in_pieces));
        // Without `</s>` only words were counted.
        let truncated = !in_pieces && best.is_some_and(|best| best.scored_tokens == best.words.len());
        metrics.outputs_truncated.inc_by(u64::from(truncated));
        count(counters, columns, said);
        let hypotheses = translation.hypotheses.into_iter();
        let hypotheses = hypotheses.map(|h| self.vocabularies.sentence(h, columns)).collect();
        let answered = Answered { source, columns, hypotheses, configuration };
        if let Some(source) = text {
            tracing::info!(source, target = answered.target(), "text");
        }
        answered
    }

    /// The tokens of an input.
    pub(crate) fn words_of(&self, input: &Input) -> Vec<String> {
        match input {
            Input::Text(text) => tokens(text).map(str::to_owned).collect(),
            Input::Ids(ids) => {
                let word = |&id: &u32| self.vocabularies.source.word(id).unwrap_or_default().to_owned();
                ids.iter().map(word).collect()
            }
        }
    }

    fn prefix(&self, prefix: &str) -> Result<Vec<u32>, String> {
        let id = |token: &str| match self.vocabularies.target.text_id(token) {
            UNK => Err(format!(
                "{token:?} is not in the target vocabulary; a prefix consists of words that the model can say"
            )),
            id => Ok(id),
        };
        tokens(prefix).map(id).collect()
    }
}

impl Prepared {
    fn bytes_with(&self, extent: Extent) -> usize {
        let Self { request, source, text, .. } = self;
        let word = size_of::<String>() + 16;
        // Counted twice: here and in the decoder.
        let request_bytes =
            size_of::<Request>() + size_of::<u32>() * (request.source.len() + request.prefix.len());
        let strings = source.len() * word + text.as_ref().map_or(0, String::len);
        let hypotheses = request.search.nbest * extent.words * (size_of::<u32>() + word);
        let attention = if request.search.attention {
            size_of::<f32>() * request.search.beam_size * extent.weights
        } else {
            0
        };
        let matrix = if self.configuration.attention_matrix {
            WRITTEN_WEIGHT_BYTES * request.source.len() * extent.words
        } else {
            0
        };
        size_of::<Self>() + 2 * request_bytes + strings + hypotheses + attention + matrix
    }
}

/// Returns an error for attention that would take too much memory, before anything is decoded. The error is the key that asks for
/// it, and the problem.
fn check_attention(
    configuration: &Configuration,
    request: &Request,
    extent: Extent,
) -> Result<(), (&'static str, String)> {
    let columns = request.source.len();
    let words = extent.words;
    let matrix = columns * words;
    if configuration.attention_matrix && matrix > MAX_MATRIX_WEIGHTS {
        let most = MAX_MATRIX_WEIGHTS / columns.max(1);
        let problem = format!(
            "{columns} source tokens and up to {words} target tokens have {matrix} weights; expected at most \
             {MAX_MATRIX_WEIGHTS}: send shorter sentences, set max_length to at most {most}, or ask for alignments instead"
        );
        return Err(("attention_matrix", problem));
    }
    let beam_size = request.search.beam_size;
    let kept = beam_size * extent.weights;
    if request.search.attention && kept > MAX_KEPT_WEIGHTS {
        let wished = [
            ("attention_matrix", configuration.attention_matrix),
            ("alignments", configuration.alignments),
            ("replace_unk", configuration.replace_unk),
        ];
        let key = wished.iter().find(|(_, wished)| *wished).map_or("attention_matrix", |(key, _)| key);
        let problem = format!(
            "{columns} source tokens, up to {words} target tokens and a beam of {beam_size} need {kept} attention weights; \
             expected at most {MAX_KEPT_WEIGHTS}: send shorter sentences, or set a smaller max_length or beam_size"
        );
        return Err((key, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{MAX_BODY_TOKENS, MAX_INSTANCES, MAX_ITEM_BYTES};

    #[test]
    fn the_documented_limits_are_the_programs() {
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/serving.md");
        let page = std::fs::read_to_string(page).unwrap();
        let grouped = |number: usize| {
            let digits = number.to_string();
            let groups: Vec<&str> =
                digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
            groups.join(",")
        };
        for row in [
            format!(
                "| instances in a body, of any type | {}; with {} tokens |",
                grouped(MAX_INSTANCES),
                grouped(MAX_BODY_TOKENS)
            ),
            format!("| line or record | {} MiB; {MAX_INSTANCE_TOKENS} tokens |", MAX_ITEM_BYTES >> 20),
            format!("| `attention_matrix` | {} weights an instance", grouped(MAX_MATRIX_WEIGHTS)),
            format!("`replace_unk`) | {} weights an instance", grouped(MAX_KEPT_WEIGHTS)),
        ] {
            assert!(page.contains(&row), "docs/serving.md lacks {row:?}");
        }
    }

    #[test]
    fn attention_is_refused_above_a_size_and_says_what_to_do() {
        let check = |(columns, beam_size), configuration: Configuration, words, expected: Option<&str>| {
            let search = Search { beam_size, attention: true, ..Search::default() };
            let request = Request::new(vec![5; columns], search);
            let extent = Extent { pieces: 1, words, weights: columns * words };
            let refused = check_attention(&configuration, &request, extent).err();
            assert_eq!(refused.as_ref().map(|(key, _)| *key), expected);
            if let Some((_, problem)) = refused {
                assert!(problem.contains("max_length"), "{problem}");
            }
        };
        let matrix = Configuration { attention_matrix: true, ..Configuration::default() };
        let alignments = Configuration { alignments: true, ..Configuration::default() };
        let unknown = Configuration { replace_unk: true, ..Configuration::default() };
        check((1024, 4), matrix.clone(), 2048, None);
        check((1024, 4), matrix.clone(), 2049, Some("attention_matrix"));
        check((1024, 5), matrix, 2048, Some("attention_matrix"));
        check((2048, 1), alignments.clone(), 4096, None);
        check((2048, 1), alignments, 4097, Some("alignments"));
        check((4096, 2), unknown, 4096, Some("replace_unk"));
    }
}
