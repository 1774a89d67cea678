use std::collections::BTreeMap;

use super::*;
use crate::resolve::Table as _;
use crate::spec::parse::parse;
use crate::spec::value::Value;
use crate::spec::{Field, Origin, Rows as _};

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[track_caller]
fn resolved(pairs: &[(&str, &str)]) -> Hyperparameters {
    Hyperparameters::resolve(&strings(pairs)).unwrap_or_else(|faults| panic!("{faults}"))
}

/// Checks that each expected piece is in one fault, in order, and that there are no other faults.
#[track_caller]
fn check(pairs: &[(&str, &str)], expected: &[&str]) {
    let Err(Faults { faults, .. }) = Hyperparameters::resolve(&strings(pairs)) else {
        panic!("{pairs:?} was accepted");
    };
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.to_string().contains(expected), "{fault}\nlacks\n{expected}");
    }
}

#[test]
fn the_table_holds_exactly_the_guides_names() {
    let guide = "batch_size beam_size bleu_sample_size bucket_width bucketing_enabled \
        checkpoint_frequency_num_batches checkpoint_threshold clip_gradient cnn_activation_type cnn_hidden_dropout \
        cnn_kernel_width_decoder cnn_kernel_width_encoder cnn_num_hidden decoder_type embed_dropout_source \
        embed_dropout_target encoder_type fixed_rate_lr_half_life learning_rate loss_type lr_scheduler_type \
        max_num_batches max_num_epochs max_seq_len_source max_seq_len_target min_num_epochs momentum \
        num_embed_source num_embed_target num_layers_decoder num_layers_encoder optimized_metric optimizer_type \
        plateau_reduce_lr_factor plateau_reduce_lr_threshold rnn_attention_in_upper_layers rnn_attention_num_hidden \
        rnn_attention_type rnn_cell_type rnn_decoder_hidden_dropout rnn_decoder_state_init rnn_first_residual_layer \
        rnn_num_hidden rnn_residual_connections training_metric weight_decay weight_init_scale weight_init_type \
        xavier_factor_type";
    let mut found: Vec<&str> = Hyperparameters::SPECS
        .iter()
        .filter(|spec| spec.origin == Origin::SageMaker)
        .map(|spec| spec.name)
        .collect();
    found.sort_unstable();
    assert_eq!(found, guide.split_whitespace().collect::<Vec<_>>());
    let mut names: Vec<&str> = Hyperparameters::SPECS
        .iter()
        .flat_map(|spec| spec.aliases.iter().copied().chain([spec.name]))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name comes twice");
}

