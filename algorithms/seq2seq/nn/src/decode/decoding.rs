//! Continuous batching: sentences enter and leave while others are being decoded, and no answer depends on the others.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::special_ids::{EOS, UNK};
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_tensor::Tape;
use kokanee_tensor::ops::Weight;

use super::beam::Beam;
use super::job::{Job, Waiting};
use super::memory::LiveMemory;
use super::output::{OutputLayer, Shortlist, Wanted};
use super::{OutputLimit, Request, Ticket, Translation};
use crate::batch::Sequences;
use crate::decoder::{DecoderLoop, DecoderState};
use crate::graph::Graph;
use crate::model::{Layers, Model};
use crate::weights::Weights;
use crate::{LengthStatistics, ModelConfig};

/// The largest number of hypotheses that are decoded together by default: 64 sentences with a beam of 5.
const WINDOW_ROWS: usize = 320;
/// If more sentences wait than there is room for, they enter once this part of the window is free: encoding some together costs
/// less than each alone.
const REFILL: usize = 4;
/// The largest number of source tokens that are encoded together, so that memory does not grow with the number of waiting ones. A
/// longer piece is encoded alone.
const TOKENS_TO_ENCODE: usize = 2048;

/// A decoder of sentences that enter and leave at any time.
///
/// It owns its weights, laid out once in one number format; the model that they came from may be dropped. One thread uses it, and
/// work is shared with the threads of its team. Each [`step`](Decoding::step) appends one word to every live hypothesis.
/// [Admitted](Decoding::admit) sentences enter before a step if there is room, and leave with the step that ends them.
///
/// **The words, scores and attention weights of an answer have the same bits whatever else is decoded, whenever it entered and
/// however many threads there are**: every product and every sum is computed in an order that depends on its own row alone.
///
/// Memory besides the weights: a live hypothesis takes some 10 vectors of the decoder's width, a live source token two of the
/// encoder's, a shortlist its part of the output layer; the logits of 128 hypotheses at a time are shared. Waiting sentences take
/// only the memory of their ids. If attention is asked for, each word of a hypothesis keeps a weight for each source token.
pub struct Decoding {
    config: ModelConfig,
    lengths: LengthStatistics,
    team: Arc<Team>,
    window: usize,
    layers: Arc<Layers>,
    weights: Weights,
    steps: DecoderLoop,
    output: OutputLayer,
    memory: LiveMemory,
    /// The live hypotheses of all pieces in order; none without pieces.
    state: Option<DecoderState>,
    /// The pieces in the order in which they entered, which is that of their rows in `memory` and in `state`.
    pieces: Vec<Piece>,
    waiting: VecDeque<Waiting>,
    /// Requests whose answers are not complete, by the order in which they were admitted.
    jobs: BTreeMap<u64, Job>,
    admitted: u64,
    answered: Vec<(Ticket, Translation)>,
    work: Work,
}

/// The work that a decoder has done since its creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Number of steps that appended words.
    pub steps: u64,
    /// Number of hypotheses extended, summed over the steps; divided by the steps, the mean size of a batch.
    pub rows: u64,
    /// Number of source tokens encoded.
    pub source_tokens: u64,
}

/// A source, or a piece of a long one, that is being decoded.
struct Piece {
    job: u64,
    index: usize,
    /// Its rows in the memory.
    span: Range<u32>,
    beam: Beam,
    shortlist: Option<Arc<Shortlist>>,
}

