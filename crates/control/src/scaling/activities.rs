//! Activities: changes made for policies and bounds.

use rusqlite::{OptionalExtension as _, Row, named_params};

use super::store::{Query, Scaling};
use super::variant::VariantId;
use crate::store::StoreError;

/// Activities are kept for six weeks.
const KEPT_MS: i64 = 42 * 86_400_000;
const COLUMNS: &str = "id, activity, endpoint, variant, wanted, cause, status, message, started_ms, ended_ms";

/// The reason why the number of instances is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A policy wants more instances.
    Out,
    /// A policy wants fewer instances.
    In,
    /// The number was not within the target's bounds.
    Bounds,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The wanted number of instances is reached.
    Successful,
    /// The wanted number was not reached.
    Failed,
    /// Another number was requested meanwhile.
    Overridden,
}

/// A change that begins.
#[derive(Clone, Debug)]
pub struct NewActivity<'a> {
    /// Its id.
    pub activity: String,
    /// The region.
    pub region: &'a str,
    /// The variant.
    pub id: &'a VariantId,
    /// The reason, for later decisions.
    pub cause: Cause,
    /// The reason, as human-readable text.
    pub text: String,
    /// The wanted number of instances.
    pub wanted: u32,
    /// Time of the beginning, in milliseconds since 1970.
    pub started_ms: i64,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Its id in the database.
    pub place: i64,
    /// Its id.
    pub activity: String,
    /// The variant.
    pub id: VariantId,
    /// The wanted number of instances.
    pub wanted: u32,
    /// The reason, as human-readable text.
    pub text: String,
    /// `InProgress`, or the outcome.
    pub status: String,
    /// The outcome, as human-readable text.
    pub message: Option<String>,
    /// Time of its beginning.
    pub started_ms: i64,
    /// Time of its end.
    pub ended_ms: Option<i64>,
}

/// Times of a variant's last changes, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The last change to more instances, for a policy.
    pub out_ms: Option<i64>,
    /// The last change to fewer, for a policy.
    pub in_ms: Option<i64>,
    /// The last change for any reason.
    pub changed_ms: Option<i64>,
    /// The last failed change.
    pub failed_ms: Option<i64>,
}

impl Cause {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
            Self::Bounds => "bounds",
        }
    }
}

impl Outcome {
    /// The name in AWS's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::Failed => "Failed",
            Self::Overridden => "Overridden",
        }
    }
}

impl Scaling {
    /// Records that a change begins, and deletes very old ones.
    ///
    /// # Errors
    /// If the database fails.
    pub fn begin(&self, new: &NewActivity<'_>) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            let expired = "DELETE FROM scaling_activities WHERE started_ms < ?1";
            transaction.execute(expired, [new.started_ms - KEPT_MS])?;
            let mut statement = transaction.prepare_cached(
                "INSERT INTO scaling_activities (activity, region, endpoint, variant, direction, wanted, cause, status, started_ms)
                 VALUES (:activity, :region, :endpoint, :variant, :direction, :wanted, :cause, 'InProgress', :started_ms)",
            )?;
            statement.execute(named_params! {
                ":activity": new.activity,
                ":region": new.region,
                ":endpoint": new.id.endpoint,
                ":variant": new.id.variant,
                ":direction": new.cause.as_str(),
                ":wanted": new.wanted,
                ":cause": new.text,
                ":started_ms": new.started_ms,
            })?;
            Ok(())
        })
    }

    /// Records how a change ended.
    ///
    /// # Errors
    /// If the database fails.
    pub fn end(
        &self,
        activity: &str,
        outcome: Outcome,
        message: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            let mut statement = transaction.prepare_cached(
                "UPDATE scaling_activities SET status = ?2, message = ?3, ended_ms = ?4 WHERE activity = ?1",
            )?;
            statement.execute((activity, outcome.as_str(), message, now_ms))?;
            Ok(())
        })
    }

    /// Deletes a change that could not begin, since the endpoint is being changed by another request.
    ///
    /// # Errors
    /// If the database fails.
    pub fn withdraw(&self, activity: &str) -> Result<(), StoreError> {
        self.store.write(|transaction| {
            transaction.execute("DELETE FROM scaling_activities WHERE activity = ?1", [activity])?;
            Ok(())
        })
    }

    /// The running change of a variant.
    ///
    /// # Errors
    /// If the database fails.
    pub fn at_work(&self, region: &str, id: &VariantId) -> Result<Option<Activity>, StoreError> {
        self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM scaling_activities
                 WHERE region = ?1 AND endpoint = ?2 AND variant = ?3 AND ended_ms IS NULL ORDER BY id DESC LIMIT 1"
            ))?;
            Ok(statement.query_row((region, &id.endpoint, &id.variant), read).optional()?)
        })
    }

    /// The times of a variant's changes since this time.
    ///
    /// # Errors
    /// If the database fails.
    pub fn history(&self, region: &str, id: &VariantId, since_ms: i64) -> Result<History, StoreError> {
        self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT max(ended_ms) FILTER (WHERE status = 'Successful' AND direction = 'out'),
                     max(ended_ms) FILTER (WHERE status = 'Successful' AND direction = 'in'),
                     max(ended_ms) FILTER (WHERE status <> 'Failed'),
                     max(ended_ms) FILTER (WHERE status = 'Failed')
                 FROM scaling_activities WHERE region = ?1 AND endpoint = ?2 AND variant = ?3 AND ended_ms >= ?4",
            )?;
            Ok(statement.query_row((region, &id.endpoint, &id.variant, since_ms), |row| {
                Ok(History {
                    out_ms: row.get(0)?,
                    in_ms: row.get(1)?,
                    changed_ms: row.get(2)?,
                    failed_ms: row.get(3)?,
                })
            })?)
        })
    }

    /// A page of changes, the newest first, and the id of its last if there are more.
    ///
    /// # Errors
    /// If the database fails.
    pub fn activities(&self, query: &Query) -> Result<(Vec<Activity>, Option<i64>), StoreError> {
        let from = "scaling_activities WHERE TRUE";
        self.page(query, COLUMNS, from, "id", true, |row| Ok((row.get("id")?, read(row)?)))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Activity> {
    Ok(Activity {
        place: row.get("id")?,
        activity: row.get("activity")?,
        id: VariantId { endpoint: row.get("endpoint")?, variant: row.get("variant")? },
        wanted: row.get("wanted")?,
        text: row.get("cause")?,
        status: row.get("status")?,
        message: row.get("message")?,
        started_ms: row.get("started_ms")?,
        ended_ms: row.get("ended_ms")?,
    })
}
