//! `kokanee transform`: answers files of records with files of answers, like SageMaker's batch transform.

mod engine;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use flate2::Crc;
use indicatif::ProgressBar;
use kokanee_algorithm::StopFlag;
use kokanee_algorithm::human;
use kokanee_transform::{
    AssembleWith, BatchStrategy, CompressionType, DEFAULT_MAX_PAYLOAD_MB, DataProcessing, Job, JoinSource,
    JsonPath, MEGABYTE, Progress, Settings, SplitType, Summary, run as run_job,
};

use self::engine::Engine;
use super::model;
use super::search_options::SearchOptions;
use super::train::stop_on_signals;
use crate::exit::say;
use crate::terminal;

/// The largest number of records per request. Requests do not leave the process, so larger ones would gain nothing and be answered
/// later.
const RECORDS_PER_REQUEST: usize = 1024;

/// No machine keeps more requests busy, and each holds memory.
const MOST_CONCURRENT: u16 = 100;

const EXAMPLES: &str = "\
Examples:
  kokanee transform --model model --input sentences.jsonl --output answers
  kokanee transform --model model.tar.gz --input texts --output answers \\
      --content-type text/plain
  kokanee transform --model model --input records --output answers \\
      --compression-type Gzip --max-concurrent 2
  kokanee transform --model model --input in.jsonl --output answers \\
      --join-source Input --input-filter '$[\"id\",\"source\"]' \\
      --output-filter '$[\"id\",\"SageMakerOutput\"]'

NAME becomes NAME.out in the output folder, with its subfolders; answers are in the order of the records. Names that \
begin with a dot or an underscore are skipped, as in channels. A file appears when all of it is answered, so after an \
interruption the same command continues with the missing files. The options are those of SageMaker's \
CreateTransformJob.";

/// Options of `kokanee transform`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TransformArgs {
    /// Model folder or model.tar.gz
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// Input file, or folder of files
    #[arg(long, value_name = "PATH")]
    input: PathBuf,
    /// Output folder, created if missing
    #[arg(long, value_name = "FOLDER")]
    output: PathBuf,
    /// Content type of the records: application/jsonlines, application/json, application/x-recordio-protobuf, text/plain (seq2seq) or
    /// text/csv (kmeans)
    #[arg(long, value_name = "TYPE", default_value = engine::JSON_LINES)]
    content_type: String,
    /// Content type of the answers [default: that of the records]
    #[arg(long, value_name = "TYPE")]
    accept: Option<String>,
    /// How to split files into records [default: what SageMaker's guide recommends for the content type]
    #[arg(long, value_name = "TYPE", value_parser = named(SplitType::NAMES, SplitType::from_name))]
    split_type: Option<SplitType>,
    /// Whether to end each answer with a line break [default: what SageMaker's guide recommends for their content type]
    #[arg(long, value_name = "HOW", value_parser = named(AssembleWith::NAMES, AssembleWith::from_name))]
    assemble_with: Option<AssembleWith>,
    /// Records per request: as many as fit, or one
    #[arg(long, value_name = "STRATEGY", default_value = "MultiRecord", value_parser = named(BatchStrategy::NAMES, BatchStrategy::from_name))]
    batch_strategy: BatchStrategy,
    /// Maximum size of a request, and so of a record; 0 for no limit
    #[arg(long, value_name = "MB", default_value_t = DEFAULT_MAX_PAYLOAD_MB, value_parser = clap::value_parser!(u64).range(0..=1 << 20))]
    max_payload_mb: u64,
    /// Number of concurrent requests; 0 for one per core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=i64::from(MOST_CONCURRENT)))]
    max_concurrent: u16,
    /// Whether the input files are gzip-compressed; outputs never are
    #[arg(long, value_name = "TYPE", default_value = "None", value_parser = named(CompressionType::NAMES, CompressionType::from_name))]
    compression_type: CompressionType,
    /// Join each answer to its record: as "SageMakerOutput" in JSON lines, as additional columns in CSV
    #[arg(long, value_name = "SOURCE", num_args = 0..=1, default_value = "None", default_missing_value = "Input", value_parser = named(JoinSource::NAMES, JoinSource::from_name))]
    join_source: JoinSource,
    /// Part of each record to send (JSON lines and CSV)
    #[arg(long, value_name = "JSONPATH", default_value = "$", value_parser = JsonPath::parse)]
    input_filter: JsonPath,
    /// Part of each answer, or joined record, to write (JSON lines and CSV)
    #[arg(long, value_name = "JSONPATH", default_value = "$", value_parser = JsonPath::parse)]
    output_filter: JsonPath,
    /// Replace files in the output folder that this command did not write, or wrote from other input
    #[arg(long)]
    overwrite: bool,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    search: SearchOptions,
}

