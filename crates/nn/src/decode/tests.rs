use kokanee_contract::special_ids::{BOS, EOS, PAD};
use kokanee_tensor::Tape;

use super::*;
use crate::ModelConfig;
use crate::batch::Sequences;
use crate::graph::Graph;
use crate::init::Initialisation;
use crate::random::Stream;

const VOCABULARY: usize = 12;

/// A model whose random weights are large enough to have opinions.
fn model(seed: u64) -> Model {
    let h = Hyperparameters {
        rnn_num_hidden: 10,
        num_embed_source: 6,
        num_embed_target: 7,
        weight_init_scale: 14.0,
        seed,
        ..Hyperparameters::default()
    };
    let config = ModelConfig::new(&h, 20, VOCABULARY).unwrap();
    Model::new(config, &Initialisation::from(&h), &Team::new(1)).unwrap()
}

fn lengths() -> LengthStatistics {
    LengthStatistics {
        ratio_mean: 1.0,
        ratio_std: 0.25,
        longest_source: 9,
        longest_target: 12,
        bucket_width: 4,
    }
}

fn source(stream: &mut Stream, length: usize) -> Vec<u32> {
    (0..length).map(|_| 4 + (stream.next_u64() % 16) as u32).collect()
}

fn search(rule: BeamSearchRule, beam_size: usize) -> Search {
    let alpha = 1.0;
    Search {
        beam_size,
        rule,
        length_penalty_alpha: alpha,
        length_penalty_beta: 0.0,
        nbest: beam_size,
        attention: true,
    }
}

/// Costs of every next word after `words`, from the beginning each time.
fn costs(model: &Model, team: &Arc<Team>, source: &[u32], words: &[u32]) -> Vec<f64> {
    let tape = Tape::forgetting(Arc::clone(team));
    let graph = Graph::new(&tape, model.parameters());
    let batch = model.batch([(source, &[][..])]);
    let encoded = model.layers.encode(&graph, &batch.source);
    let mut target = Sequences::default();
    target.push(std::iter::once(BOS).chain(words.iter().copied()));
    let embedded = model.layers.embed_target(&graph, &target);
    let hidden = model.layers.decoder.decode(&graph, &encoded, &target, embedded);
    let last = hidden.value().row(words.len());
    let weight = graph.var(model.layers.output_weight).value();
    let bias = graph.var(model.layers.output_bias).value();
    let logits: Vec<f64> = (0..VOCABULARY)
        .map(|w| {
            let product: f64 =
                weight.row(w).iter().zip(last).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            product + f64::from(bias.data()[w])
        })
        .collect();
    let log_sum = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
    logits.iter().map(|x| log_sum - x).collect()
}

/// The rule of Sockeye 1.12 with all its rows, as the semantics say it: (words with `</s>`, score).
fn naive_1_12(
    model: &Model,
    team: &Arc<Team>,
    source: &[u32],
    beam: usize,
    limit: usize,
) -> Vec<(Vec<u32>, f64)> {
    let mut rows: Vec<(Vec<u32>, f64)> = vec![(Vec::new(), 0.0)];
    let finished = |words: &[u32]| matches!(words.last(), Some(&EOS | &PAD));
    for _ in 0..limit {
        let mut all = Vec::new();
        for (words, acc) in &rows {
            if finished(words) {
                all.push((words.clone(), *acc));
                continue;
            }
            let n = words.len() as f64 + 1.0;
            for (word, cost) in costs(model, team, source, words).into_iter().enumerate() {
                let mut longer = words.clone();
                longer.push(word as u32);
                all.push((longer, (cost + acc * (n - 1.0)) / n));
            }
        }
        all.sort_by(|a, b| a.1.total_cmp(&b.1));
        all.truncate(beam);
        rows = all;
        if rows.iter().all(|(words, _)| finished(words)) {
            break;
        }
    }
    rows
}

