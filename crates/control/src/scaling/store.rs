//! Targets in the database, and queries over all data stored per variant.

use std::sync::Arc;

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::variant::VariantId;
use crate::store::{Store, StoreError, now_ms};
use crate::tags;

const TARGET: &str = "id, arn, region, endpoint, variant, least, most, role_arn, suspended, created_ms";

/// The state of Application Auto Scaling.
#[derive(Clone, Debug)]
pub struct Scaling {
    pub(super) store: Arc<Store>,
}

/// A variant that may be scaled.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its id in the database.
    pub place: i64,
    /// Its ARN.
    pub arn: String,
    /// The region.
    pub region: String,
    /// The variant.
    pub id: VariantId,
    /// The minimum number of instances.
    pub least: u32,
    /// The maximum number of instances.
    pub most: u32,
    /// The role, as given.
    pub role_arn: String,
    /// The suspended kinds of scaling.
    pub suspended: Suspended,
    /// Time when it was first registered.
    pub created_ms: i64,
}

/// `SuspendedState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Suspended {
    /// Whether policies may not remove instances.
    pub dynamic_scaling_in_suspended: bool,
    /// Whether policies may not add instances.
    pub dynamic_scaling_out_suspended: bool,
    /// Whether scheduled actions are suspended; there are none here.
    pub scheduled_scaling_suspended: bool,
}

/// A variant to be registered, or changes of a registration. Values that are not set stay unchanged.
#[derive(Clone, Debug)]
pub struct Targeted {
    /// The ARN for a new target.
    pub arn: String,
    /// The region.
    pub region: String,
    /// The variant, with the names as given when it was created.
    pub id: VariantId,
    /// The minimum number of instances.
    pub least: Option<u32>,
    /// The maximum number of instances.
    pub most: Option<u32>,
    /// The role for a new target.
    pub role_arn: String,
    /// Members of `SuspendedState`.
    pub suspended: Option<Value>,
    /// Keys and values for a new target.
    pub tags: Vec<(String, String)>,
}

/// The rows of a list.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The region.
    pub region: String,
    /// Only rows of these variants.
    pub ids: Option<Vec<VariantId>>,
    /// Only policies with these names.
    pub names: Option<Vec<String>>,
    /// Rows on a page.
    pub limit: usize,
    /// The id after which the page begins.
    pub after: Option<i64>,
}

/// An error in a request.
#[derive(Debug, Error)]
pub enum ScalingError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The target or policy does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The operation is not possible.
    #[error("{0}")]
    Refused(String),
    /// A limit would be exceeded.
    #[error("{0}")]
    Limit(String),
}

impl Scaling {
    /// The scaling state of a database.
    pub fn new(store: Arc<Store>) -> Self {
        Self { store }
    }

    /// Whether a target has this ARN, within the caller's transaction.
    pub(crate) fn is_target(connection: &Connection, arn: &str) -> Result<bool, StoreError> {
        let mut statement = connection.prepare_cached("SELECT 1 FROM scalable_targets WHERE arn = ?1")?;
        Ok(statement.exists([arn])?)
    }