#[test]
fn defaults_are_the_guides() {
    let guide = strings(&[
        ("batch_size", "64"),
        ("beam_size", "5"),
        ("bleu_sample_size", "0"),
        ("bucket_width", "10"),
        ("bucketing_enabled", "true"),
        ("checkpoint_frequency_num_batches", "1000"),
        ("checkpoint_threshold", "3"),
        ("clip_gradient", "1"),
        ("cnn_activation_type", "glu"),
        ("cnn_hidden_dropout", "0"),
        ("cnn_kernel_width_decoder", "5"),
        ("cnn_kernel_width_encoder", "3"),
        ("cnn_num_hidden", "512"),
        ("decoder_type", "rnn"),
        ("embed_dropout_source", "0"),
        ("embed_dropout_target", "0"),
        ("encoder_type", "rnn"),
        ("fixed_rate_lr_half_life", "10"),
        ("learning_rate", "0.0003"),
        ("loss_type", "cross-entropy"),
        ("lr_scheduler_type", "plateau_reduce"),
        ("max_num_batches", "-1"),
        ("max_seq_len_source", "100"),
        ("max_seq_len_target", "100"),
        ("min_num_epochs", "0"),
        ("num_embed_source", "512"),
        ("num_embed_target", "512"),
        ("num_layers_decoder", "1"),
        ("num_layers_encoder", "1"),
        ("optimized_metric", "perplexity"),
        ("optimizer_type", "adam"),
        ("plateau_reduce_lr_factor", "0.5"),
        ("plateau_reduce_lr_threshold", "3"),
        ("rnn_attention_in_upper_layers", "true"),
        ("rnn_attention_type", "mlp"),
        ("rnn_cell_type", "lstm"),
        ("rnn_decoder_hidden_dropout", "0"),
        ("rnn_decoder_state_init", "last"),
        ("rnn_first_residual_layer", "2"),
        ("rnn_num_hidden", "1024"),
        ("rnn_residual_connections", "false"),
        ("training_metric", "perplexity"),
        ("weight_decay", "0"),
        ("weight_init_scale", "2.34"),
        ("weight_init_type", "xavier"),
        ("xavier_factor_type", "in"),
    ]);
    let defaults = Hyperparameters::default();
    let mut found = defaults.to_strings();
    found.retain(|name, _| Hyperparameters::spec(name).unwrap().origin == Origin::SageMaker);
    assert_eq!(found, guide);
    assert_eq!((defaults.max_num_epochs, defaults.momentum), (None, None));
    assert_eq!(defaults.effective_attention_num_hidden(), 1024);
    let off = Hyperparameters {
        weight_tying: WeightTying::None,
        rnn_input_dropout: 0.0,
        rnn_state_dropout: 0.0,
        rnn_recurrent_dropout: 0.0,
        source_vectors: None,
        target_vectors: None,
        label_smoothing: 0.0,
        gradient_accumulation: 1,
        gradient_clipping_type: GradientClippingType::Abs,
        learning_rate_warmup: 0,
        checkpoint_averaging: 1,
        ..defaults.clone()
    };
    assert_eq!(off, defaults, "extensions are off by default");
    let extensions =
        (defaults.seed, defaults.num_threads, defaults.length_penalty_alpha, defaults.length_penalty_beta);
    assert_eq!(extensions, (13, 0, 1.0, 0.0));
    assert_eq!(defaults.overlong_sequences, OverlongSequences::Truncate);
}

#[test]
fn values_are_read_in_every_spelling_that_arrives() {
    for text in ["128", " 128\n", "\"128\"", "\" 128 \"", "128.0", "1.28e2", "+128"] {
        assert_eq!(resolved(&[("batch_size", text)]).batch_size, 128, "{text:?}");
    }
    for (text, expected) in [("true", true), ("True", true), ("\"False\"", false), ("false", false)] {
        assert_eq!(resolved(&[("bucketing_enabled", text)]).bucketing_enabled, expected, "{text:?}");
    }
    for text in ["none", "None", "null", "\"none\""] {
        assert_eq!(resolved(&[("max_num_epochs", text)]).max_num_epochs, None, "{text:?}");
    }
    assert_eq!(resolved(&[("max_num_epochs", "7")]).max_num_epochs, Some(7));
    assert_eq!(resolved(&[("seed", "18446744073709551615")]).seed, u64::MAX);
    assert_eq!(resolved(&[("learning_rate", "\"3e-4\"")]).learning_rate, 3e-4);
    assert_eq!(resolved(&[("optimized_metric", "\"bleu\"")]).optimized_metric, Metric::Bleu);
    assert_eq!(resolved(&[("plateau_reduce_lr_thresold", "5")]).plateau_reduce_lr_threshold, 5);
    assert_eq!(resolved(&[("checkpoint_threshold", "-1")]).checkpoint_threshold, -1);
    assert_eq!(resolved(&[("bleu_sample_size", "-1")]).bleu_sample_size, -1);
    assert_eq!(resolved(&[("clip_gradient", "-1")]).clip_gradient, -1.0);
    assert_eq!(resolved(&[("_tuning_objective_metric", "validation:bleu")]), Hyperparameters::default());
    let attention = resolved(&[("rnn_attention_num_hidden", "64")]);
    assert_eq!(attention.effective_attention_num_hidden(), 64);
    let own = resolved(&[
        ("encoder_type", "rnn"),
        ("rnn_first_residual_layer", "1"),
        ("fixed_rate_lr_half_life", "10"),
    ]);
    assert_eq!(own.encoder_type, NetworkType::Rnn);
}

