//! Model folders of Sockeye 1.x, and the models of SageMaker's seq2seq, which have the same format: reading ([`import`]) and
//! writing ([`export`]).
//!
//! A folder holds `params.best` (and one `params.NNNNN` for each checkpoint), which is a dictionary of MXNet arrays; `config`,
//! which is YAML with tags that name Python classes, read as data; `vocab.src.0.json` and `vocab.trg.0.json` (without `.0`
//! before 1.15); and `version`.

mod fields;
mod names;
mod networks;
mod read_config;
#[cfg(test)]
mod tests;
mod version;
mod vocabulary;
mod write_config;
mod yaml;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use kokanee_contract::algorithms::seq2seq::BeamSearchRule;
use kokanee_formats::{FolderUpdate, StagedFile, folder_update, link};

use super::presence::{
    SOCKEYE_CONFIG_FILE as CONFIG_FILE, SOCKEYE_CONFIG_NAMES as CONFIG_NAMES,
    SOCKEYE_PARAMETERS_PREFIX as PARAMETERS_PREFIX, holds_model, holds_sockeye_model,
};
use super::{Artifact, ArtifactError, Metadata, OpenedFolder, mxnet};
use crate::{Model, ModelConfig, ModelError, ParameterMismatch};
use names::Adopted;

const BEST_PARAMETERS: &str = "params.best";
const VERSION_FILE: &str = "version";
/// The data of our models for which Sockeye's layout has no place. Sockeye ignores it.
const METADATA_FILE: &str = "kokanee.json";
const SOURCE_VOCABULARIES: [&str; 2] = ["vocab.src.0.json", "vocab.src.json"];
const TARGET_VOCABULARIES: [&str; 2] = ["vocab.trg.0.json", "vocab.trg.json"];

/// The places of a model's parts, if they differ from the expected ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportOptions<'a> {
    /// The parameter file, by its name in the model's folder or by its path; by default `params.best`, otherwise the `params.NNNNN`
    /// of the highest number, otherwise `params.mxnet`.
    pub parameters: Option<&'a Path>,
    /// The folder of the vocabularies; by default the model's.
    pub vocabularies: Option<&'a Path>,
    /// The rule of the beam search; by default that of the Sockeye that wrote the model.
    pub beam_search_rule: Option<BeamSearchRule>,
}

/// An imported model of Sockeye.
pub struct Imported {
    /// The model. Of its hyperparameters, those of the architecture and the limits of lengths are known.
    pub artifact: Artifact,
    /// Source words in the order of their ids, special symbols first.
    pub source_vocabulary: Vec<String>,
    /// Target words in the order of their ids, special symbols first.
    pub target_vocabulary: Vec<String>,
    /// Notes for the user: sentences on what was changed, assumed or left out.
    pub notes: Vec<String>,
}

/// Reads a model of Sockeye 1.x from a folder or a `.tar.gz`, or from its only sub-folder.
///
/// The model computes the same as in Sockeye. Parameters of all versions are supported (see `names.rs`), and both layouts of the
/// configuration (see `read_config.rs`).
///
/// # Errors
/// When files are missing or damaged; when the model needs unsupported features, with every such field; when parameters are
/// missing, unexpected or misshapen, all of them at once.
pub fn import(path: &Path, options: &ImportOptions<'_>) -> Result<Imported, ArtifactError> {
    let opened = OpenedFolder::open(path)?;
    // A temporary folder tells a user nothing.
    read_folder(opened.path(), options).map_err(|error| {
        match error.relocated(opened.path(), opened.shown_folder()) {
            // The path is reported as it was given: a sub-folder of an archive is not a path.
            ArtifactError::NothingToImport { .. } => ArtifactError::NothingToImport { path: path.to_owned() },
            error => error,
        }
    })
}

/// The folder of a model of Sockeye: this one or its only sub-folder with one.
pub fn find_model(folder: &Path) -> Option<PathBuf> {
    if holds_sockeye_model(folder) {
        return Some(folder.to_owned());
    }
    let mut found = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| holds_sockeye_model(path));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The version of Sockeye that wrote the folder, if it is known; for people.
pub fn version_of(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(VERSION_FILE)).ok()?;
    Some(text.trim().chars().take(40).collect())
}

