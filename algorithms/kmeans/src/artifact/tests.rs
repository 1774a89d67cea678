use std::fs;

use flate2::read::GzDecoder;
use kokanee_formats::mxnet::{ArrayView, ValuesView, save};
use kokanee_formats::numeric::{Batch, NumericFormat, NumericReader};
use kokanee_kernels::Team;
use serde_json::Value;

use super::*;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// scikit-learn's centroids in the form in which users of the real container write them, and scikit-learn's labels of digits.
#[test]
fn centroids_of_scikit_learn_label_as_scikit_learn_does() {
    let artifact = Artifact::read(&golden()).unwrap();
    assert_eq!((artifact.model.k(), artifact.model.width()), (10, 784));
    assert!(artifact.manifest.is_none());
    let path = golden().join("rows.csv.gz");
    let rows = GzDecoder::new(File::open(&path).unwrap());
    let mut batch = Batch::default();
    let mut reader = NumericReader::new(rows, &path, NumericFormat::Csv { label_size: 0 }, Some(784));
    assert_eq!(reader.read(&mut batch, 100).unwrap(), 60);
    let answers: Value = serde_json::from_slice(&fs::read(golden().join("answers.json")).unwrap()).unwrap();
    let team = Team::new(1);
    let found = artifact.model.predictor(&team).answer(&team, &batch.rows).unwrap();
    for (row, answer) in found.iter().enumerate() {
        assert_eq!(
            u64::from(answer.closest_cluster),
            answers["clusters"][row].as_u64().unwrap(),
            "row {row}"
        );
        let want = answers["distances"][row].as_f64().unwrap();
        assert!((f64::from(answer.distance_to_cluster) - want).abs() < 1e-4 * want, "row {row}");
    }
}

#[test]
fn a_model_is_read_back_with_its_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let model = Model::from_centers(2, vec![0.0, 1.0, 2.0, 3.0], Some(vec![5.0, 7.0]));
    Artifact::save(&model, Manifest::new("kmeans", Default::default(), 2), &path).unwrap();
    let read = Artifact::read(&path).unwrap();
    assert_eq!(read.model, model);
    // Without the manifest it counts as somebody else's model.
    fs::remove_file(path.join("kokanee.json")).unwrap();
    let read = Artifact::read(&path).unwrap();
    assert_eq!((read.model.centers(), read.model.counts()), (model.centers(), &[0.0, 0.0][..]));
}

#[test]
fn what_is_not_centres_is_told() {
    let write = |arrays: &[ArrayView<'_>], names: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        save(&folder.path().join(MODEL_FILE), arrays, names).unwrap();
        let read = Artifact::read(folder.path());
        read.map(|artifact| artifact.model.centers().to_vec()).map_err(|error| error.to_string())
    };
    let array = |shape: &'static [usize], values: &'static [f64]| ArrayView {
        shape,
        values: ValuesView::F64(values),
    };
    // An array may have a name and 64 bits.
    assert_eq!(write(&[array(&[2, 1], &[0.5, 2.0])], &["centers"]).unwrap(), [0.5, 2.0]);
    let check = |arrays: &[ArrayView<'_>], part: &str| {
        let error = write(arrays, &[]).unwrap_err();
        assert!(error.contains(part) && error.contains("k x feature_dim"), "{error}");
    };
    check(&[array(&[2], &[1.0, 2.0])], "its array has 1 dimensions");
    check(&[array(&[1, 1], &[1.0]), array(&[1, 1], &[1.0])], "it holds 2 arrays");
    check(&[array(&[1, 2], &[1.0, f64::NAN])], "value 1 of centre 0 is not a finite number");
    check(&[array(&[1, 1], &[1e300])], "32-bit floats cannot hold");
    let empty = tempfile::tempdir().unwrap();
    assert!(Artifact::read(empty.path()).err().unwrap().to_string().contains("there is no model_algo-1"));
}

#[test]
fn the_only_array_file_of_another_name_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden().join(MODEL_FILE), folder.path().join("centroids")).unwrap();
    fs::copy(golden().join(MODEL_FILE), folder.path().join("state_1")).unwrap();
    assert_eq!(Artifact::read(folder.path()).unwrap().file, "centroids");
    fs::copy(golden().join(MODEL_FILE), folder.path().join("second")).unwrap();
    assert!(Artifact::read(folder.path()).is_err());
}
