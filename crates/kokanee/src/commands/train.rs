//! `kokanee train`: as a SageMaker training container, or with files named on the command line.

mod container;
mod progress;
mod signals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_contract::algorithms::seq2seq::{self, Hyperparameters, TrainingChannels};
use kokanee_contract::container::config_file::read_hyperparameters;
use kokanee_contract::spec::docs;
use kokanee_contract::{Layout, ResourceConfig};
use kokanee_seq2seq_train::{
    InitialModel, JobFiles, LogLines, Observer, Outcome, Resume, TrainingData, TrainingJob,
};

pub(crate) use progress::ProgressLine;
pub(crate) use signals::stop_on_signals;

use crate::exit::say;
use crate::folder_locks::FolderLocks;
use crate::process;

const EXAMPLES: &str = "\
Examples:
  kokanee train --train data/train.rec --validation data/val.rec \\
      --vocab data --output model --set rnn_num_hidden=512
  kokanee train --train data/train.rec --validation data/val.rec \\
      --vocab data --output model --set rnn_num_hidden=512 --resume
      goes on where the first one was interrupted
  kokanee train --train new/train.rec --validation new/val.rec \\
      --vocab new --output better --set rnn_num_hidden=512 --init-from model
      starts from the parameters of an earlier model
  kokanee train --prefix job
      as a SageMaker container, with job/ in place of /opt/ml
  kokanee train
      as a SageMaker container

Ctrl-C or SIGTERM finishes the update at work, keeps the best model and a state to resume from; a second one leaves at once.
`kokanee train --help` lists the hyperparameters.";

/// Options of `kokanee train`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// Run as SageMaker runs a training container, with this folder in place of /opt/ml (the default without any option)
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["train", "validation", "vocab", "output", "checkpoints"])]
    prefix: Option<PathBuf>,
    /// Training records: a .rec file, or a folder of them
    #[arg(long, value_name = "PATH", requires_all = ["validation", "vocab", "output"])]
    train: Option<PathBuf>,
    /// Validation records
    #[arg(long, value_name = "PATH", requires = "train")]
    validation: Option<PathBuf>,
    /// Folder with vocab.src.json and vocab.trg.json
    #[arg(long, value_name = "FOLDER", requires = "train")]
    vocab: Option<PathBuf>,
    /// Folder for the model
    #[arg(long, value_name = "FOLDER", requires = "train")]
    output: Option<PathBuf>,
    /// Folder for the state to resume from [default: OUTPUT/checkpoints]
    #[arg(long, value_name = "FOLDER", requires = "train")]
    checkpoints: Option<PathBuf>,
    /// Set a hyperparameter; goes before --hyperparameters
    #[arg(long, value_name = "NAME=VALUE", requires = "train", value_parser = name_and_value)]
    set: Vec<(String, String)>,
    /// Read hyperparameters from a JSON file as SageMaker writes it: {"batch_size": "64", …}
    #[arg(long, value_name = "FILE", requires = "train")]
    hyperparameters: Option<PathBuf>,
    /// Start from an earlier model instead of from nothing: its folder or its model.tar.gz; words are matched by spelling
    #[arg(long, value_name = "PATH", requires = "train")]
    init_from: Option<PathBuf>,
    /// Go on from the state that an earlier run left in the checkpoints folder
    #[arg(long, requires = "train")]
    resume: bool,
    /// Write no log lines to stdout (warnings go to stderr)
    #[arg(long, short, requires = "train")]
    quiet: bool,
}

/// What a job is made of, wherever it came from.
pub(crate) struct JobRequest {
    pub(crate) hyperparameters: Hyperparameters,
    pub(crate) channels: TrainingChannels,
    pub(crate) files: JobFiles,
    pub(crate) resume: Resume,
}

/// Adds the table of hyperparameters to the long help.
pub(crate) fn with_hyperparameters(command: clap::Command, width: usize) -> clap::Command {
    command.after_long_help(format!("{EXAMPLES}\n\n{}", docs::help_text(&seq2seq::CONTRACT, width)))
}

