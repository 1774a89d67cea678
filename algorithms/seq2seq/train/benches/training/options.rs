//! The command line options.

use std::path::{Path, PathBuf};

use crate::workload::Work;

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

/// The options, with their defaults if they were not given.
pub(crate) struct Options {
    pub(crate) work: &'static Work,
    /// In the form of the hyperparameter.
    pub(crate) precision: String,
    /// Number of updates in one window.
    pub(crate) updates: usize,
    pub(crate) windows: usize,
    pub(crate) threads: usize,
    /// Whether to show how the time of an update is spent.
    pub(crate) profile: bool,
    /// The file for the figures as JSON.
    pub(crate) report: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            work: Work::named("RNN512")?,
            precision: "f32".to_owned(),
            updates: 20,
            windows: 5,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            profile: false,
            report: None,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                // Cargo marks a benchmark with this.
                "--bench" => {}
                "--work" => options.work = Work::named(&value()?)?,
                "--precision" => options.precision = value()?,
                "--updates" => options.updates = positive(&argument, &value()?)?,
                "--windows" => options.windows = positive(&argument, &value()?)?,
                "--threads" => options.threads = positive(&argument, &value()?)?,
                "--profile" => options.profile = true,
                // Cargo runs benchmarks in the folder of their package, but paths are given relative to that of the repository.
                "--report" => options.report = Some(Path::new(ROOT).join(value()?)),
                _ => {
                    return Err(format!(
                        "unknown option {argument}; there are --work, --precision, --updates, --windows, --threads, \
                         --profile and --report"
                    ));
                }
            }
        }
        Ok(options)
    }
}

fn positive(option: &str, text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| format!("{option} needs a whole number above 0, not {text:?}"))
}
