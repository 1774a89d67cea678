//! Endpoints in the database.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, named_params};
use serde_json::Value;
use tokio::sync::watch;

use super::deployment::Deployment;
use super::error::HostingError;
use super::state::{EndpointState, EndpointStatus, Refusal, Retained, Wish};
use crate::paging::{self, ListQuery, ListedTable, Page};
use crate::store::{Store, StoreError, now_ms};
use crate::tags;

const TABLE: ListedTable<'_> = ListedTable {
    name: "endpoints",
    columns: "name, arn, status, created_ms, modified_ms",
    searched: "name || ' ' || status",
};
/// Instances are processes. A machine runs so many per core, and never fewer than [`LEAST_INSTANCES`].
const INSTANCES_PER_CORE: u32 = 4;
const LEAST_INSTANCES: u32 = 16;

/// An endpoint's id in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(i64);

/// An endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// The region that it was created in.
    pub region: String,
    /// Its name, as it was given.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its state.
    pub state: EndpointState,
}

/// An endpoint to be created.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// The region.
    pub region: String,
    /// The name.
    pub name: String,
    /// The ARN, which has the name in lower case.
    pub arn: String,
    /// The deployment that it runs.
    pub deployment: Deployment,
    /// See [`EndpointState::deployment_config`].
    pub deployment_config: Option<Value>,
    /// Its tags, as keys and values.
    pub tags: Vec<(String, String)>,
}

/// An endpoint in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEndpoint {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its status.
    pub status: String,
    /// When it was created.
    pub created_ms: i64,
    /// When it was last changed.
    pub modified_ms: i64,
}

/// All endpoints.
#[derive(Clone, Debug)]
pub struct Endpoints {
    store: Arc<Store>,
    changes: watch::Sender<u64>,
    most_instances: u32,
}

impl Endpoints {
    /// The endpoints of a database.
    pub fn new(store: Arc<Store>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cores = u32::try_from(cores).unwrap_or(u32::MAX);
        let most_instances = cores.saturating_mul(INSTANCES_PER_CORE).max(LEAST_INSTANCES);
        Self { store, changes: watch::Sender::new(0), most_instances }
    }

    /// Returns a receiver that changes whenever an endpoint is created, updated or deleted, so that a fleet can react.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Creates an endpoint. It is on the disk when this returns.
    ///
    /// # Errors
    /// If the region already has an endpoint of this name, in upper or lower case, or if the machine would have too many instances.
    pub fn create(&self, new: NewEndpoint) -> Result<(), HostingError> {
        let mut state = EndpointState::new(new.deployment, now_ms());
        state.deployment_config = new.deployment_config;
        self.store.write(|transaction| {
            if select(transaction, "arn = ?1", [&new.arn])?.is_some() {
                return Err(HostingError::Exists { noun: "endpoint", arn: new.arn });
            }
            transaction
                .prepare_cached(
                    "INSERT INTO endpoints (region, name, arn, state, status, instances, created_ms, modified_ms)
                     VALUES (?1, ?2, ?3, '', '', 0, 0, 0)",
                )?
                .execute((&new.region, &new.name, &new.arn))?;
            let id = EndpointId(transaction.last_insert_rowid());
            self.check_limit(transaction, id, &state)?;
            save(transaction, id, &state)?;
            tags::put(transaction, &new.arn, &new.tags)?;
            Ok(())
        })?;
        self.changed();
        Ok(())
    }

