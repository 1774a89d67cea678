//! Hyperparameter tuning jobs: their state and its changes.
//!
//! A tuning job creates training jobs, its children. [`TuningState`] holds its life, and `children` the settings and results of each child.
//! Both change together with the child's own row in one transaction, so that a killed server neither loses a child nor creates one twice.
//! The [`tuner`](crate::tuner) runs them; the crate `kokanee_tuner` chooses the values to try.

mod child;
mod children;
mod definition;
mod jobs;
mod state;
mod warm_start;

pub use child::Child;
pub(crate) use children::{best, ended};
pub(crate) use definition::OBJECTIVE_HYPERPARAMETER;
pub use definition::{Definition, DefinitionError, ranges};
pub(crate) use jobs::SCHEMA;
pub use jobs::{NewTuningJob, Tuning, TuningDetail, TuningJob, TuningJobs};
pub(crate) use state::seed;
pub use state::{Counters, Limits, Outcome, StrategyKind, TuningState};
pub(crate) use warm_start::{MOST_TRAININGS, WarmStartError, check as check_warm_start};

#[cfg(test)]
pub(crate) mod tests;