    /// Registers a variant, or changes its registration. Returns its ARN.
    ///
    /// # Errors
    /// If its bounds are missing or in the wrong order.
    pub fn register(&self, new: &Targeted) -> Result<String, ScalingError> {
        self.store.write(|transaction| {
            let known = target(transaction, &new.region, &new.id)?;
            let (least, most) =
                (new.least.or(known.as_ref().map(|known| known.least)), new.most.or(known.as_ref().map(|known| known.most)));
            let (Some(least), Some(most)) = (least, most) else {
                return refused("Both MinCapacity and MaxCapacity must be specified when you register a new scalable target.");
            };
            if least > most {
                return refused("Maximum capacity cannot be less than minimum capacity");
            }
            if known.is_some() && !new.tags.is_empty() {
                return refused("You cannot specify tags when you update an existing scalable target: use TagResource.");
            }
            let (arn, suspended) = match &known {
                Some(known) => (&known.arn, known.suspended),
                None => (&new.arn, Suspended::default()),
            };
            let suspended = suspended.with(new.suspended.as_ref());
            let mut statement = transaction.prepare_cached(
                "INSERT INTO scalable_targets (arn, region, endpoint, variant, least, most, role_arn, suspended, created_ms)
                 VALUES (:arn, :region, :endpoint, :variant, :least, :most, :role_arn, :suspended, :now_ms)
                 ON CONFLICT (region, endpoint, variant) DO UPDATE SET least = :least, most = :most, suspended = :suspended",
            )?;
            statement.execute(named_params! {
                ":arn": arn,
                ":region": new.region,
                ":endpoint": new.id.endpoint,
                ":variant": new.id.variant,
                ":least": least,
                ":most": most,
                ":role_arn": new.role_arn,
                ":suspended": serde_json::json!(suspended).to_string(),
                ":now_ms": now_ms(),
            })?;
            tags::put(transaction, arn, &new.tags)?;
            Ok(arn.clone())
        })
    }

