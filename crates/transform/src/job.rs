//! A transform job: planning its files, and transforming them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kokanee_formats::AtomicFile;
use kokanee_formats::atomic_file::make_folders;

use crate::error::{InvokeError, TransformError};
use crate::files::{self, FilePair};
use crate::journal::{Finished, InputState, Journal};
use crate::ordered::{self, Feed};
use crate::records;
use crate::settings::Settings;
use crate::split::{MiniBatch, MiniBatches};

/// The input, output and settings of a transform job.
#[derive(Clone, Debug)]
pub struct Job {
    /// A file, or a folder whose files are all transformed, including those in subfolders.
    pub input: PathBuf,
    /// The folder for the outputs, created if missing. The input `a/b.jsonl` becomes `a/b.jsonl.out` in it.
    pub output: PathBuf,
    /// The settings.
    pub settings: Settings,
    /// Other values that the responses depend on, above all the model: name to value. If they differ from the last time, finished files do
    /// not belong to this job.
    pub identity: BTreeMap<String, String>,
    /// Whether to replace existing files that this job would not write. Files that this job has finished are never written again.
    pub overwrite: bool,
}

/// A summary of the work done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files transformed.
    pub files: u64,
    /// Files that had been finished before.
    pub finished_before: u64,
    /// Records answered in this run.
    pub records: u64,
    /// Requests.
    pub requests: u64,
    /// Bytes of the input files, as on disk.
    pub input_bytes: u64,
    /// Bytes written.
    pub output_bytes: u64,
}

/// The receiver of progress reports. It is called on the thread that called [`run`].
pub trait Progress {
    /// Reports the amount of work.
    fn begin(&self, _files: u64, _bytes: u64) {}
    /// Reports that so many bytes of input have become output.
    fn advance(&self, _bytes: u64) {}
    /// Reports a message for the user.
    fn message(&self, _text: &str) {}
    /// Whether to stop; called after each mini-batch.
    fn wants_stop(&self) -> bool {
        false
    }
}

/// Ignores all reports.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Progress for Silent {}

/// Runs a job, or the rest of it. `invoke` receives content type, accepted type and body of a request, from up to `max_concurrent` threads
/// in parallel.
///
/// At most `2 * max_concurrent` mini-batches are in memory at a time, requests and responses together.
///
/// # Errors
/// When the options, the files or a record are wrong. Finished files stay, and incomplete ones are removed; the same job resumes where it
/// stopped.
pub fn run(
    job: &Job,
    invoke: &(impl Fn(&str, &str, Vec<u8>) -> Result<Vec<u8>, InvokeError> + Sync),
    progress: &impl Progress,
) -> Result<Summary, TransformError> {
    job.settings.check()?;
    files::look_at(&job.input)?;
    make_folders(&job.output).map_err(TransformError::io(&job.output, "make the folder"))?;
    let pairs = files::list(&job.input, &job.output)?;
    let journal = Journal::open(&job.output)?;
    if let Some(warning) = journal.warning() {
        progress.message(warning);
    }
    let mut identity = job.settings.identity();
    identity.extend(job.identity.clone());
    let total = pairs.len();
    let tasks = plan(job, pairs, &journal, &identity, progress)?;
    progress.begin(tasks.len() as u64, tasks.iter().map(|task| task.state.bytes).sum());
    let summary = Summary { finished_before: (total - tasks.len()) as u64, ..Summary::default() };
    let mut writer = Writer { job, identity, journal, tasks: &tasks, current: None, summary, progress };
    let refused = |error: io::Error| TransformError::Options {
        option: "--max-concurrent",
        problem: format!(
            "the system refuses {} threads ({error}); give fewer, or raise the limit of threads or of memory that this process runs under",
            job.settings.max_concurrent
        ),
    };
    ordered::run(
        job.settings.max_concurrent,
        |feed| read(&job.settings, &tasks, feed),
        |task: Task| {
            let path = &tasks[task.file].pair.input;
            let records = task.batch.records.len() as u64;
            let bytes = records::transform(&job.settings, path, task.batch, invoke)?;
            Ok(Event::Answer { records, bytes, consumed: task.consumed })
        },
        |event| writer.take(event),
    )
    .map_err(refused)??;
    Ok(writer.summary)
}

