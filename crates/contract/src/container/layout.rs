//! Paths of a SageMaker training container's input and output.

use std::path::{Path, PathBuf};

/// Seconds between SageMaker's SIGTERM (`StopTrainingJob`, or the stopping condition) and its SIGKILL.
pub const STOP_GRACE_SECONDS: u64 = 120;

/// The folders and files of the training container contract, under `/opt/ml` or elsewhere.
///
/// Source: the guide's chapter "Using Your Own Training Algorithms"; [`Layout::checkpoints`] is SageMaker's default for
/// `CheckpointConfig.LocalPath`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    prefix: PathBuf,
}

impl Layout {
    /// The layout inside a container: everything under `/opt/ml`.
    pub fn opt_ml() -> Self {
        Self::under("/opt/ml")
    }

    /// The same layout under another folder.
    pub fn under(prefix: impl Into<PathBuf>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The folder that everything is under.
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// `input/config/hyperparameters.json`: names to strings.
    pub fn hyperparameters(&self) -> PathBuf {
        self.prefix.join("input/config/hyperparameters.json")
    }

    /// `input/config/inputdataconfig.json`; see [`super::input_data`].
    pub fn input_data_config(&self) -> PathBuf {
        self.prefix.join("input/config/inputdataconfig.json")
    }

    /// `input/config/resourceconfig.json`; see [`super::resources`].
    pub fn resource_config(&self) -> PathBuf {
        self.prefix.join("input/config/resourceconfig.json")
    }

    /// `input/data/<channel>`: the folder of one channel in File mode. In Pipe mode its streams are `input/data/<channel>_<epoch>`.
    pub fn channel(&self, name: &str) -> PathBuf {
        self.prefix.join("input/data").join(name)
    }

    /// `model`: the folder that becomes `model.tar.gz`.
    pub fn model(&self) -> PathBuf {
        self.prefix.join("model")
    }

    /// `output`: information about the run.
    pub fn output(&self) -> PathBuf {
        self.prefix.join("output")
    }

    /// `output/failure`: why the run failed; SageMaker reads the first [`FAILURE_LIMIT_CHARS`](super::failure::FAILURE_LIMIT_CHARS) characters of it.
    pub fn failure(&self) -> PathBuf {
        self.prefix.join("output/failure")
    }

    /// `checkpoints`: the state to resume from, kept when a job is interrupted.
    pub fn checkpoints(&self) -> PathBuf {
        self.prefix.join("checkpoints")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_guide() {
        let layout = Layout::opt_ml();
        let check = |found: PathBuf, expected: &str| assert_eq!(found, Path::new(expected));
        check(layout.hyperparameters(), "/opt/ml/input/config/hyperparameters.json");
        check(layout.input_data_config(), "/opt/ml/input/config/inputdataconfig.json");
        check(layout.resource_config(), "/opt/ml/input/config/resourceconfig.json");
        check(layout.channel("train"), "/opt/ml/input/data/train");
        check(layout.model(), "/opt/ml/model");
        check(layout.output(), "/opt/ml/output");
        check(layout.failure(), "/opt/ml/output/failure");
        check(layout.checkpoints(), "/opt/ml/checkpoints");
        check(Layout::under("here").model(), "here/model");
    }
}
