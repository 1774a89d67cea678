use kokanee_algorithm::{Resume, StopFlag};
use std::fs;
use std::path::Path;

use kokanee_contract::algorithms::seq2seq::WeightTying;
use kokanee_formats::archive::pack;
use kokanee_testkit::Rng;
use tempfile::TempDir;

use super::*;
use crate::model_folder::MODEL_FILES;
use crate::trainer::tests::{Witness, data, files, hyperparameters, run};
use crate::{TrainingData, TrainingJob};

/// The words of `data` are a to e.
fn vocabulary(words: &[&str]) -> Vocabulary {
    Vocabulary::build(words.iter().map(|word| (*word, 1)), Default::default())
}

/// The model of a short training, and its folder.
fn trained(set: &[(&str, &str)]) -> (TempDir, InitialModel) {
    let folder = TempDir::new().unwrap();
    let limit = [("max_num_batches", "5")];
    let h = hyperparameters(&[&limit, set].concat());
    run(&h, folder.path(), Resume::Never, Witness::default());
    let model = InitialModel::read(&folder.path().join("model")).unwrap();
    (folder, model)
}

fn started(
    initial: Option<&InitialModel>,
    set: &[(&str, &str)],
    data: TrainingData,
) -> Result<TrainingJob, TrainError> {
    let h = hyperparameters(set);
    TrainingJob::starting_from(initial, &h, data, files(Path::new("nowhere")), Resume::Never)
}

fn tensors(model: &Model) -> Vec<(String, Tensor)> {
    model.parameters().iter().map(|p| (p.name.clone(), (*p.value).clone())).collect()
}

/// Every architecture starts with the parameters of the earlier model, bit for bit.
#[test]
fn the_same_words_take_everything_over() {
    let cnn = [("encoder_type", "cnn"), ("decoder_type", "cnn"), ("cnn_num_hidden", "6")];
    for set in [&[][..], &[("num_layers_decoder", "2"), ("rnn_cell_type", "gru")], &cnn] {
        let (_folder, initial) = trained(set);
        // Another seed, dropout and schedule do not change the architecture.
        let others = [("seed", "5"), ("embed_dropout_source", "0.1"), ("learning_rate", "1")];
        let job = started(Some(&initial), &[set, &others].concat(), data(1)).unwrap();
        let (got, want) = (tensors(job.trainer().model()), tensors(&initial.artifact.model));
        assert!(got.iter().zip(&want).all(|(a, b)| a.0 == b.0 && a.1.data() == b.1.data()), "{set:?}");
        let counts = WordCounts { kept: 5, fresh: 0, dropped: 0 };
        assert_eq!(job.summary().initial, Some(InitialReport { source: counts, target: counts }));
    }
}

#[test]
fn words_find_their_rows_when_their_ids_change() {
    let (_folder, initial) = trained(&[]);
    let mut other = data(1);
    other.source_vocabulary = vocabulary(&["z", "e", "c", "a"]);
    other.target_vocabulary = vocabulary(&["0", "1", "a", "b", "c", "d", "e"]);
    // Ids of the data must stay within the smaller vocabulary.
    other.train = Default::default();
    let mut rng = Rng::new(1);
    (0..9).for_each(|_| other.train.push(&[4 + rng.range(0..4) as u32], &[4]));
    other.validation = other.train.clone();
    let words = [other.source_vocabulary.clone(), other.target_vocabulary.clone()];

    let fresh = started(None, &[], data_like(&other)).unwrap();
    let job = started(Some(&initial), &[], other).unwrap();
    let report = job.summary().initial.unwrap();
    assert_eq!(report.source, WordCounts { kept: 3, fresh: 1, dropped: 2 });
    assert_eq!(report.target, WordCounts { kept: 5, fresh: 2, dropped: 0 });
    let lines = job.summary().lines().join("\n");
    assert!(
        lines.contains("source words: 3 kept, 1 new, 2 dropped; target words: 5 kept, 2 new, 0"),
        "{lines}"
    );

    let earlier = [&initial.source_vocabulary, &initial.target_vocabulary];
    let (mut mapped, mut whole) = (0, 0);
    let models = [job.trainer().model(), &initial.artifact.model, fresh.trainer().model()].map(tensors);
    for ((got, was), fresh) in models[0].iter().zip(&models[1]).zip(&models[2]) {
        let (name, got, was, fresh) = (&got.0, &got.1, &was.1, &fresh.1);
        let side = match (got.shape().extents()[0], name.contains("source")) {
            (8, true) => 0,
            (11, false) => 1,
            _ => {
                assert_eq!(got.data(), was.data(), "{name}");
                whole += 1;
                continue;
            }
        };
        mapped += 1;
        let width = got.data().len() / words[side].len();
        for id in 0..words[side].len() {
            let row = |tensor: &Tensor, id: usize| tensor.data()[id * width..(id + 1) * width].to_vec();
            let want = match earlier[side].get(words[side].word(id as u32).unwrap()) {
                Some(before) => row(was, before as usize),
                None => row(fresh, id),
            };
            assert_eq!(row(got, id), want, "row {id} of {name}");
        }
    }
    assert_eq!(mapped, 4, "both embeddings, weights and biases of the output layer");
    assert!(whole > 8);
}