fn read_folder(path: &Path, options: &ImportOptions<'_>) -> Result<Imported, ArtifactError> {
    if holds_model(path) && find_config(path).is_err() {
        return Err(ArtifactError::NothingToImport { path: path.to_owned() });
    }
    let (folder, config_path) = find_config(path)?;
    folder_update::finish(&folder)?;
    let parameters_path = find_parameters(&folder, options.parameters)?;
    let vocabularies = options.vocabularies.unwrap_or(&folder);
    let source_path = find_one(vocabularies, &SOURCE_VOCABULARIES)?;
    let target_path = find_one(vocabularies, &TARGET_VOCABULARIES)?;

    let damaged = |reason: String| ArtifactError::damaged(&config_path, reason);
    let config = yaml::parse(&read_config_text(&config_path)?).map_err(damaged)?;
    let mut adopted = Adopted::new(mxnet::read_parameters(&parameters_path)?);
    let report = RefCell::default();
    let description = read_config::read(&config, &adopted, &report);
    let report = report.into_inner();
    if !report.unsupported.is_empty() {
        let fields = report.unsupported.into_iter().chain(report.wrong).collect();
        return Err(ArtifactError::Unsupported { path: config_path, fields });
    }
    if !report.wrong.is_empty() {
        return Err(damaged(report.wrong.join("; ")));
    }

    let mut notes = report.notes;
    notes.append(&mut adopted.notes);
    let model = load(description.model, adopted).map_err(|error| match error {
        ModelError::Config(error) => damaged(error.to_string()),
        ModelError::Parameters(mismatch) => {
            let reason = format!("its parameters do not fit the configuration: {mismatch}");
            ArtifactError::damaged(&parameters_path, reason)
        }
    })?;
    let mut metadata = Metadata {
        hyperparameters: description.hyperparameters,
        lengths: description.lengths,
        training: None,
    };
    let metadata_path = folder.join(METADATA_FILE);
    if metadata_path.is_file() {
        metadata = read_metadata(&metadata_path)?;
    }
    metadata.lengths.check().map_err(damaged)?;
    let rule = options.beam_search_rule;
    version::set_search_rule(&folder, model.config(), rule, &mut metadata.hyperparameters, &mut notes);
    let source_vocabulary = vocabulary::read(&source_path, model.config().source_vocabulary)?;
    let target_vocabulary = vocabulary::read(&target_path, model.config().target_vocabulary)?;
    Ok(Imported { artifact: Artifact { model, metadata }, source_vocabulary, target_vocabulary, notes })
}

/// Writes a model as a folder of Sockeye 1.18.106, which is created if it is missing: `params.best` (a file, not a link), `config`,
/// `version`, `vocab.src.0.json`, `vocab.trg.0.json`; and `kokanee.json`, from which [`import`] restores the data for which that
/// layout has no place (hyperparameters, state of the training). All files appear together. Returns notes for the user.
///
/// Words are in the order of their ids. Sockeye uses counts of the training data only for its log; they are 0.
///
/// # Errors
/// When a vocabulary does not fit the model, the folder holds a model of Sockeye's own, or the system returns an error.
pub fn export(
    artifact: &Artifact,
    source_vocabulary: &[String],
    target_vocabulary: &[String],
    folder: &Path,
) -> Result<Vec<String>, ArtifactError> {
    let Artifact { model, metadata } = artifact;
    let config = model.config();
    for (side, words, size) in [
        ("source", source_vocabulary, config.source_vocabulary),
        ("target", target_vocabulary, config.target_vocabulary),
    ] {
        vocabulary::check(words, size).map_err(|reason| ArtifactError::Vocabulary { side, reason })?;
    }
    check_replaceable(folder)?;
    let tensors: Vec<_> = model.parameters().iter().map(|p| (p.name.as_str(), &*p.value)).collect();
    let mut update = FolderUpdate::begin(folder)?;
    update.write(BEST_PARAMETERS, |file: &mut StagedFile| {
        let path = file.path().to_owned();
        mxnet::write(file, &tensors).map_err(|e| ArtifactError::io("write", &path, e))
    })?;
    let json = serde_json::to_string_pretty(metadata).expect("metadata are plain data");
    let limits = ["max_seq_len_source", "max_seq_len_target"]
        .map(|name| metadata.hyperparameters.get(name).and_then(|value| value.parse().ok()));
    let description = write_config::describe(config, &metadata.lengths, limits);
    let (version, notes) = version::to_write(&metadata.hyperparameters);
    for (name, text) in [
        (SOURCE_VOCABULARIES[0], vocabulary::to_text(source_vocabulary)),
        (TARGET_VOCABULARIES[0], vocabulary::to_text(target_vocabulary)),
        (VERSION_FILE, version.to_owned()),
        (METADATA_FILE, json + "\n"),
        (CONFIG_FILE, description.to_text()),
    ] {
        update.write_bytes(name, text.as_bytes())?;
    }
    update.commit()?;
    Ok(notes)
}

/// Sockeye's own model folders are not overwritten: those written by [`export`] contain `kokanee.json`.
fn check_replaceable(folder: &Path) -> Result<(), ArtifactError> {
    if folder_update::path_of(folder, METADATA_FILE).is_file() {
        return Ok(());
    }
    let names = [BEST_PARAMETERS, CONFIG_FILE, VERSION_FILE, SOURCE_VOCABULARIES[0], TARGET_VOCABULARIES[0]];
    let foreign = names.iter().map(|name| folder.join(name)).find(|path| path.symlink_metadata().is_ok());
    foreign.map_or(Ok(()), |path| Err(ArtifactError::NotOurs { path }))
}

