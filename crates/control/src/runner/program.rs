//! The program of a job: that of a built-in algorithm, or that of a user's own image.

use kokanee_contract::ResourceConfig;
use kokanee_contract::container::environment::Environment;

use super::job_folder::JobFolder;
use super::{RunError, Runner};
use crate::engine::Task;
use crate::images::{self, Launch, Launched, OwnImageError, Purpose};
use crate::training::{Secondary, TrainingJob, TrainingRequest};

/// The task that trains.
pub(super) fn program(
    runner: &Runner,
    job: &TrainingJob,
    request: &TrainingRequest,
    folder: &JobFolder,
) -> Result<Launched, RunError> {
    let platform = Environment {
        training_job_name: Some(job.name.clone()),
        training_job_arn: Some(job.arn.clone()),
        algorithm: job.state.algorithm.clone(),
        ..Environment::default()
    };
    let platform = platform.variables().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    // A request's variables must not override the platform's.
    let mut environment = request.program.environment.clone();
    environment.extend(platform);
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        environment.insert(name.to_owned(), job.region.clone());
    }
    if job.state.algorithm.is_some() {
        let prefix = folder.prefix();
        let prefix = prefix.to_str().ok_or_else(|| {
            RunError::Machine(format!("{} is no UTF-8: choose another --data folder", prefix.display()))
        })?;
        let task = Task {
            program: runner.program.clone(),
            arguments: ["train", "--prefix", prefix].map(str::to_owned).to_vec(),
            environment,
            directory: None,
        };
        return Ok(Launched { task, cleanup: None });
    }
    let image =
        job.request.get("AlgorithmSpecification").and_then(|algorithm| algorithm["TrainingImage"].as_str());
    let image = images::resolve(&runner.folder, image.unwrap_or_default())?;
    Ok(image.launch(&Launch {
        purpose: Purpose::Train,
        name: &format!("{}-{}", job.region, job.name),
        arn: &job.arn,
        folder: folder.prefix(),
        environment,
        entrypoint: request.program.entrypoint.clone(),
        arguments: request.program.arguments.clone(),
    })?)
}

/// The machines that the program is told about. A built-in algorithm does the work of all machines, or refuses; a user's own program would
/// wait for machines that do not exist.
pub(super) fn hosts(job: &TrainingJob, request: &TrainingRequest) -> ResourceConfig {
    let one = ResourceConfig::default();
    if job.state.algorithm.is_none() {
        return one;
    }
    let mut hosts: Vec<String> =
        (1..=request.instances.min(MOST_HOSTS)).map(|host| format!("algo-{host}")).collect();
    hosts.sort();
    ResourceConfig { hosts, ..one }
}

/// The most machines that a job may have. More names in a file would be of no use.
const MOST_HOSTS: u64 = 1000;

/// The message while the program runs, if the run differs from the request.
pub(super) fn training_message(request: &TrainingRequest) -> Option<String> {
    (request.instances > 1).then(|| {
        format!(
            "{} InstanceCount is {}, but this machine is the only one: algo-1 gets all data and does all work.",
            Secondary::Training.message(),
            request.instances
        )
    })
}

impl From<OwnImageError> for RunError {
    fn from(error: OwnImageError) -> Self {
        match error {
            OwnImageError::Unknown { .. } | OwnImageError::NoCommand { .. } => {
                Self::Client(error.to_string())
            }
            _ => Self::Machine(error.to_string()),
        }
    }
}
