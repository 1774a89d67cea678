//! Models and endpoint configurations: both are created whole and never changed.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Map, Value};

use super::error::HostingError;
use crate::paging::{self, ListQuery, ListedTable, Page};
use crate::store::{Store, StoreError, now_ms};
use crate::tags;

/// The records of one kind.
#[derive(Clone, Debug)]
pub struct Records {
    store: Arc<Store>,
    table: &'static str,
    noun: &'static str,
}

/// A model or an endpoint configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its name, as it was given.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The members of the request that created it, without tags and with defaults filled in.
    pub request: Map<String, Value>,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A record to be created.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The region.
    pub region: String,
    /// The name.
    pub name: String,
    /// The ARN, which has the name in lower case.
    pub arn: String,
    /// See [`Record::request`].
    pub request: Map<String, Value>,
    /// Its tags, as keys and values.
    pub tags: Vec<(String, String)>,
}

/// A record in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRecord {
    /// The name.
    pub name: String,
    /// The ARN.
    pub arn: String,
    /// When it was created.
    pub created_ms: i64,
}

impl Records {
    /// The models of a database.
    pub fn models(store: Arc<Store>) -> Self {
        Self { store, table: "models", noun: "model" }
    }

    /// The endpoint configurations of a database.
    pub fn endpoint_configs(store: Arc<Store>) -> Self {
        Self { store, table: "endpoint_configs", noun: "endpoint configuration" }
    }

    /// Creates a record. It is on the disk when this returns.
    ///
    /// # Errors
    /// If the region already has a record of this name, in upper or lower case.
    pub fn create(&self, new: NewRecord) -> Result<(), HostingError> {
        self.store.write(|transaction| {
            if self.select(transaction, &new.arn)?.is_some() {
                return Err(HostingError::Exists { noun: self.noun, arn: new.arn });
            }
            let statement = format!(
                "INSERT INTO {} (region, name, arn, request, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
                self.table
            );
            let request = Value::Object(new.request).to_string();
            transaction.prepare_cached(&statement)?.execute((
                &new.region,
                &new.name,
                &new.arn,
                request,
                now_ms(),
            ))?;
            tags::put(transaction, &new.arn, &new.tags)?;
            Ok(())
        })
    }

    /// The record of this ARN.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, arn: &str) -> Result<Record, HostingError> {
        let found = self.store.read(|transaction| self.select(transaction, arn))?;
        found.ok_or_else(|| self.not_found(arn))
    }

    /// Deletes a record, and its tags.
    ///
    /// # Errors
    /// If there is none.
    pub fn delete(&self, arn: &str) -> Result<(), HostingError> {
        self.store.write(|transaction| {
            let statement = format!("DELETE FROM {} WHERE arn = ?1", self.table);
            if transaction.execute(&statement, [arn])? == 0 {
                return Err(self.not_found(arn));
            }
            tags::remove_all(transaction, arn)?;
            Ok(())
        })
    }

    /// A page of a list; none if the token is not one of ours.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<Option<Page<ListedRecord>>, HostingError> {
        let table = ListedTable { name: self.table, columns: "name, arn, created_ms", searched: "name" };
        let page = paging::page(&self.store, table, query, |row| {
            Ok(ListedRecord {
                name: row.get("name")?,
                arn: row.get("arn")?,
                created_ms: row.get("created_ms")?,
            })
        })?;
        Ok(page)
    }

    fn select(&self, connection: &Connection, arn: &str) -> Result<Option<Record>, HostingError> {
        let statement = format!("SELECT name, request, created_ms FROM {} WHERE arn = ?1", self.table);
        let mut statement = connection.prepare_cached(&statement)?;
        let row = statement
            .query_row([arn], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))
            .optional()?;
        let Some((name, request, created_ms)) = row else { return Ok(None) };
        let request = serde_json::from_str(&request)
            .map_err(|source| StoreError::Content { what: "request", source })?;
        Ok(Some(Record { name, arn: arn.to_owned(), request, created_ms }))
    }

    fn not_found(&self, arn: &str) -> HostingError {
        HostingError::NotFound { noun: self.noun, arn: arn.to_owned() }
    }
}
