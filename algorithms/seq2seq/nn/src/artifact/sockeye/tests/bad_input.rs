//! Tests that every kind of damage is refused with a sentence that names it.

use tempfile::tempdir;

use super::*;

const CASE: &str = "rnn_lstm_mlp_last";

/// Imports a copy of a golden case after `damage`; the message must contain every expected part.
#[track_caller]
fn check_case(case: &str, damage: impl FnOnce(&Path), expected: &[&str]) {
    let case = golden(case);
    let folder = tempdir().unwrap();
    let copy = |from: PathBuf, to: &str| std::fs::copy(from, folder.path().join(to)).unwrap();
    copy(case.join("config.yaml"), "config");
    copy(case.join("params.mxnet"), "params.best");
    copy(case.with_file_name("vocab.src.json"), "vocab.src.0.json");
    copy(case.with_file_name("vocab.trg.json"), "vocab.trg.0.json");
    assert!(import(folder.path(), &ImportOptions::default()).is_ok());
    damage(folder.path());
    let error = import(folder.path(), &ImportOptions::default()).err();
    let message = error.expect("a damaged model must not be imported").to_string();
    for part in expected {
        assert!(message.contains(part), "`{message}` should contain `{part}`");
    }
}

#[track_caller]
fn check(damage: impl FnOnce(&Path), expected: &[&str]) {
    check_case(CASE, damage, expected);
}

