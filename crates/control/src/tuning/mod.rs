//! Hyperparameter tuning jobs: what is known of them, and what happens to them.
//!
//! A tuning job creates training jobs, its children. [`TuningState`] has its life, `children` what each child was given and came to; the
//! two and the child's own row change in one transaction, so that a server that is killed neither loses a child nor creates one
//! twice. The [`tuner`](crate::tuner) works on them; which values are tried is the crate `kokanee_tuner`'s.

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
