//! Worked cases, and comparisons of the fast way with the naive one.

use kokanee_formats::rows::Rows;
use kokanee_kernels::Team;
use kokanee_testkit::Rng;

use crate::nearest::{Centers, squared_distance};
use crate::*;

fn settings(k: usize) -> Settings {
    let local_lloyd =
        LocalLloyd { start: Start::KMeansPlusPlus, max_iterations: 300, trials: 10, tolerance: 0.0001 };
    Settings {
        k,
        extra_centers: ExtraCenters::Auto,
        start: Start::Random,
        half_life: 0,
        local_lloyd,
        seed: 0,
    }
}

fn column(values: &[f32]) -> Rows {
    Rows::dense(1, values)
}

/// Streams the batches once and shrinks.
fn train(settings: Settings, batches: &[Rows]) -> Result<Shrunk, Fault> {
    let team = Team::new(2);
    let mut stream = Stream::begin(&team, &batches[0], batches.len() == 1, settings)?;
    for batch in batches {
        stream.update(&team, batch)?;
    }
    stream.shrink(&team, |_, _| ())
}

fn sorted(model: &Model) -> Vec<f32> {
    let mut centers = model.centers().to_vec();
    centers.sort_by(f32::total_cmp);
    centers
}

fn random_rows(rng: &mut Rng, rows: usize, width: usize) -> Rows {
    Rows::dense(width, &rng.normal_vec(rows * width))
}

#[test]
fn the_nearest_centre_is_that_of_the_naive_way() {
    let mut rng = Rng::new(3);
    for (rows, centers, width) in [(1, 1, 1), (7, 3, 2), (100, 40, 33), (333, 17, 100)] {
        let rows = random_rows(&mut rng, rows, width);
        let values: Vec<f64> = rng.normal_vec(centers * width).into_iter().map(f64::from).collect();
        let naive = |row: usize| {
            let distance =
                |center: usize| squared_distance(rows.row(row), &values[center * width..][..width]);
            (0..centers).fold(0, |best, center| if distance(center) < distance(best) { center } else { best })
        };
        let want: Vec<u32> = (0..rows.len()).map(|row| naive(row) as u32).collect();
        for threads in [1, 3] {
            let team = Team::new(threads);
            let centers = Centers::new(&team, values.clone(), rng.uniform_vec(width, -0.5, 0.5));
            assert_eq!(centers.nearest(&team, &rows).unwrap(), want, "{threads} threads");
        }
    }
}

#[test]
fn a_centre_moves_by_the_share_of_the_new_rows() {
    // N = 100 at 0, then 25 rows of mean 10.
    let check = |half_life, expected: f32, count: f64| {
        let one = Settings { extra_centers: ExtraCenters::Times(1), half_life, ..settings(1) };
        let shrunk = train(one, &[column(&[0.0; 100]), column(&[10.0; 25])]).unwrap();
        assert!((shrunk.model.centers()[0] - expected).abs() < 1e-6, "{shrunk:?}");
        assert!((shrunk.model.counts()[0] - count).abs() < 1e-9, "{shrunk:?}");
    };
    check(0, 2.0, 125.0);
    check(25, 10.0 / 3.0, 75.0);
}

#[test]
fn epochs_and_half_life_of_small_batches() {
    let team = Team::new(1);
    let batches = [column(&[1.0, 2.0]), column(&[3.0, 4.0])];
    let one = Settings { extra_centers: ExtraCenters::Times(1), ..settings(1) };
    let mut stream = Stream::begin(&team, &batches[0], false, one).unwrap();
    let mut centers = Vec::new();
    for batch in batches.iter().chain(&batches) {
        stream.update(&team, batch).unwrap();
        centers.push(stream.shrink(&team, |_, _| ()).unwrap().model.centers()[0]);
    }
    for (got, want) in centers.iter().zip([1.5, 2.5, 13.0 / 6.0, 2.5]) {
        assert!((got - want).abs() < 1e-6, "{centers:?}");
    }
    assert_eq!(stream.rows_seen(), 8);
    let shrunk = train(Settings { half_life: 2, ..one }, &batches).unwrap();
    assert!((shrunk.model.centers()[0] - 2.833_333).abs() < 1e-5);
}

#[test]
fn extra_centres_find_clusters_that_a_bad_start_misses() {
    let data = column(&[0.0, 0.0, 0.0, 10.0, 10.0]);
    for seed in 0..20 {
        let shrunk = train(Settings { seed, ..settings(2) }, std::slice::from_ref(&data)).unwrap();
        assert_eq!(sorted(&shrunk.model), [0.0, 10.0], "seed {seed}");
        let team = Team::new(1);
        assert_eq!(shrunk.model.predictor(&team).sum_of_squares(&team, &data).unwrap(), 0.0);
    }
    // Without extra centres two zeros may be drawn, and stay.
    let bad = |seed| {
        let one = Settings { seed, extra_centers: ExtraCenters::Times(1), ..settings(2) };
        let shrunk = train(one, std::slice::from_ref(&data)).unwrap();
        (sorted(&shrunk.model), shrunk.filled)
    };
    assert!((0..20).map(bad).any(|found| found == (vec![0.0, 4.0], 1)));
}

#[test]
fn weighted_lloyd_finds_the_weighted_means() {
    let batches = [column(&[0.0, 1.0, 1.0, 1.0, 10.0, 10.0])];
    let all = Settings { extra_centers: ExtraCenters::Times(3), start: Start::KMeansPlusPlus, ..settings(2) };
    let shrunk = train(all, &batches).unwrap();
    assert_eq!(sorted(&shrunk.model), [0.75, 10.0]);
    assert_eq!((shrunk.loss, shrunk.losses.len()), (Some(0.125), 10));
}

