//! Channels in Pipe mode: a named pipe per epoch, `input/data/<channel>_<epoch>`, with all objects of the channel one after another.
//!
//! A thread of the server writes while the program reads. The pipe of the next epoch exists before that of the present one ends, so that a
//! program always finds it; the pipe of an epoch that has been read is removed, so that no program waits for it. A program that closes a
//! pipe early is done with the epoch. A channel that is never opened delays nothing.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use kokanee_formats::recordio::MAGIC;

use super::RunError;
use super::channels::{ChannelObject, Host, each_object, refuse};
use super::download::{decompressed, is_damage, not_gzip};
use super::fifo::{Fifo, Halt, make, path_of};
use super::object_list::{ListWriter, ObjectList};
use crate::objects::{Input, ObjectStore, Opened};
use crate::training::ChannelRequest;

/// The most bytes that are read at a time.
const CHUNK_BYTES: usize = 256 << 10;
/// The longest record: the upper three bits of its length have another meaning.
const MOST_RECORD_BYTES: u64 = (1 << 29) - 1;
/// The time between two checks whether to stop, if there is nothing else to do.
const IDLE: Duration = Duration::from_millis(20);

/// Feeds a channel until it is dropped.
pub(super) struct Feeder {
    stop: Arc<AtomicBool>,
    fault: Arc<OnceLock<String>>,
    thread: Option<JoinHandle<()>>,
}

struct Feed {
    channel: ChannelRequest,
    objects: Arc<dyn ObjectStore>,
    list: ObjectList,
    /// The path that the names of the pipes begin with.
    folder: PathBuf,
    stop: Arc<AtomicBool>,
}

/// The reason why an epoch ended early.
enum Ended {
    /// The pipe stopped it.
    Halt(Halt),
    /// An object has an error.
    Fault(RunError),
}

impl Feeder {
    /// Creates the pipe of the first epoch beside `folder`, and feeds it as soon as a program reads. `list` is the file for the list of
    /// objects.
    ///
    /// # Errors
    /// If the objects cannot be listed, or the pipe cannot be created.
    pub(super) fn start(
        channel: &ChannelRequest,
        host: Host,
        objects: &Arc<dyn ObjectStore>,
        folder: &Path,
        list: &Path,
    ) -> Result<Self, RunError> {
        let refused = |path: &Path, error: io::Error| {
            RunError::Machine(format!("channel {}: {}: {error}", channel.name, path.display()))
        };
        let mut writer =
            ListWriter::create(list, channel.shuffle_seed).map_err(|error| refused(list, error))?;
        each_object(channel, host, &**objects, |object| {
            writer.add(&object).map_err(|error| refused(list, error))
        })?;
        let list = writer.finish().map_err(|error| refused(list, error))?;
        let first = path_of(folder, 0);
        make(&first).map_err(|error| refused(&first, error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let fault = Arc::new(OnceLock::new());
        let feed = Feed {
            channel: channel.clone(),
            objects: Arc::clone(objects),
            list,
            folder: folder.to_owned(),
            stop: Arc::clone(&stop),
        };
        let told = Arc::clone(&fault);
        let thread = std::thread::Builder::new()
            .name(format!("feed-{}", channel.name))
            .spawn(move || feed.run(&told))
            .map_err(|error| refused(&first, error))?;
        Ok(Self { stop, fault, thread: Some(thread) })
    }

    /// The reason why the channel can no longer be fed. The program then waits for more data, and must be killed.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.get().map(String::as_str)
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // A panic has been logged already, and the job's folder is removed in any case.
            let _ = thread.join();
        }
    }
}

impl Feed {
    fn run(&self, fault: &OnceLock<String>) {
        let mut epoch = 0;
        loop {
            let path = path_of(&self.folder, epoch);
            let mut fifo = match Fifo::open(&path, &self.stop) {
                Ok(fifo) => fifo,
                Err(Halt::Failed(error)) => {
                    let _ = fault.set(self.refused(&path, error).to_string());
                    return;
                }
                Err(_) => return,
            };
            let fed = self.epoch(epoch, &mut fifo);
            let next = path_of(&self.folder, epoch + 1);
            let fed = match fed {
                Ok(()) | Err(Ended::Halt(Halt::ReaderLeft)) => {
                    make(&next).map_err(|error| self.refused(&next, error))
                }
                Err(Ended::Halt(Halt::Stopped)) => return,
                Err(Ended::Halt(Halt::Failed(error))) => Err(self.refused(&path, error)),
                Err(Ended::Fault(error)) => Err(error),
            };
            if let Err(error) = fed {
                let _ = fault.set(error.to_string());
                // The program would take the end of the stream for the end of the data.
                while !self.stop.load(Ordering::SeqCst) {
                    std::thread::sleep(IDLE);
                }
                return;
            }
            drop(fifo);
            let _ = fs::remove_file(&path);
            epoch += 1;
        }
    }

