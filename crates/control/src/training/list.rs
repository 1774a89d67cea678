//! Lists of training jobs.

use super::jobs::TrainingJobs;
use crate::jobs::JobError;
use crate::paging::{self, ListQuery, ListedTable, Page};

const TABLE: ListedTable = ListedTable {
    name: "training_jobs",
    columns: "name, arn, status, state ->> 'secondary' AS secondary, created_ms, modified_ms, ended_ms",
    searched: "name || ' ' || status || ' ' || coalesce(state ->> 'algorithm', '')",
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
    /// What it is doing.
    pub secondary: String,
    /// When it was created.
    pub created_ms: i64,
    /// When it changed last.
    pub modified_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
}

impl TrainingJobs {
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
                secondary: row.get("secondary")?,
                created_ms: row.get("created_ms")?,
                modified_ms: row.get("modified_ms")?,
                ended_ms: row.get("ended_ms")?,
            })
        })?;
        Ok(page)
    }
}
