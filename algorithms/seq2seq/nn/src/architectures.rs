//! Tests over every architecture: a step-by-step decoder agrees with teacher forcing, gradients are those of the loss, and dropout
//! acts in training only.

use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::{
    CnnActivationType, Hyperparameters, NetworkType, RnnAttentionType, RnnCellType, RnnDecoderStateInit,
    WeightTying,
};
use kokanee_kernels::packed::Format;
use kokanee_kernels::{Precision, Team};
use kokanee_tensor::{Gradient, Tape, Tensor};

use crate::batch::{Batch, Sequences};
use crate::graph::Graph;
use crate::random::Stream;
use crate::weights::Weights;
use crate::{Model, ModelConfig};

const VOCABULARY: usize = 11;

fn hyperparameters() -> Hyperparameters {
    Hyperparameters {
        num_embed_source: 5,
        num_embed_target: 6,
        rnn_num_hidden: 8,
        cnn_num_hidden: 8,
        max_seq_len_source: 12,
        max_seq_len_target: 12,
        weight_init_scale: 4.0,
        ..Hyperparameters::default()
    }
}

/// Each choice once, and the combinations that share code in other ways.
pub(crate) fn cases() -> Vec<(String, Hyperparameters)> {
    let mut cases = Vec::new();
    for cell in RnnCellType::ALL {
        for attention in RnnAttentionType::ALL {
            for init in RnnDecoderStateInit::ALL {
                for (layers, residual, upper) in
                    [(1, false, true), (2, false, true), (3, true, true), (3, true, false)]
                {
                    let name = format!("{cell} {attention} {init} {layers} {residual} {upper}");
                    let h = Hyperparameters {
                        rnn_cell_type: *cell,
                        rnn_attention_type: *attention,
                        rnn_attention_num_hidden: Some(7),
                        rnn_decoder_state_init: *init,
                        num_layers_encoder: layers,
                        num_layers_decoder: layers,
                        rnn_residual_connections: residual,
                        rnn_attention_in_upper_layers: upper,
                        ..hyperparameters()
                    };
                    cases.push((name, h));
                }
            }
        }
    }
    for (encoder, decoder) in [("cnn", "cnn"), ("rnn", "cnn"), ("cnn", "rnn")] {
        for activation in CnnActivationType::ALL {
            for (layers, kernels) in [(1, (3, 5)), (3, (1, 1)), (2, (5, 2))] {
                let h = Hyperparameters {
                    encoder_type: NetworkType::from_name(encoder).unwrap(),
                    decoder_type: NetworkType::from_name(decoder).unwrap(),
                    cnn_activation_type: *activation,
                    num_layers_encoder: layers,
                    num_layers_decoder: layers,
                    cnn_kernel_width_encoder: kernels.0,
                    cnn_kernel_width_decoder: kernels.1,
                    ..hyperparameters()
                };
                cases.push((format!("{encoder} {decoder} {activation} {layers} {kernels:?}"), h));
            }
        }
    }
    for tying in WeightTying::ALL {
        let h = Hyperparameters {
            num_embed_source: 8,
            num_embed_target: 8,
            weight_tying: *tying,
            ..hyperparameters()
        };
        cases.push((format!("tying {tying}"), h));
    }
    cases
}

fn model(h: &Hyperparameters) -> Model {
    model_of(h, VOCABULARY)
}

/// A model with random weights and biases.
pub(crate) fn model_of(h: &Hyperparameters, vocabulary: usize) -> Model {
    let config = ModelConfig::new(h, vocabulary, vocabulary).unwrap();
    let mut model = Model::new(config, &h.into(), &Team::new(1)).unwrap();
    // Biases start as zeros, which would hide errors in adding them.
    let mut stream = Stream::new(1, "biases");
    for parameter in model.parameters_mut().iter_mut().filter(|p| p.name.ends_with("_bias")) {
        let mut values = Tensor::zeros(parameter.value.shape().clone());
        values.data_mut().iter_mut().for_each(|x| *x = stream.symmetric(0.3));
        parameter.value = Arc::new(values);
    }
    model
}

fn batch(model: &Model) -> Batch {
    let pairs: [(&[u32], &[u32]); 3] =
        [(&[4, 9, 5], &[7, 8]), (&[10], &[6, 4, 4, 9, 5]), (&[8, 8, 4, 7, 5, 6], &[10])];
    model.batch(pairs)
}

#[test]
fn steps_say_what_teacher_forcing_says() {
    let team = Arc::new(Team::new(1));
    for (name, h) in cases() {
        let model = model(&h);
        let batch = batch(&model);
        let tape = Tape::forgetting(Arc::clone(&team));
        let graph = Graph::new(&tape, model.parameters());
        let layers = &model.layers;
        let decoder = &layers.decoder;
        let encoded = layers.encode(&graph, &batch.source);
        let forced =
            decoder.decode(&graph, &encoded, &batch.target, layers.embed_target(&graph, &batch.target));
        let weights = Weights::new(model.parameters(), Format::F32);
        let graph = Graph::of_decoder(&tape, &weights);
        let steps = decoder.prepare(&graph);
        let memory = decoder.memory(&graph, &encoded);
        for sentence in 0..batch.len() {
            let mut state = decoder.start(&graph, &encoded, &[sentence]);
            let spans = [batch.source.span(sentence)].into();
            for token in batch.target.span(sentence) {
                let mut word = Sequences::default();
                word.push([batch.target.ids()[token as usize]]);
                let embedded = layers.embed_target(&graph, &word);
                let stepped = steps.advance(&graph, &memory, embedded, &spans, &state);
                let want = forced.value().row(token as usize);
                kokanee_testkit::assert_close(stepped.output.value().data(), want, 1e-5, 1e-5, &name);
                let weights: f32 = stepped.probabilities.data().iter().sum();
                assert!((weights - 1.0).abs() < 1e-5, "{name}: attention sums to {weights}");
                state = stepped.state;
            }
        }
    }
}

