//! Points in the database.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::{Connection, named_params};

use super::{Dimensions, Metric, Point};
use crate::store::{Store, StoreError, now_ms};

/// The tables. A metric with several units has several series. `number` distinguishes points of the same time.
pub(crate) const SCHEMA: &str = "CREATE TABLE metric_series (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        region TEXT NOT NULL,
        namespace TEXT NOT NULL,
        name TEXT NOT NULL,
        dimensions TEXT NOT NULL,
        unit TEXT NOT NULL,
        last_ms INTEGER NOT NULL,
        UNIQUE (region, namespace, name, dimensions, unit)
    ) STRICT;
    CREATE TABLE metric_points (
        series_id INTEGER NOT NULL REFERENCES metric_series (id) ON DELETE CASCADE,
        ms INTEGER NOT NULL,
        number INTEGER NOT NULL,
        samples REAL NOT NULL,
        sum REAL NOT NULL,
        least REAL NOT NULL,
        greatest REAL NOT NULL,
        PRIMARY KEY (series_id, ms, number)
    ) STRICT, WITHOUT ROWID;";

/// Points are deleted after 15 days, which is how long CloudWatch keeps minutes.
pub const KEPT_MS: i64 = 15 * 86_400_000;
/// Time between two deletions of old points.
const PRUNE_MS: i64 = 3_600_000;

/// All metrics.
#[derive(Debug)]
pub struct Metrics {
    pub(super) store: Arc<Store>,
    pruned_ms: AtomicI64,
}

/// The metrics of a list.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// The region.
    pub region: String,
    /// The namespace.
    pub namespace: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// Dimensions that the metrics must have, with or without a value.
    pub dimensions: Vec<(String, Option<String>)>,
    /// Only metrics with a point at or after this time.
    pub since_ms: Option<i64>,
    /// Metrics on a page.
    pub limit: usize,
    /// The id after which the page begins.
    pub after: i64,
}

impl Metrics {
    /// The metrics of a database.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, pruned_ms: AtomicI64::new(0) }
    }

    /// Adds points, all or none.
    ///
    /// # Errors
    /// If the database fails.
    pub fn put(&self, region: &str, points: &[Point]) -> Result<(), StoreError> {
        if points.is_empty() {
            return Ok(());
        }
        self.store.write(|transaction| put(transaction, region, points))?;
        self.prune(now_ms())
    }

    /// A page of metrics, and the id of the last if there are more.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<(Vec<Metric>, Option<i64>), StoreError> {
        let wanted = serde_json::json!(query.dimensions).to_string();
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let mut rows = self.store.read(|transaction| {
            // Every wanted dimension must be among those of the metric.
            let mut statement = transaction.prepare_cached(
                "SELECT MIN(id) AS first, namespace, name, dimensions FROM metric_series WHERE region = :region
                 AND (:namespace IS NULL OR namespace = :namespace) AND (:name IS NULL OR name = :name)
                 AND (:since IS NULL OR last_ms >= :since)
                 AND NOT EXISTS (SELECT 1 FROM json_each(:wanted) AS want WHERE NOT EXISTS (
                     SELECT 1 FROM json_each(dimensions) AS has WHERE has.value ->> 0 = want.value ->> 0
                     AND (want.value ->> 1 IS NULL OR has.value ->> 1 = want.value ->> 1)))
                 GROUP BY namespace, name, dimensions HAVING first > :after ORDER BY first LIMIT :limit",
            )?;
            let parameters = named_params! {
                ":region": query.region,
                ":namespace": query.namespace,
                ":name": query.name,
                ":since": query.since_ms,
                ":wanted": wanted,
                ":after": query.after,
                ":limit": limit.saturating_add(1),
            };
            let rows = statement.query_map(parameters, |row| {
                let texts: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
                Ok((row.get::<_, i64>(0)?, texts))
            })?;
            Ok::<_, StoreError>(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        let has_more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let last = rows.last().filter(|_| has_more).map(|(place, _)| *place);
        let metrics = rows.into_iter().map(|(_, [namespace, name, dimensions])| {
            let dimensions = Dimensions::parse(&dimensions)
                .map_err(|source| StoreError::Content { what: "dimensions of a metric", source })?;
            Ok(Metric { namespace, name, dimensions })
        });
        Ok((metrics.collect::<Result<_, StoreError>>()?, last))
    }

    /// Deletes old points, and metrics without points.
    pub(super) fn prune(&self, now_ms: i64) -> Result<(), StoreError> {
        let pruned_ms = self.pruned_ms.load(Ordering::Relaxed);
        let is_due = now_ms >= pruned_ms.saturating_add(PRUNE_MS);
        let order = Ordering::Relaxed;
        if !is_due || self.pruned_ms.compare_exchange(pruned_ms, now_ms, order, order).is_err() {
            return Ok(());
        }
        self.store.write(|transaction| {
            let mut statement = transaction.prepare("SELECT id FROM metric_series")?;
            let ids = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            let mut delete =
                transaction.prepare("DELETE FROM metric_points WHERE series_id = ?1 AND ms < ?2")?;
            for id in ids {
                delete.execute((id, now_ms - KEPT_MS))?;
            }
            let without = "DELETE FROM metric_series WHERE id NOT IN (SELECT series_id FROM metric_points)";
            transaction.execute(without, [])?;
            Ok(())
        })
    }
}

/// Adds points within the caller's transaction, which also records their origin.
pub(crate) fn put(connection: &Connection, region: &str, points: &[Point]) -> Result<(), StoreError> {
    let mut known: HashMap<(&Metric, &str), i64> = HashMap::new();
    for point in points {
        let series = match known.get(&(&point.metric, point.unit)) {
            Some(series) => *series,
            None => {
                let series = series(connection, region, point)?;
                known.insert((&point.metric, point.unit), series);
                series
            }
        };
        let mut statement = connection.prepare_cached(
            "INSERT INTO metric_points (series_id, ms, number, samples, sum, least, greatest) VALUES (:series, :ms,
             (SELECT COALESCE(MAX(number) + 1, 0) FROM metric_points WHERE series_id = :series AND ms = :ms),
             :samples, :sum, :least, :greatest)",
        )?;
        statement.execute(named_params! {
            ":series": series,
            ":ms": point.at_ms,
            ":samples": point.sample.count,
            ":sum": point.sample.sum,
            ":least": point.sample.min,
            ":greatest": point.sample.max,
        })?;
        let mut statement =
            connection.prepare_cached("UPDATE metric_series SET last_ms = MAX(last_ms, ?2) WHERE id = ?1")?;
        statement.execute((series, point.at_ms))?;
    }
    Ok(())
}

fn series(connection: &Connection, region: &str, point: &Point) -> Result<i64, StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO metric_series (region, namespace, name, dimensions, unit, last_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET last_ms = MAX(last_ms, excluded.last_ms) RETURNING id",
    )?;
    let Metric { namespace, name, dimensions } = &point.metric;
    let parameters = (region, namespace, name, dimensions.text(), point.unit, point.at_ms);
    Ok(statement.query_row(parameters, |row| row.get(0))?)
}