    fn refused(&self, path: &Path, error: io::Error) -> RunError {
        RunError::Machine(format!("channel {}: {}: {error}", self.channel.name, path.display()))
    }

    fn epoch(&self, epoch: u64, fifo: &mut Fifo<'_>) -> Result<(), Ended> {
        let mut chunk = vec![0; CHUNK_BYTES];
        self.list.each(epoch, |object| self.object(&object, fifo, &mut chunk))
    }

    fn object(&self, object: &ChannelObject, fifo: &mut Fifo<'_>, chunk: &mut [u8]) -> Result<(), Ended> {
        let ChannelObject { bucket, key, .. } = object;
        let open = || {
            let found = self.objects.open_object(bucket, key);
            found.map_err(|error| refuse(&self.channel, format!("s3://{bucket}/{key}: {error}")))
        };
        let Opened { input, size } = open()?;
        if !self.channel.is_wrapped {
            return self.stream(object, input, fifo, chunk).map(drop);
        }
        // The length of a record precedes it.
        let length = if self.channel.is_gzip { self.unpacked_length(object, input, chunk)? } else { size };
        let word = u32::try_from(length).ok().filter(|_| length <= MOST_RECORD_BYTES).ok_or_else(|| {
            refuse(
                &self.channel,
                format!("s3://{bucket}/{key} has {length} bytes, but a RecordIO record has at most {MOST_RECORD_BYTES}"),
            )
        })?;
        fifo.write_all(&MAGIC.to_le_bytes())?;
        fifo.write_all(&word.to_le_bytes())?;
        let Opened { input, .. } = open()?;
        let written = self.stream(object, input, fifo, chunk)?;
        if written != length {
            return Err(
                refuse(&self.channel, format!("s3://{bucket}/{key} was replaced while it was read")).into()
            );
        }
        let padding = length.next_multiple_of(4) - length;
        fifo.write_all(&[0; 3][..padding as usize])?;
        Ok(())
    }

    /// Writes the content of an object; returns its number of bytes.
    fn stream(
        &self,
        object: &ChannelObject,
        input: Input,
        fifo: &mut Fifo<'_>,
        chunk: &mut [u8],
    ) -> Result<u64, Ended> {
        if self.channel.is_gzip {
            self.each_chunk(object, decompressed(input), chunk, |bytes| Ok(fifo.write_all(bytes)?))
        } else {
            self.each_chunk(object, input, chunk, |bytes| Ok(fifo.write_all(bytes)?))
        }
    }

    fn unpacked_length(&self, object: &ChannelObject, input: Input, chunk: &mut [u8]) -> Result<u64, Ended> {
        self.each_chunk(object, decompressed(input), chunk, |_| match self.stop.load(Ordering::SeqCst) {
            true => Err(Ended::Halt(Halt::Stopped)),
            false => Ok(()),
        })
    }

