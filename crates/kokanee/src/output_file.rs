//! The destination of results: stdout, or a file that appears complete.

use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kokanee_formats::AtomicFile;

/// The output of a command. A file gets its name only at [`ResultOutput::finish`], so an interrupted run leaves the old one
/// unchanged.
pub(crate) enum ResultOutput {
    /// Flushed after every chunk.
    Stdout(BufWriter<Stdout>),
    /// Written completely or not at all.
    Whole(AtomicFile),
    /// A device or a named pipe, which must not be replaced by a file.
    Special(File, PathBuf),
}

impl ResultOutput {
    /// Opens a file; `None` and `-` mean stdout.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self> {
        match path.filter(|path| *path != Path::new("-")) {
            None => Ok(Self::Stdout(BufWriter::new(io::stdout()))),
            Some(path) if path.metadata().is_ok_and(|metadata| !metadata.is_file()) => {
                let file = File::options().write(true).open(path);
                let file = file.with_context(|| format!("cannot write to {}", path.display()))?;
                Ok(Self::Special(file, path.to_owned()))
            }
            Some(path) => Ok(Self::Whole(AtomicFile::create(path)?)),
        }
    }

    /// Writes and flushes.
    ///
    /// # Errors
    /// When the system returns an error; if the reader of stdout has closed it, an error of kind `BrokenPipe`.
    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        match self {
            Self::Stdout(out) => {
                out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to stdout")
            }
            Self::Whole(file) => file
                .write_all(text.as_bytes())
                .with_context(|| format!("cannot write {}", file.path().display())),
            Self::Special(file, path) => {
                file.write_all(text.as_bytes()).with_context(|| format!("cannot write to {}", path.display()))
            }
        }
    }

    /// Gives a file its name.
    ///
    /// # Errors
    /// When the system returns an error.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Stdout(mut out) => out.flush().context("cannot write to stdout"),
            Self::Whole(file) => Ok(file.commit().map(drop)?),
            Self::Special(..) => Ok(()),
        }
    }
}

/// Writes a text to stdout.
///
/// # Errors
/// When the system returns an error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = ResultOutput::open(None)?;
    out.write(text)?;
    out.finish()
}

/// Writes a text to a file, or to stdout or a special file as [`ResultOutput::open`] would.
///
/// # Errors
/// When the system returns an error.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<()> {
    let mut out = ResultOutput::open(Some(path))?;
    out.write(text)?;
    out.finish()
}

/// Writes pretty JSON with a line break at its end, as [`write_file`] does.
///
/// # Errors
/// When the system returns an error.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).context("a report could not be put into JSON")?;
    text.push('\n');
    write_file(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_and_a_device_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt");
        let mut out = ResultOutput::open(Some(&path)).unwrap();
        out.write("a\n").unwrap();
        assert!(!path.exists());
        out.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n");
        write_json(&path, &[1]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[\n  1\n]\n");

        let error = write_file(folder.path(), "x").unwrap_err();
        assert!(error.to_string().starts_with("cannot write to "), "{error}");
        assert!(folder.path().is_dir());
        #[cfg(unix)]
        {
            write_file(Path::new("/dev/null"), "x").unwrap();
            assert!(!Path::new("/dev/null").metadata().unwrap().is_file());
        }
    }
}