#[test]
fn a_scale_for_uniform_loses_its_sign() {
    let h = resolved(&[("weight_init_type", "uniform"), ("weight_init_scale", "-0.08")]);
    assert_eq!((h.weight_init_type, h.weight_init_scale), (WeightInitType::Uniform, 0.08));
}

#[test]
fn invalid_values_say_what_is_valid() {
    let size = "`batch_size`=\"0\" is not valid: expected an integer from 1 to 65536";
    check(&[("batch_size", "0")], &[size]);
    for text in
        ["abc", "65537", "-1", "64.5", "", "  ", "nan", "inf", "1e400", "\"\"64\"\"", "none", "null", "0x40"]
    {
        check(&[("batch_size", text)], &["is not valid: expected an integer from 1 to 65536"]);
    }
    check(&[("batch_size", "64.5")], &["; it is not a whole number"]);
    check(&[("batch_size", "\"\\q\"")], &["quotation marks"]);
    check(&[("seed", "18446744073709551616")], &["an integer from 0 to 2^64-1"]);
    check(&[("seed", "-1")], &["an integer from 0 to 2^64-1"]);
    check(
        &[("rnn_num_hidden", "513")],
        &["`rnn_num_hidden`=\"513\" is not valid: expected an even integer from 2 to"],
    );
    check(&[("cnn_kernel_width_encoder", "4")], &["expected an odd integer from 1 to"]);
    check(
        &[("checkpoint_threshold", "0")],
        &["expected an integer from 1 to 10^12, or -1 for no early stop"],
    );
    check(
        &[("bleu_sample_size", "-2")],
        &["expected an integer from 0 to 10^12, or -1 for the whole validation set"],
    );
    check(&[("max_num_batches", "0")], &["or -1 for no limit"]);
    check(&[("max_num_epochs", "0")], &["expected an integer from 1 to 10^12"]);
    check(&[("beam_size", "1001")], &["expected an integer from 1 to 1000"]);
    check(&[("bucketing_enabled", "yes")], &["expected true or false"]);
    check(&[("bucketing_enabled", "none")], &["expected true or false"]);
    check(&[("optimizer_type", "Adam")], &["expected one of adam, sgd, rmsprop; did you mean `adam`?"]);
    check(&[("loss_type", "hinge")], &["expected cross-entropy"]);
    check(
        &[("embed_dropout_source", "1")],
        &["expected a number in [0, 1); the guide's range ends at 1, but"],
    );
    check(&[("embed_dropout_target", "-0.1")], &["expected a number in [0, 1)"]);
    check(&[("plateau_reduce_lr_factor", "0")], &["expected a number in (0, 1]"]);
    check(&[("plateau_reduce_lr_factor", "1.5")], &["expected a number in (0, 1]"]);
    check(&[("learning_rate", "0")], &["expected a finite number > 0"]);
    for text in ["NaN", "inf", "-infinity", "1e999"] {
        check(&[("learning_rate", text)], &["neither infinite nor undefined"]);
    }
    check(&[("weight_decay", "-1")], &["expected a finite number >= 0"]);
    check(&[("num_threads", "-1")], &["expected an integer from 0 to 1024"]);
}

#[test]
fn unknown_names_are_told_in_sagemakers_words() {
    check(
        &[("mini_batch_siz", "64")],
        &[
            "Additional hyperparameters are not allowed ('mini_batch_siz' was unexpected); did you mean `batch_size`?",
        ],
    );
    check(&[("", "64")], &["('' was unexpected); `kokanee train --help` lists"]);
    check(&[("a\nb", "64")], &["('a\\nb' was unexpected)"]);
    let long = "x".repeat(5000);
    check(&[(&long, &long)], &["xxx…' was unexpected"]);
}

