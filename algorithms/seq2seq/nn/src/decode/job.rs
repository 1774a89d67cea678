//! Requests in progress: a long source is cut into pieces, whose answers are joined.

use std::ops::Range;
use std::sync::Arc;

use super::output::Shortlist;
use super::{AttentionRow, Hypothesis, Request, Search, Ticket, Translation};

/// A request in progress.
pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) request: Request,
    /// Created when the first piece enters.
    pub(super) shortlist: Option<Arc<Shortlist>>,
    /// The width in source words and the answer of each piece.
    pieces: Vec<(usize, Option<Vec<Hypothesis>>)>,
    unanswered: usize,
}

/// A piece of a source that has not entered yet.
pub(super) struct Waiting {
    pub(super) job: u64,
    /// Index of the piece in its job.
    pub(super) index: usize,
    /// Its range of words in the job's source.
    pub(super) words: Range<usize>,
    pub(super) beam_size: usize,
}

impl Job {
    /// Creates request number `job`, and its pieces of at most `longest` words.
    pub(super) fn new(ticket: Ticket, request: Request, job: u64, longest: usize) -> (Job, Vec<Waiting>) {
        let (length, beam_size) = (request.source.len(), request.search.beam_size);
        let words = (0..length).step_by(longest).map(|start| start..(start + longest).min(length));
        let waiting = words.enumerate().map(|(index, words)| Waiting { job, index, words, beam_size });
        let waiting: Vec<Waiting> = waiting.collect();
        let pieces = waiting.iter().map(|piece| (piece.words.len(), None)).collect();
        (Job { ticket, request, shortlist: None, pieces, unanswered: waiting.len() }, waiting)
    }

    /// Takes the hypotheses found for a piece.
    pub(super) fn take(&mut self, index: usize, mut found: Vec<Hypothesis>) {
        // Of several pieces only the best hypothesis of each is joined: the others need not be kept until then.
        found.truncate(if self.pieces.len() > 1 { 1 } else { self.request.search.nbest.max(1) });
        self.unanswered -= usize::from(self.pieces[index].1.replace(found).is_none());
    }

    /// Whether every piece has its answer.
    pub(super) fn is_answered(&self) -> bool {
        self.unanswered == 0
    }

    /// The answer, once every piece has one.
    pub(super) fn answer(self) -> Translation {
        let search = &self.request.search;
        let parts = self.pieces.into_iter().map(|(columns, found)| (columns, found.unwrap_or_default()));
        let mut parts: Vec<(usize, Vec<Hypothesis>)> = parts.collect();
        let pieces = parts.len();
        if let [(_, found)] = &mut parts[..] {
            return Translation { hypotheses: std::mem::take(found), pieces };
        }
        let mut joined = join(parts, search);
        let most = self.request.max_length.unwrap_or(usize::MAX);
        joined.words.truncate(most);
        joined.attention.truncate(most);
        Translation { hypotheses: vec![joined], pieces }
    }
}

/// Joins the best hypotheses of all pieces: `score = sum score_i lp(len_i) / lp(sum len_i)`.
fn join(parts: Vec<(usize, Vec<Hypothesis>)>, search: &Search) -> Hypothesis {
    let mut joined = Hypothesis { words: Vec::new(), score: 0.0, scored_tokens: 0, attention: Vec::new() };
    let mut first = 0;
    for (columns, found) in parts {
        let Some(best) = found.into_iter().next() else { continue };
        joined.score += best.score * search.length_penalty(best.scored_tokens);
        joined.scored_tokens += best.scored_tokens;
        // Rows beyond the words belong to the `</s>` of a piece, which has no place inside a sentence.
        for mut row in best.attention.into_iter().take(best.words.len()) {
            // Likewise the column of the `</s>` that the model reads after a piece.
            row.weights.truncate(columns);
            row.weights.shrink_to_fit();
            joined.attention.push(AttentionRow { first, ..row });
        }
        joined.words.extend(best.words);
        first += columns;
    }
    joined.score /= search.length_penalty(joined.scored_tokens).max(f64::MIN_POSITIVE);
    joined
}
