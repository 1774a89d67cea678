//! Encoder-decoder models: layers, parameters, search and artefacts.
//!
//! This crate handles ids, never text. Shapes: B sentences or hypotheses, S source tokens and T target tokens of a whole batch one
//! after the other, E embedding, H units of a layer, A attention units, V vocabulary.

#[cfg(test)]
mod architectures;
pub mod artifact;
mod attention;
pub mod batch;
pub mod config;
mod convolution;
pub mod decode;
mod decoder;
mod encoder;
#[cfg(test)]
mod golden;
mod graph;
pub mod init;
pub mod memory;
pub mod model;
mod number_format;
pub mod params;
pub mod random;
mod rnn;
mod weights;

pub use artifact::{Artifact, ArtifactError, LengthStatistics};
pub use batch::Batch;
pub use config::ModelConfig;
pub use model::{BatchLoss, Model, ModelError, Side};
pub use number_format::FormatError;
pub use params::{Parameter, ParameterMismatch, Parameters};
