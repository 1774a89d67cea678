//! Tests that an exported and imported model equals the original.

use std::collections::BTreeSet;

use kokanee_contract::Rows as _;
use kokanee_contract::algorithms::seq2seq::{
    CnnActivationType, Hyperparameters, NetworkType, RnnAttentionType, RnnCellType, RnnDecoderStateInit,
    WeightTying,
};
use kokanee_kernels::Team;
use kokanee_testkit::Rng;
use tempfile::tempdir;

use super::super::yaml::{Content, Node, parse};
use super::*;
use crate::artifact::TrainingSummary;
use crate::{LengthStatistics, ModelConfig};

const SOURCE_WORDS: usize = 9;
const TARGET_WORDS: usize = 9;

fn pick<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.range(0..choices.len())]
}

fn some_config(rng: &mut Rng, h: &Hyperparameters) -> ModelConfig {
    let rate = |rng: &mut Rng| rng.range(0..4) as f64 / 10.0;
    let mut h = h.clone();
    h.embed_dropout_source = rate(rng);
    h.embed_dropout_target = rate(rng);
    h.label_smoothing = rate(rng);
    h.max_seq_len_source = rng.range(3..30);
    h.max_seq_len_target = rng.range(3..30);
    if h.decoder_type == NetworkType::Rnn {
        h.rnn_decoder_hidden_dropout = rate(rng);
    } else {
        h.cnn_hidden_dropout = rate(rng);
    }
    if h.encoder_type == NetworkType::Rnn || h.decoder_type == NetworkType::Rnn {
        h.rnn_input_dropout = rate(rng);
        h.rnn_state_dropout = rate(rng);
        h.rnn_recurrent_dropout = rate(rng);
    }
    let mut config = ModelConfig::new(&h, SOURCE_WORDS, TARGET_WORDS).unwrap();
    config.source_with_eos = pick(rng, &[false, true]);
    config
}

/// Every combination of the options that decide the architecture; those that decide only sizes are drawn.
fn all_configs() -> Vec<ModelConfig> {
    let mut rng = Rng::new(3);
    let mut configs = Vec::new();
    let base = Hyperparameters { rnn_num_hidden: 6, cnn_num_hidden: 6, ..Hyperparameters::default() };
    for layers in [(1, 1), (1, 2), (2, 1), (3, 3)] {
        let base = |rng: &mut Rng| Hyperparameters {
            num_layers_encoder: layers.0,
            num_layers_decoder: layers.1,
            num_embed_source: rng.range(1..6),
            num_embed_target: rng.range(1..6),
            ..base.clone()
        };
        for encoder in [NetworkType::Rnn, NetworkType::Cnn] {
            for &attention in RnnAttentionType::ALL {
                for &init in RnnDecoderStateInit::ALL {
                    for &cell in RnnCellType::ALL {
                        for flags in 0..4 {
                            let h = Hyperparameters {
                                encoder_type: encoder,
                                rnn_cell_type: cell,
                                rnn_attention_type: attention,
                                rnn_attention_num_hidden: pick(&mut rng, &[None, Some(6), Some(4)]),
                                rnn_decoder_state_init: init,
                                rnn_residual_connections: flags & 1 == 1,
                                rnn_first_residual_layer: rng.range(2..4),
                                rnn_attention_in_upper_layers: flags & 2 == 2,
                                cnn_activation_type: pick(&mut rng, CnnActivationType::ALL),
                                ..base(&mut rng)
                            };
                            configs.push(some_config(&mut rng, &h));
                        }
                    }
                }
            }
            for &activation in CnnActivationType::ALL {
                for &cell in RnnCellType::ALL {
                    let h = Hyperparameters {
                        encoder_type: encoder,
                        decoder_type: NetworkType::Cnn,
                        cnn_activation_type: activation,
                        cnn_kernel_width_encoder: pick(&mut rng, &[1, 3, 5]),
                        cnn_kernel_width_decoder: rng.range(1..6),
                        rnn_cell_type: cell,
                        ..base(&mut rng)
                    };
                    configs.push(some_config(&mut rng, &h));
                }
            }
        }
    }
    for &tying in WeightTying::ALL {
        for decoder in [NetworkType::Rnn, NetworkType::Cnn] {
            let h = Hyperparameters {
                weight_tying: tying,
                decoder_type: decoder,
                num_embed_source: 6,
                num_embed_target: 6,
                ..base.clone()
            };
            configs.push(some_config(&mut rng, &h));
        }
    }
    configs
}

fn lengths(rng: &mut Rng) -> LengthStatistics {
    let any = rng.unit();
    LengthStatistics {
        ratio_mean: 3.0 * any,
        // PyYAML takes a number with an exponent and without a point for a word.
        ratio_std: pick(rng, &[0.0, 1.0, 1e-7, any]),
        longest_source: rng.range(1..100),
        longest_target: rng.range(0..100),
        bucket_width: 10,
    }
}

