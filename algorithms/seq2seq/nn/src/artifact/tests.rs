use std::collections::HashMap;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_formats::archive::pack;
use kokanee_formats::mxnet::{self, ArrayView, ValuesView};
use kokanee_kernels::Team;
use kokanee_tensor::Tensor;
use tempfile::tempdir;

use super::*;
use crate::ModelConfig;

fn model() -> Model {
    let h = Hyperparameters {
        rnn_num_hidden: 6,
        num_embed_source: 5,
        num_embed_target: 4,
        ..Hyperparameters::default()
    };
    Model::new(ModelConfig::new(&h, 9, 8).unwrap(), &(&h).into(), &Team::new(1)).unwrap()
}

fn metadata() -> Metadata {
    Metadata {
        hyperparameters: Hyperparameters::default().to_strings(),
        lengths: LengthStatistics {
            // Digits whose last bit a fast JSON parser gets wrong.
            ratio_mean: 0.930_928_657_306_172_9,
            ratio_std: 0.2,
            longest_source: 20,
            longest_target: 25,
            bucket_width: 10,
        },
        training: Some(TrainingSummary {
            updates: 30,
            epoch: 2,
            checkpoint: 3,
            validation: BTreeMap::from([("perplexity".to_owned(), 7.5)]),
        }),
    }
}

fn values(model: &Model) -> Vec<(String, Vec<f32>)> {
    model.parameters().iter().map(|p| (p.name.clone(), p.value.data().to_vec())).collect()
}

/// Loads the folder after `damage`, and compares the message with its expected part.
fn check_damage(damage: impl FnOnce(&Path), expected: &str) {
    let folder = tempdir().unwrap();
    Artifact::save(&model(), &metadata(), folder.path()).unwrap();
    without_digests(folder.path());
    damage(folder.path());
    let message = Artifact::load(folder.path()).err().expect("a damaged model must not load").to_string();
    assert!(message.contains(expected), "`{message}` should contain `{expected}`");
}

/// Brings the folder to the state of a version that wrote no digests: only then does damage reach the parser.
fn without_digests(folder: &Path) {
    edit(&folder.join(CONFIG_FILE), |text| {
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let files = config.as_object_mut().unwrap().remove("files").unwrap();
        assert!(files[PARAMETERS_FILE]["crc32"].is_string());
        serde_json::to_string_pretty(&config).unwrap()
    });
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, change(text)).unwrap();
}

#[test]
fn a_model_comes_back_bit_for_bit_from_its_folder_and_from_its_archive() {
    let folder = tempdir().unwrap();
    let model = model();
    Artifact::save(&model, &metadata(), folder.path()).unwrap();
    let archive = folder.path().join("model.tar.gz");
    pack(folder.path(), &[PARAMETERS_FILE, CONFIG_FILE], &archive).unwrap();
    for path in [folder.path(), &archive] {
        let opened = OpenedFolder::open(path).unwrap();
        let loaded = Artifact::load(opened.path()).unwrap();
        assert_eq!(values(&loaded.model), values(&model));
        assert_eq!(loaded.model.config(), model.config());
        assert_eq!(loaded.metadata, metadata());
    }
    let again = folder.path().join("again.tar.gz");
    pack(folder.path(), &[PARAMETERS_FILE, CONFIG_FILE], &again).unwrap();
    assert_eq!(std::fs::read(&archive).unwrap(), std::fs::read(&again).unwrap());
}