    /// The endpoint of this ARN.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(&self, arn: &str) -> Result<Endpoint, HostingError> {
        let found = self.store.read(|transaction| select(transaction, "arn = ?1", [arn]))?;
        found.ok_or_else(|| not_found(arn))
    }

    /// The endpoint of this name, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub fn named(&self, region: &str, name: &str) -> Result<Option<Endpoint>, HostingError> {
        self.store.read(|transaction| select(transaction, "region = ?1 AND name = ?2", [region, name]))
    }

    /// The endpoint with this id, if it still exists.
    ///
    /// # Errors
    /// If the database fails.
    pub fn get(&self, id: EndpointId) -> Result<Option<Endpoint>, HostingError> {
        self.store.read(|transaction| select(transaction, "id = ?1", [id.0]))
    }

    /// The ids of all endpoints.
    ///
    /// # Errors
    /// If the database fails.
    pub fn all(&self) -> Result<Vec<EndpointId>, HostingError> {
        self.store.read(|transaction| {
            let mut statement = transaction.prepare_cached("SELECT id FROM endpoints ORDER BY id")?;
            let rows = statement.query_map([], |row| Ok(EndpointId(row.get(0)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// A page of a list; none if the token is not one of ours.
    ///
    /// # Errors
    /// If the database fails.
    pub fn list(&self, query: &ListQuery) -> Result<Option<Page<ListedEndpoint>>, HostingError> {
        let page = paging::page(&self.store, TABLE, query, |row| {
            Ok(ListedEndpoint {
                name: row.get("name")?,
                arn: row.get("arn")?,
                status: row.get("status")?,
                created_ms: row.get("created_ms")?,
                modified_ms: row.get("modified_ms")?,
            })
        })?;
        Ok(page)
    }

    /// Starts an update to another configuration. No request fails during the update.
    ///
    /// # Errors
    /// If the endpoint is not in service, or already runs the configuration.
    pub fn update(
        &self,
        arn: &str,
        new: Deployment,
        retained: Retained,
        deployment_config: Option<Value>,
    ) -> Result<(), HostingError> {
        let config = new.config_name.clone();
        self.ask(arn, &config, |state| {
            state.update(new, retained, now_ms())?;
            state.deployment_config = deployment_config;
            Ok(())
        })
    }

    /// Starts to change the weights or the numbers of instances of variants.
    ///
    /// # Errors
    /// If the endpoint is not in service, or has no such variants.
    pub fn reweigh(&self, arn: &str, wishes: &[Wish]) -> Result<(), HostingError> {
        self.ask(arn, "", |state| state.reweigh(wishes, now_ms()))
    }

    /// Starts to delete an endpoint.
    ///
    /// # Errors
    /// If there is none, or if it is being created, updated or deleted.
    pub fn delete(&self, arn: &str) -> Result<(), HostingError> {
        self.ask(arn, "", |state| state.delete(now_ms()))
    }

    /// Records that all instances of a deployment answer.
    ///
    /// # Errors
    /// If the database fails.
    pub fn deployed(&self, id: EndpointId, generation: i64) -> Result<(), HostingError> {
        self.note(id, |state| state.deployed(generation, now_ms()))
    }

    /// Records that a deployment will never answer.
    ///
    /// # Errors
    /// If the database fails.
    pub fn deployment_failed(
        &self,
        id: EndpointId,
        generation: i64,
        reason: &str,
    ) -> Result<(), HostingError> {
        self.note(id, |state| state.deployment_failed(generation, reason, now_ms()))
    }

    /// Records that variants have reached their desired weights and numbers of instances.
    ///
    /// # Errors
    /// If the database fails.
    pub fn settled(&self, id: EndpointId) -> Result<(), HostingError> {
        self.note(id, |state| state.settled(now_ms()))
    }

    /// Records that variants cannot reach their desired numbers of instances.
    ///
    /// # Errors
    /// If the database fails.
    pub fn settling_failed(&self, id: EndpointId, reason: &str) -> Result<(), HostingError> {
        self.note(id, |state| state.settling_failed(reason, now_ms()))
    }

    /// Records how many instances of each variant answer at the moment.
    ///
    /// # Errors
    /// If the database fails.
    pub fn counted(
        &self,
        id: EndpointId,
        generation: i64,
        counts: &[(String, u32)],
    ) -> Result<(), HostingError> {
        self.note(id, |state| state.counted(generation, counts))
    }

    /// Deletes an endpoint that has nothing left, and its tags.
    ///
    /// # Errors
    /// If the database fails.
    pub fn forget(&self, id: EndpointId) -> Result<(), HostingError> {
        self.store.write(|transaction| {
            if let Some(endpoint) = select(transaction, "id = ?1", [id.0])? {
                tags::remove_all(transaction, &endpoint.arn)?;
                transaction.execute("DELETE FROM endpoints WHERE id = ?1", [id.0])?;
            }
            Ok(())
        })
    }

    /// Makes a change that a request asks for.
    fn ask(
        &self,
        arn: &str,
        config: &str,
        change: impl FnOnce(&mut EndpointState) -> Result<(), Refusal>,
    ) -> Result<(), HostingError> {
        self.store.write(|transaction| {
            let mut endpoint = select(transaction, "arn = ?1", [arn])?.ok_or_else(|| not_found(arn))?;
            change(&mut endpoint.state).map_err(|refusal| refused(&endpoint, config, &refusal))?;
            self.check_limit(transaction, endpoint.id, &endpoint.state)?;
            save(transaction, endpoint.id, &endpoint.state)
        })?;
        self.changed();
        Ok(())
    }

    /// Records a change that has happened; does nothing if the endpoint is gone.
    fn note(&self, id: EndpointId, change: impl FnOnce(&mut EndpointState)) -> Result<(), HostingError> {
        self.store.write(|transaction| {
            let Some(mut endpoint) = select(transaction, "id = ?1", [id.0])? else { return Ok(()) };
            change(&mut endpoint.state);
            save(transaction, id, &endpoint.state)
        })
    }

    fn check_limit(
        &self,
        connection: &Connection,
        id: EndpointId,
        state: &EndpointState,
    ) -> Result<(), HostingError> {
        let others: u32 = connection.query_row(
            "SELECT coalesce(sum(instances), 0) FROM endpoints WHERE id <> ?1",
            [id.0],
            |row| row.get(0),
        )?;
        let (wanted, most) = (state.desired_instances(), self.most_instances);
        if others.saturating_add(wanted) <= most {
            return Ok(());
        }
        Err(HostingError::Limit(format!(
            "This machine runs at most {most} instances of endpoints, each of which is a process: other endpoints have {others}, and \
             {wanted} are asked for. Ask for fewer, or delete an endpoint."
        )))
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

fn refused(endpoint: &Endpoint, config: &str, refusal: &Refusal) -> HostingError {
    let arn = &endpoint.arn;
    HostingError::Refused(match refusal {
        Refusal::InProgress => return HostingError::InProgress(arn.clone()),
        Refusal::Failed => format!(
            "Cannot update endpoint \"{arn}\" in status {}: DeleteEndpoint is the only operation that can be performed on a failed \
             endpoint.",
            EndpointStatus::Failed.as_str()
        ),
        Refusal::SameConfig => format!(
            "Cannot update endpoint \"{arn}\" with its current endpoint configuration \"{config}\": create a new endpoint \
             configuration."
        ),
        Refusal::NoVariant(names) => {
            let serving = endpoint.state.serving.as_ref().map_or("", |serving| &serving.config_name);
            format!(
                "The variant name(s) \"{}\" is/are not present within endpoint configuration \"{serving}\".",
                names.join(", ")
            )
        }
    })
}

fn not_found(arn: &str) -> HostingError {
    HostingError::NotFound { noun: "endpoint", arn: arn.to_owned() }
}

fn select(
    connection: &Connection,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<Endpoint>, HostingError> {
    let statement = format!("SELECT id, region, name, arn, state FROM endpoints WHERE {condition}");
    let mut statement = connection.prepare_cached(&statement)?;
    let row = statement.query_row(parameters, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, String>(4)?))
    });
    let Some((id, region, name, arn, state)) = row.optional()? else { return Ok(None) };
    let state = serde_json::from_str(&state)
        .map_err(|source| StoreError::Content { what: "state of an endpoint", source })?;
    Ok(Some(Endpoint { id: EndpointId(id), region, name, arn, state }))
}

/// Writes the state, and the columns by which lists are sorted and filtered.
fn save(connection: &Connection, id: EndpointId, state: &EndpointState) -> Result<(), HostingError> {
    let mut statement = connection.prepare_cached(
        "UPDATE endpoints SET state = :state, status = :status, instances = :instances, created_ms = :created_ms,
         modified_ms = :modified_ms WHERE id = :id",
    )?;
    statement.execute(named_params! {
        ":id": id.0,
        ":state": serde_json::to_string(state).map_err(|source| StoreError::Content { what: "state", source })?,
        ":status": state.status.as_str(),
        ":instances": state.desired_instances(),
        ":created_ms": state.created_ms,
        ":modified_ms": state.modified_ms,
    })?;
    Ok(())
}
