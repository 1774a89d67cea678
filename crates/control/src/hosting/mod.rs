//! Hosting: models, endpoint configurations and endpoints, and the routing of a request to an instance.
//!
//! The API and a [`Fleet`](crate::fleet::Fleet) meet in [`Endpoints`]: the API creates, updates and deletes endpoints; the fleet starts and
//! stops their instances and records the results. [`EndpointState`] knows which change is possible when. [`Routes`] holds the instances of
//! every endpoint in service, to which requests are sent.

mod connections;
mod deployment;
mod endpoints;
mod error;
mod instance;
mod records;
mod routes;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use connections::Connections;
pub use connections::{Answer, SendError};
pub use deployment::{Container, Deployment, ModelData, ModelForm, Variant};
pub use endpoints::{Endpoint, EndpointId, Endpoints, ListedEndpoint, NewEndpoint};
pub use error::HostingError;
pub(crate) use instance::Phase;
pub use instance::{Instance, Lease};
pub use records::{ListedRecord, NewRecord, Record, Records};
pub use routes::{Chosen, NotChosen, Route, RouteVariant, Routes};
pub use state::{EndpointState, EndpointStatus, Retained, Wish};

/// The log group of an endpoint's instances.
pub fn log_group(endpoint: &str) -> String {
    format!("/aws/sagemaker/Endpoints/{endpoint}")
}

/// The tables. Names are unique without regard to case. `request` holds the request and `state` the resulting state, both in JSON; the
/// columns beside them serve lists. `instances` is the number that an endpoint wants.
pub(crate) const SCHEMA: &str = "CREATE TABLE models (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        region TEXT NOT NULL,
        name TEXT NOT NULL COLLATE NOCASE,
        arn TEXT NOT NULL,
        request TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        UNIQUE (region, name)
    ) STRICT;
    CREATE UNIQUE INDEX models_by_arn ON models (arn);
    CREATE INDEX models_by_creation ON models (region, created_ms, name);
    CREATE TABLE endpoint_configs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        region TEXT NOT NULL,
        name TEXT NOT NULL COLLATE NOCASE,
        arn TEXT NOT NULL,
        request TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        UNIQUE (region, name)
    ) STRICT;
    CREATE UNIQUE INDEX endpoint_configs_by_arn ON endpoint_configs (arn);
    CREATE INDEX endpoint_configs_by_creation ON endpoint_configs (region, created_ms, name);
    CREATE TABLE endpoints (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        region TEXT NOT NULL,
        name TEXT NOT NULL COLLATE NOCASE,
        arn TEXT NOT NULL,
        state TEXT NOT NULL,
        status TEXT NOT NULL,
        instances INTEGER NOT NULL,
        created_ms INTEGER NOT NULL,
        modified_ms INTEGER NOT NULL,
        UNIQUE (region, name)
    ) STRICT;
    CREATE UNIQUE INDEX endpoints_by_arn ON endpoints (arn);
    CREATE INDEX endpoints_by_creation ON endpoints (region, created_ms, name);
    CREATE INDEX endpoints_by_status ON endpoints (region, status, name);";