impl Decoding {
    /// Lays the model's weights out in `format`, and embeddings in the same; biases stay `f32`. Nothing of the model is kept
    /// except, in `f32`, its embeddings.
    ///
    /// `lengths` determines the pieces that sources are cut into, and how long answers may be.
    ///
    /// # Panics
    /// When [`ModelConfig::check_format`] would refuse the format.
    pub fn new(model: &Model, lengths: &LengthStatistics, team: &Arc<Team>, format: Format) -> Decoding {
        if let Err(error) = model.config().check_format(format) {
            panic!("a format was not checked: {error}");
        }
        let layers = Arc::clone(&model.layers);
        let mut weights = Weights::new(model.parameters(), format);
        let tape = Tape::forgetting(Arc::clone(team));
        let graph = Graph::of_decoder(&tape, &weights);
        let steps = layers.decoder.prepare(&graph);
        // Weights are laid out when a product first needs them: one step for one word needs all of them.
        let mut word = Sequences::default();
        word.push([UNK]);
        let encoded = layers.encode(&graph, &word);
        let memory = layers.decoder.memory(&graph, &encoded);
        let state = layers.decoder.start(&graph, &encoded, &[0]);
        let embedded = layers.embed_target(&graph, &word);
        steps.advance(&graph, &memory, embedded, &encoded.spans, &state);
        let Weight::Packed(output) = graph.weight(layers.output_weight) else {
            unreachable!("a decoder's weights are laid out");
        };
        let output = OutputLayer::new(output, graph.var(layers.output_bias).value().data().to_vec());
        weights.close();
        Decoding {
            config: model.config().clone(),
            lengths: lengths.clone(),
            team: Arc::clone(team),
            window: WINDOW_ROWS,
            layers,
            weights,
            steps,
            output,
            memory: LiveMemory::default(),
            state: None,
            pieces: Vec::new(),
            waiting: VecDeque::new(),
            jobs: BTreeMap::new(),
            admitted: 0,
            answered: Vec::new(),
            work: Work::default(),
        }
    }

    /// The same decoder with room for `rows` hypotheses, counted as the beam sizes of all sentences; there is always room for one
    /// sentence. More rows make better use of products with weights that must come from memory, and make each step longer.
    pub fn with_window(self, rows: usize) -> Decoding {
        Decoding { window: rows, ..self }
    }

    /// Adds requests, which enter with one of the next steps, in this order. An answer comes with its ticket, the caller's name for
    /// the request.
    ///
    /// # Panics
    /// When a request is one that [`Request::check`] refuses.
    pub fn admit(&mut self, requests: impl IntoIterator<Item = (Ticket, Request)>) {
        for (ticket, request) in requests {
            if let Err(error) = request.check(&self.config) {
                panic!("a request was not checked: {error}");
            }
            if request.source.is_empty() {
                self.answered.push((ticket, Translation::default()));
                continue;
            }
            let job = self.admitted;
            self.admitted += 1;
            let longest = self.lengths.longest_piece(&self.config, request.search.rule);
            let (request, pieces) = Job::new(ticket, request, job, longest);
            self.waiting.extend(pieces);
            self.jobs.insert(job, request);
        }
    }

    /// Lets waiting sentences enter as far as there is room; then appends one word to every live hypothesis. Returns the completed
    /// answers.
    pub fn step(&mut self) -> Vec<(Ticket, Translation)> {
        self.enter();
        if !self.pieces.is_empty() {
            self.advance();
        }
        std::mem::take(&mut self.answered)
    }

    /// Answers requests that are all present from the beginning, in their order. For a decoder without other work.
    ///
    /// # Panics
    /// When [`Request::check`] would refuse one of them, and when the decoder has other work.
    pub fn translate(&mut self, requests: impl IntoIterator<Item = Request>) -> Vec<Translation> {
        assert!(self.is_idle(), "other requests are on their way");
        let mut requests: Vec<(Ticket, Request)> = (0..).zip(requests).collect();
        let mut translations = vec![Translation::default(); requests.len()];
        // Long ones come first: the last to end are then short, and leave few steps with little work.
        requests.sort_by_key(|(_, request)| std::cmp::Reverse(request.source.len()));
        self.admit(requests);
        while !self.is_idle() {
            for (ticket, translation) in self.step() {
                translations[ticket as usize] = translation;
            }
        }
        translations
    }

