//! Tests that the first 20 updates equal those of Sockeye: from the same parameters and batches, the same losses.
//!
//! `cargo xtask peers record-losses` created the files beside this test by running Sockeye's own training (the script
//! `xtask/peers/record_losses.py` has its flags); they hold everything that is needed here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::{Precision, Team};
use kokanee_seq2seq_nn::artifact::read_mxnet_parameters;
use kokanee_seq2seq_nn::{Model, ModelConfig};
use kokanee_seq2seq_train::optim::{Optimizer, Step};
use serde::Deserialize;

/// Relative. Rounding alone gives 1e-7; missing clipping, for example, gives 3e-4.
const TOLERANCE: f64 = 1e-5;
const UPDATES: usize = 20;

/// One update of Sockeye.
#[derive(Deserialize)]
struct Update {
    /// Mean negative log-likelihood per target token before the update.
    loss: f64,
    /// Source and target ids of each pair of its batch.
    pairs: Vec<(Vec<u32>, Vec<u32>)>,
}

#[derive(Deserialize)]
struct Recording {
    source_vocabulary: usize,
    target_vocabulary: usize,
    updates: Vec<Update>,
}

fn hyperparameters(of_the_model: &[(&str, &str)]) -> Hyperparameters {
    let common = [
        ("num_embed_source", "10"),
        ("num_embed_target", "12"),
        // Includes the `</s>` of sources and the `<s>` of targets.
        ("max_seq_len_source", "21"),
        ("max_seq_len_target", "20"),
        ("optimizer_type", "adam"),
        ("learning_rate", "0.003"),
        ("clip_gradient", "0.05"),
    ];
    let set: BTreeMap<String, String> =
        common.iter().chain(of_the_model).map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Hyperparameters::resolve(&set).expect("valid hyperparameters")
}

/// Repeats the updates in the folder `name`; returns every loss that is off.
fn differences(name: &str, h: &Hyperparameters) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sockeye").join(name);
    let text = fs::read_to_string(folder.join("losses.json")).expect("a recording");
    let recording: Recording = serde_json::from_str(&text).expect("a recording");
    let initial = read_mxnet_parameters(&folder.join("initial.mxnet")).expect("initial parameters");

    let Recording { source_vocabulary, target_vocabulary, updates } = recording;
    assert_eq!(updates.len(), UPDATES, "updates of {name}");
    let mut config = ModelConfig::new(h, source_vocabulary, target_vocabulary).expect("a model");
    config.source_with_eos = true; // as this version of Sockeye has it
    let mut model = Model::zeros(config).expect("a model");
    model.parameters_mut().load(initial).expect("Sockeye's parameters are ours");

    let team = Arc::new(Team::new(2));
    let mut optimizer = Optimizer::new(h, model.parameters());
    let mut differences = Vec::new();
    for (update, want) in (1..).zip(&updates) {
        let batch = model.batch(want.pairs.iter().map(|(source, target)| (&source[..], &target[..])));
        let read = model.rows_read(&batch);
        optimizer.catch_up(&team, model.parameters_mut(), &read);
        let loss = model.loss_and_gradients(&team, Precision::F32, &batch, update);
        let got = loss.nll_sum() / loss.tokens.len() as f64;
        let step = Step { update, learning_rate: h.learning_rate };
        optimizer.update(&team, model.parameters_mut(), &loss.gradients, step).unwrap();
        let off = (got / want.loss - 1.0).abs();
        if off.is_nan() || off > TOLERANCE {
            differences
                .push(format!("{name}: update {update}: {got}, Sockeye says {} ({off:.1e} off)", want.loss));
        }
    }
    differences
}

#[test]
fn losses_of_the_first_updates_equal_those_of_sockeye() {
    let rnn = hyperparameters(&[("rnn_num_hidden", "16")]);
    let cnn = hyperparameters(&[
        ("encoder_type", "cnn"),
        ("decoder_type", "cnn"),
        ("num_layers_encoder", "2"),
        ("num_layers_decoder", "2"),
        ("cnn_num_hidden", "16"),
        ("cnn_kernel_width_encoder", "3"),
        ("cnn_kernel_width_decoder", "5"),
    ]);
    let differences = [differences("rnn", &rnn), differences("cnn", &cnn)].concat();
    assert!(differences.is_empty(), "{} losses differ:\n{}", differences.len(), differences.join("\n"));
}
