//! Hyperparameter tuning compatible with Amazon SageMaker, as pure functions over numbers.
//!
//! [`suggest`] takes a [`Space`], the [`Trial`]s so far, [`Options`] and a seed, and returns the next configuration. The same arguments
//! give the same suggestion on every machine of one kind. Nothing here knows jobs, clocks, files or threads: the caller runs the trials,
//! keeps the history, and asks again whenever a slot becomes free.
//!
//! ```
//! use kokanee_tuner::{Dimension, Goal, Options, Outcome, Scale, Space, Suggestion, Trial, suggest};
//!
//! let space = Space::new(vec![
//!     Dimension::continuous("learning_rate", 1e-4, 1e-1, Scale::Auto),
//!     Dimension::categorical("optimizer", ["sgd", "adam"]),
//! ])?;
//! let options = Options::bayesian(Goal::Minimize);
//! let mut trials = Vec::new();
//! for _ in 0..3 {
//!     let Suggestion::Configuration(values) = suggest(&space, &trials, &options, 1)? else { break };
//!     let loss = space.print(&values)[0].1.parse::<f64>()?; // train, and measure
//!     trials.push(Trial::new(values, Outcome::Finished(loss)));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate also has the rules that stop running trials, [`stopping`], with [`early_stopping`] and [`hyperband`]; those that end a tuning,
//! [`closing`]; and the analysis of a finished tuning's hyperparameters, [`importance`].

mod bayesian;
pub mod closing;
pub mod early_stopping;
mod gp;
mod grid;
mod history;
pub mod hyperband;
pub mod importance;
mod minimize;
mod normal;
mod options;
mod quasi_random;
mod space;
pub mod stopping;
mod suggest;
mod trial;

pub use options::{Options, Strategy, WarmStart};
pub use space::{Dimension, Range, Scale, Space, SpaceError, Value, ValueError};
pub use suggest::{SuggestError, Suggestion, suggest};
pub use trial::{Goal, Outcome, Source, Trial};