/// A file to transform.
struct FileTask {
    pair: FilePair,
    state: InputState,
    /// Whether no file had the output's name when the job began.
    is_new: bool,
}

/// The files that are not finished yet.
fn plan(
    job: &Job,
    pairs: Vec<FilePair>,
    journal: &Journal,
    identity: &BTreeMap<String, String>,
    progress: &impl Progress,
) -> Result<Vec<FileTask>, TransformError> {
    let mut tasks = Vec::new();
    let mut in_the_way: Vec<(PathBuf, String)> = Vec::new();
    for pair in pairs {
        let state = files::input_state(&pair.input)?;
        let path = job.output.join(&pair.output);
        let is_new = fs::symlink_metadata(&path).is_err();
        match existing(&path, journal.get(&pair.output), &state, identity) {
            Existing::Finished => continue,
            Existing::None => in_the_way.extend(no_folder(&job.output, &pair.output)),
            Existing::Outdated => {
                progress.message(&format!(
                    "{} has changed since {} was written; it is transformed again",
                    pair.input.display(),
                    path.display()
                ));
            }
            Existing::Other(reason) if !job.overwrite => in_the_way.push((path, reason)),
            // A file can be replaced, a folder cannot.
            Existing::Other(_) if path.is_dir() => in_the_way.push((path, "it is a folder".to_owned())),
            Existing::Other(_) => {}
        }
        tasks.push(FileTask { pair, state, is_new });
    }
    let others = in_the_way.len().saturating_sub(1);
    match in_the_way.into_iter().next() {
        Some((path, reason)) => Err(TransformError::InTheWay { path, reason, others }),
        None => Ok(tasks),
    }
}

/// A file that exists where an output needs a folder.
fn no_folder(base: &Path, output: &str) -> Option<(PathBuf, String)> {
    let folders = Path::new(output).ancestors().skip(1).map(|folder| base.join(folder));
    let other = folders.filter(|path| fs::symlink_metadata(path).is_ok()).find(|path| !path.is_dir())?;
    Some((other, format!("{output} needs a folder of that name, which --overwrite does not make of a file")))
}

/// An existing file with an output's name.
enum Existing {
    None,
    Finished,
    /// An output of this job, but made from an earlier state of the input.
    Outdated,
    /// Another file, with the reason why it is not this job's.
    Other(String),
}

fn existing(
    path: &Path,
    entry: Option<&Finished>,
    state: &InputState,
    identity: &BTreeMap<String, String>,
) -> Existing {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Existing::None };
    let Some(entry) = entry else {
        return Existing::Other("no transform into this folder has written it".to_owned());
    };
    if !metadata.is_file() || metadata.len() != entry.output_bytes {
        return Existing::Other("it has been changed since a transform wrote it".to_owned());
    }
    if entry.input.path != state.path {
        return Existing::Other(format!("it was made of {}", entry.input.path));
    }
    let names: std::collections::BTreeSet<_> = identity.keys().chain(entry.job.keys()).collect();
    let differs = names.into_iter().find(|&name| identity.get(name) != entry.job.get(name));
    if let Some(name) = differs {
        let shown = |map: &BTreeMap<String, String>| map.get(name).cloned().unwrap_or("nothing".to_owned());
        let (then, now) = (shown(&entry.job), shown(identity));
        return Existing::Other(format!("it was made with {name} {then}, and now it is {now}"));
    }
    if entry.input == *state { Existing::Finished } else { Existing::Outdated }
}

/// A mini-batch and its origin.
struct Task {
    file: usize,
    batch: MiniBatch,
    /// Bytes read from disk for it.
    consumed: u64,
}

