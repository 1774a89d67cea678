//! Listing and reading the input files of a job.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use flate2::bufread::MultiGzDecoder;
use kokanee_formats::compression;
use kokanee_formats::data_files::is_passed_over;

use crate::choices::{CompressionType, SplitType};
use crate::error::TransformError;
use crate::journal::InputState;
use crate::settings::Settings;

/// The suffix that SageMaker adds to the name of an input.
const OUTPUT_SUFFIX: &str = ".out";

const BUFFER_BYTES: usize = 1 << 17;
/// The maximum depth of folders; deeper nesting means a link that leads back.
const DEPTH_LIMIT: usize = 32;

/// An input file and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilePair {
    pub(crate) input: PathBuf,
    /// The output's path below the output folder.
    pub(crate) output: String,
}

/// The files of `input`, a file or a folder with sub-folders, in the order of their paths. Files and folders whose names begin with a dot
/// or an underscore are skipped, as in channels.
pub(crate) fn list(input: &Path, output: &Path) -> Result<Vec<FilePair>, TransformError> {
    let metadata = look_at(input)?;
    let mut files = Vec::new();
    if metadata.is_dir() {
        refuse_nested(input, output)?;
        list_folder(input, 0, &mut files)?;
        files.sort_unstable();
        if files.is_empty() {
            let problem =
                "the folder holds no file whose name begins neither with '.' nor with '_'".to_owned();
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
    let pairs = pairs.collect::<Result<Vec<FilePair>, TransformError>>()?;
    refuse_collisions(&pairs)?;
    Ok(pairs)
}

/// The metadata of an input. A resumed job must be able to read it again, so pipes are refused.
pub(crate) fn look_at(input: &Path) -> Result<fs::Metadata, TransformError> {
    let metadata = match fs::metadata(input) {
        // Elsewhere a dash means stdin.
        Err(error) if error.kind() == io::ErrorKind::NotFound && input == Path::new("-") => None,
        found => Some(found.map_err(TransformError::io(input, "look at the input"))?),
    };
    metadata.filter(|metadata| metadata.is_file() || metadata.is_dir()).ok_or_else(|| {
        let problem = "neither a file nor a folder: pipes, stdin and devices cannot be read again after an interruption, so write \
                       their content to a file first (`kokanee translate` takes them, for text)";
        options("--input", input, problem.to_owned())
    })
}

/// Refuses outputs that cannot coexist: the file `x` becomes `x.out`, which must be a folder if the inputs have a folder `x.out`.
fn refuse_collisions(pairs: &[FilePair]) -> Result<(), TransformError> {
    let files: HashMap<&Path, &FilePair> = pairs.iter().map(|pair| (Path::new(&pair.output), pair)).collect();
    for pair in pairs {
        let folder = Path::new(&pair.output).ancestors().skip(1).find_map(|folder| files.get(folder));
        if let Some(other) = folder {
            let problem = format!(
                "its output, {}, is a file where that of {} needs a folder of the same name; rename one of them",
                other.output,
                pair.input.display()
            );
            return Err(options("--input", &other.input, problem));
        }
    }
    Ok(())
}

fn options(option: &'static str, path: &Path, problem: String) -> TransformError {
    TransformError::Options { option, problem: format!("{}: {problem}", path.display()) }
}

/// Refuses an output folder inside the input, since outputs would be read as inputs the next time.
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
        if is_passed_over(&entry.file_name()) {
            continue;
        }
        // Links are followed: data is often mounted that way.
        let path = entry.path();
        if look_at(&path)?.is_dir() {
            list_folder(&path, depth + 1, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// The state of an input, which shows whether it has changed.
pub(crate) fn input_state(path: &Path) -> Result<InputState, TransformError> {
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

/// Opens an input, decompressed if the job requires it. `passed` counts the bytes read from disk.
pub(crate) fn open(
    path: &Path,
    settings: &Settings,
    passed: &Arc<AtomicU64>,
) -> Result<Box<dyn BufRead>, TransformError> {
    let file = File::open(path).map_err(TransformError::io(path, "open the file"))?;
    let counted = Counted { input: file, passed: Arc::clone(passed) };
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, counted);
    let start = raw.fill_buf().map_err(TransformError::io(path, "read the file"))?;
    let (is_empty, compression) = (start.is_empty(), compression::of_or_tar(start));
    let is_gzip = compression == Some(compression::GZIP);
    match settings.compression_type {
        CompressionType::Gzip if !is_gzip && !is_empty => Err(options(
            "--compression-type",
            path,
            "Gzip was given, but the file does not begin as gzip does (1f 8b)".to_owned(),
        )),
        CompressionType::Gzip if !is_empty => {
            Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))))
        }
        CompressionType::None | CompressionType::Gzip => match compression {
            Some(compression) if settings.split_type != SplitType::None => {
                let help = match is_gzip {
                    true => "give --compression-type Gzip".to_owned(),
                    false => format!("unpack it first ({})", compression.undo),
                };
                let problem = format!("the file is {compression}, and has no records as it is; {help}");
                Err(options("--compression-type", path, problem))
            }
            _ => Ok(Box::new(raw)),
        },
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
        fs::create_dir_all(path("b/_temporary")).unwrap();
        for name in ["z.txt", "b/c/1", "b/2.gz", ".hidden", ".git/x", "_SUCCESS", "b/_temporary/x"] {
            fs::write(path(name), "").unwrap();
        }
        let out = folder.path().join("out");
        let names = |input: &Path| -> Vec<String> {
            list(input, &out).unwrap().into_iter().map(|pair| pair.output).collect()
        };
        assert_eq!(names(&path("")), ["b/2.gz.out", "b/c/1.out", "z.txt.out"]);
        assert_eq!(names(&path("b/c/1")), ["1.out"]);
        // A file that is named explicitly is never skipped.
        assert_eq!(names(&path("_SUCCESS")), ["_SUCCESS.out"]);

        let check = |input: &Path, output: &Path, part: &str| {
            let error = list(input, output).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(&path("no"), &out, "cannot look at the input");
        check(&path(".git/../b"), &path("b/c"), "outputs would be taken for inputs");
        fs::create_dir(path("empty")).unwrap();
        check(&path("empty"), &out, "no file whose name begins neither with '.' nor with '_'");
        std::os::unix::fs::symlink("..", path("b/c/back")).unwrap();
        check(&path("b"), &out, "does a link lead back");
    }

    #[test]
    fn outputs_that_cannot_be_there_together_are_refused() {
        let check = |names: &[&str], expected: Option<&str>| {
            let folder = tempfile::tempdir().unwrap();
            for name in names {
                let path = folder.path().join("in").join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            let listed = list(&folder.path().join("in"), &folder.path().join("out"));
            match expected {
                None => assert_eq!(listed.unwrap().len(), names.len()),
                Some(part) => {
                    let error = listed.unwrap_err().to_string();
                    assert!(error.contains(part), "{error} lacks {part}");
                }
            }
        };
        check(&["x", "x.out/y"], Some("in/x: its output, x.out, is a file where that of "));
        check(&["a/x", "a/x.out/b/c/y"], Some("in/a/x: its output, a/x.out, is a file"));
        check(&["x", "x.out.out/y"], None);
        check(&["x", "x.out", "a/x", "y.out/y"], None);
    }

    #[test]
    #[cfg(unix)]
    fn what_cannot_be_read_again_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for input in [&socket, folder.path(), Path::new("/dev/null"), Path::new("-")] {
            let error = list(input, &folder.path().join("out")).unwrap_err().to_string();
            assert!(error.contains("neither a file nor a folder: pipes, stdin"), "{error}");
        }
        let error = list(Path::new("nowhere"), folder.path()).unwrap_err().to_string();
        assert!(error.contains("nowhere: cannot look at the input"), "{error}");
    }
}
