use kokanee_algorithm::Resume;
use std::path::Path;

use kokanee_contract::algorithms::seq2seq::OptimizerType;
use kokanee_kernels::MemoryOrigin;

use super::*;
use crate::TrainingJob;
use crate::trainer::tests::{data, files, hyperparameters};

/// The estimate for a small corpus and vocabularies of `words` words.
fn estimate(words: usize, change: fn(&mut Hyperparameters)) -> MemoryEstimate {
    let mut h = Hyperparameters::default();
    change(&mut h);
    let config = ModelConfig::new(&h, words, words).unwrap();
    let data = data(1);
    let training = Training {
        hyperparameters: &h,
        config: &config,
        buckets: &[Bucket { source: 5, target: 5 }, Bucket { source: 10, target: 10 }],
        corpora: [&data.train, &data.validation],
        threads: 2,
        initial: None,
        resumes: false,
    };
    training.memory().unwrap()
}

#[test]
fn what_makes_a_training_larger_makes_its_estimate_larger() {
    let usual = estimate(5000, |_| {}).total();
    for change in [
        |h: &mut Hyperparameters| h.batch_size = 128,
        |h: &mut Hyperparameters| h.rnn_num_hidden = 2048,
        |h: &mut Hyperparameters| h.num_embed_source = 1024,
        |h: &mut Hyperparameters| h.num_layers_decoder = 2,
        |h: &mut Hyperparameters| h.gradient_accumulation = 2,
        |h: &mut Hyperparameters| h.checkpoint_averaging = 2,
        |h: &mut Hyperparameters| h.rnn_state_dropout = 0.1,
        |h: &mut Hyperparameters| h.rnn_cell_type = kokanee_contract::algorithms::seq2seq::RnnCellType::Gru,
    ] {
        let more = estimate(5000, change);
        // A GRU has fewer weights, and other values.
        assert!(more.total() != usual, "{more:?}");
    }
    assert!(estimate(50_000, |_| {}).total() > usual);
    assert!(estimate(5000, |h| h.optimizer_type = OptimizerType::Sgd).total() < usual);
    let items = estimate(5000, |_| {});
    assert!(items.items().is_sorted_by(|a, b| a.bytes >= b.bytes));
}

#[test]
fn more_than_the_limit_is_refused_with_the_three_largest_items() {
    let estimate = estimate(100_000, |_| {});
    let limit = |bytes| Some(MemoryLimit { bytes, origin: MemoryOrigin::ControlGroup });
    assert_eq!(estimate.check(None), Ok(()));
    assert_eq!(estimate.check(limit(estimate.total())), Ok(()));
    let error = estimate.check(limit(512 << 20)).unwrap_err().to_string();
    assert!(error.contains("and the container (its control group) has 512 MiB"), "{error}");
    for item in &estimate.items()[..3] {
        assert!(error.contains(&format!("{}: ", item.what)) && error.contains(item.remedy), "{error}");
    }
    assert!(error.contains("optimizer state: 1.7 GiB (change optimizer_type"), "{error}");
    assert!(!error.contains("program and threads"), "{error}");
}

/// Sizes that hyperparameters allow and no machine holds: the error comes before anything is allocated.
#[test]
fn a_training_that_no_machine_holds_is_refused_before_anything_is_taken() {
    let cases: [&[(&str, &str)]; 4] = [
        &[("rnn_num_hidden", "65536")],
        &[("num_embed_source", "65536"), ("num_layers_encoder", "64"), ("rnn_num_hidden", "65536")],
        &[
            ("encoder_type", "cnn"),
            ("decoder_type", "cnn"),
            ("cnn_num_hidden", "65536"),
            ("cnn_kernel_width_encoder", "4095"),
        ],
        &[("batch_size", "65536"), ("rnn_num_hidden", "16384"), ("gradient_accumulation", "65536")],
    ];
    for settings in cases {
        let h = hyperparameters(settings);
        let before = kokanee_kernels::pages::live_bytes();
        let error =
            TrainingJob::new(&h, data(1), files(Path::new("nowhere")), Resume::Never).err().expect("refused");
        // Other tests allocate and free blocks meanwhile, small ones.
        let taken = kokanee_kernels::pages::live_bytes().saturating_sub(before);
        assert!(taken < 1 << 30, "{taken} bytes were taken");
        assert!(error.is_user_error(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("this training needs about") && text.contains("the largest items are"),
            "{text}"
        );
    }
}

#[test]
fn a_model_that_cannot_answer_in_int8_is_not_trained_for_it() {
    let h = hyperparameters(&[
        ("encoder_type", "cnn"),
        ("cnn_num_hidden", "64"),
        ("cnn_kernel_width_encoder", "2081"),
        ("inference_precision", "int8"),
    ]);
    let error =
        TrainingJob::new(&h, data(1), files(Path::new("nowhere")), Resume::Never).err().expect("refused");
    assert!(error.is_user_error());
    let text = error.to_string();
    assert!(text.contains("inference_precision: ") && text.contains("room for 133144 inputs"), "{text}");
}
