//! Lists of jobs.

use super::{JobError, JobKind, Jobs};
use crate::paging::{self, ListQuery, ListedTable, Page};

/// What a list says about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<D> {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its status.
    pub status: String,
    /// When it was created.
    pub created_ms: i64,
    /// When it changed last.
    pub modified_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// What lists say of jobs of this kind alone.
    pub detail: D,
}

impl<K: JobKind> Jobs<K> {
    /// A page of a list; none where the token is not one of ours.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<Option<Page<Listed<K::Detail>>>, JobError> {
        let columns = format!("name, arn, status, created_ms, modified_ms, ended_ms, {}", K::DETAIL_COLUMNS);
        let table = ListedTable { name: K::TABLE, columns: &columns, searched: K::SEARCHED };
        let page = paging::page(&self.store, table, query, |row| {
            Ok(Listed {
                name: row.get("name")?,
                arn: row.get("arn")?,
                status: row.get("status")?,
                created_ms: row.get("created_ms")?,
                modified_ms: row.get("modified_ms")?,
                ended_ms: row.get("ended_ms")?,
                detail: K::detail(row)?,
            })
        })?;
        Ok(page)
    }
}
