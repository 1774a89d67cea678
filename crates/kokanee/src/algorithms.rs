//! The built-in algorithms: one line each.

use anyhow::{Result, bail};
use kokanee_algorithm::Algorithm;
use kokanee_contract::container::environment::Environment;
use kokanee_contract::registry::UnknownAlgorithm;
use kokanee_kmeans::KMeans;
use kokanee_seq2seq::Seq2Seq;

/// Every algorithm; the first is the default.
pub(crate) static ALGORITHMS: &[&dyn Algorithm] = &[&Seq2Seq, &KMeans];

/// The algorithm with this image name; if none is given, that of `KOKANEE_ALGORITHM`, otherwise the first of the table.
///
/// # Errors
/// When there is no algorithm of that name.
pub(crate) fn named(name: Option<&str>) -> Result<&'static dyn Algorithm> {
    let variable = |name: &str| std::env::var(name).ok();
    let (name, whence) = match (name, Environment::read(variable).algorithm) {
        (Some(name), _) => (name.to_owned(), "--algorithm"),
        (None, Some(name)) => (name, "KOKANEE_ALGORITHM"),
        (None, None) => return Ok(ALGORITHMS[0]),
    };
    match ALGORITHMS.iter().find(|algorithm| algorithm.contract().name == name) {
        Some(algorithm) => Ok(*algorithm),
        None => bail!("{whence}: {}; `kokanee algorithms` lists them", UnknownAlgorithm { name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_has_its_algorithm() {
        let names: Vec<&str> = ALGORITHMS.iter().map(|algorithm| algorithm.contract().name).collect();
        let contracts: Vec<&str> =
            kokanee_contract::ALGORITHMS.iter().map(|contract| contract.name).collect();
        assert_eq!(names, contracts);
    }

    #[test]
    fn a_name_that_is_not_known_is_told_with_those_that_are() {
        let error = named(Some("kmean")).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(
            error.contains("--algorithm: there is no algorithm \"kmean\"") && error.contains("kmeans"),
            "{error}"
        );
    }
}
