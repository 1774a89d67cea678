//! The SageMaker contract of one algorithm, as a value.

use std::collections::BTreeMap;

use crate::channels::{ChannelFaults, ChannelSpec, InputChannels};
use crate::media::MediaType;
use crate::metrics::MetricSpec;
use crate::spec::{Conventions, Faults, Group, Spec, find};

/// The SageMaker contract of one algorithm.
#[derive(Clone, Copy, Debug)]
pub struct AlgorithmContract {
    /// The name of its image: `kmeans`.
    pub name: &'static str,
    /// Its usual name: `K-means`.
    pub title: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// Remarks in Markdown about its hyperparameters, channels and metrics; part of its page.
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
    /// Checks the content of a job's channels, as far as possible without reading the data.
    pub look_into: fn(&InputChannels) -> Result<(), ChannelFaults>,
    /// The metrics of a training job, in the form of SageMaker's `MetricDefinitions`.
    pub metrics: &'static [MetricSpec],
    /// The hyperparameter that sets the maximum number of epochs.
    pub epochs: &'static str,
    /// The number of machines that can train.
    pub hosts: Hosts,
    /// Media types of requests, the default first.
    pub accepts: &'static [MediaType],
    /// Media types of responses, the default first.
    pub answers: &'static [MediaType],
    /// The style of its refusals.
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

/// The number of machines that a training job may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// One; a second is refused.
    One,
    /// Any number.
    Many,
}
