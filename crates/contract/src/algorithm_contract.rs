//! What SageMaker promises about one algorithm, as a value.

use std::collections::BTreeMap;

use crate::channels::{ChannelFaults, ChannelSpec, InputChannels};
use crate::media::MediaType;
use crate::metrics::MetricSpec;
use crate::spec::{Conventions, Faults, Group, Spec, find};

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
    pub look_into: fn(&InputChannels) -> Result<(), ChannelFaults>,
    /// What a training measures, in the form of SageMaker's `MetricDefinitions`.
    pub metrics: &'static [MetricSpec],
    /// The hyperparameter that says how many epochs a training has at most.
    pub epochs: &'static str,
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

/// Checks strings as [`resolve`](crate::resolve()) does, without naming the algorithm's type.
pub type Check = fn(&BTreeMap<String, String>) -> Result<Vec<String>, Faults>;

/// How many machines a training job may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// One; a second is refused.
    One,
    /// Any number.
    Many,
}
