//! Tests of files in the form of earlier versions, derived from those of 1.18: they must become the same model.

use std::collections::BTreeMap;

use tempfile::tempdir;

use super::super::yaml::{Content, Node, parse};
use super::*;
use kokanee_formats::archive::pack;

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

/// Imports a golden case with changed parameters and configuration, and compares.
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
    // The golden cases have no version: there the rule follows from source_with_eos.
    std::fs::write(folder.path().join(VERSION_FILE), "1.18.106").unwrap();
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

/// Removes every field that follows from the shapes of the parameters.
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
        let options = ImportOptions { vocabularies: case.parent(), parameters, ..ImportOptions::default() };
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

/// A copy, without its version, of a model that Sockeye 1.10.5 trained.
fn micro_model() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    let from = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sockeye-1.10.5/lstm"));
    for name in ["config", "params.best", "vocab.src.json", "vocab.trg.json"] {
        std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

fn rule_and_notes(folder: &Path, asked: Option<BeamSearchRule>) -> (String, Vec<String>) {
    let options = ImportOptions { beam_search_rule: asked, ..ImportOptions::default() };
    let Imported { artifact, notes, .. } = import(folder, &options).unwrap();
    let notes = notes.into_iter().filter(|note| note.contains("beam_search_rule")).collect();
    (artifact.metadata.hyperparameters["beam_search_rule"].clone(), notes)
}

#[test]
fn the_search_rule_is_that_of_the_version_that_wrote_the_model() {
    let folder = micro_model();
    let check = |version: &str, expected: &str| {
        std::fs::write(folder.path().join("version"), version).unwrap();
        assert_eq!(rule_and_notes(folder.path(), None), (expected.to_owned(), Vec::new()), "{version}");
    };
    for version in ["1.10.5", "1.12.2\n", "1.18.0", "1.18.8"] {
        check(version, "sockeye_1_12");
    }
    for version in ["1.18.9", "1.18.106\n", "1.18.115", "1.19.0", "2.1.0"] {
        check(version, "sockeye_1_18");
    }
    let unknown = |expected: &str| {
        let (rule, notes) = rule_and_notes(folder.path(), None);
        assert_eq!(rule, "sockeye_1_12");
        assert!(notes.len() == 1 && notes[0].contains(expected), "{notes:?}");
        assert!(notes[0].contains("of 1.18.9 or later with --beam-search-rule sockeye_1_18"), "{notes:?}");
    };
    for garbage in ["", "latest", "1.18"] {
        std::fs::write(folder.path().join("version"), garbage).unwrap();
        unknown(&format!("the file `version` says {garbage:?}"));
    }
    std::fs::remove_file(folder.path().join("version")).unwrap();
    unknown("there is no file `version`");
    let asked = rule_and_notes(folder.path(), Some(BeamSearchRule::Sockeye1_18));
    assert_eq!(asked, ("sockeye_1_18".to_owned(), Vec::new()));
    // Fields that exist from 1.18.12 on determine as much as the version.
    let config = folder.path().join("config");
    let text = std::fs::read_to_string(&config).unwrap();
    assert_eq!(text.matches("config_data: ").count(), 1, "{text}");
    let from = text.find("config_data: ").unwrap();
    let end = from + text[from..].find('\n').unwrap();
    std::fs::write(&config, format!("{}\n  source_with_eos: true{}", &text[..end], &text[end..])).unwrap();
    assert_eq!(rule_and_notes(folder.path(), None), ("sockeye_1_18".to_owned(), Vec::new()));
}

#[test]
fn an_export_names_a_version_that_searches_as_the_model_does() {
    let folder = micro_model();
    for (rule, version, notes) in
        [(BeamSearchRule::Sockeye1_12, "1.18.8", 1), (BeamSearchRule::Sockeye1_18, "1.18.106", 0)]
    {
        let options = ImportOptions { beam_search_rule: Some(rule), ..ImportOptions::default() };
        let Imported { artifact, source_vocabulary, target_vocabulary, .. } =
            import(folder.path(), &options).unwrap();
        let place = tempdir().unwrap();
        let said = export(&artifact, &source_vocabulary, &target_vocabulary, place.path()).unwrap();
        assert_eq!(said.len(), notes, "{said:?}");
        assert_eq!(std::fs::read_to_string(place.path().join("version")).unwrap(), version);
        // The version alone determines it as well.
        std::fs::remove_file(place.path().join("kokanee.json")).unwrap();
        assert_eq!(rule_and_notes(place.path(), None), (rule.as_str().to_owned(), Vec::new()));
    }
}
