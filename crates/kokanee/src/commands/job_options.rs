//! The options for a training: algorithm, data and hyperparameters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use kokanee_contract::algorithms::seq2seq::channels::{MODEL, VALIDATION, VOCAB};
use kokanee_contract::channels::{ChannelSpec, Distribution, InputChannel, InputChannels, InputMode};
use kokanee_contract::container::config_file;
use kokanee_contract::{AlgorithmContract, ContentType, MediaType};

use crate::exit::CommandLineError;

const TRAIN: &str = "train";
const TEST: &str = "test";

/// What is trained.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct JobOptions {
    /// Algorithm, by the name of its image [default: KOKANEE_ALGORITHM, else seq2seq]
    #[arg(long, value_name = "NAME")]
    pub(super) algorithm: Option<String>,
    /// Training data: a file, or a folder of files
    #[arg(long, value_name = "PATH", requires = "output")]
    pub(super) train: Option<PathBuf>,
    /// Validation data
    #[arg(long, value_name = "PATH", requires = "train")]
    pub(super) validation: Option<PathBuf>,
    /// Test data, evaluated at the end
    #[arg(long, value_name = "PATH", requires = "train")]
    pub(super) test: Option<PathBuf>,
    /// Folder with vocab.src.json and vocab.trg.json
    #[arg(long, value_name = "FOLDER", requires = "train")]
    pub(super) vocab: Option<PathBuf>,
    /// Content type of the data, or of one channel: 'test=text/csv;label_size=0' [default: RecordIO-protobuf]
    #[arg(long, value_name = "[CHANNEL=]TYPE", requires = "train")]
    pub(super) content_type: Vec<String>,
    /// Set a hyperparameter; overrides --hyperparameters
    #[arg(long, value_name = "NAME=VALUE", requires = "train", value_parser = name_and_value)]
    pub(super) set: Vec<(String, String)>,
    /// Read hyperparameters from a JSON file in SageMaker's format: {"batch_size": "64", …}
    #[arg(long, value_name = "FILE", requires = "train")]
    pub(super) hyperparameters: Option<PathBuf>,
    /// Start from an earlier model (its folder or model.tar.gz) instead of from scratch; words are matched by spelling
    #[arg(long, value_name = "PATH", requires = "train")]
    pub(super) init_from: Option<PathBuf>,
}

impl JobOptions {
    /// The hyperparameters of the file, overridden by those set on the command line and then by `more`.
    ///
    /// # Errors
    /// When the file cannot be read, or a name is set twice.
    pub(super) fn raw_hyperparameters(&self, more: &[(String, String)]) -> Result<BTreeMap<String, String>> {
        let mut raw = match &self.hyperparameters {
            Some(path) => config_file::read_hyperparameters(path)?,
            None => BTreeMap::new(),
        };
        let mut set: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in &self.set {
            if let Some(earlier) = set.insert(name, value) {
                bail!("--set {name} is given twice, as \"{earlier}\" and as \"{value}\": give it once");
            }
            raw.insert(name.clone(), value.clone());
        }
        raw.extend(more.iter().cloned());
        Ok(raw)
    }

    /// The options that name data: option, channel, and path if given.
    pub(super) fn paths(&self) -> [(&'static str, &'static str, &Option<PathBuf>); 5] {
        [
            ("--train", TRAIN, &self.train),
            ("--validation", VALIDATION, &self.validation),
            ("--test", TEST, &self.test),
            ("--vocab", VOCAB, &self.vocab),
            ("--init-from", MODEL, &self.init_from),
        ]
    }

    /// The channels for the options.
    ///
    /// # Errors
    /// When the algorithm has no such channel or needs others, or does not read a content type.
    pub(super) fn channels(&self, contract: &AlgorithmContract) -> Result<InputChannels, CommandLineError> {
        let given = self.paths();
        for (option, name, path) in given {
            match contract.channel(name) {
                None if path.is_some() => {
                    let names: Vec<&str> = contract.channels.iter().map(|spec| spec.name).collect();
                    let (algorithm, names) = (contract.name, names.join(", "));
                    let problem =
                        format!("{option}: {algorithm} has no channel {name}; its channels are {names}");
                    return Err(CommandLineError(problem));
                }
                Some(spec) if spec.required && path.is_none() => {
                    return Err(CommandLineError(format!("{} needs {option}: {}", contract.name, spec.doc)));
                }
                _ => {}
            }
        }
        let types = self.content_types(contract)?;
        let mut channels = BTreeMap::new();
        for (option, name, path) in given {
            let (Some(spec), Some(path)) = (contract.channel(name), path) else { continue };
            let content_type = match types.get(name) {
                Some(content_type) => content_type.clone(),
                None => unsaid(spec, option, path)?,
            };
            let channel = InputChannel {
                name: name.to_owned(),
                content_type,
                mode: InputMode::File,
                distribution: Distribution::FullyReplicated,
                path: path.clone(),
            };
            channels.insert(name.to_owned(), channel);
        }
        Ok(InputChannels { channels, notes: Vec::new() })
    }

    /// The given content types, by channel.
    fn content_types(
        &self,
        contract: &AlgorithmContract,
    ) -> Result<BTreeMap<String, ContentType>, CommandLineError> {
        let mut types = BTreeMap::new();
        for given in &self.content_type {
            let (channel, text) = match given.split_once('=') {
                // A parameter contains an equals sign too.
                Some((name, text)) if !name.contains(['/', ';']) => (Some(name.trim()), text),
                _ => (None, given.as_str()),
            };
            let wrong = |problem: String| CommandLineError(format!("--content-type {given:?}: {problem}"));
            let content_type = ContentType::parse(text)
                .ok_or_else(|| wrong("it is no content type that Kokanee knows".to_owned()))?;
            let reads = |spec: &&ChannelSpec| spec.content_types.contains(&content_type.media);
            let named: Vec<&ChannelSpec> = match channel {
                Some(name) => contract.channel(name).into_iter().collect(),
                None => contract.channels.iter().filter(reads).collect(),
            };
            if named.is_empty() || !named.iter().all(reads) {
                let whose = channel.map_or("no channel".to_owned(), |name| {
                    format!("channel {name} is not of it, or there is none")
                });
                return Err(wrong(format!("{} reads other types: {whose}", contract.name)));
            }
            // A content type for one channel takes precedence over one for all.
            for spec in named {
                if channel.is_some() || !types.contains_key(spec.name) {
                    types.insert(spec.name.to_owned(), content_type.clone());
                }
            }
        }
        Ok(types)
    }
}

/// The content type of a channel for which none was given. CSV that is read as RecordIO is the most likely mistake.
fn unsaid(spec: &ChannelSpec, option: &str, path: &Path) -> Result<ContentType, CommandLineError> {
    let is_csv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    if is_csv && spec.content_types.contains(&MediaType::Csv) {
        let problem = format!(
            "{option} {} looks like CSV, which must be said, with the number of label columns in front: --content-type \
             'text/csv;label_size=0'",
            path.display()
        );
        return Err(CommandLineError(problem));
    }
    Ok(spec.default_content_type.into())
}

/// Parses `NAME=VALUE`, the argument of `--set`.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as batch_size=64".to_owned()),
    }
}
