//! The server shell, which handles slow, disconnected, faulty and hostile clients, lack of memory, its own bugs, and the request to stop.
//!
//! | module | promise |
//! |---|---|
//! | [`Server`] | connections are bounded in number, time and bytes; running requests are finished before the end |
//! | [`memory`] | bodies, their decoded data, and responses are counted in one [`MemoryBudget`] |
//! | [`Incoming`] | a body never takes more than its limit, and a client that stops sending is dropped |
//! | [`Journal`] | each request has one log line and its entry in the metrics, however it ends |
//! | [`ServeError`] | one table maps errors to statuses |
//! | [`Metrics`] | the metrics of every server; others are added to the same registry |
//!
//! It knows no models or routes: a server is an [`axum::Router`] and a [`Site`], which names routes and formats errors.

mod answer;
mod connection;
mod counters;
mod error;
mod incoming;
mod journal;
pub mod memory;
pub mod metrics;
mod rope;
mod server;
mod settings;
mod site;
mod timed_stream;
mod tunnel;

pub use answer::{Pieces, refuse, status, stream};
pub use connection::{Passage, PassedOn};
pub use counters::{Columns, Counters, Line};
pub use error::{Code, ServeError};
pub use incoming::{Incoming, too_large};
pub use journal::Journal;
pub use memory::{Counted, MemoryBudget, Share};
pub use metrics::Metrics;
pub use rope::{Rope, RopeReader};
pub use server::{BindError, Ended, Server, Shell};
pub use settings::{Bounds, Patience};
pub use site::{Route, Site};