#[test]
fn answers_are_distances_and_ties_go_to_the_lower_index() {
    let team = Team::new(2);
    let model = Model::from_centers(2, vec![0.0, 0.0, 3.0, 4.0], None);
    let predictor = model.predictor(&team);
    let check = |row: [f32; 2], cluster, distance| {
        let answers = predictor.answer(&team, &Rows::dense(2, &row)).unwrap();
        assert_eq!(answers, [Answer { closest_cluster: cluster, distance_to_cluster: distance }], "{row:?}");
    };
    check([3.0, 0.0], 0, 3.0);
    check([3.0, 3.0], 1, 1.0);
    check([1.5, 2.0], 0, 2.5);
    let far = Model::from_centers(1, vec![1e6], None).predictor(&team);
    let rows = Rows::dense(1, &[1e6, 1e6 + 1.0]);
    let distances: Vec<f32> =
        far.answer(&team, &rows).unwrap().iter().map(|a| a.distance_to_cluster).collect();
    assert_eq!(distances, [0.0, 1.0]);
}

#[test]
fn too_few_records_are_refused() {
    let rows = |count| Rows::dense(1, &(0..count).map(|i| i as f32).collect::<Vec<_>>());
    let fault = |settings, rows: Rows| train(settings, &[rows]).unwrap_err().to_string();
    assert_eq!(fault(settings(6), rows(5)), "k=6 clusters need at least 6 records, channel train holds 5");
    let ten = Settings { extra_centers: ExtraCenters::Times(10), ..settings(10) };
    assert_eq!(
        fault(ten, rows(60)),
        "k=10 * extra_center_factor=10 = 100 centres are drawn from the first mini-batch, which has 60 records; lower \
         extra_center_factor or give more data"
    );
    let five = train(settings(5), &[rows(5)]).unwrap();
    assert_eq!(sorted(&five.model), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(train(settings(1), &[rows(1)]).unwrap().model.centers(), [0.0]);
}

#[test]
fn auto_takes_as_many_centres_as_the_first_batch_allows() {
    let team = Team::new(1);
    for (records, factor) in [(3218, 10), (50, 6), (8, 1)] {
        let rows = Rows::dense(1, &(0..records).map(|i| i as f32).collect::<Vec<_>>());
        assert_eq!(Stream::begin(&team, &rows, true, settings(8)).unwrap().factor(), factor, "{records}");
    }
}

#[test]
fn equal_rows_make_equal_centres_and_no_nan() {
    let shrunk = train(settings(3), &[Rows::dense(2, &[7.0; 60])]).unwrap();
    assert_eq!(shrunk.model.centers(), [7.0; 6]);
    assert_eq!(shrunk.filled, 2);
    let team = Team::new(1);
    let answers = shrunk.model.predictor(&team).answer(&team, &Rows::dense(2, &[7.0; 2])).unwrap();
    assert_eq!(answers, [Answer { closest_cluster: 0, distance_to_cluster: 0.0 }]);
}

#[test]
fn sparse_rows_threads_and_starts_do_not_change_a_bit() {
    let mut rng = Rng::new(11);
    let (width, count) = (37, 400);
    let (mut dense, mut sparse) = (Rows::new(width), Rows::new(width));
    for _ in 0..count {
        let row: Vec<f32> =
            (0..width).map(|_| if rng.unit() < 0.7 { 0.0 } else { rng.normal() * 3.0 }).collect();
        dense.push_dense(&row);
        let columns: Vec<u32> = (0..width as u32).filter(|&column| row[column as usize] != 0.0).collect();
        let values: Vec<f32> = columns.iter().map(|&column| row[column as usize]).collect();
        sparse.push_sparse(&columns, &values);
    }
    for start in [Start::Random, Start::KMeansPlusPlus] {
        let settings = Settings { start, ..settings(5) };
        let with = |threads, rows: &Rows| {
            let team = Team::new(threads);
            let mut stream = Stream::begin(&team, rows, true, settings).unwrap();
            stream.update(&team, rows).unwrap();
            stream.update(&team, rows).unwrap();
            stream.shrink(&team, |_, _| ()).unwrap()
        };
        let want = with(1, &dense);
        assert_eq!(want, with(2, &dense));
        assert_eq!(want, with(3, &sparse));
    }
}

#[test]
fn squares_beyond_floats_are_refused_with_the_column() {
    let rows = Rows::dense(3, &[1.0, 2.0, 1e30, 4.0, 5.0, -1e30]);
    let fault = train(settings(1), &[rows]).unwrap_err().to_string();
    assert_eq!(fault, "record 1 of the batch: squares overflow 32-bit floats; scale column 3");
}

#[test]
fn two_blobs_are_found_whatever_the_order() {
    let mut rng = Rng::new(5);
    let mut values = Vec::new();
    for index in 0..3000 {
        let center = if index % 3 == 0 { -20.0 } else { 20.0 };
        values.extend([center + rng.normal(), rng.normal()]);
    }
    let rows = Rows::dense(2, &values);
    for seed in 0..5 {
        let shrunk = train(Settings { seed, ..settings(2) }, std::slice::from_ref(&rows)).unwrap();
        let xs = [shrunk.model.centers()[0], shrunk.model.centers()[2]];
        assert!(xs.iter().all(|x| (x.abs() - 20.0).abs() < 0.3) && xs[0] * xs[1] < 0.0, "{xs:?}");
    }
}
