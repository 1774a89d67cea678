//! Tests that an answer is the same, to the last bit, whatever else is decoded: over all architectures and formats.

use std::collections::BTreeMap;

use kokanee_contract::algorithms::seq2seq::NetworkType;
use kokanee_contract::algorithms::seq2seq::special_ids::UNK;

use super::*;
use crate::architectures::{cases, model_of};

const FORMATS: [Format; 3] = [Format::F32, Format::Bf16, Format::Int8];

/// Words, score and attention of every answer, as bits.
type Bits = Vec<(Vec<u32>, u64, usize, Vec<Vec<u32>>)>;

fn bits(translation: &Translation) -> Bits {
    let row = |row: &AttentionRow| row.weights.iter().map(|x| x.to_bits()).collect();
    let hypothesis = |h: &Hypothesis| {
        (h.words.clone(), h.score.to_bits(), h.scored_tokens, h.attention.iter().map(row).collect())
    };
    translation.hypotheses.iter().map(hypothesis).collect()
}

/// Requests of every kind; some sources are longer than one piece.
fn requests(vocabulary: usize, count: usize) -> Vec<Request> {
    let mut stream = Stream::new(11, "requests");
    let mut below = |n: usize| (stream.next_u64() % n as u64) as usize;
    (0..count)
        .map(|i| {
            let length = 1 + below(if i % 16 == 0 { 20 } else { 9 });
            let rule = [BeamSearchRule::Sockeye1_12, BeamSearchRule::Sockeye1_18][below(2)];
            let mut word = || 4 + below(vocabulary - 4) as u32;
            let source = (0..length).map(|_| word()).collect();
            let prefix = (0..i % 3).map(|_| word()).collect();
            let shortlist = (i % 4 == 3).then(|| (0..6).map(|_| word()).chain([UNK]).collect());
            let beam_size = 1 + below(5);
            let search =
                Search { nbest: 1 + below(beam_size), attention: i % 2 == 0, ..search(rule, beam_size) };
            let (forbid_unk, max_length) = (below(3) == 0, (below(3) == 0).then(|| 2 + below(6)));
            Request { source, search, prefix, forbid_unk, max_length, shortlist }
        })
        .collect()
}

/// Decodes each request of `probes` alone; then in a batch with all the others, and while those are at all stages.
fn check(name: &str, model: &Model, format: Format, requests: &[Request], probes: &[usize]) {
    let lengths = lengths();
    let teams = [1, 2].map(|threads| Arc::new(Team::new(threads)));
    let mut alone = Decoding::new(model, &lengths, &teams[0], format);
    let want: Vec<Bits> = probes
        .iter()
        .map(|&probe| {
            alone.admit([(7, requests[probe].clone())]);
            let mut answers = Vec::new();
            while !alone.is_idle() {
                answers.extend(alone.step());
            }
            assert_eq!((answers.len(), answers[0].0), (1, 7), "{name}: one answer");
            bits(&answers[0].1)
        })
        .collect();
    let compare = |how: &str, got: &BTreeMap<Ticket, Translation>| {
        assert_eq!(got.len(), requests.len(), "{name} {format:?}: every request is answered once");
        for (&probe, want) in probes.iter().zip(&want) {
            assert_eq!(&bits(&got[&(probe as Ticket)]), want, "{name} {format:?}: request {probe} {how}");
        }
    };

    let mut together = Decoding::new(model, &lengths, &teams[1], format).with_window(usize::MAX);
    together.admit(requests.iter().cloned().enumerate().map(|(i, r)| (i as Ticket, r)));
    let mut got = BTreeMap::new();
    while !together.is_idle() {
        got.extend(together.step());
    }
    compare("in a batch of all, on two threads", &got);

    // Four at a time enter every other step, through a window that is too small for them.
    let mut passing = Decoding::new(model, &lengths, &teams[0], format).with_window(50);
    let mut coming = requests.iter().cloned().enumerate().rev().map(|(i, r)| (i as Ticket, r)).peekable();
    let mut got = BTreeMap::new();
    while coming.peek().is_some() || !passing.is_idle() {
        passing.admit(coming.by_ref().take(4));
        got.extend(passing.step());
        assert!(passing.rows() <= 50, "{name}: the window is kept");
        got.extend(passing.step());
    }
    compare("among others that come and go", &got);
}

#[test]
fn answers_have_the_same_bits_alone_and_among_others() {
    const VOCABULARY: usize = 37;
    let requests = requests(VOCABULARY, 64);
    for (name, h) in cases() {
        // Widths with whole registers and a remainder.
        let h = Hyperparameters {
            num_embed_source: 40,
            num_embed_target: 40,
            rnn_num_hidden: 40,
            cnn_num_hidden: 40,
            rnn_attention_num_hidden: h.rnn_attention_num_hidden.map(|_| 21),
            max_seq_len_target: 40,
            ..h
        };
        let model = model_of(&h, VOCABULARY);
        for format in FORMATS {
            check(&name, &model, format, &requests, &[0, 3, 16, 31, 42, 63]);
        }
    }
}

/// Large enough that threads share every product, and that more rows take other paths through it.
#[test]
fn wide_models_too() {
    let h = Hyperparameters {
        num_embed_source: 150,
        num_embed_target: 150,
        rnn_num_hidden: 300,
        cnn_num_hidden: 300,
        max_seq_len_target: 40,
        weight_init_scale: 8.0,
        ..Hyperparameters::default()
    };
    let requests = requests(3000, 64);
    for decoder in [NetworkType::Rnn, NetworkType::Cnn] {
        let model =
            model_of(&Hyperparameters { decoder_type: decoder, encoder_type: decoder, ..h.clone() }, 3000);
        for format in FORMATS {
            check(&format!("wide {decoder}"), &model, format, &requests, &[0, 1, 2, 3]);
        }
    }
}
