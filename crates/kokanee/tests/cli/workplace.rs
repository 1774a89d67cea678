//! A working folder, the program, and a model that is trained once for all tests.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The output of the program, and its exit.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// Checks that it succeeded.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// Checks that it failed with exit code 1 and an error that contains all these parts.
    #[track_caller]
    pub(crate) fn refused(self, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert!(self.stderr.starts_with("error: ") || self.stderr.contains("\nerror: "), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "lacks {part:?}: {}", self.stderr);
        }
        self
    }

    /// Checks that the command line was refused.
    #[track_caller]
    pub(crate) fn misused(self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "lacks {part:?}: {}", self.stderr);
        }
    }

    pub(crate) fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }
}

/// A temporary folder, in which the program runs.
pub(crate) struct Workplace {
    folder: tempfile::TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("writes");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The program with these arguments, in this folder.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kokanee"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_remove("TRAINING_JOB_NAME")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command line, split at blanks.
    pub(crate) fn run(&self, line: &str) -> Said {
        said(self.command(&line.split_whitespace().collect::<Vec<_>>()))
    }

    /// Runs a command line with this on its stdin.
    pub(crate) fn run_with(&self, line: &str, input: &str) -> Said {
        let mut command = self.command(&line.split_whitespace().collect::<Vec<_>>());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let written = child.stdin.take().expect("piped").write_all(input.as_bytes());
        // A program that refuses its arguments may have ended before it reads.
        if let Err(error) = written {
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe, "takes input");
        }
        into_said(child.wait_with_output().expect("ends"))
    }
}

pub(crate) fn said(mut command: Command) -> Said {
    into_said(command.output().expect("starts"))
}

fn into_said(output: std::process::Output) -> Said {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Pairs of a tiny language: each letter stands for its capital. Another seed gives other sentences.
pub(crate) fn pairs(count: usize, seed: u64) -> (String, String) {
    let mut rng = kokanee_testkit::Rng::new(seed);
    let (mut source, mut target) = (String::new(), String::new());
    for index in 0..count {
        let letters: Vec<char> =
            (0..1 + index % 5).map(|_| char::from(b'a' + rng.range(0..6) as u8)).collect();
        let join =
            |f: fn(&char) -> char| letters.iter().map(|c| f(c).to_string()).collect::<Vec<_>>().join(" ");
        source.push_str(&(join(|c| *c) + "\n"));
        target.push_str(&(join(char::to_ascii_uppercase) + "\n"));
    }
    (source, target)
}

/// The settings of a model that learns the tiny language in seconds.
pub(crate) const TINY: &str = "--set num_embed_source=16 --set num_embed_target=16 --set rnn_num_hidden=32 \
     --set batch_size=16 --set learning_rate=0.01 --set num_threads=1";

/// The length of that model's training.
const LENGTH: &str = "--set checkpoint_frequency_num_batches=150 --set max_num_batches=450";

/// Writes text files of the tiny language into this folder, and `data/` with the output of `prepare`.
pub(crate) fn prepared(work: &Workplace) {
    let (source, target) = pairs(400, 1);
    work.write("train.src", source);
    work.write("train.trg", target);
    let (source, target) = pairs(40, 2);
    work.write("val.src", source);
    work.write("val.trg", target);
    work.run("prepare -ts train.src -tt train.trg -vs val.src -vt val.trg --output-dir data").well();
}

/// A folder with `data/` and a trained `model/`, created once. Tests only read it.
pub(crate) fn trained() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let work = Workplace::new();
        prepared(&work);
        let line = "train --train data/train.rec --validation data/val.rec --vocab data --output model";
        work.run(&format!("{line} {TINY} {LENGTH}")).well();
        // One folder under cargo's own, so that test runs do not accumulate more and more of them.
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(concat!(env!("CARGO_CRATE_NAME"), "-trained"));
        let _ = fs::remove_dir_all(&kept);
        copy(work.folder.path(), &kept);
        kept
    })
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("lists") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copies");
        }
    }
}

/// The trained model's folder, as an argument.
pub(crate) fn model() -> String {
    trained().join("model").display().to_string()
}
