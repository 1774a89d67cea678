//! The container contract of all algorithms: folders, configuration files, channels, variables, failures, exit codes.
//!
//! Configuration files are read and written with the same types, so that a parent process and its child agree.

pub mod config_file;
pub mod environment;
pub mod failure;
pub mod input_data;
pub mod layout;
pub mod resources;
