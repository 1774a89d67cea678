//! What SageMaker promises about containers and built-in algorithms, as data.
//!
//! Everything here is knowledge, not machinery:
//!
//! | module | promise |
//! |---|---|
//! | [`spec`] | what a hyperparameter may be, and what can be wrong with it |
//! | [`media`] | media types, and how headers choose among them |
//! | [`metrics`] | metrics, and the log lines that carry them |
//! | [`channels`] | input channels: those that an algorithm reads, and those that a job has |
//! | [`algorithm_contract`] | all of that about one algorithm, as a value |
//! | [`resolve()`] | how strings become one checked, typed struct, with every fault at once |
//! | [`stored`] | how hyperparameters that another version wrote are read |
//! | [`container`] | folders, configuration files, variables, failures, exit codes |
//! | [`algorithms`] | the tables of each algorithm: hyperparameters, rules, channels, metrics |
//! | [`registry`] | every algorithm, for programs that link no engine |
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
