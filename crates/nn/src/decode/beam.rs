//! Beam search over many sentences at once, by the two rules of Sockeye 1.x.

use std::sync::Arc;

use kokanee_contract::BeamSearchRule;
use kokanee_contract::special_ids::{BOS, EOS, PAD};
use kokanee_kernels::Team;
use kokanee_kernels::softmax::{self, WordCost};
use kokanee_tensor::Tape;
use kokanee_tensor::ops::{self, RecurrentWeight, Weight};

use super::{Hypothesis, OutputLimit, Search};
use crate::batch::Sequences;
use crate::graph::Graph;
use crate::model::Model;

/// One word of a hypothesis; hypotheses share their beginnings.
struct Node {
    parent: Option<usize>,
    word: u32,
    attention: Vec<f32>,
}

/// A hypothesis on the beam.
#[derive(Clone, Copy)]
struct Entry {
    /// Its last word; none at the start.
    node: Option<usize>,
    /// Score by the rule in force, lower is better.
    score: f64,
    /// Words said, `</s>` included.
    length: usize,
    finished: bool,
    /// Row of the model's state, while it is not finished.
    row: usize,
}

/// The search for one sentence.
struct Beam {
    sentence: usize,
    limit: usize,
    entries: Vec<Entry>,
    nodes: Vec<Node>,
}

/// Searches for the best outputs of each source (at least one word each); best first.
pub(super) fn search(
    model: &Model,
    team: &Arc<Team>,
    sources: &[&[u32]],
    limits: &[OutputLimit],
    search: &Search,
) -> Vec<Vec<Hypothesis>> {
    let tape = Tape::forgetting(Arc::clone(team));
    let graph = Graph::new(&tape, model.parameters());
    let layers = &model.layers;
    let batch = model.batch(sources.iter().map(|ids| (*ids, &[][..])));
    let encoded = model.encode(&graph, &batch.source);
    let steps = layers.decoder.prepare(&graph, &encoded);
    let output = RecurrentWeight::new(&tape, Weight::whole(graph.var(layers.output_weight)));
    let bias = graph.var(layers.output_bias).value().data();
    let beam_size = search.beam_size.max(1);
    let width = beam_size.min(bias.len());

    let mut state = layers.decoder.start(&graph, &encoded, &(0..sources.len()).collect::<Vec<_>>());
    let mut beams: Vec<Beam> = (0..sources.len())
        .map(|sentence| Beam {
            sentence,
            limit: limits[sentence].0,
            entries: vec![Entry { node: None, score: 0.0, length: 0, finished: false, row: sentence }],
            nodes: Vec::new(),
        })
        .collect();
    let mut results: Vec<Vec<Hypothesis>> = vec![Vec::new(); sources.len()];

    while !beams.is_empty() {
        // The rows of the state are the unfinished hypotheses of all sentences, in order.
        let mut words = Sequences::default();
        let mut spans = Vec::new();
        for beam in &beams {
            for entry in beam.entries.iter().filter(|e| !e.finished) {
                words.push([entry.node.map_or(BOS, |node| beam.nodes[node].word)]);
                spans.push(batch.source.span(beam.sentence));
            }
        }
        let spans: Arc<[_]> = spans.into();
        let embedded = model.embed_target(&graph, &words);
        let stepped = steps.advance(&graph, embedded, &spans, &state);
        let mut logits = ops::recurrent_linear(&tape, None, &[(&stepped.output, &output)]).into_value();
        let mut best = vec![WordCost { word: 0, cost: 0.0 }; spans.len() * width];
        softmax::best_words(team, logits.data_mut(), bias, width, &mut best);
        let offsets = kokanee_kernels::attention::offsets(&spans);
        let attention = |row: usize| {
            let weights = &stepped.probabilities.data()[offsets[row]..offsets[row + 1]];
            if search.attention { weights.to_vec() } else { Vec::new() }
        };

        for beam in &mut beams {
            beam.advance(search, beam_size, |row| &best[row * width..(row + 1) * width], attention);
        }
        beams.retain_mut(|beam| {
            let done = beam.is_done();
            if done {
                results[beam.sentence] = beam.finish(search);
            }
            !done
        });
        let mut survivors = Vec::new();
        for beam in &mut beams {
            for entry in beam.entries.iter_mut().filter(|e| !e.finished) {
                survivors.push(entry.row as u32);
                entry.row = survivors.len() - 1;
            }
        }
        state = stepped.state.select(&graph, &survivors.into());
    }
    results
}

impl Beam {
    /// Extends the hypotheses by one word. `best` gives the cheapest words of a row, and `attention` its weights.
    fn advance<'a>(
        &mut self,
        search: &Search,
        beam_size: usize,
        best: impl Fn(usize) -> &'a [WordCost],
        attention: impl Fn(usize) -> Vec<f32>,
    ) {
        // (score, index on the beam, word): ties go to the lower row, then to the lower word.
        let mut candidates: Vec<(f64, usize, Option<u32>)> = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.finished {
                candidates.push((entry.score, index, None));
                continue;
            }
            for choice in best(entry.row) {
                let cost = f64::from(choice.cost);
                let score = match search.rule {
                    BeamSearchRule::Sockeye1_12 => {
                        let before = entry.score * search.length_penalty(entry.length);
                        (cost + before) / search.length_penalty(entry.length + 1)
                    }
                    BeamSearchRule::Sockeye1_18 => cost + entry.score,
                };
                candidates.push((score, index, Some(choice.word)));
            }
        }
        candidates.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        candidates.truncate(beam_size);
        self.entries = candidates
            .into_iter()
            .map(|(score, index, word)| {
                let old = self.entries[index];
                let Some(word) = word else { return old };
                self.nodes.push(Node { parent: old.node, word, attention: attention(old.row) });
                let length = old.length + 1;
                let finished = word == EOS || word == PAD;
                let score = match search.rule {
                    // `</s>` itself is not counted: so Sockeye 1.18 does it, as its recorded scores show.
                    BeamSearchRule::Sockeye1_18 if finished => score / search.length_penalty(length - 1),
                    _ => score,
                };
                Entry { node: Some(self.nodes.len() - 1), score, length, finished, row: old.row }
            })
            .collect();
    }

    fn is_done(&self) -> bool {
        let longest = self.entries.iter().map(|e| e.length).max().unwrap_or(0);
        longest >= self.limit || self.entries.iter().all(|e| e.finished)
    }

    fn finish(&mut self, search: &Search) -> Vec<Hypothesis> {
        // Hypotheses that the limit cut off keep their plain sums, and so stand behind the finished ones: so Sockeye 1.18 does
        // it, as its recorded scores show.
        if search.rule == BeamSearchRule::Sockeye1_18 {
            self.entries.sort_by(|a, b| a.score.total_cmp(&b.score));
        }
        self.entries.iter().map(|entry| self.trace(entry)).collect()
    }

    fn trace(&self, entry: &Entry) -> Hypothesis {
        let mut words = Vec::new();
        let mut attention = Vec::new();
        let mut at = entry.node;
        while let Some(node) = at {
            let node = &self.nodes[node];
            if node.word != EOS && node.word != PAD {
                words.push(node.word);
            }
            if !node.attention.is_empty() {
                attention.push(node.attention.clone());
            }
            at = node.parent;
        }
        words.reverse();
        attention.reverse();
        Hypothesis { words, score: entry.score, scored_tokens: entry.length, attention }
    }
}
