//! Named pipes whose writers never wait long for a reader.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The time between two looks for a reader.
const LOOK: Duration = Duration::from_millis(5);
/// The time between two checks whether to stop while a reader is slow.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The reason why writing stops.
#[derive(Debug)]
pub(super) enum Halt {
    /// The reader has closed its end.
    ReaderLeft,
    /// The job has ended.
    Stopped,
    /// The system refuses.
    Failed(io::Error),
}

/// The writing end of a named pipe that has a reader.
pub(super) struct Fifo<'a> {
    file: File,
    stop: &'a AtomicBool,
}

/// Creates a named pipe. An existing pipe, left by a killed server, is used again.
pub(super) fn make(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt as _;
    match make_new(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path)?.file_type().is_fifo() { Ok(()) } else { Err(error) }
        }
        made => made,
    }
}

#[cfg(target_os = "linux")]
fn make_new(path: &Path) -> io::Result<()> {
    // The user that the program runs as must be able to open it.
    Ok(rustix::fs::mkfifoat(rustix::fs::CWD, path, Mode::from_raw_mode(0o666))?)
}

#[cfg(not(target_os = "linux"))]
fn make_new(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    let status = std::process::Command::new("mkfifo").arg(path).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("mkfifo ended with {status}"))) }
}

impl<'a> Fifo<'a> {
    /// Waits until a reader opens the pipe.
    pub(super) fn open(path: &Path, stop: &'a AtomicBool) -> Result<Self, Halt> {
        loop {
            if stop.load(Ordering::SeqCst) {
                return Err(Halt::Stopped);
            }
            match rustix::fs::open(path, OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
                Ok(end) => return Ok(Self { file: File::from(end), stop }),
                // There is no reader yet.
                Err(Errno::NXIO | Errno::INTR) => std::thread::sleep(LOOK),
                Err(error) => return Err(Halt::Failed(error.into())),
            }
        }
    }

    /// Writes all the bytes.
    pub(super) fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Halt> {
        while !bytes.is_empty() {
            if self.stop.load(Ordering::SeqCst) {
                return Err(Halt::Stopped);
            }
            match self.file.write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut ends = [PollFd::new(&self.file, PollFlags::OUT)];
                    match poll(&mut ends, Some(&PATIENCE)) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(Halt::Failed(error.into())),
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Err(Halt::ReaderLeft),
                Err(error) => return Err(Halt::Failed(error)),
            }
        }
        Ok(())
    }
}

/// The path `<channel>_<epoch>` beside the folder of a channel.
pub(super) fn path_of(channel: &Path, epoch: u64) -> PathBuf {
    let mut path = channel.as_os_str().to_owned();
    path.push(format!("_{epoch}"));
    path.into()
}
