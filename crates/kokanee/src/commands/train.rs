//! `kokanee train`: trains as a SageMaker training container, or with files named on the command line.

mod by_hand;
mod container;
mod signals;
mod sweep;

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use kokanee_algorithm::{Algorithm, Resume, TrainingJob};
use kokanee_contract::docs;
use kokanee_contract::{Layout, ResourceConfig};

pub(crate) use signals::stop_on_signals;
use signals::stop_when_input_ends;

use self::sweep::Sweep;

use super::job_options::JobOptions;
use crate::console::Terminal;
use crate::folder_locks::FolderLocks;
use crate::{algorithms, process};

const EXAMPLES: &str = "\
Examples:
  kokanee train --train data/train.rec --validation data/val.rec \\
      --vocab data --output model --set rnn_num_hidden=512
  kokanee train --train data/train.rec --validation data/val.rec \\
      --vocab data --output model --set rnn_num_hidden=512 --resume
      resumes where the first one was interrupted
  kokanee train --train new/train.rec --validation new/val.rec \\
      --vocab new --output better --set rnn_num_hidden=512 --init-from model
      starts from the parameters of an earlier model
  kokanee train --algorithm kmeans --train rows.csv \\
      --content-type 'text/csv;label_size=0' --output clusters --set k=10
  kokanee train --algorithm kmeans --train rows.csv --test rows.csv \\
      --content-type 'text/csv;label_size=0' --output sweep --sweep k=2:6
      trains once per k and plots the curve whose elbow is a good k
  kokanee train --prefix job
      as a SageMaker container, with job/ in place of /opt/ml
  kokanee train
      as a SageMaker container

Ctrl-C or SIGTERM finishes the current step and keeps the best model, plus a state to resume from if the algorithm has \
one; a second signal exits at once. `kokanee train --algorithm NAME --help` lists the hyperparameters of an algorithm, \
`kokanee algorithms` the algorithms.";

/// Options of `kokanee train`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    job: JobOptions,
    /// Run as SageMaker runs a training container, with this folder in place of /opt/ml (the default without any option)
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["train", "validation", "test", "vocab", "output", "checkpoints"])]
    prefix: Option<PathBuf>,
    /// Folder for the model
    #[arg(long, value_name = "FOLDER", requires = "train")]
    output: Option<PathBuf>,
    /// Folder for the state to resume from [default: OUTPUT/checkpoints]
    #[arg(long, value_name = "FOLDER", requires = "train")]
    checkpoints: Option<PathBuf>,
    /// Train once per value of a hyperparameter and plot the results: k=2:20, k=10:100:10 or a comma-separated list
    #[arg(long, value_name = "NAME=VALUES", requires = "train", conflicts_with = "resume")]
    sweep: Option<Sweep>,
    /// Resume from the state in the checkpoints folder
    #[arg(long, requires = "train")]
    resume: bool,
    /// Write no log lines to stdout (warnings go to stderr)
    #[arg(long, short, requires = "train")]
    quiet: bool,
    /// Be a trial of `kokanee tune`: go on from a state where there is one, and stop in good order when stdin ends
    #[arg(long, hide = true, requires = "train", conflicts_with_all = ["sweep", "resume"])]
    trial: bool,
}

/// Adds the table of hyperparameters to the long help: that of the algorithm that the arguments name.
pub(crate) fn with_hyperparameters(command: clap::Command, args: &[OsString], width: usize) -> clap::Command {
    let named =
        args.iter().enumerate().find_map(|(index, arg)| match arg.to_str()?.strip_prefix("--algorithm")? {
            "" => args.get(index + 1)?.to_str(),
            rest => rest.strip_prefix('='),
        });
    // An unknown name is refused when the command runs; the help is then that of the first algorithm.
    let algorithm = algorithms::named(named).unwrap_or(algorithms::ALGORITHMS[0]);
    let contract = algorithm.contract();
    let heading = format!("Hyperparameters of {} (--algorithm {})", contract.title, contract.name);
    command.after_long_help(format!("{EXAMPLES}\n\n{heading}:\n\n{}", docs::help_text(contract, width)))
}

/// Runs the command.
///
/// # Errors
/// Errors of hyperparameters, channels or files, and those of the training.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    let (Some(_), Some(output)) = (&args.job.train, &args.output) else {
        let layout = args.prefix.as_ref().map_or_else(Layout::opt_ml, Layout::under);
        return container::run(&layout, args.job.algorithm.as_deref());
    };
    process::check_environment()?;
    let algorithm = algorithms::named(args.job.algorithm.as_deref())?;
    if let Some(sweep) = &args.sweep {
        return sweep::run(args, sweep, algorithm, output);
    }
    let job = args.by_hand(algorithm, output, &[])?;
    execute(algorithm, &job, args.quiet)
}

/// Trains, with log lines on stdout (unless `quiet`) and a progress line if stderr is a terminal.
fn execute(algorithm: &dyn Algorithm, job: &TrainingJob, quiet: bool) -> Result<()> {
    let mut folders = vec![&*job.files.model];
    if algorithm.resumes() {
        folders.push(&*job.files.checkpoints);
    }
    let _locks = FolderLocks::acquire(folders)?;
    Ok(algorithm.train(job, &Terminal::new(quiet))?)
}

impl TrainArgs {
    fn resume(&self, algorithm: &dyn Algorithm) -> Resume {
        match self.resume {
            true => Resume::Required,
            false if self.trial && algorithm.resumes() => Resume::Retell,
            false => Resume::Never,
        }
    }
}

/// The name of this machine if it was given no other.
fn own_host() -> String {
    ResourceConfig::default().current_host
}
