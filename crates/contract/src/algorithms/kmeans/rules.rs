//! Rules between hyperparameters of k-means that hold whatever the data are.

use super::CONTRACT;
use super::table::Hyperparameters;
use crate::algorithm_contract::AlgorithmContract;
use crate::resolve::{Rule, Table};
use crate::spec::AutoOr;

impl Table for Hyperparameters {
    const RULES: &'static [Rule<Self>] = RULES;

    fn contract() -> &'static AlgorithmContract {
        &CONTRACT
    }
}

/// Every rule. The first mini-batch holds at most `mini_batch_size` rows, and the initial centres are distinct rows of it.
const RULES: &[Rule<Hyperparameters>] = &[
    Rule {
        names: &["k", "mini_batch_size"],
        broken: |h| {
            (h.k > h.mini_batch_size).then(|| {
                format!(
                    "the {} centres are drawn from the first mini-batch, which has at most {} rows; set `mini_batch_size` to \
                     {} or more",
                    h.k, h.mini_batch_size, h.k
                )
            })
        },
    },
    Rule {
        names: &["extra_center_factor", "k", "mini_batch_size"],
        broken: |h| {
            let AutoOr::Value(factor) = h.extra_center_factor else { return None };
            let centres = h.k.saturating_mul(factor);
            // If `k` alone is too large, the rule above reports it.
            (centres > h.mini_batch_size && h.k <= h.mini_batch_size).then(|| {
                format!(
                    "k={} * extra_center_factor={factor} = {centres} centres are drawn from the first mini-batch, which has at \
                     most {} rows; lower `extra_center_factor`, or set `mini_batch_size` to {centres} or more",
                    h.k, h.mini_batch_size
                )
            })
        },
    },
];