    /// Deletes a target and its policies.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn deregister(&self, region: &str, id: &VariantId) -> Result<(), ScalingError> {
        self.store.write(|transaction| {
            let known = target(transaction, region, id)?.ok_or_else(|| no_target(id))?;
            forget(transaction, &known)?;
            Ok(())
        })
    }

    /// Deletes all targets of an endpoint that is being deleted.
    ///
    /// # Errors
    /// If the database fails.
    pub fn forget_endpoint(&self, region: &str, endpoint: &str) -> Result<(), StoreError> {
        if self.of_endpoint(region, endpoint)?.is_empty() {
            return Ok(());
        }
        self.store.write(|transaction| {
            for known in of_endpoint(transaction, region, endpoint)? {
                forget(transaction, &known)?;
            }
            Ok(())
        })
    }

    /// The targets of an endpoint.
    ///
    /// # Errors
    /// If the database fails.
    pub fn of_endpoint(&self, region: &str, endpoint: &str) -> Result<Vec<Target>, StoreError> {
        self.store.read(|transaction| of_endpoint(transaction, region, endpoint))
    }

    /// The targets of all regions.
    ///
    /// # Errors
    /// If the database fails.
    pub fn all(&self) -> Result<Vec<Target>, StoreError> {
        self.store.read(|transaction| {
            let statement = format!("SELECT {TARGET} FROM scalable_targets ORDER BY id");
            let mut statement = transaction.prepare_cached(&statement)?;
            let rows = statement.query_map([], read_target)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// A page of targets, and the id of the last if there are more.
    ///
    /// # Errors
    /// If the database fails.
    pub fn targets(&self, query: &Query) -> Result<(Vec<Target>, Option<i64>), StoreError> {
        let from = "scalable_targets WHERE TRUE";
        self.page(query, TARGET, from, "id", false, |row| Ok((row.get("id")?, read_target(row)?)))
    }

    /// A page of rows, each read with its id.
    pub(super) fn page<T>(
        &self,
        query: &Query,
        columns: &str,
        from: &str,
        place: &str,
        descending: bool,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<(i64, T)>,
    ) -> Result<(Vec<T>, Option<i64>), StoreError> {
        let mut values = vec![SqlValue::from(query.region.clone())];
        let mut statement = format!("SELECT {columns} FROM {from} AND region = ?");
        if let Some(ids) = &query.ids {
            let alternatives = vec!["(endpoint = ? AND variant = ?)"; ids.len()].join(" OR ");
            let alternatives = if ids.is_empty() { "FALSE" } else { alternatives.as_str() };
            statement += &format!(" AND ({alternatives})");
            values.extend(ids.iter().flat_map(|id| [id.endpoint.clone().into(), id.variant.clone().into()]));
        }
        if let Some(names) = &query.names {
            statement += &format!(" AND name IN ({})", vec!["?"; names.len()].join(", "));
            values.extend(names.iter().map(|name| name.clone().into()));
        }
        let (order, sign) = if descending { ("DESC", "<") } else { ("ASC", ">") };
        if let Some(after) = query.after {
            statement += &format!(" AND {place} {sign} ?");
            values.push(after.into());
        }
        statement += &format!(" ORDER BY {place} {order} LIMIT {}", query.limit.saturating_add(1));
        let mut rows: Vec<(i64, T)> = self.store.read(|transaction| {
            let mut statement = transaction.prepare(&statement)?;
            let rows = statement.query_map(params_from_iter(values), |row| read(row))?;
            Ok::<_, StoreError>(rows.collect::<rusqlite::Result<_>>()?)
        })?;
        let has_more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let next = rows.last().filter(|_| has_more).map(|(place, _)| *place);
        Ok((rows.into_iter().map(|(_, row)| row).collect(), next))
    }
}

impl Suspended {
    /// Applies the values in a request.
    fn with(self, given: Option<&Value>) -> Self {
        let member = |name: &str, known| given.and_then(|given| given[name].as_bool()).unwrap_or(known);
        Self {
            dynamic_scaling_in_suspended: member(
                "DynamicScalingInSuspended",
                self.dynamic_scaling_in_suspended,
            ),
            dynamic_scaling_out_suspended: member(
                "DynamicScalingOutSuspended",
                self.dynamic_scaling_out_suspended,
            ),
            scheduled_scaling_suspended: member(
                "ScheduledScalingSuspended",
                self.scheduled_scaling_suspended,
            ),
        }
    }
}

impl From<rusqlite::Error> for ScalingError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

fn refused<T>(message: &str) -> Result<T, ScalingError> {
    Err(ScalingError::Refused(message.to_owned()))
}

/// The error for a variant that is not registered.
pub(super) fn no_target(id: &VariantId) -> ScalingError {
    ScalingError::NotFound(format!(
        "No scalable target found for service namespace: sagemaker, resource ID: {id}, scalable dimension: \
         sagemaker:variant:DesiredInstanceCount"
    ))
}

fn forget(connection: &Connection, target: &Target) -> Result<(), StoreError> {
    connection.execute("DELETE FROM scalable_targets WHERE id = ?1", [target.place])?;
    abandon(connection, &target.region, &target.id, now_ms())?;
    tags::remove_all(connection, &target.arn)
}

/// Ends the running activities of a variant as overridden.
fn abandon(connection: &Connection, region: &str, id: &VariantId, now_ms: i64) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "UPDATE scaling_activities SET status = 'Overridden', message = 'The scalable target was deregistered.', ended_ms = ?4
         WHERE region = ?1 AND endpoint = ?2 AND variant = ?3 AND ended_ms IS NULL",
    )?;
    statement.execute((region, &id.endpoint, &id.variant, now_ms))?;
    Ok(())
}

/// The target of a variant.
pub(super) fn target(
    connection: &Connection,
    region: &str,
    id: &VariantId,
) -> Result<Option<Target>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {TARGET} FROM scalable_targets WHERE region = ?1 AND endpoint = ?2 AND variant = ?3"
    ))?;
    Ok(statement.query_row((region, &id.endpoint, &id.variant), read_target).optional()?)
}

fn of_endpoint(connection: &Connection, region: &str, endpoint: &str) -> Result<Vec<Target>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {TARGET} FROM scalable_targets WHERE region = ?1 AND endpoint = ?2 ORDER BY id"
    ))?;
    let rows = statement.query_map((region, endpoint), read_target)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn read_target(row: &Row<'_>) -> rusqlite::Result<Target> {
    Ok(Target {
        place: row.get("id")?,
        arn: row.get("arn")?,
        region: row.get("region")?,
        id: VariantId { endpoint: row.get("endpoint")?, variant: row.get("variant")? },
        least: row.get("least")?,
        most: row.get("most")?,
        role_arn: row.get("role_arn")?,
        suspended: serde_json::from_str(&row.get::<_, String>("suspended")?).unwrap_or_default(),
        created_ms: row.get("created_ms")?,
    })
}
