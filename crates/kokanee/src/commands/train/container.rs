//! Training as a SageMaker container: everything at fixed places under one folder, failures reported in a file.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use kokanee_algorithm::{JobFiles, Resume, TrainingJob};
use kokanee_contract::container::config_file;
use kokanee_contract::container::environment::Environment;
use kokanee_contract::container::failure::{Failure, FailureKind};
use kokanee_contract::{InputChannels, Layout, ResourceConfig};

use super::{execute, stop_on_signals};
use crate::output_file::write_file;
use crate::{algorithms, exit, process};

/// Trains; an error is written to the failure file as well.
///
/// # Errors
/// Errors of hyperparameters, channels or files, and those of the training.
pub(super) fn run(layout: &Layout, algorithm: Option<&str>) -> Result<()> {
    if !layout.prefix().is_dir() {
        bail!(
            "there is no folder {}: without --train, `kokanee train` runs as a SageMaker container and expects its input there \
             (--prefix FOLDER for another place); for files of your own see `kokanee train --help`",
            layout.prefix().display()
        );
    }
    forget_earlier_failure(&layout.failure())?;
    let result = exit::guarded(|| train(layout, algorithm));
    if let Err(error) = &result {
        // The failure itself must be reported; that it could not be written is only added.
        if let Err(second) = describe_failure(&layout.failure(), error) {
            exit::say(&format!("error: the failure could not be written down: {}", exit::describe(&second)));
        }
    }
    result
}

fn train(layout: &Layout, algorithm: Option<&str>) -> Result<()> {
    process::check_environment()?;
    let algorithm = algorithms::named(algorithm)?;
    let contract = algorithm.contract();
    let resources = ResourceConfig::read(&layout.resource_config(), contract)?;
    let mut notes = Vec::new();
    if let Some(name) = Environment::read(|name| std::env::var(name).ok()).training_job_name {
        notes.push(format!("training job {name}"));
    }
    let path = layout.hyperparameters();
    let hyperparameters = if path.exists() {
        config_file::read_hyperparameters(&path)?
    } else {
        notes.push(format!("{} does not exist: every hyperparameter has its default", path.display()));
        Default::default()
    };
    // Both kinds of faults are reported together, so that the user need not try twice.
    let channels = match ((contract.check)(&hyperparameters), InputChannels::locate(layout, contract)) {
        (Err(faults), Err(more)) => bail!("{faults}\n{more}"),
        (checked, channels) => {
            checked?;
            channels?
        }
    };
    let job = TrainingJob {
        hyperparameters,
        channels,
        files: JobFiles { model: layout.model(), checkpoints: layout.checkpoints(), archive: None },
        resume: Resume::IfPresent,
        host: resources.current_host.clone(),
        hosts: resources.hosts.len().max(1),
        stop: stop_on_signals()?,
        notes,
    };
    execute(algorithm, &job, false)
}

fn forget_earlier_failure(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)
            .with_context(|| format!("cannot remove the failure of an earlier run, {}", path.display())),
        _ => Ok(()),
    }
}

/// SageMaker shows the beginning of this text as `FailureReason`: who must act, then what is wrong.
fn describe_failure(path: &Path, error: &anyhow::Error) -> Result<()> {
    let kind = if exit::is_our_fault(error) { FailureKind::Algorithm } else { FailureKind::Client };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let failure = Failure { kind, message: exit::describe(error) };
    write_file(path, &format!("{failure}\n"))
}
