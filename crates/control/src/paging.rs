//! Lists of resources, page by page: filters, orders and page tokens that all kinds of resources share.

use rusqlite::types::{ToSqlOutput, Value as SqlValue};
use rusqlite::{Row, ToSql, params_from_iter};

use crate::store::{Store, StoreError};
use crate::tokens;

/// The key by which a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// The name.
    Name,
    /// The time of creation.
    CreationTime,
    /// The spelling of the status.
    Status,
}

/// The rows and the order of a list. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// The region.
    pub region: String,
    /// Part of the name.
    pub name_contains: Option<String>,
    /// Words of a search, which ignores case: each must be part of the text that the table is searched by.
    pub words: Vec<String>,
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
    /// Whether the order is reversed.
    pub descending: bool,
    /// The number of rows per page.
    pub limit: usize,
    /// The token from the page before, which says where the page begins.
    pub token: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// The token of the next page; none on the last.
    pub next: Option<String>,
}

/// A table with the columns `region`, `name` and `created_ms`; if queries ask for them, also `status` and `modified_ms`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListedTable<'a> {
    /// Its name.
    pub(crate) name: &'static str,
    /// The columns that a list shows.
    pub(crate) columns: &'a str,
    /// The expression for the text in which words are searched.
    pub(crate) searched: &'static str,
}

/// Reads a page of a list; none if the token is not one of ours. `read` finds the columns by their names.
pub(crate) fn page<T>(
    store: &Store,
    table: ListedTable<'_>,
    query: &ListQuery,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<Page<T>>, StoreError> {
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
    for word in &query.words {
        add(&format!("instr(lower({}), lower(?)) > 0", table.searched), word.clone().into());
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
        "SELECT {column}, name, {} FROM {} WHERE {} ORDER BY {column} {direction}, name {direction} LIMIT {}",
        table.columns,
        table.name,
        conditions.join(" AND "),
        limit.saturating_add(1)
    );
    let mut found: Vec<(SqlValue, String, T)> = store.read(|transaction| {
        let mut statement = transaction.prepare_cached(&statement)?;
        let rows = statement.query_map(params_from_iter(values.iter().map(Borrowed)), |row| {
            Ok((row.get(0)?, row.get(1)?, read(row)?))
        })?;
        Ok::<_, StoreError>(rows.collect::<rusqlite::Result<_>>()?)
    })?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|(key, name, _)| query.sort_by.token(key, name));
    Ok(Some(Page { rows: found.into_iter().map(|(_, _, row)| row).collect(), next }))
}

impl ListQuery {
    /// The token of the page that begins after a row with this name and these sort values.
    pub(crate) fn token_after(&self, name: &str, status: &str, created_ms: i64) -> String {
        let key = match self.sort_by {
            SortBy::Name => name.to_owned().into(),
            SortBy::Status => status.to_owned().into(),
            SortBy::CreationTime => created_ms.into(),
        };
        self.sort_by.token(&key, name)
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

    /// The token of the position after a row. Rows that are added or removed meanwhile do not move it.
    fn token(self, key: &SqlValue, name: &str) -> String {
        let key = match key {
            SqlValue::Integer(number) => number.to_string(),
            SqlValue::Text(text) if self != Self::Name => text.clone(),
            _ => String::new(),
        };
        tokens::write(&[self.column(), &key, name])
    }

    fn read_token(self, token: &str) -> Option<(SqlValue, String)> {
        let [column, key, name] = tokens::read(token)?;
        let key = match self {
            Self::Name => name.clone().into(),
            Self::CreationTime => key.parse::<i64>().ok()?.into(),
            Self::Status => key.into(),
        };
        (column == self.column()).then_some((key, name))
    }
}

/// A parameter that a statement borrows.
struct Borrowed<'a>(&'a SqlValue);

impl ToSql for Borrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}