fn replace(file: &'static str, from: &'static str, to: &'static str) -> impl FnOnce(&Path) {
    move |folder| {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
}

fn change_saved(change: impl FnOnce(&mut HashMap<String, Tensor>)) -> impl FnOnce(&Path) {
    move |folder| {
        let path = folder.join("params.best");
        let mut saved = mxnet::read_parameters(&path).unwrap();
        change(&mut saved);
        write_saved(&path, &saved);
    }
}

#[test]
fn missing_files_are_named() {
    for (file, expected) in [
        ("config", "holds no whole model of Sockeye 1.x: it has no config, nor config.yaml"),
        ("params.best", "it has no params.best, nor params.NNNNN, nor params.mxnet"),
        ("vocab.src.0.json", "it has no vocab.src.0.json, nor vocab.src.json"),
        ("vocab.trg.0.json", "it has no vocab.trg.0.json, nor vocab.trg.json"),
    ] {
        check(|folder| std::fs::remove_file(folder.join(file)).unwrap(), &[expected]);
    }
    let case = golden(CASE);
    let options = ImportOptions {
        parameters: Some(Path::new("params.77")),
        vocabularies: case.parent(),
        ..ImportOptions::default()
    };
    let message = import(&case, &options).err().unwrap().to_string();
    assert!(message.contains("it has no params.77"), "{message}");
    let message = import(Path::new("no/such"), &ImportOptions::default()).err().unwrap().to_string();
    assert!(message.contains("no model at no/such"), "{message}");
    let several = case.parent().unwrap();
    let message = import(several, &ImportOptions::default()).err().unwrap().to_string();
    assert!(message.contains("sub-folders with one: name one"), "{message}");
}

#[test]
fn damaged_parameters_are_refused() {
    check(
        |folder| {
            let bytes = std::fs::read(folder.join("params.best")).unwrap();
            std::fs::write(folder.join("params.best"), &bytes[..bytes.len() / 2]).unwrap();
        },
        &["params.best cannot be used: at byte ", "the file ends", "expected an MXNet parameter file"],
    );
    check(
        |folder| std::fs::write(folder.join("params.best"), "hello, I am no parameters").unwrap(),
        &["does not start with MXNet's magic number"],
    );
    check(
        change_saved(|saved| {
            saved.remove("decoder_rnn_hidden_bias").unwrap();
            saved.remove("encoder_birnn_forward_l0_i2h_bias").unwrap();
            saved.insert("stranger".to_owned(), Tensor::zeros([2]));
            saved.insert("decoder_rnn_cls_bias".to_owned(), Tensor::zeros([2]));
            saved.insert("decoder_rnn_att_h2s_weight".to_owned(), Tensor::zeros([2, 5]));
            let gate = saved.remove("encoder_birnn_reverse_l0_h2h_bias").unwrap();
            saved.insert("encoder_birnn_reverse_l0_h2h_f_bias".to_owned(), gate);
        }),
        &[
            "its parameters do not fit the configuration: missing: ",
            "decoder_rnn_hidden_bias",
            "encoder_birnn_forward_l0_i2h_bias",
            "missing: encoder_birnn_reverse_l0_h2h_i_bias, encoder_birnn_reverse_l0_h2h_c_bias",
            "unexpected: ",
            "stranger",
            "target_output_bias",
            "decoder_rnn_att_h2s_weight is (2 x 5) and should be (1 x 16)",
        ],
    );
}

#[test]
fn damaged_configurations_are_refused() {
    let write =
        |text: &'static str| move |folder: &Path| std::fs::write(folder.join("config"), text).unwrap();
    check(write("a: [1, 2\nb: }"), &["config cannot be used: line ", "not YAML"]);
    check(write(""), &["config cannot be used: it is empty"]);
    check(write("just words"), &["it is just words, not a map of fields"]);
    check(write("a: 1\na: 2\n"), &["line 2: the key a comes twice"]);
    check(write("a: 1\n---\nb: 2\n"), &["a second document begins"]);
    check(
        |folder| std::fs::write(folder.join("config"), [b'a', b':', 0xff]).unwrap(),
        &["it is not UTF-8 text at byte 2"],
    );
    check(
        |folder| std::fs::write(folder.join("config"), "a".repeat((1 << 20) + 1)).unwrap(),
        &["it has 1048577 bytes, which is no configuration"],
    );
    check(
        replace("config", "num_embed: 10", "num_embed: ten"),
        &["config cannot be used: config_embed_source.num_embed is ten, not a count"],
    );
    check(
        replace("config", "length_ratio_mean: 0.9309286573061729", "length_ratio_mean: .nan"),
        &["config_data.data_statistics.length_ratio_mean is .nan, not a number"],
    );
    check(
        replace("config", "num_embed: 10", "num_embed: 11"),
        &["params.best", "source_embed_weight is (84 x 10) and should be (84 x 11)"],
    );
    check(
        replace("config", "config_encoder: !Rec", "config_encoder: 3\nother: !Rec"),
        &["config_encoder is 3, not a map of fields"],
    );
    // Far too large for any memory, so it must be refused before anything is allocated.
    check(replace("config", "num_layers: 1", "num_layers: 99999999999"), &["decoder.layers is 99999999999"]);
}

#[test]
fn vocabularies_must_fit() {
    check(
        replace("vocab.src.0.json", "\"<pad>\": 0,", ""),
        &["vocab.src.0.json cannot be used: ", "expected ids from 0 to 82 without gaps"],
    );
    check(
        replace("vocab.src.0.json", "\"<pad>\": 0", "\"<PAD>\": 0"),
        &["id 0 is `<PAD>`, and must be <pad>"],
    );
    check(replace("vocab.trg.0.json", "\"<s>\": 2", "\"<s>\": 5"), &["have the same id 5"]);
    check(replace("vocab.trg.0.json", "\"<s>\": 2", "\"<s>\": \"2\""), &["`<s>` has id \"2\""]);
    check(replace("vocab.trg.0.json", "{", "["), &["not a vocabulary, which is a JSON object"]);
    check(
        |folder| {
            std::fs::copy(folder.join("vocab.src.0.json"), folder.join("vocab.trg.0.json")).unwrap();
        },
        &["vocab.trg.0.json cannot be used: it has 84 words, and the model has 74"],
    );
}

#[test]
fn what_is_not_built_is_listed_whole() {
    check(
        |folder| {
            for (from, to) in [
                ("context_gating: false", "context_gating: true"),
                ("  layer_normalization: false\n  max", "  layer_normalization: true\n  max"),
                ("config_coverage: null", "config_coverage: !CoverageConfig\n      type: gru"),
                ("reverse_input: false", "reverse_input: true"),
                ("conv_config: null", "conv_config: !ConvolutionalEmbeddingConfig\n    num_embed: 3"),
                ("enc_last_hidden_concat_to_embedding: false", "enc_last_hidden_concat_to_embedding: true"),
                ("state_init_lhuc: false", "state_init_lhuc: true"),
                ("\nlhuc: false", "\nlhuc: true"),
                ("type: mlp", "type: mhdot"),
                ("cell_type: lstm", "cell_type: lnlstm"),
                ("num_source_factors: 1", "num_source_factors: 2"),
                ("dtype: float32", "dtype: float16"),
                ("num_pointers: 0", "num_pointers: 9"),
                ("weight_normalization: false", "weight_normalization: true"),
            ] {
                replace("config", from, to)(folder);
            }
        },
        &[
            "config describes a model that Kokanee cannot compute: ",
            "config_decoder.context_gating is true",
            "config_decoder.layer_normalization is true",
            "config_decoder.attention_config.config_coverage is a map (CoverageConfig)",
            "config_decoder.attention_config.type is mhdot",
            "config_decoder.attention_config.dtype is float16",
            "config_decoder.enc_last_hidden_concat_to_embedding is true",
            "config_decoder.state_init_lhuc is true",
            "config_decoder.rnn_config.cell_type is lnlstm",
            "config_encoder.reverse_input is true",
            "config_encoder.conv_config is a map (ConvolutionalEmbeddingConfig)",
            "config_data.num_source_factors is more than 1",
            "; lhuc is true",
            ": weight_normalization is true",
            "; num_pointers is 9",
        ],
    );
    check_case(
        "cnn_glu_1",
        |folder| {
            replace("config", "positional_embedding_type: learned", "positional_embedding_type: fixed")(
                folder,
            );
            replace("config", "project_qkv: false", "project_qkv: true")(folder);
        },
        &["config_decoder.positional_embedding_type is fixed", "config_decoder.project_qkv is true"],
    );
    check(
        replace(
            "config",
            "config_encoder: !RecurrentEncoderConfig",
            "config_encoder: !TransformerConfig\n  model_size: 16\nother: !RecurrentEncoderConfig",
        ),
        &["config_encoder is a TransformerConfig"],
    );
}

#[test]
fn an_archive_tells_of_its_own_files() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("config"), "x: 1").unwrap();
    let archive = folder.path().join("model.tar.gz");
    kokanee_formats::archive::pack(folder.path(), &["config"], &archive).unwrap();
    let message = import(&archive, &ImportOptions::default()).err().unwrap().to_string();
    let expected =
        format!("{} holds no whole model of Sockeye 1.x: it has no params.best", archive.display());
    assert!(message.starts_with(&expected), "`{message}` should start with `{expected}`");
}

