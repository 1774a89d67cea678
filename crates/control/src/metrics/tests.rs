use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::store::{Store, now_ms};

const REGION: &str = "us-east-1";

struct Place {
    _folder: tempfile::TempDir,
    metrics: Metrics,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let metrics = Metrics::new(Arc::new(Store::open(folder.path()).unwrap()));
    Place { _folder: folder, metrics }
}

fn metric(name: &str) -> Metric {
    Metric::new("n", name, [("b", "2"), ("a", "1")])
}

impl Place {
    fn put(&self, metric: &Metric, points: &[(i64, f64)]) {
        let points: Vec<Point> =
            points.iter().map(|(ms, value)| Point::new(metric.clone(), *ms, *value)).collect();
        self.metrics.put(REGION, &points).unwrap();
    }

    fn buckets(&self, metric: &Metric, range: Range, direction: Direction, most: usize) -> Vec<Bucket> {
        let series: Vec<i64> =
            self.metrics.series(REGION, metric).unwrap().into_iter().map(|(id, _)| id).collect();
        self.metrics.buckets(&series, range, direction, most).unwrap()
    }
}

fn values(buckets: &[Bucket], statistic: &str) -> Vec<(i64, f64)> {
    let statistic = Statistic::parse(statistic).unwrap();
    buckets.iter().filter_map(|bucket| Some((bucket.start_ms, statistic.of(bucket)?))).collect()
}

#[test]
fn points_are_put_together_by_periods() {
    let place = place();
    let start = now_ms().div_euclid(60_000) * 60_000;
    let metric = metric("m");
    place.put(&metric, &[(start - 1, 9.0), (start, 1.0), (start + 59_999, 4.0), (start + 60_000, 3.0)]);
    // Points within the minute of the start, and at a time that already has a point.
    let range = Range::new(start + 30_000, start + 120_000, 60);
    place.put(&metric, &[(start, 1.0)]);
    let buckets = place.buckets(&metric, range, Direction::Ascending, 9);
    assert_eq!(values(&buckets, "Sum"), [(start, 6.0), (start + 60_000, 3.0)]);
    assert_eq!(values(&buckets, "SampleCount"), [(start, 3.0), (start + 60_000, 1.0)]);
    assert_eq!(values(&buckets, "Average"), [(start, 2.0), (start + 60_000, 3.0)]);
    assert_eq!(values(&buckets, "Minimum")[0].1, 1.0);
    assert_eq!(values(&buckets, "Maximum")[0].1, 4.0);
    assert_eq!(values(&buckets, "p50")[0].1, 1.0);
    assert_eq!(values(&buckets, "p75")[0].1, 2.5);
    assert_eq!(values(&buckets, "p100")[0].1, 4.0);
    let last = place.buckets(&metric, range, Direction::Descending, 1);
    assert_eq!(values(&last, "Sum"), [(start + 60_000, 3.0)]);
    // Metrics are distinguished by their dimensions, but not by the order of these.
    let same = Metric::new("n", "m", [("a", "1"), ("b", "2")]);
    assert_eq!(place.buckets(&same, range, Direction::Ascending, 9), buckets);
    let other = Metric::new("n", "m", [("a", "1")]);
    assert_eq!(place.buckets(&other, range, Direction::Ascending, 9), []);
}

#[test]
fn sets_of_measurements_count_as_such() {
    let place = place();
    let start = now_ms().div_euclid(60_000) * 60_000;
    let metric = metric("m");
    let set = Sample { count: 4.0, sum: 10.0, min: 1.0, max: 4.0 };
    let point = Point { sample: set, ..Point::new(metric.clone(), start, 0.0) };
    place.metrics.put(REGION, &[point, Point::new(metric.clone(), start + 1, 5.0)]).unwrap();
    let buckets = place.buckets(&metric, Range::new(start, start + 1000, 60), Direction::Ascending, 9);
    assert_eq!(values(&buckets, "Average"), [(start, 3.0)]);
    assert_eq!(values(&buckets, "SampleCount"), [(start, 5.0)]);
    assert_eq!(values(&buckets, "p50"), [], "the measurements of a set are not known");
    for other in ["p101", "p", "p-1", "tm90", "IQM", "average", "pnan"] {
        assert!(Statistic::parse(other).is_err(), "{other}");
    }
}

