//! Files as earlier versions wrote them, made of those of 1.18: they must become the same model.

use std::collections::BTreeMap;

use tempfile::tempdir;

use super::super::yaml::{Content, Node, parse};
use super::*;
use crate::artifact::pack;

/// Saves a recurrent cell's parameters gate by gate, as MXNet's `unpack_weights` does.
fn unpack_gates(saved: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let mut unpacked = HashMap::new();
    let is_gru = saved.get("decoder_rnn_l0_h2h_weight").is_some_and(|weight| {
        let extents = weight.shape().extents();
        extents[0] == 3 * extents[1]
    });
    let gates: &[&str] = if is_gru { &["r", "z", "o"] } else { &["i", "f", "c", "o"] };
    for (name, tensor) in saved {
        let (cell, kind) = name.rsplit_once('_').unwrap();
        if !(cell.contains("rnn_") && (cell.ends_with("i2h") || cell.ends_with("h2h"))) {
            unpacked.insert(name, tensor);
            continue;
        }
        let mut extents = tensor.shape().extents().to_vec();
        extents[0] /= gates.len();
        let size = extents.iter().product();
        for (gate, values) in gates.iter().zip(tensor.data().chunks(size)) {
            unpacked
                .insert(format!("{cell}_{gate}_{kind}"), Tensor::from_vec(extents.clone(), values.to_vec()));
        }
    }
    unpacked
}

/// Gives parameters their names before 1.13.
fn old_names(saved: HashMap<String, Tensor>) -> HashMap<String, Tensor> {
    let decoder = if saved.contains_key("decoder_rnn_hidden_weight") { "rnn" } else { "cnn" };
    let old = |name: String| {
        if let Some(rest) = name.strip_prefix("target_output_") {
            format!("decoder_{decoder}_cls_{rest}")
        } else {
            name.strip_prefix("decoder_rnn_att_").map(|rest| format!("att_{rest}")).unwrap_or(name)
        }
    };
    saved.into_iter().map(|(name, tensor)| (old(name), tensor)).collect()
}

fn map(node: &mut Node) -> &mut BTreeMap<String, Node> {
    match &mut node.content {
        Content::Map(map) => map,
        other => panic!("{other:?}"),
    }
}

