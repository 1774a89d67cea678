//! Kokanee's algorithms as values, also for programs without an engine.

use std::fmt;

use crate::algorithm_contract::AlgorithmContract;
use crate::algorithms::{kmeans, seq2seq};
use crate::spec::nearest;

/// Every algorithm; the first is the default where none is named.
pub static ALGORITHMS: &[&AlgorithmContract] = &[&seq2seq::CONTRACT, &kmeans::CONTRACT];

/// The algorithm with this image name.
pub fn algorithm(name: &str) -> Option<&'static AlgorithmContract> {
    ALGORITHMS.iter().copied().find(|algorithm| algorithm.name == name)
}

/// As [`algorithm`].
///
/// # Errors
/// If no algorithm has this name; the error lists the existing ones.
pub fn expect_algorithm(name: &str) -> Result<&'static AlgorithmContract, UnknownAlgorithm> {
    algorithm(name).ok_or_else(|| UnknownAlgorithm { name: name.to_owned() })
}

/// The error of an unknown algorithm name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownAlgorithm {
    /// The name.
    pub name: String,
}

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.name).collect();
        write!(
            f,
            "there is no algorithm \"{}\": expected one of {}",
            crate::spec::shown(&self.name),
            names.join(", ")
        )?;
        match nearest(&self.name, names) {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownAlgorithm {}

#[cfg(test)]
mod tests;