#[test]
fn damaged_models_are_refused_with_the_reason() {
    let config = |f: &Path| f.join(CONFIG_FILE);
    let tensors = |f: &Path| f.join(PARAMETERS_FILE);
    check_damage(
        |f| std::fs::remove_file(config(f)).unwrap(),
        "holds no model of Kokanee: it has no config.json",
    );
    check_damage(|f| std::fs::remove_file(tensors(f)).unwrap(), "it has no model.safetensors");
    // Parameters of that size would not fit any memory: nothing may be allocated before the files have been compared.
    check_damage(
        |f| {
            edit(&config(f), |t| {
                t.replace("\"target_vocabulary\": 8", "\"target_vocabulary\": 16777216")
                    .replace("\"target_embedding\": 4", "\"target_embedding\": 65536")
            })
        },
        "target_embed_weight is (8 x 4) and should be (16777216 x 65536)",
    );
    check_damage(
        |f| std::fs::write(config(f), "{").unwrap(),
        "config.json cannot be used: EOF while parsing",
    );
    check_damage(|f| std::fs::write(config(f), "{}").unwrap(), "no format_version: not a model of Kokanee");
    check_damage(
        |f| edit(&config(f), |t| t.replace("\"format_version\": 1", "\"format_version\": 9")),
        "format_version is 9 (Kokanee 0.1.0 wrote it) and this program, Kokanee 0.1.0, reads 1; use a later Kokanee",
    );
    for garbage in ["0", "-1", "1.5", "\"1\"", "null"] {
        check_damage(
            |f| {
                edit(&config(f), |t| {
                    t.replace("\"format_version\": 1", &format!("\"format_version\": {garbage}"))
                })
            },
            &format!("format_version is {garbage}, which no version of Kokanee writes: the file is damaged"),
        );
    }
    check_damage(
        |f| edit(&config(f), |t| t.replace("\"target_embedding\": 4", "\"target_embedding\": 3")),
        "target_embed_weight is (8 x 4) and should be (8 x 3)",
    );
    check_damage(
        |f| edit(&config(f), |t| t.replace("\"hidden\": 6", "\"hidden\": 7")),
        "encoder.hidden is 7, but must be even",
    );
    check_damage(
        |f| edit(&config(f), |t| t.replace("\"longest_source\": 20", "\"longest_source\": 0")),
        "a longest source of 0 tokens",
    );
    check_damage(
        |f| {
            let bytes = std::fs::read(tensors(f)).unwrap();
            std::fs::write(tensors(f), &bytes[..bytes.len() - 5]).unwrap();
        },
        "not a whole safetensors file",
    );
    check_damage(
        |f| {
            let mut named = load_parameters(&tensors(f)).unwrap();
            let bias = named.remove("target_output_bias").unwrap();
            let mut list: Vec<_> = named.iter().map(|(n, t)| (n.as_str(), t)).collect();
            list.push(("stranger", &bias));
            save_parameters(&tensors(f), &list).unwrap();
        },
        "missing: target_output_bias; unexpected: stranger",
    );
    let message = OpenedFolder::open(Path::new("no/such/model")).err().unwrap().to_string();
    assert!(message.contains("there is no such file or folder"), "{message}");
}

/// Saves a whole model with vocabularies of the given bytes.
fn save_with_words(folder: &Path, words: [&[u8]; 2]) -> Result<(), ArtifactError> {
    let mut update = FolderUpdate::begin(folder)?;
    let companions = [("vocab.src.json", words[0]), ("vocab.trg.json", words[1])];
    Artifact::stage(&model(), &metadata(), &companions, &mut update)?;
    Ok(update.commit()?)
}

#[test]
fn a_vocabulary_of_another_model_is_noticed_though_it_has_the_same_size() {
    let folder = tempdir().unwrap();
    save_with_words(folder.path(), [b"one two", b"un deux"]).unwrap();
    assert!(Artifact::load(folder.path()).is_ok());
    let opened = OpenedFolder::open(folder.path()).unwrap();
    opened.load().unwrap();
    assert_eq!(opened.read("vocab.trg.json").unwrap().unwrap(), b"un deux");
    assert_eq!(opened.read("none").unwrap(), None);

    std::fs::write(folder.path().join("vocab.trg.json"), "uno dos").unwrap();
    let expected =
        "vocab.trg.json cannot be used: it is not the vocab.trg.json that this model was written with";
    for error in [Artifact::load(folder.path()).err(), opened.read("vocab.trg.json").err()] {
        let message = error.unwrap().to_string();
        assert!(message.contains(expected) && message.contains("belongs to another model"), "{message}");
    }
    let parameters = folder.path().join(PARAMETERS_FILE);
    save_with_words(folder.path(), [b"one two", b"un deux"]).unwrap();
    let mut bytes = std::fs::read(&parameters).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&parameters, bytes).unwrap();
    let message = Artifact::load(folder.path()).err().unwrap().to_string();
    assert!(
        message.contains("it is not the model.safetensors that this model was written with"),
        "{message}"
    );
}

