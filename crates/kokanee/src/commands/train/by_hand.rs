//! A job of files named on the command line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use kokanee_algorithm::{Algorithm, JobFiles, TrainingJob};
use kokanee_contract::algorithms::seq2seq::channels::{MODEL, VALIDATION, VOCAB};
use kokanee_contract::channels::{ChannelSpec, Distribution, InputChannel, InputChannels, InputMode};
use kokanee_contract::{AlgorithmContract, ContentType, MediaType};

use super::{TrainArgs, own_host, stop_on_signals};
use crate::exit::CommandLineError;

const TRAIN: &str = "train";
const TEST: &str = "test";
/// The packed model, in the folder of the model.
const ARCHIVE: &str = "model.tar.gz";

impl TrainArgs {
    /// The job that the options describe, with more hyperparameters.
    ///
    /// # Errors
    /// When the algorithm has no such channel or needs others, and whatever is wrong with hyperparameters.
    pub(super) fn job(
        &self,
        algorithm: &dyn Algorithm,
        train: &Path,
        output: &Path,
        hyperparameters: &[(String, String)],
    ) -> Result<TrainingJob> {
        let contract = algorithm.contract();
        if !algorithm.resumes() {
            for (option, is_given) in
                [("--resume", self.resume), ("--checkpoints", self.checkpoints.is_some())]
            {
                if is_given {
                    let problem = format!(
                        "{option} has no meaning for {}: it keeps no state to go on from",
                        contract.name
                    );
                    return Err(CommandLineError(problem).into());
                }
            }
        }
        let channels = self.channels(contract, train)?;
        let hyperparameters = self.raw_hyperparameters(hyperparameters)?;
        (contract.check)(&hyperparameters)?;
        let checkpoints = self.checkpoints.clone().unwrap_or_else(|| output.join("checkpoints"));
        Ok(TrainingJob {
            hyperparameters,
            channels,
            files: JobFiles { model: output.to_owned(), checkpoints, archive: Some(output.join(ARCHIVE)) },
            resume: self.resume(),
            host: own_host(),
            hosts: 1,
            stop: stop_on_signals()?,
            notes: Vec::new(),
        })
    }

    fn channels(
        &self,
        contract: &AlgorithmContract,
        train: &Path,
    ) -> Result<InputChannels, CommandLineError> {
        let train = Some(train.to_owned());
        let given = [
            ("--train", TRAIN, &train),
            ("--validation", VALIDATION, &self.validation),
            ("--test", TEST, &self.test),
            ("--vocab", VOCAB, &self.vocab),
            ("--init-from", MODEL, &self.init_from),
        ];
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

    /// The content types that were given, by channel.
    fn content_types(
        &self,
        contract: &AlgorithmContract,
    ) -> Result<BTreeMap<String, ContentType>, CommandLineError> {
        let mut types = BTreeMap::new();
        for given in &self.content_type {
            let (channel, text) = match given.split_once('=') {
                // A parameter has an equals sign too.
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
            // What is said of one channel goes before what is said of all.
            for spec in named {
                if channel.is_some() || !types.contains_key(spec.name) {
                    types.insert(spec.name.to_owned(), content_type.clone());
                }
            }
        }
        Ok(types)
    }
}

/// The content type of a channel of which none was given. CSV that is read as RecordIO is the likeliest mistake.
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
