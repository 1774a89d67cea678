//! The output layer of a search: the cheapest next words of every hypothesis.

use std::ops::Range;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::special_ids::EOS;
use kokanee_kernels::packed::PackedMatrix;
use kokanee_kernels::softmax::{self, WordCost};
use kokanee_kernels::{Team, gather};
use kokanee_tensor::Tensor;

/// Number of rows whose logits are computed at a time: enough that weights from memory are used often, few enough that the logits
/// are still in the cache when they are searched (128 rows of 20,000 words are 10 MB) and need no memory that grows with the batch.
const ROWS_AT_A_TIME: usize = 128;

/// The output layer over the whole vocabulary, with reused memory for its results.
pub(super) struct OutputLayer {
    words: Words,
    logits: Vec<f32>,
    gathered: Vec<f32>,
    best: Vec<WordCost>,
    /// Where each row's words stand in `best`.
    places: Vec<Range<usize>>,
}

/// Words that may be emitted, with their part of the output layer.
struct Words {
    weight: Arc<PackedMatrix>,
    bias: Vec<f32>,
}

/// The words that may be emitted for one request.
pub(super) struct Shortlist {
    /// Ascending.
    ids: Vec<u32>,
    words: Words,
}

/// The request of one hypothesis.
#[derive(Clone)]
pub(super) struct Wanted {
    /// How many of its cheapest words it needs.
    pub(super) count: usize,
    /// The only word that it may emit, if it is prescribed.
    pub(super) forced: Option<u32>,
    /// The words among which it chooses, if not all.
    pub(super) shortlist: Option<Arc<Shortlist>>,
}

impl OutputLayer {
    /// Creates a layer from `weight` V x H and a bias for each word.
    pub(super) fn new(weight: Arc<PackedMatrix>, bias: Vec<f32>) -> OutputLayer {
        OutputLayer {
            words: Words { weight, bias },
            logits: Vec::new(),
            gathered: Vec::new(),
            best: Vec::new(),
            places: Vec::new(),
        }
    }

    /// The part of the layer for `</s>` and the given words.
    pub(super) fn shortlist(&self, words: impl IntoIterator<Item = u32>) -> Shortlist {
        let mut ids: Vec<u32> = words.into_iter().chain([EOS]).collect();
        ids.sort_unstable();
        ids.dedup();
        let bias = ids.iter().map(|&id| self.words.bias[id as usize]).collect();
        let words = Words { weight: Arc::new(self.words.weight.select(&ids)), bias };
        Shortlist { ids, words }
    }

    /// Finds the wanted words of each row of `output` (B x H); read them with [`OutputLayer::best`].
    pub(super) fn choose(&mut self, team: &Team, output: &Tensor, wanted: &[Wanted]) {
        assert_eq!(output.rows(), wanted.len(), "one wish a row");
        let rows = || wanted.iter().zip(0u32..);
        self.best.clear();
        self.places.clear();
        self.places.resize(wanted.len(), 0..0);
        // Rows over the whole vocabulary share products wherever they stand.
        let whole: Vec<u32> =
            rows().filter(|(wanted, _)| wanted.shortlist.is_none()).map(|(_, row)| row).collect();
        for rows in whole.chunks(ROWS_AT_A_TIME) {
            self.choose_rows(team, output, wanted, rows, None);
        }
        // The rows of one sentence stand together.
        let listed: Vec<u32> =
            rows().filter(|(wanted, _)| wanted.shortlist.is_some()).map(|(_, row)| row).collect();
        let list = |row: u32| wanted[row as usize].shortlist.as_ref();
        let same = |a: &u32, b: &u32| list(*a).zip(list(*b)).is_some_and(|(a, b)| Arc::ptr_eq(a, b));
        for sentence in listed.chunk_by(same) {
            for rows in sentence.chunks(ROWS_AT_A_TIME) {
                self.choose_rows(team, output, wanted, rows, list(rows[0]).map(Arc::as_ref));
            }
        }
    }

    /// The cheapest words of a row, cheapest first.
    pub(super) fn best(&self, row: usize) -> &[WordCost] {
        &self.best[self.places[row].clone()]
    }

    /// Bytes of the reused memory.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.logits[..]) + size_of_val(&self.gathered[..])
    }

    fn choose_rows(
        &mut self,
        team: &Team,
        output: &Tensor,
        wanted: &[Wanted],
        rows: &[u32],
        shortlist: Option<&Shortlist>,
    ) {
        let Words { weight, bias } = shortlist.map_or(&self.words, |list| &list.words);
        let (vocabulary, width) = (bias.len(), output.cols());
        let neighbours = rows.windows(2).all(|pair| pair[0] + 1 == pair[1]);
        let x = if neighbours {
            let first = rows[0] as usize * width;
            &output.data()[first..first + rows.len() * width]
        } else {
            self.gathered.resize(rows.len() * width, 0.0);
            gather::gather_rows(team, &mut self.gathered, output.data(), width, rows);
            &self.gathered[..]
        };
        let size = rows.len() * vocabulary;
        if self.logits.len() < size {
            self.logits.resize(size, 0.0);
        }
        let logits = &mut self.logits[..size];
        weight.multiply(team, x, logits, 0.0);

        let word = |id: u32| match shortlist {
            // The list contains forced words.
            Some(list) => list.ids.binary_search(&id).unwrap_or_default() as u32,
            None => id,
        };
        let id = |word: u32| shortlist.map_or(word, |list| list.ids[word as usize]);
        // The other rows are all searched for the largest number of words that one of them needs: smaller numbers are the first of
        // these.
        let count = |row: &u32| match &wanted[*row as usize] {
            Wanted { forced: Some(_), .. } => 0,
            Wanted { count, .. } => (*count).min(vocabulary),
        };
        let most = rows.iter().map(count).max().unwrap_or(0);
        for (&row, logits) in rows.iter().zip(logits.chunks_exact_mut(vocabulary)) {
            if let Some(forced) = wanted[row as usize].forced {
                let cost = softmax::word_cost(logits, bias, word(forced)).cost;
                self.places[row as usize] = self.best.len()..self.best.len() + 1;
                self.best.push(WordCost { word: forced, cost });
            }
        }
        if most == 0 {
            return;
        }
        // Forced rows are searched too, only so that one call handles all rows: there are few of them, and each lasts one word.
        let first = self.best.len();
        self.best.resize(first + rows.len() * most, WordCost { word: 0, cost: 0.0 });
        softmax::best_words(team, logits, bias, most, &mut self.best[first..]);
        if shortlist.is_some() {
            self.best[first..].iter_mut().for_each(|best| best.word = id(best.word));
        }
        for (place, row) in rows.iter().enumerate() {
            if wanted[*row as usize].forced.is_none() {
                let at = first + place * most;
                self.places[*row as usize] = at..at + count(row);
            }
        }
    }
}