    /// Drops a request, or all with this ticket: there will be no answer, and nothing more is computed for it. An unknown ticket is
    /// ignored.
    pub fn cancel(&mut self, ticket: Ticket) {
        self.jobs.retain(|_, job| job.ticket != ticket);
        self.answered.retain(|(answered, _)| *answered != ticket);
        self.waiting.retain(|waiting| self.jobs.contains_key(&waiting.job));
        let mut survivors = Vec::new();
        let mut row = 0u32;
        let (jobs, memory) = (&self.jobs, &mut self.memory);
        self.pieces.retain(|piece| {
            let rows = row..row + piece.beam.live() as u32;
            row = rows.end;
            let stays = jobs.contains_key(&piece.job);
            if stays {
                survivors.extend(rows);
            } else {
                memory.release(&piece.span);
            }
            stays
        });
        if survivors.len() < row as usize {
            let state = self.state.take();
            self.keep_rows(state.as_ref(), survivors);
        }
    }

    /// The number of live hypotheses.
    pub fn rows(&self) -> usize {
        self.pieces.iter().map(|piece| piece.beam.live()).sum()
    }

    /// The number of sources, or pieces of long ones, that have not entered.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The number of requests that were admitted and are not answered.
    pub fn sentences(&self) -> usize {
        self.jobs.len() + self.answered.len()
    }

    /// Whether the decoder has no work.
    pub fn is_idle(&self) -> bool {
        self.sentences() == 0
    }

    /// The work done so far.
    pub fn work(&self) -> Work {
        self.work
    }

    /// Bytes of weights, of the encoded live sentences and of the shared logits: all memory except the states of live hypotheses
    /// and the data of single requests.
    pub fn memory_bytes(&self) -> usize {
        self.weights.bytes() + self.memory.bytes() + self.output.bytes()
    }

    /// Lets waiting sentences enter as far as there is room.
    fn enter(&mut self) {
        let taken = self.pieces.iter().fold(0, |sum, piece| piece.beam.size().saturating_add(sum));
        let free = self.window.saturating_sub(taken);
        let mut wanted = 0usize;
        let all_fit = self.waiting.iter().all(|next| {
            wanted = wanted.saturating_add(next.beam_size);
            wanted <= free
        });
        if !self.pieces.is_empty() && !all_fit && free < self.window / REFILL {
            return;
        }
        let mut free = free;
        loop {
            let mut sources = Sequences::default();
            let mut pieces = Vec::new();
            let mut tokens = 0;
            while let Some(next) = self.waiting.front() {
                let alone = self.pieces.is_empty() && pieces.is_empty();
                let length = next.words.len();
                let too_many = !pieces.is_empty() && tokens + length > TOKENS_TO_ENCODE;
                if too_many || (next.beam_size > free && !alone) {
                    break;
                }
                tokens += length;
                free = free.saturating_sub(next.beam_size);
                let Some(next) = self.waiting.pop_front() else { break };
                pieces.push(self.begin(&next, &mut sources));
            }
            if pieces.is_empty() {
                return;
            }
            self.encode(pieces, &sources);
        }
    }

    /// Begins the search for a piece, whose source is appended to `sources`.
    fn begin(&mut self, waiting: &Waiting, sources: &mut Sequences) -> Piece {
        let Some(job) = self.jobs.get_mut(&waiting.job) else {
            unreachable!("what waits belongs to a job");
        };
        let request = &job.request;
        let words = &request.source[waiting.words.clone()];
        sources.push(words.iter().copied().chain(self.config.source_with_eos.then_some(EOS)));
        if let (None, Some(list)) = (&job.shortlist, &request.shortlist) {
            let words = list.iter().chain(&request.prefix).copied();
            job.shortlist = Some(Arc::new(self.output.shortlist(words)));
        }
        let prefix = if waiting.index == 0 { request.prefix.clone() } else { Vec::new() };
        let OutputLimit(limit) = self.lengths.piece_limit(&self.config, words.len(), prefix.len(), request);
        Piece {
            job: waiting.job,
            index: waiting.index,
            span: 0..0,
            beam: Beam::new(request.search.clone(), prefix, request.forbid_unk, limit),
            shortlist: job.shortlist.clone(),
        }
    }

