//! Training as SageMaker runs it: everything at fixed places under one folder, failures told in a file.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use kokanee_contract::algorithms::seq2seq::{self, Hyperparameters, TrainingChannels};
use kokanee_contract::container::config_file::read_hyperparameters;
use kokanee_contract::container::environment::Environment;
use kokanee_contract::container::failure::{Failure, FailureKind};
use kokanee_contract::{InputDataConfig, Layout, ResourceConfig};
use kokanee_seq2seq_train::{JobFiles, Resume};

use super::{JobRequest, execute};
use crate::output_file::write_file;
use crate::{exit, process};

/// Trains; whatever goes wrong is written to the failure file as well.
///
/// # Errors
/// Whatever is wrong with hyperparameters, channels or files, or happens to the training.
pub(super) fn run(layout: &Layout) -> Result<()> {
    if !layout.prefix().is_dir() {
        bail!(
            "there is no folder {}: without --train, `kokanee train` runs as a SageMaker container and expects its input there \
             (--prefix FOLDER for another place); for files of your own see `kokanee train --help`",
            layout.prefix().display()
        );
    }
    forget_earlier_failure(&layout.failure())?;
    let result = exit::guarded(|| train(layout));
    if let Err(error) = &result {
        // The failure itself is what must be heard; that it could not be written down is only added.
        if let Err(second) = describe_failure(&layout.failure(), error) {
            exit::say(&format!("error: the failure could not be written down: {}", exit::describe(&second)));
        }
    }
    result
}

fn train(layout: &Layout) -> Result<()> {
    process::check_environment()?;
    let resources = ResourceConfig::read(&layout.resource_config(), &seq2seq::CONTRACT)?;
    let mut notes = Vec::new();
    let environment = Environment::read(|name| std::env::var(name).ok());
    if let Some(name) = environment.training_job_name {
        notes.push(format!("training job {name}"));
    }
    let path = layout.hyperparameters();
    let raw = if path.exists() {
        read_hyperparameters(&path)?
    } else {
        notes.push(format!("{} does not exist: every hyperparameter has its default", path.display()));
        Default::default()
    };
    let config = InputDataConfig::read(&layout.input_data_config(), &seq2seq::CONTRACT)?;
    notes.extend(config.iter().flat_map(|config| config.notes(&seq2seq::CONTRACT)));
    // Whoever mends one kind of fault should not have to come back for the other.
    let (hyperparameters, channels) = match (Hyperparameters::resolve(&raw), TrainingChannels::locate(layout))
    {
        (Err(faults), Err(more)) => bail!("{faults}\n{more}"),
        (hyperparameters, channels) => (hyperparameters?, channels?),
    };
    let request = JobRequest {
        hyperparameters,
        channels,
        files: JobFiles { model: layout.model(), checkpoints: layout.checkpoints(), archive: None },
        resume: Resume::IfPresent,
    };
    execute(request, &resources.current_host, false, &notes)?;
    Ok(())
}

fn forget_earlier_failure(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error)
            .with_context(|| format!("cannot remove the failure of an earlier run, {}", path.display())),
        _ => Ok(()),
    }
}

/// What SageMaker shows as `FailureReason` is the beginning of this text: who must act, then what is wrong.
fn describe_failure(path: &Path, error: &anyhow::Error) -> Result<()> {
    let kind = if exit::is_our_fault(error) { FailureKind::Algorithm } else { FailureKind::Client };
    let failure = Failure { kind, message: exit::describe(error) };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    write_file(path, &format!("{failure}\n"))
}
