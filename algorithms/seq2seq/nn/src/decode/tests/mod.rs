//! Tests of the search, and their shared helpers.

mod independence;
mod options;
mod search;

use kokanee_contract::algorithms::seq2seq::special_ids::{BOS, EOS, PAD};
use kokanee_tensor::Tape;

use super::*;
use crate::ModelConfig;
use crate::batch::Sequences;
use crate::graph::Graph;
use crate::init::Initialisation;
use crate::random::Stream;

const VOCABULARY: usize = 12;

/// A model whose random weights are large enough to prefer some words.
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

/// The costs of every next word after `words`, computed from the beginning each time.
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