    /// Encodes the sources of `pieces` and adds these to the live ones.
    fn encode(&mut self, mut pieces: Vec<Piece>, sources: &Sequences) {
        let tape = Tape::forgetting(Arc::clone(&self.team));
        let graph = Graph::of_decoder(&tape, &self.weights);
        let decoder = &self.layers.decoder;
        let encoded = self.layers.encode(&graph, sources);
        let memory = decoder.memory(&graph, &encoded);
        let start = self.memory.append(&memory, self.pieces.iter_mut().map(|piece| &mut piece.span));
        for (piece, span) in pieces.iter_mut().zip(encoded.spans.iter()) {
            piece.span = start + span.start..start + span.end;
        }
        self.work.source_tokens += sources.ids().len() as u64;
        let first = decoder.start(&graph, &encoded, &(0..pieces.len()).collect::<Vec<_>>());
        self.state = Some(match &self.state {
            Some(state) => state.join(&graph, &first),
            None => first,
        });
        self.pieces.append(&mut pieces);
    }

    /// Appends one word to every live hypothesis.
    fn advance(&mut self) {
        let Some(state) = self.state.take() else {
            unreachable!("live pieces have a state");
        };
        let tape = Tape::forgetting(Arc::clone(&self.team));
        let graph = Graph::of_decoder(&tape, &self.weights);
        let mut words = Sequences::default();
        let mut spans = Vec::new();
        let mut wanted = Vec::new();
        for piece in &self.pieces {
            let wish = Wanted {
                count: piece.beam.words_wanted(),
                forced: piece.beam.forced(),
                shortlist: piece.shortlist.clone(),
            };
            for word in piece.beam.words() {
                words.push([word]);
                spans.push(piece.span.clone());
                wanted.push(wish.clone());
            }
        }
        self.work.steps += 1;
        self.work.rows += spans.len() as u64;
        let spans: Arc<[_]> = spans.into();
        let embedded = self.layers.embed_target(&graph, &words);
        let stepped = self.steps.advance(&graph, self.memory.matrices(), embedded, &spans, &state);
        self.output.choose(&self.team, stepped.output.value(), &wanted);

        let probabilities = stepped.probabilities.data();
        let offsets = kokanee_kernels::attention::offsets(&spans);
        let mut survivors = Vec::new();
        let mut first = 0;
        for mut piece in std::mem::take(&mut self.pieces) {
            let rows = first..first + piece.beam.live();
            first = rows.end;
            piece.beam.advance(
                |row| self.output.best(rows.start + row),
                |row| probabilities[offsets[rows.start + row]..offsets[rows.start + row + 1]].to_vec(),
            );
            if piece.beam.is_done() {
                self.memory.release(&piece.span);
                self.finish(piece);
            } else {
                survivors.extend(piece.beam.origins().map(|row| (rows.start + row) as u32));
                self.pieces.push(piece);
            }
        }
        self.keep_rows(Some(&stepped.state), survivors);
    }

    /// Makes `rows` of a state the live hypotheses.
    fn keep_rows(&mut self, state: Option<&DecoderState>, rows: Vec<u32>) {
        self.memory.tidy(self.pieces.iter_mut().map(|piece| &mut piece.span));
        let tape = Tape::forgetting(Arc::clone(&self.team));
        let graph = Graph::of_decoder(&tape, &self.weights);
        self.state = match state {
            Some(state) if !rows.is_empty() => Some(state.select(&graph, &rows.into())),
            _ => None,
        };
    }

    /// Takes the hypotheses found for a piece; with the last piece of its job, the answer is complete.
    fn finish(&mut self, piece: Piece) {
        let Some(job) = self.jobs.get_mut(&piece.job) else { return };
        job.take(piece.index, piece.beam.finish());
        if job.is_answered()
            && let Some(job) = self.jobs.remove(&piece.job)
        {
            self.answered.push((job.ticket, job.answer()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server creates it on one thread and uses it on another.
    #[test]
    fn a_decoder_may_move_to_another_thread() {
        fn check<T: Send + 'static>() {}
        check::<Decoding>();
    }
}