/// A copy of the data for another job.
fn data_like(data: &TrainingData) -> TrainingData {
    TrainingData {
        train: data.train.clone(),
        validation: data.validation.clone(),
        source_vocabulary: data.source_vocabulary.clone(),
        target_vocabulary: data.target_vocabulary.clone(),
    }
}

#[track_caller]
fn check_refused(set: &[(&str, &str)], parts: &[&str]) {
    let (_folder, initial) = trained(&[]);
    let error = started(Some(&initial), set, data(1)).err().expect("refused");
    assert!(error.is_user_error());
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text:?} lacks one of {parts:?}");
}

#[test]
fn another_architecture_is_refused_with_every_difference() {
    check_refused(
        &[("rnn_num_hidden", "8"), ("num_embed_source", "5"), ("rnn_cell_type", "gru")],
        &[
            "its encoder.hidden is 6 and 8 was asked for",
            "its decoder.hidden is 6 and 8 was asked for",
            "its source_embedding is 4 and 5 was asked for",
            "its encoder.cell is lstm and gru was asked for",
        ],
    );
    check_refused(
        &[("decoder_type", "cnn"), ("cnn_num_hidden", "6")],
        &["its decoder.type is rnn and cnn was"],
    );
    // Settings without effect do not count as a difference: which layers get the context if there is only one.
    let (_folder, initial) = trained(&[]);
    assert!(started(Some(&initial), &[("rnn_attention_in_upper_layers", "false")], data(1)).is_ok());
}

/// Training a packed model continues where the earlier training ended, instead of where the seed would start.
#[test]
fn training_goes_on_from_a_packed_model() {
    let (folder, initial) = trained(&[("max_num_batches", "40"), ("learning_rate", "0.05")]);
    let archive = folder.path().join("again.tar.gz");
    pack(&folder.path().join("model"), &MODEL_FILES, &archive).unwrap();
    let read = InitialModel::read(&archive).unwrap();
    assert_eq!(read.fingerprint(), initial.fingerprint());
    let first_loss = |initial: Option<&InitialModel>, folder: &Path, resume| {
        let h = hyperparameters(&[("max_num_batches", "3")]);
        let mut job = TrainingJob::starting_from(initial, &h, data(1), files(folder), resume).unwrap();
        let mut witness = Witness::default();
        job.run(&mut witness, &StopFlag::default()).unwrap();
        witness.losses.first().map(|(_, bits)| f64::from_bits(*bits))
    };
    let (with, without) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let better = first_loss(Some(&read), with.path(), Resume::Never).unwrap();
    let worse = first_loss(None, without.path(), Resume::Never).unwrap();
    assert!(better < 0.9 * worse, "{better} after training, {worse} before");

    // A state belongs to the model that it began with.
    assert_eq!(first_loss(Some(&read), with.path(), Resume::Required), None, "already at its limit");
    let h = hyperparameters(&[("max_num_batches", "9")]);
    let error = TrainingJob::starting_from(None, &h, data(1), files(with.path()), Resume::Required);
    let text = error.err().unwrap().to_string();
    assert!(text.contains("the initial model is not the same"), "{text}");
}

#[test]
fn a_folder_without_a_fitting_vocabulary_is_no_model_to_start_from() {
    let (folder, _) = trained(&[]);
    let model = folder.path().join("model");
    vocabulary(&["a", "b"]).write(&model.join("vocab.src.json")).unwrap();
    let refused = || InitialModel::read(&model).err().unwrap().to_string();
    assert!(refused().contains("it is not the vocab.src.json that this model was written with"));
    // As earlier versions wrote it, without the digests of files.
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config.as_object_mut().unwrap().remove("files").unwrap();
    fs::write(model.join("config.json"), config.to_string()).unwrap();
    assert!(refused().contains("vocab.src.json of the initial model has 6 words, and its parameters 9"));
    fs::remove_file(model.join("vocab.src.json")).unwrap();
    assert!(
        refused()
            .contains("model has no vocab.src.json: without its vocabulary a model cannot be trained on")
    );
}

/// Checks the names of the parameters that have a row for every word, with the side whose words they are.
#[track_caller]
fn check_sides(weight_tying: WeightTying, want: &[(&str, usize)]) {
    let h = crate::trainer::tests::hyperparameters(&[("rnn_num_hidden", "4")]);
    let h = kokanee_contract::algorithms::seq2seq::Hyperparameters { weight_tying, ..h };
    let config = ModelConfig::new(&h, 20, 20).unwrap();
    let sides = vocabulary_sides(&config).unwrap();
    let model = Model::zeros(config).unwrap();
    let named = model.parameters().iter().zip(sides).filter_map(|(p, side)| Some((&*p.name, side?)));
    assert_eq!(named.collect::<Vec<_>>(), want, "{weight_tying}");
}

#[test]
fn rows_of_words_are_found_however_weights_are_tied() {
    let (source, target) = (("source_embed_weight", 0), ("target_embed_weight", 1));
    let (weight, bias) = (("target_output_weight", 1), ("target_output_bias", 1));
    check_sides(WeightTying::None, &[source, target, weight, bias]);
    check_sides(WeightTying::TrgSoftmax, &[source, target, bias]);
    // Both vocabularies are the same if they share a matrix, so that either determines where its rows go.
    let shared = ("source_target_embed_weight", 1);
    check_sides(WeightTying::SrcTrg, &[shared, weight, bias]);
    check_sides(WeightTying::SrcTrgSoftmax, &[shared, bias]);
}