#[test]
fn a_model_that_is_replaced_while_it_is_read_is_the_old_one_or_the_new_one() {
    const REPLACEMENTS: usize = 60;
    let folder = tempdir().unwrap();
    // No two models are equal, as no two checkpoints are.
    let save = |round: usize| {
        save_with_words(folder.path(), [format!("s{round}").as_bytes(), format!("t{round}").as_bytes()])
    };
    save(0).unwrap();
    let writes = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (1..=REPLACEMENTS).for_each(|round| save(round).unwrap());
            writes.store(false, std::sync::atomic::Ordering::Release);
        });
        let mut whole = 0;
        while writes.load(std::sync::atomic::Ordering::Acquire) || whole == 0 {
            let opened = OpenedFolder::open(folder.path()).unwrap();
            opened.load().unwrap();
            // If another set came in between, that must be an error instead of a mixture.
            let words = ["vocab.src.json", "vocab.trg.json"].map(|file| opened.read(file));
            if let [Ok(Some(source)), Ok(Some(target))] = words {
                assert_eq!(source[1..], target[1..]);
                whole += 1;
            }
        }
    });
}

/// The message for a `config.json` after `change`.
fn load_changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<Artifact, String> {
    let folder = tempdir().unwrap();
    Artifact::save(&model(), &metadata(), folder.path()).unwrap();
    edit(&folder.path().join(CONFIG_FILE), |text| {
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        change(&mut config);
        config.to_string()
    });
    Artifact::load(folder.path()).map_err(|error| error.to_string())
}

#[test]
fn what_a_later_version_adds_is_passed_over_unless_it_shapes_the_model() {
    let loaded = load_changed(|config| {
        assert_eq!(config["algorithm"], "seq2seq");
        config["a_new_field"] = serde_json::json!({"x": 1});
        config["hyperparameters"]["a_new_hyperparameter"] = "7".into();
        config["training"]["a_new_figure"] = 1.into();
    });
    assert_eq!(loaded.unwrap().metadata.hyperparameters["a_new_hyperparameter"], "7");
    let loaded = load_changed(|config| {
        config.as_object_mut().unwrap().remove("algorithm");
        config["model"]["encoder"]["a_new_limit"] = serde_json::Value::Null;
    });
    assert!(loaded.is_ok());

    let later = |config: &mut serde_json::Value| config["kokanee_version"] = "7.2.0".into();
    let told = "; Kokanee 7.2.0 wrote it, and this is 0.1.0: use that version or a later one";
    let shaped = |config: &mut serde_json::Value| config["model"]["decoder"]["attention"]["heads"] = 4.into();
    let unknown =
        "it describes a model by model.decoder.attention.heads = 4, which this program does not know";
    let message = load_changed(|config| {
        later(config);
        shaped(config);
    });
    let message = message.err().unwrap();
    assert!(message.contains(unknown) && message.ends_with(told), "{message}");
    let message = load_changed(shaped).err().unwrap();
    assert!(message.contains(unknown) && !message.contains("use that version"), "{message}");
    let message = load_changed(|config| {
        later(config);
        config["model"]["encoder"]["cell"] = "mgu".into();
    });
    let message = message.err().unwrap();
    assert!(message.contains("unknown variant `mgu`") && message.ends_with(told), "{message}");
    let outside = |config: &mut serde_json::Value| {
        config["files"]["../secret"] = serde_json::json!({"bytes": 1, "crc32": "00000000"});
    };
    let message = load_changed(outside).err().unwrap();
    assert!(
        message.contains("its \"files\" name \"../secret\", which is not a file of the model's folder"),
        "{message}"
    );
    let message = load_changed(|config| config["algorithm"] = "deepar".into()).err().unwrap();
    assert!(message.contains("it is a model of the algorithm \"deepar\"; expected \"seq2seq\""), "{message}");
}