#[test]
fn vocabularies_that_do_not_fit_are_not_exported() {
    let case = golden(CASE);
    let Imported { artifact, source_vocabulary, target_vocabulary, .. } = import_golden(&case);
    let folder = tempdir().unwrap();
    let place = folder.path().join("exported");
    let refused = |source: &[String], target: &[String], expected: &str| {
        let message = export(&artifact, source, target, &place).err().unwrap().to_string();
        assert!(message.contains(expected), "`{message}` should contain `{expected}`");
        assert!(!place.exists());
    };
    refused(
        &target_vocabulary,
        &target_vocabulary,
        "the source vocabulary cannot be exported: it has 74 words, and the model has 84",
    );
    let mut twice = target_vocabulary.clone();
    twice[7] = twice[8].clone();
    refused(&source_vocabulary, &twice, "the target vocabulary cannot be exported: the word `");
}

/// A whole model of Sockeye's, which exists without the shared material.
fn micro_model() -> tempfile::TempDir {
    let folder = tempdir().unwrap();
    let from = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sockeye-1.10.5/lstm"));
    for name in ["config", "params.best", "version", "vocab.src.json", "vocab.trg.json"] {
        std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
#[cfg(unix)]
fn links_without_their_files_are_refused_and_nothing_is_taken_instead() {
    use std::os::unix::fs::symlink;
    let refused = |folder: &Path, parameters: Option<&str>, expected: &str| {
        let options = ImportOptions { parameters: parameters.map(Path::new), ..ImportOptions::default() };
        let message = import(folder, &options).err().unwrap().to_string();
        assert!(message.contains(expected), "`{message}` should contain `{expected}`");
    };
    let remedy =
        "which does not exist: copy the file that it stands for too, or name other parameters with --params";
    for (link, others) in [("params.best", "params.00042"), ("params.00043", "params.00042")] {
        let folder = micro_model();
        let path = |name: &str| folder.path().join(name);
        std::fs::rename(path("params.best"), path(others)).unwrap();
        symlink("params.00017", path(link)).unwrap();
        refused(folder.path(), None, &format!("/{link} is a link to params.00017, {remedy}"));
        refused(folder.path(), Some(link), &format!("/{link} is a link to params.00017, {remedy}"));
        let options = ImportOptions { parameters: Some(Path::new(others)), ..ImportOptions::default() };
        assert!(import(folder.path(), &options).is_ok());
    }
    for (name, other) in [
        ("vocab.src.json", "vocab.src.0.json"),
        ("vocab.trg.json", "vocab.trg.0.json"),
        ("config", "config.yaml"),
    ] {
        // Sockeye looks for both names: the existing one must not hide the missing one.
        let (link, kept) = if name == "config" { (name, other) } else { (other, name) };
        let folder = micro_model();
        let path = |name: &str| folder.path().join(name);
        if name != kept {
            std::fs::rename(path(name), path(kept)).unwrap();
        }
        symlink("elsewhere", path(link)).unwrap();
        refused(folder.path(), None, &format!("/{link} is a link to elsewhere, which does not exist"));
    }
}

#[test]
fn a_model_of_kokanee_is_not_imported() {
    let folder = micro_model();
    let Imported { artifact, .. } = import(folder.path(), &ImportOptions::default()).unwrap();
    let place = tempdir().unwrap();
    for inner in ["", "inner"] {
        let path = place.path().join("m").join(inner);
        Artifact::save(&artifact.model, &artifact.metadata, &path).unwrap();
        let message = import(&place.path().join("m"), &ImportOptions::default()).err().unwrap().to_string();
        assert!(message.contains("is a model of Kokanee already: use it as it is"), "{message}");
    }
}

#[test]
fn a_model_of_sockeye_that_is_to_be_loaded_says_how_to_import_it() {
    let folder = micro_model();
    let message = Artifact::load(folder.path()).err().unwrap().to_string();
    let told = format!(
        "`kokanee import {} --output FOLDER` makes a model of Kokanee of it",
        folder.path().display()
    );
    assert!(
        message.contains("it has no config.json; it holds a model of Sockeye") && message.contains(&told),
        "{message}"
    );
    std::fs::remove_file(folder.path().join("params.best")).unwrap();
    let message = Artifact::load(folder.path()).err().unwrap().to_string();
    assert!(message.ends_with("it has no config.json"), "{message}");
}

#[test]
fn sockeyes_own_folder_is_not_exported_over() {
    let folder = micro_model();
    let Imported { artifact, source_vocabulary, target_vocabulary, .. } =
        import(folder.path(), &ImportOptions::default()).unwrap();
    let before = std::fs::read(folder.path().join("params.best")).unwrap();
    let export = |place: &Path| export(&artifact, &source_vocabulary, &target_vocabulary, place);
    let message = export(folder.path()).unwrap_err().to_string();
    assert!(message.contains("params.best is there and was not written by Kokanee"), "{message}");
    assert_eq!(std::fs::read(folder.path().join("params.best")).unwrap(), before);
    let own = tempdir().unwrap();
    export(own.path()).unwrap();
    export(own.path()).unwrap();
}

#[test]
fn gates_that_say_they_have_more_rows_than_numbers_fit_are_misshapen() {
    let gate = || Tensor::from_vec([usize::MAX / 2, 0], Vec::new());
    let saved =
        ["i", "f", "c", "o"].map(|gate_name| (format!("encoder_rnn_l0_i2h_{gate_name}_weight"), gate()));
    let adopted = Adopted::new(saved.into_iter().collect());
    assert_eq!(adopted.mismatch.misshapen.len(), 1, "{:?}", adopted.mismatch.misshapen);
    assert!(adopted.mismatch.misshapen[0].contains("the gates of encoder_rnn_l0_i2h_weight have"));
}
