//! Docker and Podman, through their command lines.

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
/// How long an answer is cached: thousands of jobs created at once need not ask thousands of times.
const REMEMBERED: Duration = Duration::from_secs(2);
/// The prefix of containers' names, and the label that holds the ARN of the job.
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

/// The last answer, and its time.
static FOUND: Mutex<Option<(Instant, Result<ContainerTool, String>)>> = Mutex::new(None);

impl ContainerTool {
    /// The tool that answers, or answered a moment ago; if there is none, the messages of all tools.
    pub(super) fn find() -> Result<Self, String> {
        // Callers wait for one another, so that one answer serves all.
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
                // The client always knows its own version, so this asks for the server's.
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
    /// An image as a request names it. An image that is present under its name without the registry of ECR is used, too.
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
        // As on AWS, an entrypoint from the request gets no argument for its purpose.
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