/// An event for the writer, in the order of the input.
enum Event {
    Begin { file: usize },
    Answer { records: u64, bytes: Vec<u8>, consumed: u64 },
    End { consumed: u64 },
}

/// Feeds all mini-batches of all files, until the feed is closed.
fn read(settings: &Settings, tasks: &[FileTask], feed: &mut Feed<Task, Result<Event, TransformError>>) {
    for (file, task) in tasks.iter().enumerate() {
        if !feed.pass(Ok(Event::Begin { file })) {
            return;
        }
        if let Err(error) = read_file(settings, file, &task.pair.input, feed) {
            feed.pass(Err(error));
            return;
        }
    }
}

fn read_file(
    settings: &Settings,
    file: usize,
    path: &Path,
    feed: &mut Feed<Task, Result<Event, TransformError>>,
) -> Result<(), TransformError> {
    let passed = Arc::new(AtomicU64::new(0));
    let mut told = 0;
    let mut consumed = || {
        let now = passed.load(Ordering::Relaxed);
        now - std::mem::replace(&mut told, now)
    };
    let mut batches = MiniBatches::new(files::open(path, settings, &passed)?, path, settings);
    while let Some(batch) = batches.next()? {
        if !feed.work(Task { file, batch, consumed: consumed() }) {
            return Ok(());
        }
    }
    feed.pass(Ok(Event::End { consumed: consumed() }));
    Ok(())
}

/// Writes responses, and finishes files.
struct Writer<'a, P> {
    job: &'a Job,
    identity: BTreeMap<String, String>,
    journal: Journal,
    tasks: &'a [FileTask],
    current: Option<Output<'a>>,
    summary: Summary,
    progress: &'a P,
}

struct Output<'a> {
    task: &'a FileTask,
    file: AtomicFile,
    records: u64,
}

impl<P: Progress> Writer<'_, P> {
    fn take(&mut self, event: Result<Event, TransformError>) -> Result<(), TransformError> {
        match event? {
            Event::Begin { file } => {
                let task = &self.tasks[file];
                let file = self.journal.begin(&self.job.output.join(&task.pair.output))?;
                self.current = Some(Output { task, file, records: 0 });
            }
            Event::Answer { records, bytes, consumed } => {
                if let Some(output) = &mut self.current {
                    let path = output.file.path().to_owned();
                    output.file.write_all(&bytes).map_err(TransformError::io(&path, "write the file"))?;
                    output.records += records;
                }
                self.summary.records += records;
                self.summary.requests += 1;
                self.summary.output_bytes += bytes.len() as u64;
                self.count(consumed);
            }
            Event::End { consumed } => {
                if let Some(output) = self.current.take() {
                    self.finish(output)?;
                }
                self.summary.files += 1;
                self.count(consumed);
            }
        }
        if self.progress.wants_stop() { Err(TransformError::Stopped) } else { Ok(()) }
    }

    /// Records the file as finished before it gets its name. Any earlier file of that name is removed first, so that it cannot be taken for
    /// the finished one.
    fn finish(&mut self, mut output: Output<'_>) -> Result<(), TransformError> {
        output.file.sync()?;
        let bytes = output.file.bytes();
        let pair = &output.task.pair;
        let path = self.job.output.join(&pair.output);
        if output.task.is_new && !self.job.overwrite && fs::symlink_metadata(&path).is_ok() {
            let reason = "somebody has put it there while the job was running".to_owned();
            return Err(TransformError::InTheWay { path, reason, others: 0 });
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(TransformError::io(&path, "remove the file that stood there")(error));
            }
            _ => {}
        }
        let state = output.task.state.clone();
        let entry = Finished::new(pair.output.clone(), bytes, output.records, state, self.identity.clone());
        self.journal.add(entry)?;
        output.file.commit()?;
        Ok(())
    }

    fn count(&mut self, consumed: u64) {
        self.summary.input_bytes += consumed;
        self.progress.advance(consumed);
    }
}