#[test]
fn contradictions_are_refused() {
    check(&[("momentum", "0.9")], &["momentum belongs to sgd, but `optimizer_type` is adam"]);
    check(&[("momentum", "0.9"), ("optimizer_type", "rmsprop")], &["`optimizer_type` is rmsprop"]);
    check(
        &[("min_num_epochs", "5"), ("max_num_epochs", "4")],
        &["greater than `max_num_epochs`, which is 4"],
    );
    check(&[("rnn_residual_connections", "true")], &["residual connections need more than one layer"]);
    check(
        &[
            ("rnn_residual_connections", "true"),
            ("rnn_first_residual_layer", "1"),
            ("num_layers_encoder", "2"),
        ],
        &[
            "`rnn_first_residual_layer`=\"1\" cannot be used: with `rnn_residual_connections` it must be at least 2",
        ],
    );
    check(&[("weight_init_scale", "0")], &["xavier takes the square root"]);
    check(&[("weight_init_scale", "-1")], &["must be above 0"]);
    check(&[("weight_init_scale", "0"), ("weight_init_type", "uniform")], &["could never grow apart"]);
    check(&[("clip_gradient", "0")], &["0 would clip every gradient to nothing"]);
    resolved(&[("clip_gradient", "0"), ("gradient_clipping_type", "none")]);
    let mixed = [("decoder_type", "cnn"), ("encoder_type", "rnn")];
    check(&mixed, &["`cnn_num_hidden` is 512 and `rnn_num_hidden` is 1024; make them equal"]);
    resolved(&[&mixed[..], &[("rnn_num_hidden", "512")]].concat());
    resolved(&[("encoder_type", "cnn"), ("decoder_type", "rnn")]);
    resolved(&[("encoder_type", "cnn"), ("decoder_type", "cnn")]);
    check(
        &[("plateau_reduce_lr_threshold", "2"), ("plateau_reduce_lr_thresold", "2")],
        &["are two spellings of one"],
    );
}

#[track_caller]
fn check_tying(change: fn(&mut Hyperparameters), expected: Option<&str>) {
    let mut h = Hyperparameters::default();
    change(&mut h);
    let rule = Hyperparameters::RULES.iter().find(|rule| rule.names[0] == "weight_tying").unwrap();
    let found = (rule.broken)(&h);
    match expected {
        None => assert_eq!(found, None),
        Some(part) => assert!(found.as_deref().is_some_and(|text| text.contains(part)), "{found:?}"),
    }
}

#[test]
fn only_lstm_cells_have_recurrent_dropout() {
    let cell = ("rnn_cell_type", "gru");
    check(&[cell, ("rnn_recurrent_dropout", "0.1")], &["only lstm cells have a memory"]);
    resolved(&[cell, ("rnn_recurrent_dropout", "0")]);
}

#[test]
fn tied_weights_must_have_the_same_shape() {
    check_tying(|_| (), None);
    check_tying(|h| h.weight_tying = WeightTying::SrcTrg, None);
    check_tying(
        |h| (h.weight_tying, h.num_embed_source) = (WeightTying::SrcTrg, 256),
        Some("`num_embed_source` is 256 and `num_embed_target` is 512"),
    );
    let told = "`num_embed_target` is 512 and the decoder's `rnn_num_hidden` is 1024";
    check_tying(|h| h.weight_tying = WeightTying::TrgSoftmax, Some(told));
    check_tying(|h| h.weight_tying = WeightTying::SrcTrgSoftmax, Some(told));
    check_tying(|h| (h.weight_tying, h.rnn_num_hidden) = (WeightTying::SrcTrgSoftmax, 512), None);
    check_tying(|h| (h.weight_tying, h.decoder_type) = (WeightTying::TrgSoftmax, NetworkType::Cnn), None);
    check_tying(
        |h| {
            (h.weight_tying, h.decoder_type) = (WeightTying::TrgSoftmax, NetworkType::Cnn);
            h.cnn_num_hidden = 256;
        },
        Some("the decoder's `cnn_num_hidden` is 256"),
    );
}

