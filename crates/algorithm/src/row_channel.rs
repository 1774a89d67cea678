//! A channel of numeric rows, in File or Pipe mode, read batch by batch.
//!
//! A thread reads ahead while the previous batch is processed; three batches exist at a time, whatever the channel holds. Rows come in the
//! order of the files, never shuffled. In File mode the files of the channel's folder follow one another in the order of their paths; in
//! Pipe mode each pass reads the FIFO of its epoch, `<channel>_<epoch>`, once (SageMaker Developer Guide, "Common Data Formats for
//! Training", "Using Pipe Mode").

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use kokanee_contract::channels::{InputChannel, InputMode};
use kokanee_contract::{ContentType, MediaType};
use kokanee_formats::data_files::{self, DataFilesError};
use kokanee_formats::numeric::{Batch, NumericError, NumericFormat, NumericReader};
use thiserror::Error;

use crate::job::StopFlag;

/// Rows that are read between two checks of a batch's size.
const ROWS_AT_A_TIME: usize = 256;
/// Time between two checks of the stop flag while the reader has no batch yet.
const PATIENCE: Duration = Duration::from_millis(50);
/// Number of label columns in training data unless the content type gives it.
const DEFAULT_LABEL_SIZE: usize = 1;

/// A channel whose records are rows of numbers.
#[derive(Clone, Debug)]
pub struct RowChannel {
    name: String,
    source: Source,
    format: NumericFormat,
    width: Option<usize>,
}

#[derive(Clone, Debug)]
enum Source {
    Files(Vec<PathBuf>),
    /// FIFOs, one per epoch.
    Pipe(InputChannel),
}

/// The limits of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// Rows of each batch but the last.
    pub rows: usize,
    /// Maximum bytes of a batch.
    pub most_bytes: usize,
}

/// An error in reading a channel.
#[derive(Debug, Error)]
pub enum RowChannelError {
    /// The content type's parameters make no sense.
    #[error("channel {channel}: ContentType \"{content_type}\": {fault}")]
    ContentType {
        /// The channel.
        channel: String,
        /// The content type as given.
        content_type: ContentType,
        /// What is wrong.
        fault: String,
    },
    /// The folder cannot be listed.
    #[error("channel {channel}: {source}")]
    Files {
        /// The channel.
        channel: String,
        /// The cause.
        source: DataFilesError,
    },
    /// The folder holds no files.
    #[error("channel {channel} holds no record: {} has no file whose name begins with neither '.' nor '_'", path.display())]
    NoFiles {
        /// The channel.
        channel: String,
        /// The folder.
        path: PathBuf,
    },
    /// A file or FIFO cannot be opened.
    #[error("channel {channel}: cannot open {}: {source}{hint}", path.display())]
    Open {
        /// The channel.
        channel: String,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
        /// The probable cause.
        hint: &'static str,
    },
    /// A record is damaged or has a wrong form.
    #[error("{source} (channel {channel})")]
    Record {
        /// The channel.
        channel: String,
        /// What is wrong, with file and place.
        source: Box<NumericError>,
    },
    /// A batch needs more memory than its limit.
    #[error(
        "channel {channel}: a batch of {rows} records takes more than {most_bytes} bytes, the memory there is for it; lower \
         mini_batch_size"
    )]
    TooLarge {
        /// The channel.
        channel: String,
        /// Records per batch.
        rows: usize,
        /// The limit.
        most_bytes: usize,
    },
    /// The channel holds no records.
    #[error("channel {channel} holds no record")]
    Empty {
        /// The channel.
        channel: String,
    },
    /// The system cannot start the reading thread.
    #[error("the system refused to start a thread: {0}")]
    Thread(#[source] io::Error),
}

impl RowChannel {
    /// Finds the files of a channel. `width` is the number of features where it is known.
    ///
    /// # Errors
    /// When there are none, or the content type is not supported.
    pub fn open(channel: &InputChannel, width: Option<usize>) -> Result<Self, RowChannelError> {
        let name = channel.name.clone();
        let format = format_of(&name, &channel.content_type)?;
        let source = match channel.mode {
            InputMode::Pipe => Source::Pipe(channel.clone()),
            InputMode::File | InputMode::FastFile => Source::Files(files_of(&name, &channel.path)?),
        };
        Ok(Self { name, source, format, width })
    }

    /// The channel's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the number of features that records must have from now on, for channels whose files do not tell it.
    pub fn set_width(&mut self, width: usize) {
        self.width = Some(width);
    }

    /// Reads the channel once more, in epoch `epoch` (from 0).
    ///
    /// # Errors
    /// When the system cannot start a thread for it.
    pub fn pass(&self, epoch: usize, size: BatchSize, stop: &StopFlag) -> Result<Pass, RowChannelError> {
        let (full_sender, full) = sync_channel(1);
        let (empty, empty_receiver) = channel();
        let reader = Reader { channel: self.clone(), epoch, size, full: full_sender, empty: empty_receiver };
        std::thread::Builder::new()
            .name(format!("read-{}", self.name))
            .spawn(move || reader.run())
            .map_err(RowChannelError::Thread)?;
        Ok(Pass { full, empty, stop: stop.clone() })
    }