#[test]
fn a_model_in_the_one_sub_folder_is_found_and_messages_name_what_was_given() {
    let folder = tempdir().unwrap();
    save_with_words(&folder.path().join("deep"), [b"a", b"b"]).unwrap();
    std::fs::create_dir_all(folder.path().join("logs")).unwrap();
    let archive = folder.path().join("model.tar.gz");
    let names = [PARAMETERS_FILE, CONFIG_FILE, "vocab.src.json"].map(|name| format!("deep/{name}"));
    pack(folder.path(), &names.each_ref().map(|name| &**name), &archive).unwrap();
    for path in [folder.path(), &archive] {
        let opened = OpenedFolder::open(path).unwrap();
        assert!(opened.load().is_ok());
        assert_eq!(opened.shown("x"), path.join("deep/x"));
    }
    std::fs::write(folder.path().join("deep").join(PARAMETERS_FILE), "x").unwrap();
    pack(folder.path(), &names.each_ref().map(|name| &**name), &archive).unwrap();
    let message = OpenedFolder::open(&archive).unwrap().load().err().unwrap().to_string();
    assert!(
        message.starts_with(&format!("{}/deep/{PARAMETERS_FILE} cannot be used", archive.display())),
        "{message}"
    );

    save_with_words(&folder.path().join("second"), [b"a", b"b"]).unwrap();
    let message = OpenedFolder::open(folder.path()).err().unwrap().to_string();
    assert!(
        message.contains("holds several models, in its folders deep, second: give the path of one"),
        "{message}"
    );
}

#[test]
#[cfg(unix)]
fn a_link_without_its_file_is_named() {
    let folder = tempdir().unwrap();
    std::os::unix::fs::symlink("gone.json", folder.path().join(CONFIG_FILE)).unwrap();
    let message = Artifact::load(folder.path()).err().unwrap().to_string();
    assert!(message.contains("config.json is a link to gone.json, which does not exist"), "{message}");
    let folder = tempdir().unwrap();
    Artifact::save(&model(), &metadata(), folder.path()).unwrap();
    std::os::unix::fs::symlink("../words.json", folder.path().join("vocab.src.json")).unwrap();
    let opened = OpenedFolder::open(folder.path()).unwrap();
    opened.load().unwrap();
    let message = opened.read("vocab.src.json").unwrap_err().to_string();
    assert!(message.contains("vocab.src.json is a link to ../words.json, which does not exist"), "{message}");
    std::fs::rename(folder.path().join(PARAMETERS_FILE), folder.path().join("p")).unwrap();
    std::os::unix::fs::symlink("q", folder.path().join(PARAMETERS_FILE)).unwrap();
    let message = opened.load().err().unwrap().to_string();
    assert!(message.contains("model.safetensors is a link to q, which does not exist"), "{message}");
}

#[test]
fn files_of_others_are_not_written_over() {
    let folder = tempdir().unwrap();
    assert!(check_replaceable(folder.path(), &[PARAMETERS_FILE]).is_ok());
    std::fs::write(folder.path().join(CONFIG_FILE), "{\"model_type\": \"marian\"}").unwrap();
    assert!(check_replaceable(folder.path(), &[PARAMETERS_FILE]).is_ok());
    let message = check_replaceable(folder.path(), &[PARAMETERS_FILE, CONFIG_FILE]).unwrap_err().to_string();
    assert!(message.contains("config.json is there and was not written by Kokanee"), "{message}");
    std::fs::remove_file(folder.path().join(CONFIG_FILE)).unwrap();
    Artifact::save(&model(), &metadata(), folder.path()).unwrap();
    assert!(check_replaceable(folder.path(), &[PARAMETERS_FILE, CONFIG_FILE]).is_ok());
}

