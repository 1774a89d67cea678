//! Requests on their way: a long source is cut into pieces, whose answers are put together.

use std::ops::Range;
use std::sync::Arc;

use super::output::Shortlist;
use super::{Hypothesis, Request, Search, Ticket, Translation};

/// A request on its way.
pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) request: Request,
    /// Made when the first piece enters.
    pub(super) shortlist: Option<Arc<Shortlist>>,
    /// The width in source words and the answer of each piece.
    pieces: Vec<(usize, Option<Vec<Hypothesis>>)>,
    unanswered: usize,
}

/// A piece of a source that has not entered.
pub(super) struct Waiting {
    pub(super) job: u64,
    /// Which piece of its job.
    pub(super) index: usize,
    /// Its words in the job's source.
    pub(super) words: Range<usize>,
    pub(super) beam_size: usize,
}

impl Job {
    /// The request number `job`, and its pieces of at most `longest` words.
    pub(super) fn new(ticket: Ticket, request: Request, job: u64, longest: usize) -> (Job, Vec<Waiting>) {
        let (length, beam_size) = (request.source.len(), request.search.beam_size);
        let words = (0..length).step_by(longest).map(|start| start..(start + longest).min(length));
        let waiting = words.enumerate().map(|(index, words)| Waiting { job, index, words, beam_size });
        let waiting: Vec<Waiting> = waiting.collect();
        let pieces = waiting.iter().map(|piece| (piece.words.len(), None)).collect();
        (Job { ticket, request, shortlist: None, pieces, unanswered: waiting.len() }, waiting)
    }

    /// Takes what was found for a piece.
    pub(super) fn take(&mut self, index: usize, found: Vec<Hypothesis>) {
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
        if let [(_, found)] = &mut parts[..] {
            found.truncate(search.nbest.max(1));
            return Translation { hypotheses: std::mem::take(found) };
        }
        let mut joined = join(parts, search);
        let most = self.request.max_length.unwrap_or(usize::MAX);
        joined.words.truncate(most);
        joined.attention.truncate(most);
        Translation { hypotheses: vec![joined] }
    }
}

/// One hypothesis of the best of each piece: `score = sum score_i lp(len_i) / lp(sum len_i)`.
fn join(parts: Vec<(usize, Vec<Hypothesis>)>, search: &Search) -> Hypothesis {
    let total: usize = parts.iter().map(|(columns, _)| columns).sum();
    let mut joined = Hypothesis { words: Vec::new(), score: 0.0, scored_tokens: 0, attention: Vec::new() };
    let mut left = 0;
    for (columns, found) in parts {
        let Some(best) = found.into_iter().next() else { continue };
        joined.score += best.score * search.length_penalty(best.scored_tokens);
        joined.scored_tokens += best.scored_tokens;
        // Rows beyond the words are `</s>` of a piece: it has no place inside a sentence.
        for row in best.attention.iter().take(best.words.len()) {
            let mut wide = vec![0.0; total];
            wide[left..left + columns].copy_from_slice(&row[..columns]);
            joined.attention.push(wide);
        }
        joined.words.extend(best.words);
        left += columns;
    }
    joined.score /= search.length_penalty(joined.scored_tokens).max(f64::MIN_POSITIVE);
    joined
}
