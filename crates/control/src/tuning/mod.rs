//! Hyperparameter tuning jobs: what is known of them, and what happens to them.
//!
//! A tuning job creates training jobs, its children. [`TuningState`] has its life, `children` what each child was given and came to; the
//! two and the child's own row change in one transaction, so that a server that is killed neither loses a child nor creates one
//! twice. `decision` says what is to be done next, from these alone; [`Tuner`] does it. Which values are tried is the crate
//! `kokanee_tuner`'s.

mod child;
mod children;
mod decision;
mod definition;
mod jobs;
mod list;
mod search;
mod state;
mod tuner;
mod warm_start;

pub use child::Child;
pub(crate) use children::best;
pub use definition::{Definition, DefinitionError, ranges};
pub(crate) use jobs::SCHEMA;
pub use jobs::{NewTuningJob, Tuning, TuningJob, TuningJobs};
pub use list::Listed;
pub use state::{Closing, Counters, Limits, Outcome, StrategyKind, TuningState};
pub use tuner::Tuner;
pub(crate) use tuner::seed;
pub(crate) use warm_start::{MOST_TRAININGS, WarmStartError, check as check_warm_start};

#[cfg(test)]
mod tests;