#[test]
fn every_configuration_comes_back_from_its_text() {
    let mut rng = Rng::new(5);
    let configs = all_configs();
    assert!(configs.len() > 800, "{}", configs.len());
    for config in configs {
        let model = Model::zeros(config.clone()).unwrap();
        let mut lengths = lengths(&mut rng);
        let node = write_config::describe(&config, &lengths, [None; 2]);
        let text = node.to_text();
        let read = parse(&text).unwrap();
        assert_eq!(read, node, "{text}");
        let saved = model.parameters().iter().map(|p| (p.name.clone(), (*p.value).clone())).collect();
        let adopted = Adopted::new(saved);
        let report = RefCell::default();
        let description = read_config::read(&read, &adopted, &report);
        let report = report.into_inner();
        assert!(report.wrong.is_empty() && report.unsupported.is_empty(), "{report:?}\n{text}");
        assert_eq!(report.notes, Vec::<String>::new(), "{text}");
        assert_eq!(description.model, config, "{text}");
        // With learned positions, Sockeye ignores the lengths seen.
        lengths.longest_source = config.source_positions().unwrap_or(lengths.longest_source);
        assert_eq!(description.lengths, lengths, "{text}");
        let table: BTreeSet<&str> = Hyperparameters::SPECS.iter().map(|s| s.name).collect();
        for (name, _) in description.hyperparameters {
            assert!(table.contains(name.as_str()), "{name} is not a hyperparameter");
        }
    }
}

#[test]
fn models_come_back_from_their_folders_bit_for_bit() {
    let mut rng = Rng::new(7);
    let mut configs = all_configs();
    rng.shuffle(&mut configs);
    for config in configs.into_iter().take(40) {
        let h = Hyperparameters::default();
        let model = Model::new(config, &(&h).into(), &Team::new(1)).unwrap();
        let metadata = Metadata {
            hyperparameters: h.to_strings(),
            lengths: LengthStatistics { bucket_width: rng.range(1..20), ..lengths(&mut rng) },
            training: Some(TrainingSummary {
                updates: 5,
                epoch: 1,
                checkpoint: 2,
                validation: [("perplexity".to_owned(), 3.25)].into(),
            }),
        };
        let artifact = Artifact { model, metadata };
        let [source, target] = [words(SOURCE_WORDS), words(TARGET_WORDS)];
        let folder = tempdir().unwrap();
        let place = folder.path().join("exported");
        export(&artifact, &source, &target, &place).unwrap();
        let mut files: Vec<_> = std::fs::read_dir(&place)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let expected =
            ["config", "kokanee.json", "params.best", "version", "vocab.src.0.json", "vocab.trg.0.json"];
        assert_eq!(files, expected);
        let again = import(&place, &ImportOptions::default()).unwrap();
        assert_eq!(again.artifact.model.config(), artifact.model.config());
        assert_eq!(model_bits(&again.artifact.model), model_bits(&artifact.model));
        assert_eq!(again.artifact.metadata, artifact.metadata);
        assert_eq!((again.source_vocabulary, again.target_vocabulary), (source, target));
        assert_eq!(again.notes, Vec::<String>::new());
    }
}

/// Paths at which two configurations differ.
fn differences(path: &str, one: &Node, other: &Node, found: &mut Vec<String>) {
    match (&one.content, &other.content) {
        (Content::Map(one_map), Content::Map(other_map)) if one.tag == other.tag => {
            let keys: BTreeSet<&String> = one_map.keys().chain(other_map.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (one_map.get(key), other_map.get(key)) {
                    (Some(one), Some(other)) => differences(&path, one, other, found),
                    _ => found.push(path),
                }
            }
        }
        _ if one == other => {}
        _ => found.push(path.to_owned()),
    }
}

/// Counts of training are not known to our models; none of them is used for translation.
const COUNTS: [&str; 8] = [
    "average_len_target_per_bucket",
    "buckets",
    "length_ratio_stats_per_bucket",
    "num_sents",
    "num_sents_per_bucket",
    "num_tokens_source",
    "num_tokens_target",
    // Only if the encoder has learned positions: then Sockeye ignores this field, and all positions may be used.
    "max_observed_len_source",
];

#[test]
fn golden_cases_are_exported_as_sockeye_wrote_them() {
    for case in golden_cases() {
        let imported = import_golden(&case);
        let folder = tempdir().unwrap();
        export(&imported.artifact, &imported.source_vocabulary, &imported.target_vocabulary, folder.path())
            .unwrap();
        let read = |path: PathBuf| parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut found = Vec::new();
        differences("", &read(case.join("config.yaml")), &read(folder.path().join("config")), &mut found);
        let learned = imported.artifact.model.config().source_positions().is_some();
        let allowed = &COUNTS[..if learned { 8 } else { 7 }];
        found.retain(|path| {
            !path.strip_prefix("config_data.data_statistics.").is_some_and(|field| allowed.contains(&field))
        });
        assert_eq!(found, Vec::<String>::new(), "{}", case.display());
        let params = |path: PathBuf| saved_bits(&mxnet::read_parameters(&path).unwrap());
        assert_eq!(params(case.join("params.mxnet")), params(folder.path().join("params.best")));
    }
}

/// Text of PyYAML that was not changed is written byte for byte the same.
#[test]
fn text_is_that_of_pyyaml() {
    for case in golden_cases() {
        let text = std::fs::read_to_string(case.join("config.yaml")).unwrap();
        // An alias says that two lists are the same one, which plain data cannot express.
        let text =
            text.replace("    - &id001 !!python/tuple\n      - null\n      - null\n    - *id001\n", "");
        assert_eq!(parse(&text).unwrap().to_text(), text, "{}", case.display());
    }
}
