//! Lists of transform jobs.

use super::jobs::TransformJobs;
use crate::jobs::JobError;
use crate::paging::{self, ListQuery, ListedTable, Page};

const TABLE: ListedTable = ListedTable {
    name: "transform_jobs",
    columns: "name, arn, status, state ->> 'failure_reason' AS failure_reason, created_ms, modified_ms, ended_ms",
    searched: "name || ' ' || status",
};

/// What a list says about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its status.
    pub status: String,
    /// Why it failed.
    pub failure_reason: Option<String>,
    /// When it was created.
    pub created_ms: i64,
    /// When it changed last.
    pub modified_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

impl TransformJobs {
    /// A page of a list; none where the token is not one of ours.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<Option<Page<Listed>>, JobError> {
        let page = paging::page(&self.store, TABLE, query, |row| {
            Ok(Listed {
                name: row.get("name")?,
                arn: row.get("arn")?,
                status: row.get("status")?,
                failure_reason: row.get("failure_reason")?,
                created_ms: row.get("created_ms")?,
                modified_ms: row.get("modified_ms")?,
                ended_ms: row.get("ended_ms")?,
            })
        })?;
        Ok(page)
    }
}
