//! Aggregation of points by periods.

use std::ops::ControlFlow;

use kokanee_pages::thinning::Thinned;
use rusqlite::{Row, params};
use thiserror::Error;

use super::{Metric, Metrics, Sample};
use crate::store::StoreError;

/// The minimum number of points of a thinned curve.
const CURVE_POINTS: usize = 500;

/// A time range divided into periods; the first begins at `start_ms`. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The earliest point.
    pub start_ms: i64,
    /// The time before which all points are.
    pub end_ms: i64,
    /// The length of a period.
    pub period_ms: i64,
}

/// The order of periods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The earliest first.
    Ascending,
    /// The latest first.
    Descending,
}

/// A point among all points of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Its index among them, counted from 0.
    pub index: u64,
    /// The time of the measurement.
    pub at_ms: i64,
    /// The measured values.
    pub sample: Sample,
}

/// The points of a period.
#[derive(Clone, Debug, PartialEq)]
pub struct Bucket {
    /// The beginning of the period.
    pub start_ms: i64,
    /// All points combined.
    pub whole: Sample,
    /// Value and weight of each point; `None` if a point combines several values that are not known.
    values: Option<Vec<(f64, f64)>>,
}

/// A statistic over a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// The number of measurements.
    SampleCount,
    /// Their mean.
    Average,
    /// Their sum.
    Sum,
    /// The minimum.
    Minimum,
    /// The maximum.
    Maximum,
    /// A percentile.
    Percentile(Percentile),
}

/// `p99.9`: the value that so many percent of the measurements do not exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentile(f64);

/// The error for an unsupported statistic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "The value {0} for parameter Stat is not offered on your own machine; SampleCount, Average, Sum, Minimum, Maximum and p0 to \
     p100 are"
)]
pub struct StatisticError(pub String);

impl Range {
    /// A range with periods of so many seconds. Like CloudWatch, it rounds the start down to a minute, or to the period if that is shorter.
    pub fn new(start_ms: i64, end_ms: i64, period_seconds: i64) -> Self {
        let period_ms = period_seconds.clamp(1, 1 << 32) * 1000;
        let start_ms = start_ms - start_ms.rem_euclid(period_ms.min(60_000));
        Self { start_ms, end_ms, period_ms }
    }

    /// The number of periods.
    pub fn periods(&self) -> i64 {
        (self.end_ms - self.start_ms + self.period_ms - 1).div_euclid(self.period_ms).max(0)
    }

    fn period_of(&self, at_ms: i64) -> i64 {
        at_ms - (at_ms - self.start_ms).rem_euclid(self.period_ms)
    }
}

impl Statistic {
    /// Parses `Average` or `p99.9`.
    ///
    /// # Errors
    /// If the statistic is not supported.
    pub fn parse(text: &str) -> Result<Self, StatisticError> {
        Ok(match text {
            "SampleCount" => Self::SampleCount,
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            _ => Self::Percentile(Percentile::parse(text).ok_or_else(|| StatisticError(text.to_owned()))?),
        })
    }

    /// The name in AWS's spelling.
    pub fn name(self) -> String {
        match self {
            Self::SampleCount => "SampleCount".to_owned(),
            Self::Average => "Average".to_owned(),
            Self::Sum => "Sum".to_owned(),
            Self::Minimum => "Minimum".to_owned(),
            Self::Maximum => "Maximum".to_owned(),
            Self::Percentile(Percentile(percent)) => format!("p{percent}"),
        }
    }

    /// Its value in a period; `None` if the individual measurements are not known.
    pub fn of(self, bucket: &Bucket) -> Option<f64> {
        let whole = &bucket.whole;
        match self {
            Self::SampleCount => Some(whole.count),
            Self::Average => Some(whole.sum / whole.count),
            Self::Sum => Some(whole.sum),
            Self::Minimum => Some(whole.min),
            Self::Maximum => Some(whole.max),
            Self::Percentile(percentile) => percentile.of(bucket.values.as_deref()?),
        }
    }
}

impl Percentile {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('p')?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let percent: f64 = digits.parse().ok().filter(|_| is_number)?;
        (0.0..=100.0).contains(&percent).then_some(Self(percent))
    }

    /// Interpolates linearly between two measurements.
    fn of(self, values: &[(f64, f64)]) -> Option<f64> {
        let mut values = values.to_vec();
        values.sort_by(|(first, _), (second, _)| first.total_cmp(second));
        let total: f64 = values.iter().map(|(_, weight)| weight).sum();
        let place = self.0 / 100.0 * (total - 1.0).max(0.0);
        let at = |place: f64| {
            let mut before = 0.0;
            let found = values.iter().find(|(_, weight)| {
                before += weight;
                before > place
            });
            found.or(values.last()).map(|(value, _)| *value)
        };
        let (low, high) = (at(place.floor())?, at(place.ceil())?);
        Some(low + (high - low) * place.fract())
    }
}

