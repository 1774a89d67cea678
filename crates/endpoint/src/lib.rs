//! The server side of SageMaker's inference contract, shared by all algorithms.
//!
//! A [`Backend`] is a loaded model: the types that it reads and writes, and one function from a request to its response. [`Endpoint`] adds
//! SageMaker's inference contract: the phases of a container, `/ping`, `/invocations`, `/execution-parameters`, `/metrics` and a page to
//! try it by hand. [`invoke_blocking`] does the same without HTTP, for batch transform.

mod app;
mod backend;
pub mod config;
mod head;
mod negotiation;
mod offline;
mod page;
mod routes;
mod server;
pub mod tabular;

pub use app::ended;
pub use backend::{Backend, Body, BoxFuture, Call, Reply, Shown, Visit};
pub use config::{BatchStrategy, ServerSettings, SettingsError};
pub use head::Head;
pub use kokanee_pages::Escaped;
pub use negotiation::{answer_type, body_type};
pub use offline::invoke_blocking;
pub use page::error_note;
pub use server::{Endpoint, LoadError, ServerError, metrics};
