//! The files of a job: which there are, and how they are read.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use flate2::bufread::MultiGzDecoder;

use super::error::TransformError;
use super::journal::InputState;
use super::settings::{CompressionType, Settings, SplitType};

/// What SageMaker adds to the name of an input.
const OUTPUT_SUFFIX: &str = ".out";

const BUFFER_BYTES: usize = 1 << 17;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Nobody nests folders this deep; a link that leads back does.
const DEPTH_LIMIT: usize = 32;

/// An input file and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePair {
    pub(super) input: PathBuf,
    /// The output's path below the output folder.
    pub(super) output: String,
}

/// The files of `input`, a file or a folder with folders in it, in the order of their paths. Files and folders whose names
/// begin with a dot are passed over.
pub(super) fn list(input: &Path, output: &Path) -> Result<Vec<FilePair>, TransformError> {
    let metadata = fs::metadata(input).map_err(TransformError::io(input, "look at the input"))?;
    let mut files = Vec::new();
    if metadata.is_dir() {
        refuse_nested(input, output)?;
        list_folder(input, 0, &mut files)?;
        files.sort_unstable();
        if files.is_empty() {
            let problem = "the folder holds no file whose name does not begin with a dot".to_owned();
            return Err(options("--input", input, problem));
        }
    } else {
        files.push(input.to_owned());
    }
    let base = if metadata.is_dir() { input } else { input.parent().unwrap_or(Path::new("")) };
    let pairs = files.into_iter().map(|file| {
        let name =
            file.strip_prefix(base).unwrap_or(&file).to_str().map(|name| format!("{name}{OUTPUT_SUFFIX}"));
        let output = name
            .ok_or_else(|| options("--input", &file, "the file's name is not UTF-8; rename it".to_owned()))?;
        Ok(FilePair { input: file, output })
    });
    pairs.collect()
}

fn options(option: &'static str, path: &Path, problem: String) -> TransformError {
    TransformError::Options { option, problem: format!("{}: {problem}", path.display()) }
}

/// Outputs among the inputs would be taken for inputs the next time.
fn refuse_nested(input: &Path, output: &Path) -> Result<(), TransformError> {
    let (Ok(input), Ok(real)) = (input.canonicalize(), output.canonicalize()) else { return Ok(()) };
    if !real.starts_with(&input) {
        return Ok(());
    }
    let problem = format!(
        "the folder is, or lies in, the folder of the inputs, {}: outputs would be taken for inputs the next time; choose another",
        input.display()
    );
    Err(options("--output", output, problem))
}

fn list_folder(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), TransformError> {
    if depth > DEPTH_LIMIT {
        let problem = format!(
            "folders are nested more than {DEPTH_LIMIT} deep; does a link lead back to a folder above it?"
        );
        return Err(options("--input", folder, problem));
    }
    for entry in fs::read_dir(folder).map_err(TransformError::io(folder, "list the folder"))? {
        let entry = entry.map_err(TransformError::io(folder, "list the folder"))?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // Links are followed: data is often mounted that way.
        let path = entry.path();
        let metadata = fs::metadata(&path).map_err(TransformError::io(&path, "look at the file"))?;
        if metadata.is_dir() {
            list_folder(&path, depth + 1, files)?;
        } else if metadata.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// What tells whether the input is the same as another time.
pub(super) fn input_state(path: &Path) -> Result<InputState, TransformError> {
    let io = |action| TransformError::io(path, action);
    let metadata = fs::metadata(path).map_err(io("look at the file"))?;
    let real = path.canonicalize().map_err(io("look at the file"))?;
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Ok(InputState {
        path: real.to_string_lossy().into_owned(),
        bytes: metadata.len(),
        modified_ns: since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0),
    })
}

/// Opens an input, decompressed where the job says so. `passed` counts the bytes read from the disk.
pub(super) fn open(
    path: &Path,
    settings: &Settings,
    passed: &Arc<AtomicU64>,
) -> Result<Box<dyn BufRead>, TransformError> {
    let file = File::open(path).map_err(TransformError::io(path, "open the file"))?;
    let counted = Counted { input: file, passed: Arc::clone(passed) };
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, counted);
    let start = raw.fill_buf().map_err(TransformError::io(path, "read the file"))?;
    let (is_empty, is_gzip) = (start.is_empty(), start.starts_with(&GZIP_MAGIC));
    match settings.compression_type {
        CompressionType::Gzip if !is_gzip && !is_empty => Err(options(
            "--compression-type",
            path,
            "Gzip was given, but the file does not begin as gzip does (1f 8b)".to_owned(),
        )),
        CompressionType::Gzip if !is_empty => {
            Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))))
        }
        CompressionType::None if is_gzip && settings.split_type != SplitType::None => Err(options(
            "--compression-type",
            path,
            "the file is gzip-compressed, and has no records as it is; give --compression-type Gzip"
                .to_owned(),
        )),
        CompressionType::None | CompressionType::Gzip => Ok(Box::new(raw)),
    }
}

struct Counted<R> {
    input: R,
    passed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.passed.fetch_add(got as u64, Ordering::Relaxed);
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_mirrored_in_the_order_of_paths() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join("in").join(name);
        fs::create_dir_all(path("b/c")).unwrap();
        fs::create_dir_all(path(".git")).unwrap();
        for name in ["z.txt", "b/c/1", "b/2.gz", ".hidden", ".git/x", "_SUCCESS"] {
            fs::write(path(name), "").unwrap();
        }
        let out = folder.path().join("out");
        let names = |input: &Path| -> Vec<String> {
            list(input, &out).unwrap().into_iter().map(|pair| pair.output).collect()
        };
        assert_eq!(names(&path("")), ["_SUCCESS.out", "b/2.gz.out", "b/c/1.out", "z.txt.out"]);
        assert_eq!(names(&path("b/c/1")), ["1.out"]);

        let check = |input: &Path, output: &Path, part: &str| {
            let error = list(input, output).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(&path("no"), &out, "cannot look at the input");
        check(&path(".git/../b"), &path("b/c"), "outputs would be taken for inputs");
        fs::create_dir(path("empty")).unwrap();
        check(&path("empty"), &out, "no file whose name does not begin with a dot");
        std::os::unix::fs::symlink("..", path("b/c/back")).unwrap();
        check(&path("b"), &out, "does a link lead back");
    }
}
