//! Serving: from requests to answers.
//!
//! A body becomes instances ([`codec`]), instances become sentences of ids that are decoded together with those of all other
//! requests (`batcher`), and the answers become a body of the requested type. [`Service`] is all of that without HTTP; as a
//! [`Backend`](kokanee_endpoint::Backend) it runs behind the serving shell of all algorithms. [`Translator`] is the same model for
//! commands that work offline, with all text available.

mod attention;
mod backend;
mod batcher;
pub mod codec;
mod conversation;
mod counts;
mod invocation;
mod metrics;
mod page;
mod prepared;
pub mod service;
pub mod translator;

pub use attention::AttentionMatrix;
pub use codec::Answered;
pub use service::{Service, ServiceError, ServiceSettings};
pub use translator::{Answer, PairScore, Sentence, Shortlists, Translator, TranslatorError, Vocabularies};