#[test]
fn paths_are_taken_as_they_are_written() {
    let spec = Spec::optional_extension(RUN, Kind::Path);
    for (text, path) in
        [("a b/ü.vec", "a b/ü.vec"), (" x ", "x"), ("\"q.vec\"", "q.vec"), ("\"\\\"q\\\"\"", "\"q\"")]
    {
        let value = parse(&spec, text).unwrap();
        assert_eq!(value, Some(Value::Path(path.into())), "{text}");
        let written = <PathBuf as Field>::from_value(value.as_ref()).to_text().unwrap();
        assert_eq!(parse(&spec, &written).unwrap(), value, "{written}");
    }
    assert_eq!(parse(&spec, "none").unwrap(), None);
    assert!(parse(&spec, "a\0b").unwrap_err().into_hint().contains("NUL"));
    assert!(parse(&spec, "").unwrap_err().into_hint().contains("empty"));
}

#[test]
fn all_faults_come_at_once_and_the_first_line_names_them() {
    let raw = [("batch_size", "x"), ("beam_sise", "5"), ("clip_gradient", "0"), ("precision", "f16")];
    check(&raw, &["batch_size", "beam_sise", "precision", "clip_gradient"]);
    let text = Hyperparameters::resolve(&strings(&raw)).unwrap_err().to_string();
    assert_eq!(
        text.lines().next(),
        Some("4 hyperparameters cannot be used (batch_size, beam_sise, clip_gradient, precision):")
    );
    assert_eq!(text.lines().count(), 5);
}

#[test]
fn the_first_line_stays_within_what_sagemaker_shows() {
    let raw: BTreeMap<String, String> =
        (0..500).map(|n| (format!("{n}{}", "y".repeat(80)), String::new())).collect();
    let text = Hyperparameters::resolve(&raw).unwrap_err().to_string();
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("500 hyperparameters") && first.ends_with("and 480 more):"), "{first}");
}

#[test]
fn a_number_that_single_precision_makes_another_is_refused_with_the_reason() {
    let limit = "expected a number in [0, 1); it is used in single precision, where it is 1.0";
    for name in
        ["embed_dropout_source", "cnn_hidden_dropout", "rnn_state_dropout", "momentum", "label_smoothing"]
    {
        let optimizer = ("optimizer_type", "sgd");
        check(
            &[(name, "0.99999999"), optimizer],
            &[&format!("`{name}`=\"0.99999999\" is not valid: {limit}")],
        );
    }
    let zero = "used in single precision, which cannot tell it from 0";
    for name in
        ["clip_gradient", "weight_decay", "learning_rate", "weight_init_scale", "plateau_reduce_lr_factor"]
    {
        check(&[(name, "1e-50")], &[zero]);
    }
    let infinite = "used in single precision, where the largest number is 3.4";
    for name in ["clip_gradient", "weight_decay", "learning_rate", "weight_init_scale"] {
        check(&[(name, "1e39")], &[infinite]);
    }
    // Scores of beam search are in double precision.
    let raw = strings(&[("length_penalty_alpha", "1e-50"), ("embed_dropout_source", "0.9999999")]);
    assert_eq!(Hyperparameters::resolve(&raw).unwrap().length_penalty_alpha, 1e-50);
}

#[test]
fn whole_numbers_are_taken_digit_by_digit() {
    let seed = |text: &str| Hyperparameters::resolve(&strings(&[("seed", text)])).map(|h| h.seed);
    for (text, want) in [
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("18446744073709551615.00", u64::MAX),
        ("1.8446744073709551615e19", u64::MAX),
        ("1.5e1", 15),
        ("1200e-2", 12),
        ("0e999", 0),
        ("0.000", 0),
        ("+7.", 7),
    ] {
        assert_eq!(seed(text).unwrap(), want, "{text}");
    }
    for text in ["64.00000000000000000001", "1e-1", "1.25e1", "5e-324"] {
        check(&[("seed", text)], &["it is not a whole number"]);
    }
    for text in ["1e31", "1e308", "18446744073709551616.0", "e", "1e", ".", "0x10", "1_000.0", "inf"] {
        check(&[("seed", text)], &["expected an integer from 0 to 2^64-1"]);
    }
}
