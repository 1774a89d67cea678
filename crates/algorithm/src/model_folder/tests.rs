use std::fs;
use std::sync::Arc;

use kokanee_contract::AlgorithmContract;
use kokanee_endpoint::Backend;

use super::*;
use crate::{AlgorithmError, Console, LoadOptions, Report, TrainingJob};

fn manifest() -> Manifest {
    Manifest::new("kmeans", BTreeMap::from([("k".to_owned(), "2".to_owned())]), 3)
}

#[test]
fn a_model_is_written_and_read_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    manifest().save(&path, &[("centers", b"1")]).unwrap();
    let read = Manifest::read(&path).unwrap().unwrap();
    assert_eq!((read.algorithm.as_str(), read.feature_dim), ("kmeans", 3));
    read.check_file(&path, "centers").unwrap();
    // A later model replaces it.
    manifest().save(&path, &[("centers", b"2")]).unwrap();
    let error = read.check_file(&path, "centers").unwrap_err().to_string();
    assert!(error.contains("damaged, or of another model"), "{error}");
    assert_eq!(Manifest::read(folder.path()).unwrap(), None);
}

#[test]
fn files_of_others_are_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["centers", MANIFEST_FILE] {
        let path = folder.path().join(name);
        fs::write(&path, "{}").unwrap();
        let error = manifest().save(folder.path(), &[("centers", b"1")]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("is not replaced"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn damaged_and_later_manifests_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str, part: &str| {
        fs::write(folder.path().join(MANIFEST_FILE), text).unwrap();
        let error = Manifest::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains(MANIFEST_FILE) && error.contains(part), "{error}");
    };
    check("{", "not what Kokanee writes");
    check("[]", "not what Kokanee writes");
    let mut later = serde_json::to_value(manifest()).unwrap();
    later["format_version"] = 2.into();
    later["kokanee_version"] = "9.9.9".into();
    check(&later.to_string(), "format version 2 is of Kokanee 9.9.9");
}

/// An algorithm that recognises its models by a file with its name.
struct Named(&'static AlgorithmContract, &'static str);

impl Algorithm for Named {
    fn contract(&self) -> &'static AlgorithmContract {
        self.0
    }

    fn first_file(&self) -> Option<&'static str> {
        Some(self.1)
    }

    fn recognises(&self, folder: &Path) -> bool {
        folder.join(self.1).is_file()
    }

    fn train(&self, _: &TrainingJob, _: &dyn Console) -> Result<(), AlgorithmError> {
        Err(AlgorithmError::ours("it only knows models"))
    }

    fn load(&self, _: &Path, _: &LoadOptions<'_>) -> Result<Arc<dyn Backend>, AlgorithmError> {
        Err(AlgorithmError::ours("it only knows models"))
    }

    fn files(&self, _: &Path) -> Result<Vec<PathBuf>, AlgorithmError> {
        Ok(Vec::new())
    }

    fn describe(&self, _: &Path, _: usize) -> Result<Report, AlgorithmError> {
        Ok(Report::default())
    }
}

#[test]
fn a_model_is_found_by_its_manifest_its_files_or_its_archive() {
    let [seq2seq, kmeans] = [0, 1].map(|index| kokanee_contract::ALGORITHMS[index]);
    let algorithms: [&dyn Algorithm; 2] = [&Named(seq2seq, "parameters"), &Named(kmeans, "centers")];
    let folder = tempfile::tempdir().unwrap();
    let of = |path: &Path| algorithm_of(path, &algorithms).map(|found| found.contract().name);
    // The manifest goes before the files.
    let told = folder.path().join("told");
    manifest().save(&told, &[("parameters", b"1")]).unwrap();
    assert_eq!(of(&told).unwrap(), "kmeans");
    let foreign = folder.path().join("foreign/inside");
    fs::create_dir_all(&foreign).unwrap();
    fs::write(foreign.join("parameters"), "1").unwrap();
    assert_eq!(of(&foreign).unwrap(), "seq2seq");
    // In the one sub-folder, and packed.
    assert_eq!(of(foreign.parent().unwrap()).unwrap(), "seq2seq");
    let packed = folder.path().join("model.tar.gz");
    archive::pack(&foreign, &["parameters"], &packed).unwrap();
    assert_eq!(of(&packed).unwrap(), "seq2seq");
    archive::pack(&told, &[MANIFEST_FILE, "parameters"], &packed).unwrap();
    assert_eq!(of(&packed).unwrap(), "kmeans");

    let error = |path: &Path| of(path).unwrap_err().to_string();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(error(&empty).contains("no model was found"));
    assert!(error(&folder.path().join("none")).contains("there is no such file or folder"));
    let second = folder.path().join("another");
    fs::create_dir(&second).unwrap();
    fs::write(second.join("parameters"), "1").unwrap();
    assert!(error(folder.path()).contains("several folders hold a model: another, told"));
}