    fn empty(&self) -> RowChannelError {
        RowChannelError::Empty { channel: self.name.clone() }
    }
}

/// The files of a folder, or the single file that a user names.
fn files_of(channel: &str, path: &Path) -> Result<Vec<PathBuf>, RowChannelError> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let found = data_files::list(path);
    let found = found.map_err(|source| RowChannelError::Files { channel: channel.to_owned(), source })?;
    if found.files.is_empty() {
        return Err(RowChannelError::NoFiles { channel: channel.to_owned(), path: path.to_owned() });
    }
    Ok(found.files)
}

fn format_of(channel: &str, content_type: &ContentType) -> Result<NumericFormat, RowChannelError> {
    let fault = |fault: String| RowChannelError::ContentType {
        channel: channel.to_owned(),
        content_type: content_type.clone(),
        fault,
    };
    match content_type.media {
        MediaType::Csv => {
            let label_size = match content_type.parameter("label_size") {
                None => DEFAULT_LABEL_SIZE,
                Some(text) => text
                    .trim()
                    .parse()
                    .map_err(|_| fault("expected a number of columns after label_size=".into()))?,
            };
            Ok(NumericFormat::Csv { label_size })
        }
        MediaType::RecordIo => Ok(NumericFormat::RecordIo),
        other => Err(fault(format!("{other} holds no rows of numbers"))),
    }
}

/// One reading of a channel.
pub struct Pass {
    full: Receiver<Result<Batch, RowChannelError>>,
    empty: Sender<Batch>,
    stop: StopFlag,
}

impl Pass {
    /// The next batch; `None` at the end, and when the job is to stop.
    ///
    /// # Errors
    /// When the channel cannot be read further.
    pub fn next_batch(&mut self) -> Result<Option<Batch>, RowChannelError> {
        loop {
            if self.stop.is_requested() {
                return Ok(None);
            }
            match self.full.recv_timeout(PATIENCE) {
                Ok(batch) => return batch.map(Some),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Returns a batch, so that its memory is reused for a later one.
    pub fn give_back(&self, batch: Batch) {
        // The reader may have finished.
        let _ = self.empty.send(batch);
    }
}

/// The thread that reads ahead.
struct Reader {
    channel: RowChannel,
    epoch: usize,
    size: BatchSize,
    full: SyncSender<Result<Batch, RowChannelError>>,
    empty: Receiver<Batch>,
}

impl Reader {
    fn run(mut self) {
        if let Err(error) = self.read() {
            // Nobody receives the error if the job has ended.
            let _ = self.full.send(Err(error));
        }
    }

    fn read(&mut self) -> Result<(), RowChannelError> {
        let paths = match &self.channel.source {
            Source::Files(files) => files.clone(),
            Source::Pipe(channel) => vec![channel.fifo(self.epoch)],
        };
        let mut batch = self.empty_batch();
        let mut is_empty = true;
        for path in &paths {
            let file = File::open(path).map_err(|source| self.cannot_open(path, source))?;
            let mut reader = NumericReader::new(file, path, self.channel.format, self.channel.width);
            loop {
                let wanted = (self.size.rows - batch.rows.len()).min(ROWS_AT_A_TIME);
                let read = reader.read(&mut batch, wanted);
                let read = read.map_err(|source| RowChannelError::Record {
                    channel: self.channel.name.clone(),
                    source: Box::new(source),
                })?;
                if batch.rows.bytes() > self.size.most_bytes {
                    return Err(RowChannelError::TooLarge {
                        channel: self.channel.name.clone(),
                        rows: self.size.rows,
                        most_bytes: self.size.most_bytes,
                    });
                }
                if batch.rows.len() == self.size.rows {
                    is_empty = false;
                    if !self.hand_over(&mut batch) {
                        return Ok(());
                    }
                }
                if read == 0 {
                    break;
                }
            }
            // The rows of all files have the same width.
            self.channel.width = reader.width().or(self.channel.width);
        }
        if !batch.rows.is_empty() {
            self.hand_over(&mut batch);
        } else if is_empty {
            return Err(self.channel.empty());
        }
        Ok(())
    }

    /// Passes a batch on; false if nobody takes it.
    fn hand_over(&self, batch: &mut Batch) -> bool {
        let full = std::mem::replace(batch, self.empty_batch());
        self.full.send(Ok(full)).is_ok()
    }

    fn empty_batch(&self) -> Batch {
        let mut batch = self.empty.try_recv().unwrap_or_default();
        batch.clear();
        batch
    }

    fn cannot_open(&self, path: &Path, source: io::Error) -> RowChannelError {
        let is_pipe = matches!(self.channel.source, Source::Pipe(_));
        let hint = if is_pipe && source.kind() == io::ErrorKind::NotFound {
            "; in Pipe mode each epoch reads a FIFO of its own, which must be there before training begins"
        } else {
            ""
        };
        RowChannelError::Open { channel: self.channel.name.clone(), path: path.to_owned(), source, hint }
    }
}

#[cfg(test)]
mod tests;