fn set(node: &mut Node, fields: &[(&str, Node)]) {
    map(node).extend(fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
}

/// The layout of 1.10.
fn old_config(mut config: Node) -> Node {
    let root = map(&mut config);
    for (embedding, network) in
        [("config_embed_source", "config_encoder"), ("config_embed_target", "config_decoder")]
    {
        let mut embedding = root.remove(embedding).unwrap();
        let embedding = map(&mut embedding);
        let network = root.get_mut(network).unwrap();
        set(
            network,
            &[
                ("vocab_size", embedding["vocab_size"].clone()),
                ("num_embed", embedding["num_embed"].clone()),
                ("embed_dropout", embedding["dropout"].clone()),
            ],
        );
        map(network).remove("dtype");
        if let Some(rnn) = map(network).get_mut("rnn_config") {
            map(rnn).remove("dtype");
            map(rnn).remove("lhuc");
            set(rnn, &[("attention_in_upper_layers", Node::plain("false"))]);
        }
    }
    let decoder = root.get_mut("config_decoder").unwrap();
    set(decoder, &[("weight_tying", Node::plain("false")), ("weight_normalization", Node::plain("false"))]);
    let mut data = root.remove("config_data").unwrap();
    let mut statistics = map(&mut data).remove("data_statistics").unwrap();
    let [data, statistics] = [map(&mut data), map(&mut statistics)];
    let old_data = [
        ("source", Node::plain("/data/train.src")),
        ("vocab_source", Node::plain("null")),
        ("length_ratio_mean", statistics["length_ratio_mean"].clone()),
        ("length_ratio_std", statistics["length_ratio_std"].clone()),
        ("max_observed_source_seq_len", statistics["max_observed_len_source"].clone()),
        ("max_observed_target_seq_len", statistics["max_observed_len_target"].clone()),
    ]
    .map(|(key, value)| (key.to_owned(), value));
    let fields = [
        ("max_seq_len_source", data["max_seq_len_source"].clone()),
        ("max_seq_len_target", data["max_seq_len_target"].clone()),
        ("lexical_bias", Node::plain("false")),
        ("learn_lexical_bias", Node::plain("true")),
        ("weight_tying_type", Node::plain("trg_softmax")),
        ("config_data", Node { tag: Some("!DataConfig".to_owned()), content: Content::Map(old_data.into()) }),
    ];
    for key in
        ["config_length_task", "config_length_task_loss", "lhuc", "num_pointers", "weight_normalization"]
    {
        root.remove(key);
    }
    set(&mut config, &fields);
    config
}

/// Imports a golden case whose parameters and configuration were changed, and compares.
#[track_caller]
fn check(
    case: &Path,
    change_saved: impl FnOnce(HashMap<String, Tensor>) -> HashMap<String, Tensor>,
    change_config: impl FnOnce(Node) -> Node,
    notes: &[&str],
) {
    let name = case.display();
    let expected = import_golden(case);
    let folder = tempdir().unwrap();
    let saved = mxnet::read_parameters(&case.join("params.mxnet")).unwrap();
    write_saved(&folder.path().join("params.00007"), &change_saved(saved));
    let config = parse(&std::fs::read_to_string(case.join("config.yaml")).unwrap()).unwrap();
    std::fs::write(folder.path().join("config"), change_config(config).to_text()).unwrap();
    for side in ["src", "trg"] {
        let file = format!("vocab.{side}.json");
        std::fs::copy(case.with_file_name(&file), folder.path().join(&file)).unwrap();
    }
    let got = import(folder.path(), &ImportOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(model_bits(&got.artifact.model), model_bits(&expected.artifact.model), "{name}");
    let mut config = got.artifact.model.config().clone();
    if notes.iter().any(|note| note.contains("source_with_eos")) {
        assert!(!config.source_with_eos, "{name}");
        config.source_with_eos = true;
    }
    assert_eq!(&config, expected.artifact.model.config(), "{name}");
    assert_eq!(got.artifact.metadata, expected.artifact.metadata, "{name}");
    assert_eq!(got.source_vocabulary, expected.source_vocabulary);
    assert_eq!(got.notes.len(), notes.len(), "{name}: {:?}", got.notes);
    for (note, part) in got.notes.iter().zip(notes) {
        assert!(note.contains(part), "{name}: `{note}` should contain `{part}`");
    }
}

const NO_EOS: &str = "source_with_eos is missing: no </s> is put after source sentences";
const RENAMED: &str = "names of Sockeye up to 1.12 became those of 1.18";
const PACKED: &str = "saved gate by gate; they were packed";

#[test]
fn parameters_of_1_12_are_those_of_1_18() {
    for case in golden_cases() {
        let has_rnn = !case.file_name().unwrap().to_string_lossy().starts_with("cnn_")
            || case.ends_with("cnn_enc_rnn_dec");
        check(&case, old_names, |config| config, &[RENAMED]);
        if has_rnn {
            check(&case, unpack_gates, |config| config, &[PACKED]);
            check(&case, |saved| unpack_gates(old_names(saved)), old_config, &[NO_EOS, RENAMED, PACKED]);
        } else {
            check(&case, old_names, old_config, &[NO_EOS, RENAMED]);
        }
    }
}

/// Takes out every field that the shapes of the parameters tell.
fn without_sizes(node: &mut Node) {
    match &mut node.content {
        Content::Map(fields) => {
            let told = |key: &str| {
                matches!(
                    key,
                    "num_hidden" | "num_layers" | "num_embed" | "vocab_size" | "kernel_width" | "cell_type"
                ) || key.starts_with("vocab_")
                    || key.starts_with("dtype")
            };
            fields.retain(|key, _| !told(key));
            fields.values_mut().for_each(without_sizes);
        }
        Content::List(items) => items.iter_mut().for_each(without_sizes),
        Content::Scalar { .. } => {}
    }
}

#[test]
fn sizes_that_are_missing_are_taken_from_the_parameters() {
    for case in golden_cases() {
        let strip = |mut config: Node| {
            without_sizes(&mut config);
            config
        };
        check(&case, |saved| saved, strip, &[]);
    }
}

#[test]
fn upper_attention_that_was_not_built_is_seen() {
    let case = golden("rnn_gru_fixed_2");
    let claim = |mut config: Node| {
        let decoder = map(&mut config).get_mut("config_decoder").unwrap();
        set(decoder, &[("attention_in_upper_layers", Node::plain("true"))]);
        config
    };
    check(&case, |saved| saved, claim, &["attention_in_upper_layers is true, but decoder_rnn_l1_i2h_weight"]);
}

#[test]
fn unknown_fields_and_training_settings_are_noted() {
    let case = golden("rnn_lstm_mlp_last");
    let add = |mut config: Node| {
        set(&mut config, &[("new_feature", Node::plain("7")), ("other_feature", Node::plain("false"))]);
        config
    };
    check(&case, |saved| saved, add, &["new_feature is 7: this field is not known and was passed over"]);
}

#[test]
fn a_model_is_found_in_an_archive_and_in_its_sub_folder() {
    let case = golden("rnn_gru_mlp_avg");
    let expected = import_golden(&case);
    let folder = tempdir().unwrap();
    let inner = folder.path().join("model");
    export(&expected.artifact, &expected.source_vocabulary, &expected.target_vocabulary, &inner).unwrap();
    let files = ["config", "params.best", "vocab.src.0.json", "vocab.trg.0.json"];
    let archive = folder.path().join("model.tar.gz");
    pack(folder.path(), &files.map(|f| format!("model/{f}")).each_ref().map(String::as_str), &archive)
        .unwrap();
    let flat = folder.path().join("flat.tar.gz");
    pack(&inner, &files, &flat).unwrap();
    for path in [folder.path(), &archive, &flat] {
        let got = import(path, &ImportOptions::default()).unwrap();
        assert_eq!(model_bits(&got.artifact.model), model_bits(&expected.artifact.model));
        assert_eq!(got.artifact.metadata, expected.artifact.metadata);
    }
}

#[test]
fn the_parameter_file_is_the_best_the_newest_or_the_one_given() {
    let case = golden("rnn_lstm_dot_zero");
    let first = |folder: &Path, parameters: Option<&Path>| {
        let options = ImportOptions { vocabularies: case.parent(), parameters };
        let imported = import(folder, &options).unwrap();
        imported.artifact.model.parameters().iter().next().unwrap().value.data()[0]
    };
    let folder = tempdir().unwrap();
    std::fs::copy(case.join("config.yaml"), folder.path().join("config")).unwrap();
    let mut saved = mxnet::read_parameters(&case.join("params.mxnet")).unwrap();
    let mut save = |name: &str, value: f32| {
        saved.get_mut("source_embed_weight").unwrap().data_mut()[0] = value;
        write_saved(&folder.path().join(name), &saved);
    };
    for (name, value) in [("params.mxnet", 1.0), ("params.00009", 2.0), ("params.00010", 3.0)] {
        save(name, value);
        std::fs::write(folder.path().join("params.json"), "{}").unwrap();
        assert_eq!(first(folder.path(), None), value, "{name}");
    }
    save("params.best", 4.0);
    assert_eq!(first(folder.path(), None), 4.0);
    assert_eq!(first(folder.path(), Some(Path::new("params.00009"))), 2.0);
    assert_eq!(first(folder.path(), Some(&folder.path().join("params.00010"))), 3.0);
}
