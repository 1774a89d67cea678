//! How a request becomes an answer.
//!
//! A body becomes instances ([`codec`]), instances become sentences of ids that are decoded together with those of all other
//! requests (`batcher`), and the answers become a body of the type asked for. [`Service`] is all of that without HTTP, and
//! [`Server`] puts HTTP around it as SageMaker's containers have it; [`transform`] makes files of answers from files of requests.
//! [`Translator`] is the same model for commands that work offline, with all text at hand.

mod answered;
mod app;
mod attention;
mod batcher;
pub mod codec;
pub mod config;
mod conversation;
pub mod error;
mod incoming;
mod journal;
mod memory;
pub mod metrics;
mod page;
mod prepared;
mod rope;
mod server;
pub mod service;
mod timed_stream;
pub mod transform;
pub mod translator;

pub use answered::Answered;
pub use attention::AttentionMatrix;
pub use config::{BatchStrategy, Patience, ServerSettings, SettingsError};
pub use error::{Code, ServeError};
pub use metrics::Metrics;
pub use server::{Ended, LoadError, Server, ServerError};
pub use service::{Service, ServiceError, ServiceSettings, Tally};
pub use translator::{Answer, PairScore, Sentence, Shortlists, Translator, TranslatorError, Vocabularies};
