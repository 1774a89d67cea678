//! From an image to a task.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::patient::ask;
use super::{OwnImage, OwnImageError, RegisteredImage, opt_ml};
use crate::engine::Task;

/// How long it may take to end what a task left behind.
const CLEANUP_PATIENCE: Duration = Duration::from_secs(30);

/// What an image is started for, and with.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// To train or to serve.
    pub purpose: Purpose,
    /// A name of the task's own: letters, digits and hyphens.
    pub name: &'a str,
    /// The ARN that the task is known by.
    pub arn: &'a str,
    /// What the image has as `/opt/ml`.
    pub folder: &'a Path,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// Instead of the image's own; may be empty.
    pub entrypoint: Vec<String>,
    /// Instead of `train`; may be empty.
    pub arguments: Vec<String>,
}

/// What an image is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Train, and end.
    Train,
    /// Serve until it is told to end.
    Serve {
        /// The port of this machine that is to answer. A container serves on 8080, which the port leads to; a registered program
        /// is told the port as `SAGEMAKER_BIND_TO_PORT`.
        port: u16,
    },
}

/// A task that runs an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The task.
    pub task: Task,
    /// What ends whatever of it is left, before it is started and after it has ended. A container outlives the program that began it.
    pub cleanup: Option<Task>,
}

impl Purpose {
    /// The argument that tells an image.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Serve { .. } => "serve",
        }
    }
}

impl OwnImage {
    /// The task that runs the image.
    ///
    /// # Errors
    /// If the image cannot do it.
    pub fn launch(&self, launch: &Launch<'_>) -> Result<Launched, OwnImageError> {
        match self {
            Self::Registered(image) => image.launch(launch),
            Self::Container(image) => image.launch(launch),
        }
    }
}

impl Launched {
    /// Ends what is left of the task, where anything can be.
    pub fn clean_up(&self) {
        let Some(Task { program, arguments, .. }) = &self.cleanup else { return };
        if let Err(problem) = ask(Command::new(program).args(arguments), CLEANUP_PATIENCE) {
            tracing::debug!(problem, "nothing was left of a task, or it cannot be ended");
        }
    }
}

impl RegisteredImage {
    fn launch(&self, launch: &Launch<'_>) -> Result<Launched, OwnImageError> {
        let own = match launch.purpose {
            Purpose::Train => &self.train,
            Purpose::Serve { .. } => &self.serve,
        };
        let entrypoint = if launch.entrypoint.is_empty() { own } else { &launch.entrypoint };
        let words: Vec<String> = entrypoint.iter().chain(&launch.arguments).cloned().collect();
        if entrypoint.is_empty() {
            return Err(OwnImageError::NoCommand {
                image: self.name.clone(),
                purpose: launch.purpose.name(),
            });
        }
        let mut environment = launch.environment.clone();
        if let Purpose::Serve { port } = launch.purpose {
            environment.insert("SAGEMAKER_BIND_TO_PORT".to_owned(), port.to_string());
        }
        let (words, prefix) = opt_ml::bind(launch.folder, words)?;
        environment.insert(opt_ml::PREFIX_VARIABLE.to_owned(), prefix);
        let mut words = words.into_iter();
        let task = Task {
            program: words.next().unwrap_or_default().into(),
            arguments: words.collect(),
            environment,
            directory: Some(self.directory.clone()),
        };
        Ok(Launched { task, cleanup: None })
    }
}