#[test]
fn metrics_are_listed_and_forgotten() {
    let place = place();
    let now = now_ms();
    for name in ["x", "y", "z"] {
        place.put(&metric(name), &[(now - 1000, 1.0)]);
    }
    place.put(&Metric::new("n", "x", []), &[(now - 9_000_000, 1.0)]);
    // It is the same metric in another unit.
    place.metrics.put(REGION, &[Point::new(metric("x"), now, 1.0).unit("Percent")]).unwrap();
    let list = |query: ListQuery| {
        let query = ListQuery {
            region: REGION.to_owned(),
            limit: if query.limit == 0 { 9 } else { query.limit },
            ..query
        };
        let (metrics, last) = place.metrics.list(&query).unwrap();
        (metrics.into_iter().map(|metric| metric.name).collect::<Vec<_>>(), last)
    };
    let (first, last) = list(ListQuery { limit: 3, ..ListQuery::default() });
    assert_eq!(first, ["x", "y", "z"]);
    assert_eq!(
        list(ListQuery { after: last.unwrap(), ..ListQuery::default() }),
        (vec!["x".to_owned()], None)
    );
    let of = |dimensions: &[(&str, Option<&str>)]| {
        let dimensions =
            dimensions.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned)));
        list(ListQuery {
            dimensions: dimensions.collect(),
            name: Some("x".to_owned()),
            ..ListQuery::default()
        })
        .0
        .len()
    };
    assert_eq!(
        [of(&[]), of(&[("a", None)]), of(&[("a", Some("1")), ("b", None)]), of(&[("a", Some("2"))])],
        [2, 1, 1, 0]
    );
    assert_eq!(list(ListQuery { since_ms: Some(now - 5000), ..ListQuery::default() }).0.len(), 3);
    assert_eq!(list(ListQuery { namespace: Some("other".to_owned()), ..ListQuery::default() }).0.len(), 0);

    place.metrics.prune(now + KEPT_MS - 500).unwrap();
    assert_eq!(list(ListQuery::default()).0, ["x"]);
    assert_eq!(place.metrics.series(REGION, &metric("x")).unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn statistics_equal_those_of_a_loop(
        points in prop::collection::vec((0..1_000_000_i64, -100..100_i32), 0..80),
        start in 0..500_000_i64,
        length in 1..600_000_i64,
        period in prop::sample::select(vec![1_i64, 5, 60, 120]),
        percent in 0..=100_u32,
    ) {
        let place = place();
        let metric = metric("m");
        let base = now_ms() / 3_600_000 * 3_600_000 - 3_600_000;
        let points: Vec<(i64, f64)> = points.iter().map(|(ms, value)| (base + ms, f64::from(*value))).collect();
        place.put(&metric, &points);
        let (start, end) = (base + start, base + start + length);
        let range = Range::new(start, end, period);
        let buckets = place.buckets(&metric, range, Direction::Ascending, usize::MAX);
        let mut descending = place.buckets(&metric, range, Direction::Descending, usize::MAX);
        descending.reverse();
        let first = start - start % (period * 1000).min(60_000);
        let mut want = Vec::new();
        let mut at = first;
        while at < end {
            let mut inside: Vec<f64> = points.iter().filter(|(ms, _)| (at..(at + period * 1000).min(end)).contains(ms)).map(|(_, value)| *value).collect();
            inside.sort_by(f64::total_cmp);
            if !inside.is_empty() {
                let sum: f64 = inside.iter().sum();
                let place = f64::from(percent) / 100.0 * (inside.len() - 1) as f64;
                let (low, high) = (inside[place.floor() as usize], inside[place.ceil() as usize]);
                let percentile = low + (high - low) * (place - place.floor());
                want.push((at, [sum, inside.len() as f64, inside[0], inside[inside.len() - 1], percentile]));
            }
            at += period * 1000;
        }
        for buckets in [buckets, descending] {
            let names = ["Sum", "SampleCount", "Minimum", "Maximum", &format!("p{percent}")];
            let found: Vec<_> = buckets.iter().map(|bucket| {
                (bucket.start_ms, names.map(|name| Statistic::parse(name).unwrap().of(bucket).unwrap()))
            }).collect();
            prop_assert_eq!(found, want.clone());
        }
    }
}
