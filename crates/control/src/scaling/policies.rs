//! Policies in the database.

use rusqlite::named_params;
use serde_json::Value;

use super::store::{Query, Scaling, ScalingError, no_target, target};
use super::variant::VariantId;
use crate::store::{StoreError, now_ms};

/// The maximum number of policies of a target.
pub(super) const MOST_POLICIES: usize = 50;

/// A policy to be put.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The ARN for a new policy.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// Its configuration, as given.
    pub config: Value,
    /// The name of the alarm that adds instances.
    pub alarm_high: String,
    /// The name of the alarm that removes them.
    pub alarm_low: String,
}

/// A policy of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedPolicy {
    /// Its id in the database.
    pub place: i64,
    /// The policy.
    pub policy: Policy,
    /// The variant.
    pub id: VariantId,
    /// Time when it was first put.
    pub created_ms: i64,
}

impl Policy {
    /// The names of its alarms: a policy that never removes instances has only the first.
    pub fn alarms(&self) -> Vec<&str> {
        let scales_in = self.config["DisableScaleIn"] != Value::Bool(true);
        let both = [Some(self.alarm_high.as_str()), scales_in.then_some(self.alarm_low.as_str())];
        both.into_iter().flatten().collect()
    }
}

impl Scaling {
    /// Adds a policy to a target, or changes it. Returns the resulting policy.
    ///
    /// # Errors
    /// If the target does not exist, or has too many policies.
    pub fn put_policy(&self, region: &str, id: &VariantId, new: Policy) -> Result<Policy, ScalingError> {
        self.store.write(|transaction| {
            let known = target(transaction, region, id)?.ok_or_else(|| no_target(id))?;
            let mut statement = transaction.prepare_cached(
                "INSERT INTO scaling_policies (target_id, arn, name, config, alarm_high, alarm_low, created_ms)
                 VALUES (:target, :arn, :name, :config, :high, :low, :now_ms)
                 ON CONFLICT (target_id, name) DO UPDATE SET config = excluded.config
                 RETURNING arn, alarm_high, alarm_low",
            )?;
            let parameters = named_params! {
                ":target": known.place,
                ":arn": new.arn,
                ":name": new.name,
                ":config": new.config.to_string(),
                ":high": new.alarm_high,
                ":low": new.alarm_low,
                ":now_ms": now_ms(),
            };
            let (arn, alarm_high, alarm_low) =
                statement.query_row(parameters, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let count: u32 = transaction.query_row(
                "SELECT count(*) FROM scaling_policies WHERE target_id = ?1",
                [known.place],
                |row| row.get(0),
            )?;
            if usize::try_from(count).is_ok_and(|count| count > MOST_POLICIES) {
                // The transaction is then undone.
                return Err(ScalingError::Limit(format!("A scalable target has at most {MOST_POLICIES} scaling policies.")));
            }
            Ok(Policy { arn, alarm_high, alarm_low, ..new })
        })
    }

    /// Deletes a policy.
    ///
    /// # Errors
    /// If it does not exist.
    pub fn delete_policy(&self, region: &str, id: &VariantId, name: &str) -> Result<(), ScalingError> {
        self.store.write(|transaction| {
            let known = target(transaction, region, id)?.ok_or_else(|| no_target(id))?;
            let statement = "DELETE FROM scaling_policies WHERE target_id = ?1 AND name = ?2";
            if transaction.execute(statement, (known.place, name))? == 0 {
                return Err(ScalingError::NotFound(format!(
                    "No scaling policy found for service namespace: sagemaker, resource ID: {id}, scalable dimension: \
                     sagemaker:variant:DesiredInstanceCount, policy name: {name}"
                )));
            }
            Ok(())
        })
    }

    /// A page of policies, and the id of its last if there are more.
    ///
    /// # Errors
    /// If the database fails.
    pub fn policies(&self, query: &Query) -> Result<(Vec<ListedPolicy>, Option<i64>), StoreError> {
        let columns = "p.id AS place, p.arn, p.name, p.config, p.alarm_high, p.alarm_low, p.created_ms, endpoint, variant";
        let from = "scaling_policies AS p JOIN scalable_targets AS t ON t.id = p.target_id WHERE TRUE";
        let (rows, next) = self.page(query, columns, from, "p.id", false, |row| {
            let place = row.get("place")?;
            let policy = Policy {
                arn: row.get("arn")?,
                name: row.get("name")?,
                config: Value::Null,
                alarm_high: row.get("alarm_high")?,
                alarm_low: row.get("alarm_low")?,
            };
            let id = VariantId { endpoint: row.get("endpoint")?, variant: row.get("variant")? };
            let listed = ListedPolicy { place, policy, id, created_ms: row.get("created_ms")? };
            Ok((place, (listed, row.get::<_, String>("config")?)))
        })?;
        let rows = rows.into_iter().map(|(mut listed, config)| {
            listed.policy.config = serde_json::from_str(&config)
                .map_err(|source| StoreError::Content { what: "configuration of a policy", source })?;
            Ok(listed)
        });
        Ok((rows.collect::<Result<_, StoreError>>()?, next))
    }
}
