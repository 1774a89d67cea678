//! The options of `prepare`, and the files that follow from them.

use std::fs;
use std::path::{Path, PathBuf};

use kokanee_formats::atomic_file::folder_of;

use crate::error::DataError;
use crate::vocab::VocabularyLimits;

/// SageMaker's default for `max_seq_len_source` and `max_seq_len_target`, in tokens; the target's includes `<s>`.
pub const DEFAULT_MAX_SEQ_LEN: usize = 100;

/// The options of [`prepare`](super::prepare); flags and defaults are those of AWS's `create_vocab_proto.py`.
#[derive(Debug, Clone)]
pub struct PrepareOptions {
    /// `-ts`: training text, source side, one sentence per line.
    pub train_source: PathBuf,
    /// `-tt`: training text, target side.
    pub train_target: PathBuf,
    /// `-vs`: validation text, source side; given together with `val_target` or not at all.
    pub val_source: Option<PathBuf>,
    /// `-vt`: validation text, target side.
    pub val_target: Option<PathBuf>,
    /// `-to`: name of the training records, `train.rec`.
    pub train_output: PathBuf,
    /// `-vo`: name of the validation records, `val.rec`.
    pub val_output: PathBuf,
    /// `--output-dir` (ours): the folder of all outputs; the working folder if not given.
    pub output_dir: Option<PathBuf>,
    /// `-single-vocab`: one vocabulary of both sides, limited by `source_limits`.
    pub single_vocab: bool,
    /// `--vocab-source-json`: a vocabulary to use instead of building one.
    pub vocab_source_json: Option<PathBuf>,
    /// `--vocab-target-json`: likewise for the target side.
    pub vocab_target_json: Option<PathBuf>,
    /// `--num-words-source`, `--word-min-count-source`.
    pub source_limits: VocabularyLimits,
    /// `--num-words-target`, `--word-min-count-target`.
    pub target_limits: VocabularyLimits,
    /// The source length limit for the counts of the report, in tokens. Nothing is cut here.
    pub max_seq_len_source: usize,
    /// The target length limit for the counts of the report, in tokens with `<s>`.
    pub max_seq_len_target: usize,
}

impl PrepareOptions {
    /// The default options for these two texts.
    pub fn new(train_source: impl Into<PathBuf>, train_target: impl Into<PathBuf>) -> Self {
        Self {
            train_source: train_source.into(),
            train_target: train_target.into(),
            val_source: None,
            val_target: None,
            train_output: "train.rec".into(),
            val_output: "val.rec".into(),
            output_dir: None,
            single_vocab: false,
            vocab_source_json: None,
            vocab_target_json: None,
            source_limits: VocabularyLimits::default(),
            target_limits: VocabularyLimits::default(),
            max_seq_len_source: DEFAULT_MAX_SEQ_LEN,
            max_seq_len_target: DEFAULT_MAX_SEQ_LEN,
        }
    }
}

impl PrepareOptions {
    /// The folders that files are written into; empty if the options contradict each other.
    pub fn output_folders(&self) -> Vec<PathBuf> {
        let Ok(plan) = Plan::new(self) else { return Vec::new() };
        let mut folders: Vec<PathBuf> = plan.outputs().map(|path| folder_of(path).to_owned()).collect();
        folders.sort_unstable();
        folders.dedup();
        folders
    }
}

/// The files that will be written, checked against each other and against the inputs.
pub(super) struct Plan {
    pub(super) train_output: PathBuf,
    /// Source text, target text, records.
    pub(super) validation: Option<(PathBuf, PathBuf, PathBuf)>,
    /// `None` if a given vocabulary need not be written again.
    pub(super) vocab_source: Option<PathBuf>,
    pub(super) vocab_target: Option<PathBuf>,
}

impl Plan {
    pub(super) fn new(options: &PrepareOptions) -> Result<Self, DataError> {
        let in_folder = |name: &Path| match &options.output_dir {
            Some(folder) => folder.join(name),
            None => name.to_owned(),
        };
        let validation = match (&options.val_source, &options.val_target) {
            (Some(source), Some(target)) => {
                Some((source.clone(), target.clone(), in_folder(&options.val_output)))
            }
            (None, None) => None,
            (Some(_), None) => return Err(missing("--val-target", "--val-source")),
            (None, Some(_)) => return Err(missing("--val-source", "--val-target")),
        };
        for (option, limits) in
            [("--num-words-source", &options.source_limits), ("--num-words-target", &options.target_limits)]
        {
            if limits.num_words == 0 {
                let problem = "a vocabulary of 0 words knows none; give at least 1".to_owned();
                return Err(DataError::Options { option, problem });
            }
        }
        // A given vocabulary is copied only to a folder that was asked for, to make that folder complete; AWS's script writes none,
        // and without --output-dir an unrelated vocab.src.json could be overwritten.
        let vocabulary = |name: &str, given: &Option<PathBuf>| match given {
            Some(given) => options
                .output_dir
                .as_ref()
                .map(|folder| folder.join(name))
                .filter(|path| resolved(path) != resolved(given)),
            None => Some(in_folder(Path::new(name))),
        };
        let (mut source, mut target) = (&options.vocab_source_json, &options.vocab_target_json);
        if options.single_vocab {
            (source, target) =
                (source.as_ref().map_or(target, |_| source), target.as_ref().map_or(source, |_| target));
        }
        let plan = Self {
            train_output: in_folder(&options.train_output),
            validation,
            vocab_source: vocabulary("vocab.src.json", source),
            vocab_target: vocabulary("vocab.trg.json", target),
        };
        plan.check_outputs(options)?;
        Ok(plan)
    }

    /// The outputs, in the order in which they are moved into place.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &Path> {
        let validation = self.validation.iter().map(|(_, _, output)| output);
        self.vocab_source
            .iter()
            .chain(&self.vocab_target)
            .chain([&self.train_output])
            .chain(validation)
            .map(PathBuf::as_path)
    }

    /// Every output, and whether it is a vocabulary.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (&Path, bool)> {
        let records = self.validation.iter().map(|(_, _, output)| output).chain([&self.train_output]);
        let vocabularies = self.vocab_source.iter().chain(&self.vocab_target);
        records.map(|path| (path.as_path(), false)).chain(vocabularies.map(|path| (path.as_path(), true)))
    }

    /// Checks that no output replaces another one or an input.
    fn check_outputs(&self, options: &PrepareOptions) -> Result<(), DataError> {
        let inputs: Vec<_> = [&options.train_source, &options.train_target]
            .into_iter()
            .chain(&options.val_source)
            .chain(&options.val_target)
            .chain(&options.vocab_source_json)
            .chain(&options.vocab_target_json)
            .map(|input| resolved(input))
            .collect();
        let mut seen = Vec::new();
        for output in self.outputs() {
            let path = resolved(output);
            let problem = if inputs.contains(&path) {
                "is also an input, which would be overwritten; choose another name or folder"
            } else if seen.contains(&path) {
                "would be written twice; give every output a name of its own"
            } else {
                seen.push(path);
                continue;
            };
            let problem = format!("{} {problem}", output.display());
            return Err(DataError::Options { option: "--train-output, --val-output, --output-dir", problem });
        }
        Ok(())
    }
}

fn missing(option: &'static str, given: &str) -> DataError {
    let problem =
        format!("is missing, though {given} is given; validation text has two sides, give both or none");
    DataError::Options { option, problem }
}

/// The path without links and detours, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::canonicalize(path).unwrap_or_else(|_| match (fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    })
}
