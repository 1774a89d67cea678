//! Turns an image into a task.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::patient::ask;
use super::{OwnImage, OwnImageError, RegisteredImage, opt_ml};
use crate::engine::Task;

/// How long the clean-up after a task may take.
const CLEANUP_PATIENCE: Duration = Duration::from_secs(30);

/// The purpose and the settings of an image's start.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// Training or serving.
    pub purpose: Purpose,
    /// The task's own name: letters, digits and hyphens.
    pub name: &'a str,
    /// The ARN that identifies the task.
    pub arn: &'a str,
    /// The folder that the image sees as `/opt/ml`.
    pub folder: &'a Path,
    /// Variables of its environment.
    pub environment: BTreeMap<String, String>,
    /// Replaces the image's own entrypoint; may be empty.
    pub entrypoint: Vec<String>,
    /// Replaces `train`; may be empty.
    pub arguments: Vec<String>,
}

/// The purpose for which an image runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Trains, and ends.
    Train,
    /// Serves until it is told to end.
    Serve {
        /// The port of this machine that must answer. A container serves on 8080, to which the port is forwarded; a registered program gets
        /// the port in `SAGEMAKER_BIND_TO_PORT`.
        port: u16,
    },
}

/// A task that runs an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The task.
    pub task: Task,
    /// Ends the remains of the task, before its start and after its end. A container outlives the program that started it.
    pub cleanup: Option<Task>,
}

impl Purpose {
    /// The argument that tells an image its purpose.
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
    /// If the image cannot serve this purpose.
    pub fn launch(&self, launch: &Launch<'_>) -> Result<Launched, OwnImageError> {
        match self {
            Self::Registered(image) => image.launch(launch),
            Self::Container(image) => image.launch(launch),
        }
    }
}

impl Launched {
    /// Ends the remains of the task, if there can be any.
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
