//! Tests of every kind of network, and of features that SageMaker does not have, through the command line.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::workplace::{Said, TINY, Workplace, prepared};

const LINE: &str = "train --train data/train.rec --validation data/val.rec --vocab data --output model";

/// A convolutional model that fits the tiny language.
const CNN: &str = "--set encoder_type=cnn --set decoder_type=cnn --set cnn_num_hidden=32 --set max_seq_len_source=8 \
    --set max_seq_len_target=8";

/// Prepares the tiny language and trains with the tiny model's settings, overridden by `settings`.
fn train(work: &Workplace, settings: &str) -> Said {
    prepared(work);
    let mut all = BTreeMap::new();
    for set in [TINY, settings].iter().flat_map(|settings| assignments(settings)) {
        all.insert(set.0, set.1);
    }
    let sets: String = all.iter().map(|(name, value)| format!(" --set {name}={value}")).collect();
    work.run(&format!("{LINE}{sets}"))
}

/// Names and values of `--set`.
fn assignments(settings: &str) -> impl Iterator<Item = (&str, &str)> {
    settings.split_whitespace().filter_map(|word| word.split_once('='))
}

/// Checks settings with which the tiny language is learned well enough to be translated, and which parameters the model then has
/// and lacks.
#[track_caller]
fn check_learned(settings: &str, has: &[&str], lacks: &[&str]) {
    let work = Workplace::new();
    train(&work, &format!("{settings} --set checkpoint_frequency_num_batches=100 --set max_num_batches=300"))
        .well();
    let metrics: Value = serde_json::from_str(&work.read("model/metrics.json")).unwrap();
    let checkpoints = metrics["checkpoints"].as_array().unwrap();
    let last = checkpoints.last().unwrap()["validation"]["perplexity"].as_f64().unwrap();
    assert!(last < 2.0, "{settings}: perplexity {last}");

    // The header of a safetensors file is JSON after its length.
    let bytes = std::fs::read(work.path("model/model.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    for name in has {
        assert!(header.contains_key(*name), "{settings}: no {name} in {:?}", header.keys());
    }
    for name in lacks {
        assert!(!header.contains_key(*name), "{settings}: a {name}");
    }
    let config: Value = serde_json::from_str(&work.read("model/config.json")).unwrap();
    for (name, value) in assignments(settings) {
        assert_eq!(config["hyperparameters"][name], value, "{settings}");
    }
    let answer = work.run_with("translate --model model --quiet", "a b\nf\n").well();
    assert_eq!(answer.stdout, "A B\nF\n", "{settings}");
}

#[test]
fn gru_and_stacked_layers() {
    check_learned(
        "--set rnn_cell_type=gru --set num_layers_encoder=2 --set num_layers_decoder=2 --set rnn_residual_connections=true \
         --set rnn_attention_type=dot --set rnn_decoder_state_init=avg",
        &["encoder_rnn_l0_i2h_weight", "decoder_rnn_l1_h2h_weight", "decoder_rnn_enc2decinit_1_weight"],
        &["decoder_rnn_enc2decinit_2_weight", "decoder_rnn_att_e2h_weight"],
    );
}

#[test]
fn convolutions_with_dropout() {
    check_learned(
        &format!(
            "{CNN} --set cnn_activation_type=tanh --set cnn_hidden_dropout=0.05 --set embed_dropout_source=0.05"
        ),
        &["encoder_cnn_i2h_weight", "target_pos_embed_weight"],
        &["decoder_rnn_l0_i2h_weight"],
    );
}

#[test]
fn tied_weights_dropouts_and_the_other_extensions() {
    check_learned(
        "--set weight_tying=trg_softmax --set num_embed_target=32 --set rnn_state_dropout=0.05 --set rnn_recurrent_dropout=0.05 \
         --set rnn_decoder_hidden_dropout=0.05 --set label_smoothing=0.05 --set gradient_clipping_type=norm \
         --set learning_rate_warmup=10 --set gradient_accumulation=2",
        &["target_embed_weight"],
        &["target_output_weight"],
    );
}

#[test]
fn what_cannot_fit_together_is_refused_with_both_names() {
    let check = |settings: &str, parts: &[&str]| {
        let work = Workplace::new();
        train(&work, settings).refused(parts);
        assert!(!work.path("model").exists());
    };
    check(
        "--set decoder_type=cnn --set cnn_num_hidden=16",
        &["`cnn_num_hidden` is 16 and `rnn_num_hidden` is 32; make them equal"],
    );
    check(
        "--set weight_tying=trg_softmax",
        &["`num_embed_target` is 16 and the decoder's `rnn_num_hidden` is 32; make them equal"],
    );
    check(
        "--set weight_tying=src_trg",
        &["weight_tying=src_trg looks source and target words up in one matrix", "--single-vocab"],
    );
}

#[test]
fn a_pair_longer_than_a_cnn_has_positions_cannot_be_said() {
    let work = Workplace::new();
    train(&work, &format!("{CNN} --set max_num_batches=1")).well();
    // `<s>` and `</s>` take a position of the target: 7 words fit, and 8 of the source.
    let (a, b) = (|n| vec!["a"; n].join(" "), |n| vec!["A"; n].join(" "));
    let lengths = [(1, 1), (8, 7), (9, 1), (1, 8), (2, 2)];
    let side = |line: &dyn Fn((usize, usize)) -> String| lengths.map(|pair| line(pair) + "\n").concat();
    work.write("s", side(&|(source, _)| a(source)));
    work.write("t", side(&|(_, target)| b(target)));
    let said = work.run("score --model model --source s --target t").well();
    let finite: Vec<bool> =
        said.lines().iter().map(|line| line.parse::<f64>().unwrap().is_finite()).collect();
    assert_eq!(finite, [true, true, false, false, true], "{said:?}");
    assert_eq!(said.lines()[2], "-inf");
}

#[test]
fn word_vectors_and_averages_are_told_of() {
    let work = Workplace::new();
    let vector = ["0.5"; 16].join(" ");
    work.write("vectors.txt", format!("3 16\na {vector}\nb {vector}\nzebra {vector}\n"));
    let settings = "--set source_vectors=vectors.txt --set checkpoint_averaging=2 --set max_num_batches=20 \
         --set checkpoint_frequency_num_batches=10";
    let said = train(&work, settings).well();
    for part in [
        "source vectors: 2 of 6 words start from one of the 3 in the file",
        "average of checkpoints 1, 2: validation perplexity ",
    ] {
        assert!(said.stdout.contains(part), "lacks {part:?}: {}", said.stdout);
    }
    work.write("vectors.txt", "a 1 2 3\n");
    train(&work, "--set source_vectors=vectors.txt").refused(&["vectors.txt:1", "3", "16"]);
    train(&work, "--set source_vectors=none.txt").refused(&["none.txt: cannot open the text file"]);
}

#[test]
fn a_training_that_diverges_says_where_and_what_it_keeps() {
    let work = Workplace::new();
    let settings = "--set optimizer_type=sgd --set learning_rate=1e38 --set clip_gradient=-1";
    train(&work, settings).refused(&[
        "training diverged at update ",
        "with learning rate 1e38",
        "Lower the learning rate",
        "There was no checkpoint yet, so no model is kept",
    ]);
    assert!(!work.path("model/model.safetensors").exists());
}