/// Accepts exactly these names, and lists them in errors.
fn named<T: Clone + Send + Sync + 'static>(
    names: &'static [&'static str],
    from_name: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names).try_map(move |name| from_name(&name).ok_or("there is no such name"))
}

/// Runs the command.
///
/// # Errors
/// Errors of the model, the options, the files or a record.
pub(crate) fn run(args: &TransformArgs) -> Result<()> {
    let settings = args.settings();
    settings.check()?;
    let backend =
        model::load(&args.model, &engine::options(&args.search), |note| say(&format!("note: {note}")))?;
    let engine = Engine::new(backend);
    engine.check_types(&settings.content_type, &settings.accept)?;
    let mut identity = engine.identity();
    identity.insert("model checksum".to_owned(), format!("{:08x}", checksum(&args.model)?));
    let job = Job {
        input: args.input.clone(),
        output: args.output.clone(),
        settings,
        identity,
        overwrite: args.overwrite,
    };
    let bar = Bar::new(args.quiet, stop_on_signals()?);
    let started = Instant::now();
    let invoke = |content_type: &str, accept: &str, body: Vec<u8>| engine.invoke(content_type, accept, &body);
    let summary = run_job(&job, &invoke, &bar)?;
    bar.bar.finish_and_clear();
    if !args.quiet {
        say(&told(&summary, &args.output, started.elapsed().as_secs_f64()));
    }
    Ok(())
}

impl TransformArgs {
    fn settings(&self) -> Settings {
        let accept = self.accept.as_deref().unwrap_or(&self.content_type);
        let defaults = Settings::new(&self.content_type, accept);
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let concurrent = match self.max_concurrent {
            0 => cores().min(usize::from(MOST_CONCURRENT)),
            some => usize::from(some),
        };
        Settings {
            split_type: self.split_type.unwrap_or(defaults.split_type),
            assemble_with: self.assemble_with.unwrap_or(defaults.assemble_with),
            batch_strategy: self.batch_strategy,
            compression_type: self.compression_type,
            max_payload_bytes: self.max_payload_mb * MEGABYTE,
            max_records: RECORDS_PER_REQUEST,
            max_concurrent: concurrent,
            data_processing: DataProcessing {
                input_filter: self.input_filter.clone(),
                join_source: self.join_source,
                output_filter: self.output_filter.clone(),
            },
            ..defaults
        }
    }
}

/// A number that identifies a model: of the archive, or of the files in the folder that determine answers.
fn checksum(model: &Path) -> Result<u32> {
    let mut crc = Crc::new();
    for path in model::files(model)? {
        let mut add = || -> io::Result<()> {
            let mut input = BufReader::with_capacity(1 << 18, File::open(&path)?);
            let mut buffer = vec![0; 1 << 18];
            loop {
                match input.read(&mut buffer)? {
                    0 => return Ok(()),
                    got => crc.update(&buffer[..got]),
                }
            }
        };
        add().with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(crc.sum())
}

fn told(summary: &Summary, output: &Path, seconds: f64) -> String {
    let plural = |count: u64, noun: &str| {
        format!("{} {noun}{}", human::count(count), if count == 1 { "" } else { "s" })
    };
    let mut text =
        format!("transformed {}, {}", plural(summary.files, "file"), plural(summary.records, "record"));
    if summary.finished_before > 0 {
        text.push_str(&format!("; {} finished before", plural(summary.finished_before, "file")));
    }
    let span = std::time::Duration::from_secs_f64(seconds);
    let rate = summary.records as f64 / seconds.max(1e-3);
    let (read, wrote) = (human::bytes(summary.input_bytes), human::bytes(summary.output_bytes));
    text.push_str(&format!(
        "; {}, {rate:.1} records/s; read {read}, wrote {wrote} to {}",
        human::duration(span),
        output.display()
    ));
    text
}

/// Progress on stderr, and requests to stop.
struct Bar {
    bar: ProgressBar,
    quiet: bool,
    stop: StopFlag,
}

impl Bar {
    fn new(quiet: bool, stop: StopFlag) -> Self {
        let bar = if quiet {
            ProgressBar::hidden()
        } else {
            terminal::progress_bar(0, "{bar:30} {percent:>3}% of {total_bytes}, {elapsed}, {eta} left")
        };
        Self { bar, quiet, stop }
    }
}

impl Progress for Bar {
    fn begin(&self, _files: u64, bytes: u64) {
        self.bar.set_length(bytes);
    }

    fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn message(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| say(text));
        }
    }

    fn wants_stop(&self) -> bool {
        self.stop.is_requested()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // After an error no half bar must remain on the terminal.
        self.bar.finish_and_clear();
    }
}
