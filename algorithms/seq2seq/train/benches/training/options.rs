//! What was asked for on the command line.

use std::path::{Path, PathBuf};

use crate::workload::Work;

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

/// The options, with their defaults where they were not given.
pub(crate) struct Options {
    pub(crate) work: &'static Work,
    /// As the hyperparameter says it.
    pub(crate) precision: String,
    /// Updates of one window.
    pub(crate) updates: usize,
    pub(crate) windows: usize,
    pub(crate) threads: usize,
    /// Whether to show where the time of an update goes.
    pub(crate) profile: bool,
    /// Where the figures go as JSON.
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
                // Cargo says that this is a benchmark.
                "--bench" => {}
                "--work" => options.work = Work::named(&value()?)?,
                "--precision" => options.precision = value()?,
                "--updates" => options.updates = positive(&argument, &value()?)?,
                "--windows" => options.windows = positive(&argument, &value()?)?,
                "--threads" => options.threads = positive(&argument, &value()?)?,
                "--profile" => options.profile = true,
                // Cargo runs benchmarks in the folder of their package, but they are asked for in that of the repository.
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