/// Writes a file of one array and reads it as parameters.
fn read_array(name: &[&str], values: ValuesView<'_>) -> Result<HashMap<String, Tensor>, String> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("params.best");
    mxnet::save(&path, &[ArrayView { shape: &[2, 2], values }], name).unwrap();
    let place = format!("{} cannot be used: ", path.display());
    read_mxnet_parameters(&path).map_err(|error| error.to_string().replace(&place, ""))
}

#[test]
fn mxnet_parameters_have_names_with_and_without_prefix() {
    let values = ValuesView::F32(&[1.0, 2.0, 3.0, 4.0]);
    for name in ["arg:name", "aux:name", "name"] {
        let read = read_array(&[name], values).unwrap();
        assert_eq!(read["name"].data(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(read["name"].shape().extents(), [2, 2]);
    }
    let tensor = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    let mut written = Vec::new();
    super::mxnet::write(&mut written, &[("name", &tensor)]).unwrap();
    assert_eq!(mxnet::parse(&written).unwrap().names, ["arg:name"]);
}

#[test]
fn mxnet_files_without_names_or_of_another_type_are_no_parameters() {
    let check = |names: &[&str], values, expected: &str| {
        assert_eq!(read_array(names, values).err().as_deref(), Some(expected));
    };
    check(
        &[],
        ValuesView::F32(&[0.0; 4]),
        "at byte 64: 0 names for 1 arrays; expected an MXNet parameter file",
    );
    check(
        &["arg:x"],
        ValuesView::F64(&[0.0; 4]),
        "at byte 64: an array has element type 1, and only float32 (0) can be read; expected an MXNet parameter file",
    );
    let folder = tempdir().unwrap();
    let path = folder.path().join("params.best");
    let array = ArrayView { shape: &[1], values: ValuesView::F32(&[0.0]) };
    mxnet::save(&path, &[array, array], &["arg:x", "aux:x"]).unwrap();
    let message = read_mxnet_parameters(&path).err().unwrap().to_string();
    assert!(message.contains("the name x comes twice"), "{message}");
    std::fs::write(&path, "short").unwrap();
    let message = read_mxnet_parameters(&path).err().unwrap().to_string();
    assert!(message.contains("at byte 0: the file ends: 8 more bytes expected, 5 left"), "{message}");
}

#[test]
fn extents_that_cannot_be_counted_are_refused_though_one_of_them_is_zero() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let header = format!(r#"{{"x":{{"dtype":"F32","shape":[0,{0},{0}],"data_offsets":[0,0]}}}}"#, 1u64 << 40);
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    std::fs::write(&path, bytes).unwrap();
    let message = load_parameters(&path).err().unwrap().to_string();
    assert!(message.contains("tensor x is absurdly large"), "{message}");
}

#[test]
fn safetensors_files_are_those_of_the_formats_own_library_and_every_truncation_is_seen() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let tensors = [
        ("b", Tensor::from_vec([2, 2], vec![1.0, -2.0, 3.5, f32::MIN])),
        ("a", Tensor::from_vec([1], vec![0.5])),
    ];
    let named: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    save_parameters(&path, &named).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let parsed = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = parsed.tensor("b").unwrap();
    assert_eq!((view.shape(), view.data().len()), (&[2, 2][..], 16));
    let views = parsed.tensors();
    assert_eq!(safetensors::serialize(views, None).unwrap(), bytes);
    assert_eq!(load_parameters(&path).unwrap()["b"].data(), tensors[0].1.data());
    for end in 0..bytes.len() {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let message = load_parameters(&path).err().unwrap_or_else(|| panic!("{end}")).to_string();
        assert!(message.contains("not a whole safetensors file"), "{end}: {message}");
    }
    std::fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
    assert!(load_parameters(&path).is_err());
}
