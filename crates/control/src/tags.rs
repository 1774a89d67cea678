//! Tags of resources, by ARN.

use rusqlite::Connection;

use crate::store::StoreError;

/// The most tags of a resource.
pub(crate) const MOST_TAGS: usize = 50;

/// Adds tags. An existing key gets the new value.
pub(crate) fn put(connection: &Connection, arn: &str, tags: &[(String, String)]) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO tags (arn, key, value) VALUES (?1, ?2, ?3)
         ON CONFLICT (arn, key) DO UPDATE SET value = excluded.value",
    )?;
    for (key, value) in tags {
        statement.execute((arn, key, value))?;
    }
    Ok(())
}

/// The keys and values of a resource's tags, in the order in which the keys were added.
pub(crate) fn of(connection: &Connection, arn: &str) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT key, value FROM tags WHERE arn = ?1 ORDER BY id")?;
    let rows = statement.query_map([arn], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Removes tags. A key that does not exist is no error.
pub(crate) fn remove<'a>(
    connection: &Connection,
    arn: &str,
    keys: impl IntoIterator<Item = &'a str>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached("DELETE FROM tags WHERE arn = ?1 AND key = ?2")?;
    for key in keys {
        statement.execute((arn, key))?;
    }
    Ok(())
}

/// Removes all tags of a resource that is being deleted.
pub(crate) fn remove_all(connection: &Connection, arn: &str) -> Result<(), StoreError> {
    connection.execute("DELETE FROM tags WHERE arn = ?1", [arn])?;
    Ok(())
}