/// Runs the command.
///
/// # Errors
/// Whatever is wrong with hyperparameters, channels or files, or happens to the training.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    match (&args.train, &args.validation, &args.vocab, &args.output) {
        (Some(train), Some(validation), Some(vocab), Some(output)) => {
            process::check_environment()?;
            let request = args.request(train, validation, vocab, output)?;
            let resumable = request.files.checkpoints.clone();
            let host = ResourceConfig::default().current_host;
            let outcome = execute(request, &host, args.quiet, &[])?;
            if outcome.reason == kokanee_seq2seq_train::StopReason::Requested && outcome.resumable {
                say(&format!("stopped; the same command with --resume goes on from {}", resumable.display()));
            }
            Ok(())
        }
        _ => {
            let layout = args.prefix.as_ref().map_or_else(Layout::opt_ml, Layout::under);
            container::run(&layout)
        }
    }
}

/// Trains, with log lines on stdout (unless `quiet`) and a progress line where stderr is a terminal. `notes` are logged first.
pub(crate) fn execute(request: JobRequest, host: &str, quiet: bool, notes: &[String]) -> Result<Outcome> {
    let _locks = FolderLocks::acquire([&*request.files.model, &*request.files.checkpoints])?;
    let stop = stop_on_signals()?;
    let every = request.hyperparameters.checkpoint_frequency_num_batches;
    let progress = ProgressLine::new(every);
    let metric = request.hyperparameters.training_metric;
    let mut log: Box<dyn Observer> = if quiet {
        Box::new(progress::Warnings(progress.bar()))
    } else {
        Box::new(LogLines::new(progress.stdout(), host, metric))
    };
    for note in notes {
        log.message(kokanee_seq2seq_train::Level::Info, note);
    }
    let data = TrainingData::read(&request.channels)?;
    let initial = request.channels.model.as_deref().map(InitialModel::read).transpose()?;
    let mut job = TrainingJob::starting_from(
        initial.as_ref(),
        &request.hyperparameters,
        data,
        request.files,
        request.resume,
    )?;
    let mut observers: Vec<Box<dyn Observer>> = vec![log, Box::new(progress)];
    Ok(job.run(&mut observers, &stop)?)
}

impl TrainArgs {
    fn request(&self, train: &Path, validation: &Path, vocab: &Path, output: &Path) -> Result<JobRequest> {
        let mut raw = match &self.hyperparameters {
            Some(path) => read_hyperparameters(path)?,
            None => BTreeMap::new(),
        };
        let mut set: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in &self.set {
            if let Some(earlier) = set.insert(name, value) {
                bail!("--set {name} is given twice, as \"{earlier}\" and as \"{value}\": give it once");
            }
            raw.insert(name.clone(), value.clone());
        }
        let checkpoints = self.checkpoints.clone().unwrap_or_else(|| output.join("checkpoints"));
        Ok(JobRequest {
            hyperparameters: Hyperparameters::resolve(&raw)?,
            channels: TrainingChannels {
                train: train.to_owned(),
                validation: validation.to_owned(),
                vocab_source: vocabulary(vocab, VOCAB_SOURCE_FILE)?,
                vocab_target: vocabulary(vocab, VOCAB_TARGET_FILE)?,
                model: self.init_from.clone(),
            },
            files: JobFiles {
                model: output.to_owned(),
                checkpoints,
                archive: Some(output.join("model.tar.gz")),
            },
            resume: if self.resume { Resume::Required } else { Resume::Never },
        })
    }
}

fn vocabulary(folder: &Path, file: &str) -> Result<PathBuf> {
    let path = folder.join(file);
    path.metadata().with_context(|| {
        format!(
            "--vocab {}: {file} was looked for there and cannot be found; expected a folder with {VOCAB_SOURCE_FILE} and \
             {VOCAB_TARGET_FILE}, as `kokanee prepare` writes them",
            folder.display()
        )
    })?;
    Ok(path)
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as batch_size=64".to_owned()),
    }
}
