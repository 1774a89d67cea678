//! The contract of any container: folders, configuration files, channels, variables, failures, exit codes.
//!
//! The types of the configuration files are read and written here, so that a parent process writes with the types that its child
//! reads.

pub mod config_file;
pub mod environment;
pub mod failure;
pub mod input_data;
pub mod layout;
pub mod resources;
