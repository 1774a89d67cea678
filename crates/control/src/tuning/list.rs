//! Lists of tuning jobs.

use serde_json::Value;

use super::jobs::TuningJobs;
use super::state::Counters;
use crate::jobs::JobError;
use crate::paging::{self, ListQuery, ListedTable, Page};

const TABLE: ListedTable = ListedTable {
    name: "tuning_jobs",
    columns: "name, arn, status, state ->> 'counters' AS counters,
              request -> '$.HyperParameterTuningJobConfig.Strategy' AS strategy,
              request -> '$.HyperParameterTuningJobConfig.ResourceLimits' AS limits,
              created_ms, modified_ms, ended_ms",
    searched: "name || ' ' || status",
};

/// What a list says about a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its status.
    pub status: String,
    /// How its training jobs get on.
    pub counters: Counters,
    /// `Strategy`.
    pub strategy: Value,
    /// `ResourceLimits`.
    pub limits: Value,
    /// When it was created.
    pub created_ms: i64,
    /// When it changed last.
    pub modified_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

impl TuningJobs {
    /// A page of a list; none where the token is not one of ours.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<Option<Page<Listed>>, JobError> {
        let json = |text: String| serde_json::from_str(&text).unwrap_or_default();
        let page = paging::page(&self.store, TABLE, query, |row| {
            Ok(Listed {
                name: row.get("name")?,
                arn: row.get("arn")?,
                status: row.get("status")?,
                counters: serde_json::from_str(&row.get::<_, String>("counters")?).unwrap_or_default(),
                strategy: json(row.get("strategy")?),
                limits: json(row.get("limits")?),
                created_ms: row.get("created_ms")?,
                modified_ms: row.get("modified_ms")?,
                ended_ms: row.get("ended_ms")?,
            })
        })?;
        Ok(page)
    }
}