impl Bucket {
    fn add(&mut self, sample: Sample) {
        self.whole.count += sample.count;
        self.whole.sum += sample.sum;
        self.whole.min = self.whole.min.min(sample.min);
        self.whole.max = self.whole.max.max(sample.max);
        if sample.min == sample.max {
            self.values.iter_mut().for_each(|values| values.push((sample.min, sample.count)));
        } else {
            self.values = None;
        }
    }
}

impl Metrics {
    /// The units in which a metric was measured, with the id of each series.
    ///
    /// # Errors
    /// If the database fails.
    pub fn series(&self, region: &str, metric: &Metric) -> Result<Vec<(i64, String)>, StoreError> {
        self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, unit FROM metric_series WHERE region = ?1 AND namespace = ?2 AND name = ?3 AND dimensions = ?4",
            )?;
            let parameters = params![region, metric.namespace, metric.name, metric.dimensions.text()];
            let rows = statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The periods of series that have points, at most `most`.
    ///
    /// # Errors
    /// If the database fails.
    pub fn buckets(
        &self,
        series: &[i64],
        range: Range,
        direction: Direction,
        most: usize,
    ) -> Result<Vec<Bucket>, StoreError> {
        let mut buckets: Vec<Bucket> = Vec::new();
        self.scan(series, range, direction, |at_ms, sample| {
            let start_ms = range.period_of(at_ms);
            if buckets.last().is_none_or(|bucket| bucket.start_ms != start_ms) {
                if buckets.len() == most {
                    return ControlFlow::Break(());
                }
                let whole = Sample { count: 0.0, sum: 0.0, ..sample };
                buckets.push(Bucket { start_ms, whole, values: Some(Vec::new()) });
            }
            if let Some(bucket) = buckets.last_mut() {
                bucket.add(sample);
            }
            ControlFlow::Continue(())
        })?;
        Ok(buckets)
    }

    /// All values of a metric since `start_ms`, in their order.
    ///
    /// # Errors
    /// If the database fails.
    pub fn values(&self, region: &str, metric: &Metric, start_ms: i64) -> Result<Vec<f64>, StoreError> {
        let series: Vec<i64> = self.series(region, metric)?.into_iter().map(|(id, _)| id).collect();
        let range = Range { start_ms, end_ms: i64::MAX, period_ms: 1 };
        let mut values = Vec::new();
        self.scan(&series, range, Direction::Ascending, |_, sample| {
            values.push(sample.sum / sample.count);
            ControlFlow::Continue(())
        })?;
        Ok(values)
    }

    /// The points of a metric since `start_ms`, with their times, in order: all of them, or 500 to 1000 evenly spread ones if there are
    /// many.
    ///
    /// # Errors
    /// If the database fails.
    pub fn curve(&self, region: &str, metric: &Metric, start_ms: i64) -> Result<Vec<CurvePoint>, StoreError> {
        let series: Vec<i64> = self.series(region, metric)?.into_iter().map(|(id, _)| id).collect();
        let range = Range { start_ms, end_ms: i64::MAX, period_ms: 1 };
        let mut points = Thinned::new(CURVE_POINTS);
        self.scan(&series, range, Direction::Ascending, |at_ms, sample| {
            points.push((at_ms, sample));
            ControlFlow::Continue(())
        })?;
        let points = points.points().into_iter();
        Ok(points.map(|(index, (at_ms, sample))| CurvePoint { index, at_ms, sample }).collect())
    }

    fn scan(
        &self,
        series: &[i64],
        range: Range,
        direction: Direction,
        mut each: impl FnMut(i64, Sample) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let order = match direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        };
        // A metric nearly always has one series, whose points are in order.
        let among = match series {
            [] => return Ok(()),
            [one] => format!("= {one}"),
            many => format!("IN ({})", many.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
        };
        let statement = format!(
            "SELECT ms, samples, sum, least, greatest FROM metric_points WHERE series_id {among} AND ms >= ?1 AND ms < ?2
             ORDER BY ms {order}, number {order}"
        );
        self.store.read(|transaction| {
            let mut statement = transaction.prepare(&statement)?;
            let mut rows = statement.query((range.start_ms, range.end_ms))?;
            while let Some(row) = rows.next()? {
                let (at_ms, sample) = sample(row)?;
                if each(at_ms, sample).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }
}

fn sample(row: &Row<'_>) -> rusqlite::Result<(i64, Sample)> {
    Ok((row.get(0)?, Sample { count: row.get(1)?, sum: row.get(2)?, min: row.get(3)?, max: row.get(4)? }))
}
