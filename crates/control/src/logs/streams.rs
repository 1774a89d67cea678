//! Lists of groups and streams.

use std::fs;

use rusqlite::named_params;

use super::registry::{group_id, stream};
use super::{LogError, LogStream, Logs};
use crate::engine::log_file;
use crate::tokens;

/// The groups of a list; all are in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct GroupsQuery {
    /// The region.
    pub region: String,
    /// The prefix of the names.
    pub prefix: String,
    /// Part of the name.
    pub part: String,
    /// Exact names; empty for any.
    pub names: Vec<String>,
    /// Groups on a page.
    pub limit: usize,
    /// The token of the previous page, after which this page begins.
    pub token: Option<String>,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Time of creation, in milliseconds since 1970.
    pub created_ms: i64,
    /// Days for which the user wants lines to be kept.
    pub retention_days: Option<i64>,
    /// Total size of its files.
    pub stored_bytes: u64,
}

/// The key by which streams are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderBy {
    /// The name.
    #[default]
    Name,
    /// The time of the last line.
    LastEvent,
}

/// The streams of a list, and their order.
#[derive(Clone, Debug, Default)]
pub struct StreamsQuery {
    /// The region.
    pub region: String,
    /// The group.
    pub group: String,
    /// The prefix of the names.
    pub prefix: String,
    /// The order.
    pub order_by: OrderBy,
    /// Whether the order is reversed.
    pub descending: bool,
    /// Streams on a page.
    pub limit: usize,
    /// The token of the previous page, after which this page begins.
    pub token: Option<String>,
}

/// A stream with the times of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedStream {
    /// The stream.
    pub stream: LogStream,
    /// Time of its first line; `None` for an empty stream.
    pub first_ms: Option<i64>,
    /// Time of its last line.
    pub last_ms: Option<i64>,
}

