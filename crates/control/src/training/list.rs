//! Lists of training jobs, page by page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::types::{ToSqlOutput, Value as SqlValue};
use rusqlite::{ToSql, params_from_iter};

use super::jobs::{JobError, TrainingJobs};

/// What a list is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// The name.
    Name,
    /// The time of creation.
    CreationTime,
    /// The spelling of the status.
    Status,
}

/// Which jobs a list holds, and in which order. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// The region.
    pub region: String,
    /// Part of the name.
    pub name_contains: Option<String>,
    /// The status.
    pub status: Option<String>,
    /// Created later than this.
    pub created_after_ms: Option<i64>,
    /// Created before this.
    pub created_before_ms: Option<i64>,
    /// Changed later than this.
    pub modified_after_ms: Option<i64>,
    /// Changed before this.
    pub modified_before_ms: Option<i64>,
    /// The order.
    pub sort_by: SortBy,
    /// Whether the order is turned round.
    pub descending: bool,
    /// Jobs on a page.
    pub limit: usize,
    /// Where the page begins: the token of the page before.
    pub token: Option<String>,
}

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

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its jobs.
    pub jobs: Vec<Listed>,
    /// The token of the next page; none on the last.
    pub next: Option<String>,
}

impl TrainingJobs {
    /// A page of a list; none where the token is not one of ours.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<Option<Page>, JobError> {
        let column = query.sort_by.column();
        let mut conditions = vec!["region = ?".to_owned()];
        let mut values = vec![SqlValue::from(query.region.clone())];
        let mut add = |condition: &str, value: SqlValue| {
            conditions.push(condition.to_owned());
            values.push(value);
        };
        if let Some(part) = &query.name_contains {
            add("instr(name, ?) > 0", part.clone().into());
        }
        if let Some(status) = &query.status {
            add("status = ?", status.clone().into());
        }
        for (condition, limit) in [
            ("created_ms > ?", query.created_after_ms),
            ("created_ms < ?", query.created_before_ms),
            ("modified_ms > ?", query.modified_after_ms),
            ("modified_ms < ?", query.modified_before_ms),
        ] {
            if let Some(limit) = limit {
                add(condition, limit.into());
            }
        }
        let (direction, sign) = if query.descending { ("DESC", "<") } else { ("ASC", ">") };
        if let Some(token) = &query.token {
            let Some((key, name)) = query.sort_by.read_token(token) else { return Ok(None) };
            add(&format!("({column}, name) {sign} (?, ?)"), key);
            values.push(name.into());
        }
        let limit = query.limit.max(1);
        let statement = format!(
            "SELECT name, arn, status, secondary, created_ms, modified_ms, ended_ms FROM training_jobs WHERE {} ORDER BY {column} \
             {direction}, name {direction} LIMIT {}",
            conditions.join(" AND "),
            limit.saturating_add(1)
        );
        let mut jobs: Vec<Listed> = self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached(&statement)?;
            let rows = statement.query_map(params_from_iter(values.iter().map(Borrowed)), |row| {
                Ok(Listed {
                    name: row.get(0)?,
                    arn: row.get(1)?,
                    status: row.get(2)?,
                    secondary: row.get(3)?,
                    created_ms: row.get(4)?,
                    modified_ms: row.get(5)?,
                    ended_ms: row.get(6)?,
                })
            })?;
            Ok::<_, JobError>(rows.collect::<rusqlite::Result<_>>()?)
        })?;
        let has_more = jobs.len() > limit;
        jobs.truncate(limit);
        let next = jobs.last().filter(|_| has_more).map(|last| query.sort_by.token(last));
        Ok(Some(Page { jobs, next }))
    }
}

impl SortBy {
    const fn column(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::CreationTime => "created_ms",
            Self::Status => "status",
        }
    }

    /// The place after a job: jobs that come and go meanwhile do not move it.
    fn token(self, job: &Listed) -> String {
        let key = match self {
            Self::Name => String::new(),
            Self::CreationTime => job.created_ms.to_string(),
            Self::Status => job.status.clone(),
        };
        URL_SAFE_NO_PAD.encode(format!("{}\n{key}\n{}", self.column(), job.name))
    }

    fn read_token(self, token: &str) -> Option<(SqlValue, String)> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let mut parts = text.splitn(3, '\n');
        let (column, key, name) = (parts.next()?, parts.next()?, parts.next()?.to_owned());
        let key = match self {
            Self::Name => name.clone().into(),
            Self::CreationTime => key.parse::<i64>().ok()?.into(),
            Self::Status => key.to_owned().into(),
        };
        (column == self.column()).then_some((key, name))
    }
}

/// A parameter that is lent to a statement.
struct Borrowed<'a>(&'a SqlValue);

impl ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}
