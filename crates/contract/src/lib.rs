//! SageMaker's contract for containers and built-in algorithms, as data.
//!
//! Everything here is data about SageMaker and checks of that data:
//!
//! | module | promise |
//! |---|---|
//! | [`spec`] | the valid values of a hyperparameter, and its faults |
//! | [`media`] | media types, and the choice among them by headers |
//! | [`metrics`] | metrics, and their log lines |
//! | [`channels`] | input channels: those that an algorithm reads, and those of a job |
//! | [`algorithm_contract`] | all of that about one algorithm, as a value |
//! | [`resolve()`] | the way from strings to one checked, typed struct, with all faults at once |
//! | [`stored`] | reading hyperparameters that another version wrote |
//! | [`container`] | folders, configuration files, variables, failures, exit codes |
//! | [`algorithms`] | the tables of each algorithm: hyperparameters, rules, channels, metrics |
//! | [`registry`] | every algorithm, for programs without an engine |
//! | [`docs`] | help text and pages from the tables |
//!
//! A module uses only those above it; the crate uses no other crate of the workspace.

pub mod algorithm_contract;
pub mod algorithms;
pub mod channels;
pub mod container;
pub mod docs;
pub mod media;
pub mod metrics;
pub mod registry;
mod resolve;
pub mod spec;
pub mod stored;

pub use algorithm_contract::AlgorithmContract;
pub use channels::{ChannelFault, ChannelFaults, InputChannel, InputChannels};
pub use container::config_file::ConfigFileError;
pub use container::input_data::{ChannelError, InputDataConfig};
pub use container::layout::Layout;
pub use container::resources::ResourceConfig;
pub use media::{ContentType, MediaType};
pub use registry::{ALGORITHMS, algorithm};
pub use resolve::{Resolved, Rule, TUNING_OBJECTIVE, Table, resolve};
pub use spec::{AutoOr, Fault, FaultKind, Faults, Rows, Spec, nearest};
pub use stored::{Stored, resolve_stored};
