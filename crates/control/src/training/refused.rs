//! Hyperparameters that an algorithm refuses, found before its program starts.

use std::collections::BTreeMap;

use kokanee_contract::AlgorithmContract;
use kokanee_contract::container::failure::{Failure, FailureKind};

/// The algorithm's message against its hyperparameters, if any. As on AWS, the job fails, not the call.
pub fn refused_hyperparameters(
    contract: &AlgorithmContract,
    given: &BTreeMap<String, String>,
) -> Option<String> {
    let faults = (contract.check)(given).err()?;
    Some(Failure { kind: FailureKind::Client, message: faults.to_string() }.to_string())
}