impl Logs {
    /// A page of groups, and the token of the next.
    ///
    /// # Errors
    /// If the token is not one of ours, or the database fails.
    pub fn groups(&self, query: &GroupsQuery) -> Result<(Vec<Group>, Option<String>), LogError> {
        let after = match &query.token {
            Some(token) => tokens::read::<1>(token).map(|[name]| name).ok_or(LogError::Token)?,
            None => String::new(),
        };
        let names = serde_json::json!(query.names).to_string();
        let (mut groups, paths) = self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT id, name, created_ms, retention_days FROM log_groups WHERE region = :region AND name > :after
                 AND substr(name, 1, length(:prefix)) = :prefix AND (:part = '' OR instr(name, :part) > 0)
                 AND (:names = '[]' OR name IN (SELECT value FROM json_each(:names))) ORDER BY name LIMIT :limit",
            )?;
            let parameters = named_params! {
                ":region": query.region,
                ":after": after,
                ":prefix": query.prefix,
                ":part": query.part,
                ":names": names,
                ":limit": one_more(query.limit),
            };
            let groups = statement.query_map(parameters, |row| {
                let group = Group {
                    name: row.get(1)?,
                    created_ms: row.get(2)?,
                    retention_days: row.get(3)?,
                    stored_bytes: 0,
                };
                Ok((row.get::<_, i64>(0)?, group))
            })?;
            let groups = groups.collect::<rusqlite::Result<Vec<_>>>()?;
            let mut statement = transaction.prepare_cached("SELECT path FROM log_streams WHERE group_id = ?1")?;
            let mut paths = Vec::new();
            for (id, _) in &groups {
                let rows = statement.query_map([id], |row| row.get::<_, String>(0))?;
                paths.push(rows.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            let groups: Vec<Group> = groups.into_iter().map(|(_, group)| group).collect();
            Ok::<_, LogError>((groups, paths))
        })?;
        for (group, paths) in groups.iter_mut().zip(&paths) {
            let lengths = paths.iter().filter_map(|path| fs::metadata(self.store.folder().join(path)).ok());
            group.stored_bytes = lengths.map(|metadata| metadata.len()).sum();
        }
        let next =
            cut(&mut groups, query.limit).then(|| groups.last().map(|last| tokens::write(&[&last.name])));
        Ok((groups, next.flatten()))
    }

    /// A page of streams, and the token of the next.
    ///
    /// # Errors
    /// If the group does not exist, if the token is not one of ours, or if a log cannot be read.
    pub fn streams(&self, query: &StreamsQuery) -> Result<(Vec<DescribedStream>, Option<String>), LogError> {
        match query.order_by {
            OrderBy::Name => self.streams_by_name(query),
            OrderBy::LastEvent => self.streams_by_time(query),
        }
    }

    fn streams_by_name(
        &self,
        query: &StreamsQuery,
    ) -> Result<(Vec<DescribedStream>, Option<String>), LogError> {
        let after = match &query.token {
            Some(token) => Some(tokens::read::<1>(token).map(|[name]| name).ok_or(LogError::Token)?),
            None => None,
        };
        let (sign, direction) = if query.descending { ("<", "DESC") } else { (">", "ASC") };
        let statement = format!(
            "SELECT id, name, path, created_ms, own FROM log_streams WHERE group_id = :group AND {PREFIX}
             AND (:after IS NULL OR name {sign} :after) ORDER BY name {direction} LIMIT :limit"
        );
        let mut streams = self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached(&statement)?;
            let parameters = named_params! {
                ":group": group_id(transaction, &query.region, &query.group)?,
                ":prefix": query.prefix,
                ":after": after,
                ":limit": one_more(query.limit),
            };
            let streams = statement.query_map(parameters, |row| stream(row, self.store.folder()))?;
            Ok::<_, LogError>(streams.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        let has_more = cut(&mut streams, query.limit);
        let streams = streams.into_iter().map(described).collect::<Result<Vec<_>, _>>()?;
        let next = streams.last().filter(|_| has_more).map(|last| tokens::write(&[&last.stream.name]));
        Ok((streams, next))
    }

    /// The times of last lines are in the files, so all files are read.
    fn streams_by_time(
        &self,
        query: &StreamsQuery,
    ) -> Result<(Vec<DescribedStream>, Option<String>), LogError> {
        let after = match &query.token {
            Some(token) => {
                let [ms, name] = tokens::read::<2>(token).ok_or(LogError::Token)?;
                Some((ms.parse::<i64>().map_err(|_| LogError::Token)?, name))
            }
            None => None,
        };
        let key = |(ms, stream): &(Option<i64>, LogStream)| (ms.unwrap_or_default(), stream.name.clone());
        let streams = self.all_streams(&query.region, &query.group, &query.prefix)?;
        let streams = streams.into_iter().map(|stream| Ok((last_ms(&stream)?, stream)));
        let mut streams = streams.collect::<Result<Vec<_>, LogError>>()?;
        streams.sort_by_cached_key(key);
        if query.descending {
            streams.reverse();
        }
        if let Some(after) = after {
            streams.retain(|stream| if query.descending { key(stream) < after } else { key(stream) > after });
        }
        let has_more = cut(&mut streams, query.limit);
        let next = streams.last().filter(|_| has_more).map(key);
        let next = next.map(|(ms, name)| tokens::write(&[&ms.to_string(), &name]));
        let streams =
            streams.into_iter().map(|(_, stream)| described(stream)).collect::<Result<Vec<_>, _>>()?;
        Ok((streams, next))
    }

    /// All streams of a group whose names begin with `prefix`.
    pub(super) fn all_streams(
        &self,
        region: &str,
        group: &str,
        prefix: &str,
    ) -> Result<Vec<LogStream>, LogError> {
        let statement = format!(
            "SELECT id, name, path, created_ms, own FROM log_streams WHERE group_id = :group AND {PREFIX}"
        );
        self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached(&statement)?;
            let parameters =
                named_params! {":group": group_id(transaction, region, group)?, ":prefix": prefix};
            let streams = statement.query_map(parameters, |row| stream(row, self.store.folder()))?;
            Ok(streams.collect::<rusqlite::Result<Vec<_>>>()?)
        })
    }
}

/// Names that begin with `:prefix`: the first two conditions use the index, the last one is exact.
const PREFIX: &str =
    "name >= :prefix AND name < :prefix || char(1114111) AND substr(name, 1, length(:prefix)) = :prefix";

/// The number of rows to read: one more than the page has, which shows whether there is a next page.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// Cuts the rows to one page; returns whether there were more.
fn cut<T>(rows: &mut Vec<T>, limit: usize) -> bool {
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    has_more
}

fn last_ms(stream: &LogStream) -> Result<Option<i64>, LogError> {
    log_file::last_ms(&stream.path).map_err(|source| LogError::File { path: stream.path.clone(), source })
}

fn described(stream: LogStream) -> Result<DescribedStream, LogError> {
    let first = log_file::read_from(&stream.path, 0, 1, 0);
    let first = first.map_err(|source| LogError::File { path: stream.path.clone(), source })?;
    Ok(DescribedStream { first_ms: first.first().map(|line| line.at_ms), last_ms: last_ms(&stream)?, stream })
}
