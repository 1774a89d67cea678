//! Lists of jobs.

use super::{JobError, JobKind, Jobs};
use crate::paging::{self, ListQuery, ListedTable, Page};

/// A job's entry in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<D> {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its status.
    pub status: String,
    /// Time of creation.
    pub created_ms: i64,
    /// Time of the last change.
    pub modified_ms: i64,
    /// Time of its end.
    pub ended_ms: Option<i64>,
    /// Details that only lists of this kind of job have.
    pub detail: D,
}

impl<K: JobKind> Jobs<K> {
    /// A page of a list; none if the token is not one of ours.
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
