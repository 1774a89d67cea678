//! Tests the memory that a translator holds once it only decodes, by the live blocks of tensors and weights in the process: a test
//! alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::packed::Format;
use kokanee_kernels::{Team, pages};
use kokanee_seq2seq_data::{Vocabulary, VocabularyLimits};
use kokanee_seq2seq_nn::artifact::{Artifact, LengthStatistics, Metadata};
use kokanee_seq2seq_nn::{Model, ModelConfig};
use kokanee_seq2seq_serve::Translator;

/// A model of 512 units and some thousands of words, in a folder.
fn write_model(folder: &Path) {
    let set: BTreeMap<String, String> = [("rnn_num_hidden".to_owned(), "512".to_owned())].into();
    let h = Hyperparameters::resolve(&set).unwrap();
    let words = Vocabulary::build((0..3000).map(|word| (format!("w{word}"), 1)), VocabularyLimits::default());
    let model = Model::zeros(ModelConfig::new(&h, words.len(), words.len()).unwrap()).unwrap();
    let lengths = LengthStatistics {
        ratio_mean: 1.0,
        ratio_std: 0.0,
        longest_source: 20,
        longest_target: 20,
        bucket_width: 10,
    };
    let metadata = Metadata { hyperparameters: h.to_strings(), lengths, training: None };
    Artifact::save(&model, &metadata, folder).unwrap();
    for file in ["vocab.src.json", "vocab.trg.json"] {
        words.write(&folder.join(file)).unwrap();
    }
}

#[test]
fn a_translator_that_only_decodes_holds_no_other_weights() {
    let folder = tempfile::tempdir().unwrap();
    let held = |format: Format| {
        let folder = folder.path().to_owned();
        // On a separate thread: threads keep their buffers until they end.
        let work = move || {
            let before = pages::live_bytes();
            let translator = Translator::open(&folder, Arc::new(Team::new(1))).unwrap();
            let translator = translator.in_format(format).only_decoding();
            assert_eq!(translator.translate(&["w1 w2"]).len(), 1);
            (pages::live_bytes() - before) as f64
        };
        std::thread::spawn(work).join().unwrap()
    };
    write_model(folder.path());
    let [f32, bf16, int8] = [Format::F32, Format::Bf16, Format::Int8].map(held);
    assert!(bf16 < 0.6 * f32, "{bf16} bytes in bf16, {f32} in f32");
    assert!(int8 < 0.4 * f32, "{int8} bytes in int8, {f32} in f32");
}