/// Builds the model with its parameters; for what could not be packed, only the gates are reported.
fn load(config: ModelConfig, mut adopted: Adopted) -> Result<Model, ModelError> {
    let tensors = std::mem::take(&mut adopted.tensors);
    let found = match Model::with_parameters(config, tensors) {
        Ok(model) if adopted.mismatch == ParameterMismatch::default() => return Ok(model),
        Ok(_) => ParameterMismatch::default(),
        Err(ModelError::Parameters(found)) => found,
        Err(error) => return Err(error),
    };
    let unexplained: Vec<String> =
        found.missing.into_iter().filter(|name| !adopted.is_explained(name)).collect();
    let mut all = adopted.mismatch;
    all.missing.extend(unexplained);
    all.unexpected.extend(found.unexpected);
    all.misshapen.extend(found.misshapen);
    Err(all.into())
}

/// Finds the folder that holds a configuration, the given one or its only sub-folder with one, and the configuration.
fn find_config(path: &Path) -> Result<(PathBuf, PathBuf), ArtifactError> {
    match find_one(path, &CONFIG_NAMES) {
        Err(ArtifactError::NotSockeye { .. }) => {}
        found => return found.map(|config| (path.to_owned(), config)),
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| ArtifactError::io("list", path, e))? {
        let folder = entry.map_err(|e| ArtifactError::io("list", path, e))?.path();
        if folder.is_dir() && holds_sockeye_model(&folder) {
            found.push(folder);
        }
    }
    match found.len() {
        0 => Err(not_sockeye(path, "config, nor config.yaml")),
        1 => find_one(&found[0], &CONFIG_NAMES).map(|config| (found.remove(0), config)),
        count => {
            Err(not_sockeye(path, &format!("config of its own, but {count} sub-folders with one: name one")))
        }
    }
}

/// The first of these files that exists.
fn find_one(folder: &Path, names: &[&str]) -> Result<PathBuf, ArtifactError> {
    for name in names {
        let path = folder_update::path_of(folder, name);
        refuse_dangling(&path, "")?;
        if path.is_file() {
            return Ok(path);
        }
    }
    Err(not_sockeye(folder, &names.join(", nor ")))
}

/// A link to a missing file must not count as absent: something else would be read in its place.
fn refuse_dangling(path: &Path, remedy: &'static str) -> Result<(), ArtifactError> {
    link::dangling(path)
        .map_or(Ok(()), |target| Err(ArtifactError::Dangling { path: path.to_owned(), target, remedy }))
}

fn find_parameters(folder: &Path, given: Option<&Path>) -> Result<PathBuf, ArtifactError> {
    let other = ", or name other parameters with --params";
    if let Some(given) = given {
        for path in [folder.join(given), given.to_owned()] {
            refuse_dangling(&path, other)?;
            if path.is_file() {
                return Ok(path);
            }
        }
        return Err(not_sockeye(folder, &given.display().to_string()));
    }
    let best = folder_update::path_of(folder, BEST_PARAMETERS);
    refuse_dangling(&best, other)?;
    if best.is_file() {
        return Ok(best);
    }
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in std::fs::read_dir(folder).map_err(|e| ArtifactError::io("list", folder, e))? {
        let path = entry.map_err(|e| ArtifactError::io("list", folder, e))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number: Option<u64> = name.and_then(|name| name.strip_prefix(PARAMETERS_PREFIX)?.parse().ok());
        if let Some(number) = number
            && !path.is_dir()
            && newest.as_ref().is_none_or(|(highest, _)| number > *highest)
        {
            newest = Some((number, path));
        }
    }
    match newest {
        Some((_, path)) => refuse_dangling(&path, other).map(|()| path),
        None => find_one(folder, &["params.mxnet"]).map_err(|error| match error {
            ArtifactError::NotSockeye { .. } => {
                not_sockeye(folder, "params.best, nor params.NNNNN, nor params.mxnet")
            }
            error => error,
        }),
    }
}

fn read_config_text(path: &Path) -> Result<String, ArtifactError> {
    let size = std::fs::metadata(path).map_err(|e| ArtifactError::io("read", path, e))?.len();
    if size > yaml::LARGEST_TEXT_BYTES as u64 {
        return Err(ArtifactError::damaged(path, format!("it has {size} bytes, which is no configuration")));
    }
    let bytes = std::fs::read(path).map_err(|e| ArtifactError::io("read", path, e))?;
    String::from_utf8(bytes).map_err(|e| {
        let byte = e.utf8_error().valid_up_to();
        ArtifactError::damaged(path, format!("it is not UTF-8 text at byte {byte}"))
    })
}

fn read_metadata(path: &Path) -> Result<Metadata, ArtifactError> {
    let text = std::fs::read_to_string(path).map_err(|e| ArtifactError::io("read", path, e))?;
    serde_json::from_str(&text).map_err(|e| ArtifactError::damaged(path, e.to_string()))
}

fn not_sockeye(path: &Path, missing: &str) -> ArtifactError {
    ArtifactError::NotSockeye { path: path.to_owned(), missing: missing.to_owned() }
}
