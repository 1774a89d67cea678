//! What SageMaker promises about containers and built-in algorithms, as data.
//!
//! Everything here is knowledge, not machinery:
//!
//! | module | promise |
//! |---|---|
//! | [`algorithms`] | the tables of each algorithm: hyperparameters, rules, channels, metrics |
//! | [`registry`] | every algorithm as a value, for programs that link no engine |
//! | [`spec`] | what a hyperparameter may be; help text and pages from the tables |
//! | [`resolve()`] | how strings become one checked, typed struct, with every fault at once |
//! | [`stored`] | how hyperparameters that another version wrote are read |
//! | [`container`] | folders, configuration files, channels, variables, failures, exit codes |
//! | [`metrics`] | metrics, and the log lines that carry them |
//! | [`media`] | media types, and how headers choose among them |
//!
//! It uses no other crate of the workspace.

pub mod algorithms;
pub mod container;
pub mod media;
pub mod metrics;
pub mod registry;
mod resolve;
pub mod spec;
pub mod stored;

pub use container::channels::{ChannelError, InputChannel, InputChannels, InputDataConfig};
pub use container::config_file::ConfigFileError;
pub use container::layout::Layout;
pub use container::resources::ResourceConfig;
pub use media::{ContentType, MediaType};
pub use registry::{ALGORITHMS, AlgorithmContract, algorithm};
pub use resolve::{Resolved, TUNING_OBJECTIVE, resolve};
pub use spec::{AutoOr, Fault, FaultKind, Faults, Spec, Table, nearest};
pub use stored::{Stored, resolve_stored};
