//! `kokanee train`: as a SageMaker training container, or with files named on the command line.

mod by_hand;
mod container;
mod signals;
mod sweep;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use kokanee_algorithm::{Algorithm, Resume, TrainingJob};
use kokanee_contract::container::config_file;
use kokanee_contract::docs;
use kokanee_contract::{Layout, ResourceConfig};

pub(crate) use signals::stop_on_signals;

use self::sweep::Sweep;

use crate::console::Terminal;
use crate::folder_locks::FolderLocks;
use crate::{algorithms, process};

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
  kokanee train --algorithm kmeans --train rows.csv \\
      --content-type 'text/csv;label_size=0' --output clusters --set k=10
  kokanee train --algorithm kmeans --train rows.csv --test rows.csv \\
      --content-type 'text/csv;label_size=0' --output sweep --sweep k=2:6
      trains once per k, and draws the curve whose elbow is a good k
  kokanee train --prefix job
      as a SageMaker container, with job/ in place of /opt/ml
  kokanee train
      as a SageMaker container

Ctrl-C or SIGTERM finishes the step at work and keeps the best model, and a state to resume from where the algorithm has one; a
second one leaves at once. `kokanee train --algorithm NAME --help` lists the hyperparameters of an algorithm, and `kokanee
algorithms` the algorithms.";

/// Options of `kokanee train`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// Algorithm, by the name of its image [default: KOKANEE_ALGORITHM, else seq2seq]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<String>,
    /// Run as SageMaker runs a training container, with this folder in place of /opt/ml (the default without any option)
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["train", "validation", "test", "vocab", "output", "checkpoints"])]
    prefix: Option<PathBuf>,
    /// Training data: a file, or a folder of files
    #[arg(long, value_name = "PATH", requires = "output")]
    train: Option<PathBuf>,
    /// Validation data
    #[arg(long, value_name = "PATH", requires = "train")]
    validation: Option<PathBuf>,
    /// Test data, measured at the end
    #[arg(long, value_name = "PATH", requires = "train")]
    test: Option<PathBuf>,
    /// Folder with vocab.src.json and vocab.trg.json
    #[arg(long, value_name = "FOLDER", requires = "train")]
    vocab: Option<PathBuf>,
    /// Content type of the data, or of one channel of it: 'test=text/csv;label_size=0' [default: RecordIO-protobuf]
    #[arg(long, value_name = "[CHANNEL=]TYPE", requires = "train")]
    content_type: Vec<String>,
    /// Folder for the model
    #[arg(long, value_name = "FOLDER", requires = "train")]
    output: Option<PathBuf>,
    /// Folder for the state to resume from [default: OUTPUT/checkpoints]
    #[arg(long, value_name = "FOLDER", requires = "train")]
    checkpoints: Option<PathBuf>,
    /// Set a hyperparameter; goes before --hyperparameters
    #[arg(long, value_name = "NAME=VALUE", requires = "train", value_parser = name_and_value)]
    set: Vec<(String, String)>,
    /// Train once per value of a hyperparameter, and draw what came of it: k=2:20, k=10:100:10 or a list with commas
    #[arg(long, value_name = "NAME=VALUES", requires = "train", conflicts_with = "resume")]
    sweep: Option<Sweep>,
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

/// Adds the table of hyperparameters to the long help: that of the algorithm which the arguments name.
pub(crate) fn with_hyperparameters(command: clap::Command, args: &[OsString], width: usize) -> clap::Command {
    let named =
        args.iter().enumerate().find_map(|(index, arg)| match arg.to_str()?.strip_prefix("--algorithm")? {
            "" => args.get(index + 1)?.to_str(),
            rest => rest.strip_prefix('='),
        });
    // A name that is not known is refused when the command runs, and the help then is of the first algorithm.
    let algorithm = algorithms::named(named).unwrap_or(algorithms::ALGORITHMS[0]);
    let contract = algorithm.contract();
    let heading = format!("Hyperparameters of {} (--algorithm {})", contract.title, contract.name);
    command.after_long_help(format!("{EXAMPLES}\n\n{heading}:\n\n{}", docs::help_text(contract, width)))
}

/// Runs the command.
///
/// # Errors
/// Whatever is wrong with hyperparameters, channels or files, or happens to the training.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    let (Some(train), Some(output)) = (&args.train, &args.output) else {
        let layout = args.prefix.as_ref().map_or_else(Layout::opt_ml, Layout::under);
        return container::run(&layout, args.algorithm.as_deref());
    };
    process::check_environment()?;
    let algorithm = algorithms::named(args.algorithm.as_deref())?;
    if let Some(sweep) = &args.sweep {
        return sweep::run(args, sweep, algorithm, train, output);
    }
    let job = args.job(algorithm, train, output, &[])?;
    execute(algorithm, &job, args.quiet)
}

/// Trains, with log lines on stdout (unless `quiet`) and a progress line where stderr is a terminal.
fn execute(algorithm: &dyn Algorithm, job: &TrainingJob, quiet: bool) -> Result<()> {
    let mut folders = vec![&*job.files.model];
    if algorithm.resumes() {
        folders.push(&*job.files.checkpoints);
    }
    let _locks = FolderLocks::acquire(folders)?;
    Ok(algorithm.train(job, &Terminal::new(quiet))?)
}

impl TrainArgs {
    /// The hyperparameters of the file, with those set on the command line and then `more` in their place.
    fn raw_hyperparameters(&self, more: &[(String, String)]) -> Result<BTreeMap<String, String>> {
        let mut raw = match &self.hyperparameters {
            Some(path) => config_file::read_hyperparameters(path)?,
            None => BTreeMap::new(),
        };
        let mut set: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in &self.set {
            if let Some(earlier) = set.insert(name, value) {
                bail!("--set {name} is given twice, as \"{earlier}\" and as \"{value}\": give it once");
            }
            raw.insert(name.clone(), value.clone());
        }
        raw.extend(more.iter().cloned());
        Ok(raw)
    }

    fn resume(&self) -> Resume {
        if self.resume { Resume::Required } else { Resume::Never }
    }
}

/// This machine where nobody gave it another name.
fn own_host() -> String {
    ResourceConfig::default().current_host
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as batch_size=64".to_owned()),
    }
}
