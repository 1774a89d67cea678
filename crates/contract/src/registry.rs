//! The algorithms that Kokanee has, as values. A program that links no engine knows them from here.

use std::collections::BTreeMap;
use std::fmt;

use crate::algorithms::{kmeans, seq2seq};
use crate::container::channels::{ChannelError, ChannelSpec, InputChannels};
use crate::media::MediaType;
use crate::metrics::MetricSpec;
use crate::spec::{Faults, Group, Spec, find, nearest};

/// Every algorithm, the one that is meant where none is named first.
pub static ALGORITHMS: &[&AlgorithmContract] = &[&seq2seq::CONTRACT, &kmeans::CONTRACT];

/// The algorithm with this image name.
pub fn algorithm(name: &str) -> Option<&'static AlgorithmContract> {
    ALGORITHMS.iter().copied().find(|algorithm| algorithm.name == name)
}

/// As [`algorithm`].
///
/// # Errors
/// If there is none of this name; the error lists those that there are.
pub fn expect_algorithm(name: &str) -> Result<&'static AlgorithmContract, UnknownAlgorithm> {
    algorithm(name).ok_or_else(|| UnknownAlgorithm { name: name.to_owned() })
}

/// A name that no algorithm has.
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

/// Checks strings as [`resolve`](crate::resolve()) does, without naming the algorithm's type.
pub type Check = fn(&BTreeMap<String, String>) -> Result<Vec<String>, Faults>;

/// What SageMaker promises about one algorithm.
#[derive(Clone, Copy, Debug)]
pub struct AlgorithmContract {
    /// The name of its image: `kmeans`.
    pub name: &'static str,
    /// What people call it: `K-means`.
    pub title: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What of its hyperparameters, channels and metrics needs words, in Markdown; part of its page.
    pub remarks: &'static str,
    /// Every hyperparameter.
    pub hyperparameters: &'static [Spec],
    /// The headings of the hyperparameters, in their order.
    pub groups: &'static [Group],
    /// Names that are accepted without effect, each with the reason.
    pub service_hyperparameters: &'static [(&'static str, &'static str)],
    /// Checks the hyperparameters of a request; the strings are notes for the log.
    pub check: Check,
    /// The input channels of training.
    pub channels: &'static [ChannelSpec],
    /// Looks for what the channels of a job must hold, as far as that can be told without reading it.
    pub look_into: fn(&InputChannels) -> Result<(), ChannelError>,
    /// What a training measures, in the form of SageMaker's `MetricDefinitions`.
    pub metrics: &'static [MetricSpec],
    /// How many machines train.
    pub hosts: Hosts,
    /// Media types of requests, the default first.
    pub accepts: &'static [MediaType],
    /// Media types of answers, the default first.
    pub answers: &'static [MediaType],
    /// How it refuses.
    pub conventions: Conventions,
}

impl AlgorithmContract {
    /// The hyperparameter with this name or alias.
    pub fn hyperparameter(&self, name: &str) -> Option<&'static Spec> {
        find(self.hyperparameters, name)
    }

    /// The channel with this name.
    pub fn channel(&self, name: &str) -> Option<&'static ChannelSpec> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    /// The metric with this name, such as `test:msd`.
    pub fn metric(&self, name: &str) -> Option<&'static MetricSpec> {
        self.metrics.iter().find(|metric| metric.name == name)
    }
}

/// How many machines a training job may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// One; a second is refused.
    One,
    /// Any number.
    Many,
}

/// How faults in a job are worded, and what counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conventions {
    /// Those of sequence-to-sequence, whose real texts are not public: our own words, with all names in the first line. A channel
    /// that is not known plays no part.
    Sockeye,
    /// Those of the containers that share SageMaker's toolkit: texts begin with its words. A channel that is not known is a fault,
    /// and the tuning objective must be a metric of the algorithm.
    Toolkit,
}

#[cfg(test)]
mod tests;
