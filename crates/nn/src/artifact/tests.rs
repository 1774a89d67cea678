use std::io::Write;

use kokanee_contract::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_tensor::Tensor;
use tempfile::tempdir;

use super::tarball::LARGEST_UNPACKED_BYTES;
use super::*;

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
            // Digits that a quick parser of JSON gets wrong in the last bit.
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
    damage(folder.path());
    let message = Artifact::load(folder.path()).err().expect("a damaged model must not load").to_string();
    assert!(message.contains(expected), "`{message}` should contain `{expected}`");
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
        "format_version is 9 and this program reads 1",
    );
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

/// Unpacks an archive of the entries that `build` appends.
fn unpack_built(build: impl FnOnce(&mut tar::Builder<&mut Vec<u8>>)) -> Result<(), String> {
    let mut bytes = Vec::new();
    let mut builder = tar::Builder::new(&mut bytes);
    build(&mut builder);
    builder.finish().unwrap();
    drop(builder);
    let folder = tempdir().unwrap();
    let archive = folder.path().join("a.tar.gz");
    let mut gzip =
        flate2::write::GzEncoder::new(std::fs::File::create(&archive).unwrap(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    gzip.finish().unwrap();
    let target = folder.path().join("out");
    std::fs::create_dir(&target).unwrap();
    let result = unpack(&archive, &target).map_err(|e| e.to_string());
    assert!(!folder.path().join("escaped").exists());
    result
}

/// A header whose name is taken as it is, however bad.
fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

#[test]
fn unsafe_archives_are_refused() {
    use tar::EntryType;
    for (name, kind, size, expected) in [
        ("../escaped", EntryType::Regular, 1, "leads out of the archive"),
        ("/tmp/escaped-from-kokanee", EntryType::Regular, 1, "leads out of the archive"),
        ("a/../../escaped", EntryType::Regular, 1, "leads out of the archive"),
        ("link", EntryType::Symlink, 0, "links are not accepted"),
        ("hard", EntryType::Link, 0, "links are not accepted"),
        ("device", EntryType::Char, 0, "is not a plain file or folder"),
        ("bomb", EntryType::Regular, LARGEST_UNPACKED_BYTES + 1, "absurdly large"),
    ] {
        let result = unpack_built(|tar| {
            let data: &[u8] = if size == 1 { b"x" } else { b"" };
            tar.append(&header(name, kind, size), data).unwrap();
        });
        let message = result.expect_err(name);
        assert!(message.contains(expected) && message.contains(name), "{name}: `{message}`");
    }
    assert!(unpack_built(|_| ()).unwrap_err().contains("the archive is empty"));
    let fine = unpack_built(|tar| {
        tar.append(&header("./model/config.json", EntryType::Regular, 1), &b"x"[..]).unwrap();
    });
    assert_eq!(fine, Ok(()));
}

#[test]
fn a_file_that_is_no_archive_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("model.tar.gz");
    for content in [&b""[..], b"not gzip", &[0x1f, 0x8b, 8, 0, 0]] {
        std::fs::write(&path, content).unwrap();
        let message = OpenedFolder::open(&path).err().unwrap().to_string();
        assert!(message.contains("not a whole gzip-compressed tar archive"), "{message}");
    }
}

/// What stands before the device of a 2 x 2 array in version 2.
fn mxnet_head() -> Vec<u8> {
    let mut head = Vec::new();
    head.extend(0xF993_FAC9u32.to_le_bytes());
    head.extend(0i32.to_le_bytes());
    head.extend(2u32.to_le_bytes());
    head.extend([2i64, 2].iter().flat_map(|x| x.to_le_bytes()));
    head
}

/// An MXNet file of one 2 x 2 array.
fn mxnet_file(head: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [0x112u64, 0, 1] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(head);
    bytes.extend([1i32, 0, 0].iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend([1f32, 2., 3., 4.].iter().flat_map(|x| x.to_le_bytes()));
    bytes.extend(1u64.to_le_bytes());
    bytes.extend(8u64.to_le_bytes());
    bytes.extend(b"arg:name");
    bytes
}

#[test]
fn mxnet_files_are_read_and_every_truncation_is_seen() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("params.best");
    let whole = mxnet_file(&mxnet_head());
    std::fs::write(&path, &whole).unwrap();
    let read = read_mxnet_parameters(&path).unwrap();
    assert_eq!(read["name"].data(), [1.0, 2.0, 3.0, 4.0]);
    for end in 0..whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        let message = read_mxnet_parameters(&path).err().unwrap_or_else(|| panic!("{end}")).to_string();
        assert!(message.contains("at byte ") && message.contains("the file ends"), "{end}: {message}");
    }
    let mut absurd = whole;
    absurd[36..44].copy_from_slice(&(i64::MAX).to_le_bytes());
    std::fs::write(&path, &absurd).unwrap();
    assert!(read_mxnet_parameters(&path).err().unwrap().to_string().contains("absurdly large"));
}

#[test]
fn mxnet_files_of_all_versions_are_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("params.best");
    let mut version_1 = 0xF993_FAC8u32.to_le_bytes().to_vec();
    version_1.extend(&mxnet_head()[8..]);
    let version_0: Vec<u8> = [2u32, 2, 2].iter().flat_map(|x| x.to_le_bytes()).collect();
    for head in [mxnet_head(), version_1, version_0] {
        std::fs::write(&path, mxnet_file(&head)).unwrap();
        let read = read_mxnet_parameters(&path).unwrap();
        assert_eq!(read["name"].data(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(read["name"].shape().extents(), [2, 2]);
    }
    let mut unknown = 0xF993_FACBu32.to_le_bytes().to_vec();
    unknown.extend(&mxnet_head()[4..]);
    std::fs::write(&path, mxnet_file(&unknown)).unwrap();
    let message = read_mxnet_parameters(&path).err().unwrap().to_string();
    assert!(message.contains("starts with 0xf993facb, which is not the magic of any version"), "{message}");
}

#[test]
fn mxnet_files_are_written_as_mxnet_writes_them() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("params.best");
    let tensor = Tensor::from_vec([2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    write_mxnet_parameters(&path, &[("name", &tensor)]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), mxnet_file(&mxnet_head()));
}
