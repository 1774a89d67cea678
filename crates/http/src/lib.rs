//! How a server behaves on a bad day: with clients that are slow, gone, wrong or hostile, with too little memory, with bugs of its
//! own, and when it is told to stop.
//!
//! | module | promise |
//! |---|---|
//! | [`Server`] | connections are bounded in number, time and bytes; what was begun is finished before the end |
//! | [`memory`] | bodies, what they become, and answers are counted in one [`MemoryBudget`] |
//! | [`Incoming`] | a body is never held beyond its limit, and a client that stops sending is given up |
//! | [`Journal`] | each request has one line in the log and its place in the metrics, whichever way it ends |
//! | [`ServeError`] | one table from what is wrong to a status |
//! | [`Metrics`] | what every server counts; others add theirs to the same registry |
//!
//! It knows no model and no route: a server is an [`axum::Router`] and a [`Site`], which names routes and gives errors their form.

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
