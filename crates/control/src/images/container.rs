//! Docker and Podman, by their command lines.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::patient::ask;
use super::{ContainerImage, ImageName, Launch, Launched, OwnImageError, Purpose};
use crate::engine::Task;

/// How long a tool may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an answer counts: jobs that are created by the thousand need not ask a thousand times.
const REMEMBERED: Duration = Duration::from_secs(2);
/// What a container is called, and what the label with the ARN of its job is.
const NAME_PREFIX: &str = "kokanee-";
const LABEL: &str = "kokanee.job";
/// The port that a container serves on.
const SERVING_PORT: u16 = 8080;

/// A program that runs containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContainerTool {
    /// Its daemon may be down.
    Docker,
    /// It has no daemon.
    Podman,
}

/// What was found last, and when.
static FOUND: Mutex<Option<(Instant, Result<ContainerTool, String>)>> = Mutex::new(None);

impl ContainerTool {
    /// The one that answers, or answered a moment ago; what each said where none does.
    pub(super) fn find() -> Result<Self, String> {
        // Callers wait for one another, so that one asks for all.
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answer)) = found.as_ref().filter(|(when, _)| when.elapsed() < REMEMBERED) {
            return answer.clone();
        }
        let answer = Self::ask_each();
        *found = Some((Instant::now(), answer.clone()));
        answer
    }

    fn ask_each() -> Result<Self, String> {
        let mut said = Vec::new();
        for tool in [Self::Docker, Self::Podman] {
            let mut command = Command::new(tool.program());
            command.args(match tool {
                // The client alone knows its own version.
                Self::Docker => ["version", "--format", "{{.Server.Version}}"].as_slice(),
                Self::Podman => &["info", "--format", "{{.Version.Version}}"],
            });
            match ask(&mut command, PATIENCE) {
                Ok(_) => return Ok(tool),
                Err(problem) => said.push(problem),
            }
        }
        Err(said.join("; "))
    }

    fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

impl ContainerImage {
    /// An image as a request names it. One that is here under its name without the registry of ECR will do.
    pub(super) fn of(tool: ContainerTool, image: &str) -> Self {
        let is_here = |name: &str| {
            ask(
                Command::new(tool.program()).args(["image", "inspect", "--format", "{{.Id}}", name]),
                PATIENCE,
            )
            .is_ok()
        };
        let short = ImageName::parse(image).to_string();
        let name = if !is_here(image) && is_here(&short) { short } else { image.to_owned() };
        Self { tool, name }
    }

    pub(super) fn launch(&self, launch: &Launch<'_>) -> Result<Launched, OwnImageError> {
        let folder = launch.folder.to_str().filter(|folder| !folder.contains(':'));
        let folder = folder.ok_or_else(|| OwnImageError::Folder(launch.folder.display().to_string()))?;
        let name = format!("{NAME_PREFIX}{}", launch.name);
        let mut arguments: Vec<String> =
            ["run", "--rm", "--name", &name, "--label", &format!("{LABEL}={}", launch.arn)]
                .map(str::to_owned)
                .to_vec();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
        match launch.purpose {
            Purpose::Train => add(&["--network", "none"]),
            Purpose::Serve { port } => add(&["--publish", &format!("127.0.0.1:{port}:{SERVING_PORT}")]),
        }
        add(&["--volume", &format!("{folder}:/opt/ml")]);
        for (variable, value) in &launch.environment {
            add(&["--env", &format!("{variable}={value}")]);
        }
        let (first, rest) = match launch.entrypoint.split_first() {
            Some((first, rest)) => (Some(first), rest),
            None => (None, [].as_slice()),
        };
        if let Some(first) = first {
            add(&["--entrypoint", first]);
        }
        add(&[&self.name]);
        rest.iter().chain(&launch.arguments).for_each(|word| add(&[word]));
        // An entrypoint of the request's own is not told what it is for, as on AWS.
        if launch.arguments.is_empty() && first.is_none() {
            add(&[launch.purpose.name()]);
        }
        let cleanup = ["rm", "--force", &name].map(str::to_owned).to_vec();
        Ok(Launched { task: self.task(arguments), cleanup: Some(self.task(cleanup)) })
    }

    fn task(&self, arguments: Vec<String>) -> Task {
        Task {
            program: Path::new(self.tool.program()).to_owned(),
            arguments,
            environment: BTreeMap::new(),
            directory: None,
        }
    }
}
