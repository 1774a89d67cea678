//! `resourceconfig.json`: the machines of a training job.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config_file::{self, ConfigFileError};
use crate::algorithm_contract::{AlgorithmContract, Hosts};
use crate::spec::shown;

/// The machine that trains. Other keys of the file (newer ones name instance types and networks) are not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceConfig {
    /// The name of this machine, for instance `algo-1`; metric lines carry it.
    pub current_host: String,
    /// The names of all machines.
    pub hosts: Vec<String>,
}

/// The reason why a resource configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The file cannot be read or is not the JSON expected.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// More than one machine for an algorithm that trains on one.
    #[error(
        "{file} names {count} hosts ({hosts}): {algorithm} trains on a single machine, as SageMaker's does; set InstanceCount to 1"
    )]
    SeveralHosts {
        /// The algorithm.
        algorithm: String,
        /// The file.
        file: String,
        /// Number of hosts.
        count: usize,
        /// The first few hosts.
        hosts: String,
    },
    /// The machine's own name is not among the machines, or is not a usable name.
    #[error(
        "{file}: \"current_host\" is \"{current}\", which is not among \"hosts\" ({hosts}); expected a name without blanks or \
         commas that stands in both"
    )]
    UnknownHost {
        /// The file.
        file: String,
        /// The name given.
        current: String,
        /// The first few hosts.
        hosts: String,
    },
}

impl Default for ResourceConfig {
    /// One machine, with SageMaker's name for the first.
    fn default() -> Self {
        Self { current_host: "algo-1".to_owned(), hosts: vec!["algo-1".to_owned()] }
    }
}

impl ResourceConfig {
    /// Reads and checks the file; a missing file means the [`Default`].
    ///
    /// # Errors
    /// If the file is unreadable or malformed, or describes more machines than the algorithm trains on.
    pub fn read(path: &Path, contract: &AlgorithmContract) -> Result<Self, ResourceError> {
        match config_file::read_if_present(path)? {
            Some(text) => Self::parse(&text, path, contract),
            None => Ok(Self::default()),
        }
    }

    /// Parses and checks the text of a file; `path` is only used in messages.
    ///
    /// # Errors
    /// As [`ResourceConfig::read`].
    pub fn parse(text: &str, path: &Path, contract: &AlgorithmContract) -> Result<Self, ResourceError> {
        let config: Self = config_file::parse(text, path)?;
        let file = path.display().to_string();
        let hosts = config.hosts.iter().take(4).map(|host| shown(host)).collect::<Vec<_>>().join(", ");
        if config.hosts.len() > 1 && contract.hosts == Hosts::One {
            let (algorithm, count) = (contract.title.to_lowercase(), config.hosts.len());
            return Err(ResourceError::SeveralHosts { algorithm, file, count, hosts });
        }
        // The name is written into metric lines, whose patterns end it at a comma.
        let unusable = |c: char| c.is_whitespace() || c.is_control() || c == ',';
        let current = &config.current_host;
        if current.is_empty() || current.contains(unusable) || !config.hosts.contains(current) {
            return Err(ResourceError::UnknownHost { file, current: shown(current), hosts });
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithms::{kmeans, seq2seq};

    fn check(text: &str, expected: Result<&str, &str>) {
        match (ResourceConfig::parse(text, Path::new("resourceconfig.json"), &seq2seq::CONTRACT), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.current_host, expected),
            (Err(found), Err(expected)) => {
                assert!(found.to_string().contains(expected), "{found} lacks {expected:?}");
            }
            (found, expected) => panic!("{text}: found {found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn one_machine_only() {
        check(r#"{"current_host":"algo-1","hosts":["algo-1"]}"#, Ok("algo-1"));
        check(
            r#"{"current_host":"x","hosts":["x"],"network_interface_name":"eth0","instance_groups":[{}]}"#,
            Ok("x"),
        );
        check(
            r#"{"current_host":"algo-1","hosts":["algo-1","algo-2","algo-3"]}"#,
            Err("names 3 hosts (algo-1, algo-2, algo-3): sequence-to-sequence trains on a single machine"),
        );
        check(r#"{"current_host":"algo-2","hosts":["algo-1"]}"#, Err("\"current_host\" is \"algo-2\""));
        check(r#"{"current_host":"","hosts":[""]}"#, Err("expected a name"));
        check(r#"{"current_host":"a b","hosts":["a b"]}"#, Err("without blanks"));
        check(r#"{"hosts":[]}"#, Err("line 1, column 12: missing field `current_host`"));
        check(
            r#"{"current_host":"a","hosts":"a"}"#,
            Err("resourceconfig.json: line 1, column 31: invalid type"),
        );
    }

    #[test]
    fn an_algorithm_may_have_many_machines() {
        let text = r#"{"current_host":"algo-2","hosts":["algo-1","algo-2"]}"#;
        let found = ResourceConfig::parse(text, Path::new("f"), &kmeans::CONTRACT).unwrap();
        assert_eq!(found.hosts, ["algo-1", "algo-2"]);
        let written = serde_json::to_string(&found).unwrap();
        assert_eq!(ResourceConfig::parse(&written, Path::new("f"), &kmeans::CONTRACT).unwrap(), found);
    }

    #[test]
    fn an_absent_file_means_one_machine() {
        let folder = tempfile::tempdir().unwrap();
        let found =
            ResourceConfig::read(&folder.path().join("resourceconfig.json"), &seq2seq::CONTRACT).unwrap();
        assert_eq!(found, ResourceConfig::default());
        assert!(matches!(
            ResourceConfig::read(folder.path(), &seq2seq::CONTRACT),
            Err(ResourceError::File(_))
        ));
    }
}