/// Directional derivatives along random directions: one number checks all of a parameter at once.
#[test]
fn gradients_are_those_of_the_loss() {
    let team = Arc::new(Team::new(2));
    let mut stream = Stream::new(2, "directions");
    let mut failures = Vec::new();
    for (name, h) in cases() {
        let mut model = model(&h);
        let batch = batch(&model);
        let gradients = model.loss_and_gradients(&team, Precision::F32, &batch, 1).gradients;
        for (id, gradient) in gradients.into_iter().enumerate() {
            let parameter = model.parameters().iter().nth(id).unwrap().clone();
            let gradient = match gradient {
                Some(Gradient::Dense(dense)) => dense,
                Some(Gradient::Rows(rows)) => rows.to_dense(),
                None => Tensor::zeros(parameter.value.shape().clone()),
            };
            // Along the signs of the gradient the slope is largest, and the relative rounding error smallest.
            let direction: Vec<f32> = gradient
                .data()
                .iter()
                .map(|g| {
                    if *g == 0.0 { stream.symmetric(1.0) } else { g.signum() * (0.5 + stream.symmetric(0.5)) }
                })
                .collect();
            let slope: f64 = gradient.data().iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
            let step = 2e-3f32;
            let mut at = |offset: f32| {
                let moved =
                    parameter.value.data().iter().zip(&direction).map(|(x, d)| x + offset * d).collect();
                let moved = Tensor::from_vec(parameter.value.shape().clone(), moved);
                model.parameters_mut().iter_mut().nth(id).unwrap().value = Arc::new(moved);
                model.loss(&team, &batch).nll_sum() / batch.labels.len() as f64
            };
            let measured = (at(step) - at(-step)) / f64::from(2.0 * step);
            at(0.0);
            if (measured - slope).abs() > 0.02 * slope.abs() + 2e-3 {
                failures.push(format!("{name}: {}: slope {slope}, measured {measured}", parameter.name));
            }
        }
    }
    // A kink of relu within a step is not an error of the derivative; but most directions must avoid it.
    let (kinks, failures): (Vec<String>, Vec<String>) =
        failures.into_iter().partition(|f| f.contains(" relu "));
    assert!(kinks.len() < 12, "{} wrong gradients:\n{}", kinks.len(), kinks.join("\n"));
    assert!(failures.is_empty(), "{} wrong gradients:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_dropout_changes_training_and_nothing_else() {
    let team = Arc::new(Team::new(1));
    type Change = fn(&mut Hyperparameters);
    let changes: [(&str, Change); 7] = [
        ("embed_dropout_source", |h| h.embed_dropout_source = 0.3),
        ("embed_dropout_target", |h| h.embed_dropout_target = 0.3),
        ("rnn_decoder_hidden_dropout", |h| h.rnn_decoder_hidden_dropout = 0.3),
        ("cnn_hidden_dropout", |h| (h.cnn_hidden_dropout, h.decoder_type) = (0.3, NetworkType::Cnn)),
        ("rnn_input_dropout", |h| h.rnn_input_dropout = 0.3),
        ("rnn_state_dropout", |h| h.rnn_state_dropout = 0.3),
        ("rnn_recurrent_dropout", |h| h.rnn_recurrent_dropout = 0.3),
    ];
    for (name, change) in changes {
        let mut with = hyperparameters();
        change(&mut with);
        let mut without = with.clone();
        (without.embed_dropout_source, without.embed_dropout_target) = (0.0, 0.0);
        (without.rnn_decoder_hidden_dropout, without.cnn_hidden_dropout) = (0.0, 0.0);
        (without.rnn_input_dropout, without.rnn_state_dropout, without.rnn_recurrent_dropout) =
            (0.0, 0.0, 0.0);
        let (with, without) = (model(&with), model(&without));
        let batch = batch(&with);
        let train =
            |model: &Model, seed| model.loss_and_gradients(&team, Precision::F32, &batch, seed).nll_sum();
        assert_eq!(with.loss(&team, &batch).nll_sum(), without.loss(&team, &batch).nll_sum(), "{name}");
        assert_eq!(train(&without, 1), train(&without, 2), "{name}");
        assert_ne!(train(&with, 1), train(&without, 1), "{name} does nothing");
        assert_ne!(train(&with, 1), train(&with, 2), "{name} ignores the seed");
        assert_eq!(train(&with, 1), train(&with, 1), "{name} is not repeatable");
    }
}

#[test]
fn sizes_that_cannot_fit_are_refused() {
    let check = |change: fn(&mut Hyperparameters), expected: &str| {
        let mut h = hyperparameters();
        change(&mut h);
        let message = ModelConfig::new(&h, VOCABULARY, VOCABULARY + 1).unwrap_err().to_string();
        assert!(message.contains(expected), "`{message}` should contain `{expected}`");
    };
    check(
        |h| (h.decoder_type, h.cnn_num_hidden) = (NetworkType::Cnn, 6),
        "make rnn_num_hidden and cnn_num_hidden equal",
    );
    check(|h| h.rnn_num_hidden = 7, "encoder.hidden is 7, but must be even");
    check(
        |h| (h.encoder_type, h.cnn_kernel_width_encoder) = (NetworkType::Cnn, 4),
        "encoder.kernel_width is 4, but must be odd",
    );
    check(|h| h.weight_tying = WeightTying::TrgSoftmax, "target embedding and output layer are tied");
    check(
        |h| (h.weight_tying, h.num_embed_source) = (WeightTying::SrcTrg, 6),
        "source and target vocabularies are tied and must have the same size, but are of 11 and 12",
    );
}