#[test]
fn the_default_rule_equals_a_naive_search() {
    let team = Arc::new(Team::new(1));
    let mut stream = Stream::new(5, "sources");
    for (seed, beam) in [(1, 1), (2, 2), (3, 5), (4, 5), (5, 30)] {
        let model = model(seed);
        let sources: Vec<Vec<u32>> = (1..=8).map(|length| source(&mut stream, length)).collect();
        let views: Vec<&[u32]> = sources.iter().map(|s| &s[..]).collect();
        let found = translate(&model, &lengths(), &team, &views, &search(BeamSearchRule::Sockeye1_12, beam));
        for (source, translation) in sources.iter().zip(&found) {
            let rule = BeamSearchRule::Sockeye1_12;
            let limit = lengths().output_limit(model.config(), source.len(), rule).0;
            let want = naive_1_12(&model, &team, source, beam, limit);
            assert_eq!(translation.hypotheses.len(), want.len());
            for (got, (words, score)) in translation.hypotheses.iter().zip(&want) {
                assert!((got.score - score).abs() < 1e-4, "{} {score}", got.score);
                assert_eq!(got.scored_tokens, words.len());
                let said: Vec<u32> = words.iter().copied().filter(|&w| w != EOS && w != PAD).collect();
                assert_eq!(got.words, said, "seed {seed}, beam {beam}");
            }
        }
    }
}

#[test]
fn an_answer_does_not_depend_on_the_order_or_the_number_of_sentences() {
    let team = Arc::new(Team::new(2));
    let model = model(7);
    let mut stream = Stream::new(6, "sources");
    let sources: Vec<Vec<u32>> = (0..70).map(|i| source(&mut stream, 1 + i % 9)).collect();
    let views: Vec<&[u32]> = sources.iter().map(|s| &s[..]).collect();
    for rule in [BeamSearchRule::Sockeye1_12, BeamSearchRule::Sockeye1_18] {
        let search = search(rule, 3);
        let together = translate(&model, &lengths(), &team, &views, &search);
        for (source, together) in views.iter().zip(&together) {
            let alone = &translate(&model, &lengths(), &team, &[source], &search)[0];
            for (a, b) in alone.hypotheses.iter().zip(&together.hypotheses) {
                assert_eq!(a.words, b.words);
                assert!((a.score - b.score).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn empty_sources_have_no_answer_and_long_ones_are_cut_into_pieces() {
    let team = Arc::new(Team::new(1));
    let model = model(9);
    let mut stream = Stream::new(7, "sources");
    let long = source(&mut stream, 23);
    let search = search(BeamSearchRule::Sockeye1_12, 3);
    let found = translate(&model, &lengths(), &team, &[&[], &long], &search);
    assert!(found[0].hypotheses.is_empty());
    let whole = &found[1].hypotheses[0];
    let pieces: Vec<Hypothesis> = long
        .chunks(9)
        .map(|piece| translate(&model, &lengths(), &team, &[piece], &search)[0].hypotheses[0].clone())
        .collect();
    let words: Vec<u32> = pieces.iter().flat_map(|p| p.words.clone()).collect();
    assert_eq!(whole.words, words);
    let nll: f64 = pieces.iter().map(|p| p.score * p.scored_tokens as f64).sum();
    let tokens: usize = pieces.iter().map(|p| p.scored_tokens).sum();
    assert!((whole.score - nll / tokens as f64).abs() < 1e-5 && whole.scored_tokens == tokens);
    assert_eq!(whole.attention.len(), words.len());
    let (mut row, mut column) = (0, 0);
    for (piece, ids) in pieces.iter().zip(long.chunks(9)) {
        for _ in 0..piece.words.len() {
            let inside: f32 = whole.attention[row][column..column + ids.len()].iter().sum();
            let all: f32 = whole.attention[row].iter().sum();
            assert!(
                whole.attention[row].len() == 23 && (inside - 1.0).abs() < 1e-5 && (all - 1.0).abs() < 1e-5
            );
            row += 1;
        }
        column += ids.len();
    }
}

#[test]
fn output_limits_are_those_of_sockeye() {
    // F = 1 + 2 * 0.25 = 1.5; buckets 4, 8, 9.
    let config = model(1).config().clone();
    for (words, later, earlier) in [(1, 7, 5), (4, 7, 5), (5, 13, 11), (9, 15, 13)] {
        let limit = |rule| lengths().output_limit(&config, words, rule).0;
        assert_eq!(limit(BeamSearchRule::Sockeye1_18), later, "{words}");
        assert_eq!(limit(BeamSearchRule::Sockeye1_12), earlier, "{words}");
    }
}