    fn each_chunk(
        &self,
        object: &ChannelObject,
        mut input: impl Read,
        chunk: &mut [u8],
        mut visit: impl FnMut(&[u8]) -> Result<(), Ended>,
    ) -> Result<u64, Ended> {
        let ChannelObject { bucket, key, .. } = object;
        let mut length = 0;
        loop {
            match input.read(chunk) {
                Ok(0) => return Ok(length),
                Ok(read) => {
                    length += read as u64;
                    visit(chunk.get(..read).unwrap_or_default())?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.channel.is_gzip && is_damage(&error) => {
                    return Err(not_gzip(&self.channel, bucket, key, &error).into());
                }
                Err(error) => {
                    let problem = format!("channel {}: s3://{bucket}/{key}: {error}", self.channel.name);
                    return Err(RunError::Machine(problem).into());
                }
            }
        }
    }
}

impl From<RunError> for Ended {
    fn from(error: RunError) -> Self {
        Self::Fault(error)
    }
}

impl From<Halt> for Ended {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// An error in reading the list of objects.
impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Fault(RunError::Machine(format!("the list of a channel's objects: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::time::Instant;

    use kokanee_contract::channels::InputMode;
    use kokanee_formats::recordio::RecordReader;
    use tempfile::TempDir;

    use std::fs::File;

    use super::*;
    use crate::runner::channels::ONLY_HOST;
    use crate::runner::test_channel::{channel, gzip, store};
    use crate::s3::Store;

    struct Fed {
        feeder: Feeder,
        folder: TempDir,
        store: Arc<Store>,
    }

    /// Feeds a channel with these objects.
    fn fed<B: AsRef<[u8]>>(objects: &[(&str, B)], change: impl FnOnce(&mut ChannelRequest)) -> Fed {
        let (folder, store) = store(objects);
        let mut channel = channel("s3://bucket/in");
        channel.mode = InputMode::Pipe;
        change(&mut channel);
        let store = Arc::new(store);
        let (data, list) = (folder.path().join("train"), folder.path().join("train.list"));
        let feeder = Feeder::start(&channel, ONLY_HOST, &(Arc::clone(&store) as _), &data, &list).unwrap();
        Fed { feeder, folder, store }
    }

    impl Fed {
        fn path(&self, epoch: u64) -> PathBuf {
            path_of(&self.folder.path().join("train"), epoch)
        }

        fn read(&self, epoch: u64) -> Vec<u8> {
            let mut bytes = Vec::new();
            File::open(self.path(epoch)).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        }
    }

    #[test]
    fn every_epoch_has_all_objects_in_the_order_of_their_keys() {
        let long = "x".repeat(300_000);
        let fed = fed(&[("in/b", "2"), ("in/a", long.as_str()), ("in/c", "3")], |_| {});
        let want = format!("{long}23").into_bytes();
        for epoch in 0..3 {
            assert!(fed.read(epoch) == want, "{epoch}");
        }
        // An epoch that is closed early is over.
        let mut first = [0; 10];
        File::open(fed.path(3)).unwrap().read_exact(&mut first).unwrap();
        let started = Instant::now();
        while !fed.path(4).exists() {
            assert!(started.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(fed.read(4) == want);
        assert_eq!(fed.feeder.fault(), None);
    }

    #[test]
    fn nobody_has_to_read() {
        let fed = fed(&[("in/a", "1")], |_| {});
        assert!(fed.path(0).exists());
        drop(fed.feeder);
    }

    #[test]
    fn a_reader_that_stands_still_does_not_hold_up_the_end() {
        let fed = fed(&[("in/a", "x".repeat(1 << 20))], |_| {});
        let mut reader = io::BufReader::with_capacity(16, File::open(fed.path(0)).unwrap());
        reader.fill_buf().unwrap();
        drop(fed.feeder);
    }

    #[test]
    fn objects_are_decompressed_and_wrapped() {
        let fed = fed(&[("in/a", gzip(b"12345")), ("in/b", gzip(b"")), ("in/c", gzip(&[7; 8]))], |channel| {
            (channel.is_gzip, channel.is_wrapped) = (true, true);
        });
        let bytes = fed.read(0);
        let records: Vec<Vec<u8>> =
            RecordReader::new(&*bytes, "x").map(|record| record.unwrap().payload).collect();
        assert_eq!(records, [b"12345".to_vec(), Vec::new(), vec![7; 8]]);
    }

    #[test]
    fn a_seed_gives_each_epoch_an_order() {
        let keys: Vec<String> = (0..9).map(|number| format!("in/{number}")).collect();
        let objects: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), &key[3..])).collect();
        let fed = fed(&objects, |channel| channel.shuffle_seed = Some(1));
        let epochs = [0, 1, 2].map(|epoch| fed.read(epoch));
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, b"012345678");
        }
        assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
    }

    #[test]
    fn a_fault_is_told_and_is_not_the_end_of_the_data() {
        let fed = fed(&[("in/a", "1"), ("in/b", "2")], |_| {});
        fed.store.delete("bucket", ["in/b"], &Default::default()).unwrap();
        let mut file = File::open(fed.path(0)).unwrap();
        let mut first = [0];
        file.read_exact(&mut first).unwrap();
        let started = Instant::now();
        while fed.feeder.fault().is_none() {
            assert!(started.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        let said = fed.feeder.fault().unwrap();
        assert!(said.starts_with("ClientError: channel train: s3://bucket/in/b: "), "{said}");
        // The stream ends only with the job.
        let waits = std::thread::spawn(move || file.read(&mut [0; 1]).unwrap());
        assert!(!waits.is_finished());
        drop(fed.feeder);
        assert_eq!(waits.join().unwrap(), 0);
    }
}
