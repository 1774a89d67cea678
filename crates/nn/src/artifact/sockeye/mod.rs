//! Model folders of Sockeye 1.x, and the models of SageMaker's seq2seq, which are the same: read ([`import`]) and written
//! ([`export`]).
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
mod vocabulary;
mod write_config;
mod yaml;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use names::Adopted;

use super::{Artifact, ArtifactError, Metadata, OpenedFolder, mxnet, write_whole};
use crate::{Model, ModelConfig, ModelError, ParameterMismatch};

/// The version whose layout is written.
pub const EXPORTED_VERSION: &str = "1.18.106";
const BEST_PARAMETERS: &str = "params.best";
const CONFIG_FILE: &str = "config";
const VERSION_FILE: &str = "version";
/// What a model of ours knows and Sockeye's layout has no place for. Sockeye does not look at it.
const METADATA_FILE: &str = "kokanee.json";
/// Names that a configuration may have: Sockeye's, and what people call it.
const CONFIG_NAMES: [&str; 2] = [CONFIG_FILE, "config.yaml"];
const SOURCE_VOCABULARIES: [&str; 2] = ["vocab.src.0.json", "vocab.src.json"];
const TARGET_VOCABULARIES: [&str; 2] = ["vocab.trg.0.json", "vocab.trg.json"];

/// Where the parts of a model are, if not where they are expected.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportOptions<'a> {
    /// The parameter file, by its name in the model's folder or by its path; otherwise `params.best`, else the `params.NNNNN`
    /// of the highest number, else `params.mxnet`.
    pub parameters: Option<&'a Path>,
    /// The folder of the vocabularies; otherwise the model's.
    pub vocabularies: Option<&'a Path>,
}

/// A model that was Sockeye's.
pub struct Imported {
    /// The model. Of its hyperparameters those of the architecture are known, and the limits of lengths.
    pub artifact: Artifact,
    /// Source words in the order of their ids, special symbols first.
    pub source_vocabulary: Vec<String>,
    /// Target words in the order of their ids, special symbols first.
    pub target_vocabulary: Vec<String>,
    /// What a user should know: sentences on what was changed, assumed or left out.
    pub notes: Vec<String>,
}

/// Reads a model of Sockeye 1.x from a folder or a `.tar.gz`, in whose one sub-folder it may lie too.
///
/// The model computes what Sockeye computes with it. Parameters of all versions are understood (see `names.rs`), and both
/// layouts of the configuration (see `read_config.rs`).
///
/// # Errors
/// When files are missing or damaged; when the model needs something that is not built, with every such field; when
/// parameters are missing, unexpected or misshapen, all of them at once.
pub fn import(path: &Path, options: &ImportOptions<'_>) -> Result<Imported, ArtifactError> {
    let opened = OpenedFolder::open(path)?;
    // A temporary folder tells a user nothing.
    read_folder(opened.path(), options).map_err(|error| error.relocated(opened.path(), path))
}

fn read_folder(path: &Path, options: &ImportOptions<'_>) -> Result<Imported, ArtifactError> {
    let (folder, config_path) = find_config(path)?;
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
    let source_vocabulary = vocabulary::read(&source_path, model.config().source_vocabulary)?;
    let target_vocabulary = vocabulary::read(&target_path, model.config().target_vocabulary)?;
    Ok(Imported { artifact: Artifact { model, metadata }, source_vocabulary, target_vocabulary, notes })
}

/// Writes a model as a folder of Sockeye 1.18.106, which is made where it is missing: `params.best` (a file, not a link),
/// `config`, `version`, `vocab.src.0.json`, `vocab.trg.0.json`; and `kokanee.json`, from which [`import`] gets back what that
/// layout has no place for (hyperparameters, how the training went). Each file is written whole or not at all, `config` last.
///
/// Words are in the order of their ids. Sockeye needs counts of the training data for nothing but its log; they are 0.
///
/// # Errors
/// When a vocabulary does not fit the model, or the system refuses.
pub fn export(
    artifact: &Artifact,
    source_vocabulary: &[String],
    target_vocabulary: &[String],
    folder: &Path,
) -> Result<(), ArtifactError> {
    let Artifact { model, metadata } = artifact;
    let config = model.config();
    for (side, words, size) in [
        ("source", source_vocabulary, config.source_vocabulary),
        ("target", target_vocabulary, config.target_vocabulary),
    ] {
        vocabulary::check(words, size).map_err(|reason| ArtifactError::Vocabulary { side, reason })?;
    }
    std::fs::create_dir_all(folder).map_err(|e| ArtifactError::io("create the folder", folder, e))?;
    let tensors: Vec<_> = model.parameters().iter().map(|p| (p.name.as_str(), &*p.value)).collect();
    mxnet::write_parameters(&folder.join(BEST_PARAMETERS), &tensors)?;
    vocabulary::write(&folder.join(SOURCE_VOCABULARIES[0]), source_vocabulary)?;
    vocabulary::write(&folder.join(TARGET_VOCABULARIES[0]), target_vocabulary)?;
    write_text(&folder.join(VERSION_FILE), EXPORTED_VERSION)?;
    let json = serde_json::to_string_pretty(metadata).expect("metadata are plain data");
    write_text(&folder.join(METADATA_FILE), &(json + "\n"))?;
    let limits = ["max_seq_len_source", "max_seq_len_target"]
        .map(|name| metadata.hyperparameters.get(name).and_then(|value| value.parse().ok()));
    let description = write_config::describe(config, &metadata.lengths, limits);
    write_text(&folder.join(CONFIG_FILE), &description.to_text())
}

fn write_text(path: &Path, text: &str) -> Result<(), ArtifactError> {
    write_whole(path, |file| file.write_all(text.as_bytes()))
}

/// The model with its parameters; what could not be packed is reported by its gates only.
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

/// The folder that holds a configuration, which is the one given or its only sub-folder with one, and the configuration.
fn find_config(path: &Path) -> Result<(PathBuf, PathBuf), ArtifactError> {
    if let Ok(config) = find_one(path, &CONFIG_NAMES) {
        return Ok((path.to_owned(), config));
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| ArtifactError::io("list", path, e))? {
        let folder = entry.map_err(|e| ArtifactError::io("list", path, e))?.path();
        found.extend(find_one(&folder, &CONFIG_NAMES).ok().map(|config| (folder, config)));
    }
    match found.len() {
        0 => Err(not_sockeye(path, "config, nor config.yaml")),
        1 => Ok(found.remove(0)),
        count => {
            Err(not_sockeye(path, &format!("config of its own, but {count} sub-folders with one: name one")))
        }
    }
}

/// The first of these files that is there.
fn find_one(folder: &Path, names: &[&str]) -> Result<PathBuf, ArtifactError> {
    let mut paths = names.iter().map(|name| folder.join(name));
    paths.find(|path| path.is_file()).ok_or_else(|| not_sockeye(folder, &names.join(", nor ")))
}

fn find_parameters(folder: &Path, given: Option<&Path>) -> Result<PathBuf, ArtifactError> {
    if let Some(given) = given {
        let inside = folder.join(given);
        let path = if inside.is_file() { inside } else { given.to_owned() };
        return if path.is_file() {
            Ok(path)
        } else {
            Err(not_sockeye(folder, &given.display().to_string()))
        };
    }
    let best = folder.join(BEST_PARAMETERS);
    if best.is_file() {
        return Ok(best);
    }
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in std::fs::read_dir(folder).map_err(|e| ArtifactError::io("list", folder, e))? {
        let path = entry.map_err(|e| ArtifactError::io("list", folder, e))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number: Option<u64> = name.and_then(|name| name.strip_prefix("params.")?.parse().ok());
        if let Some(number) = number
            && path.is_file()
            && newest.as_ref().is_none_or(|(highest, _)| number > *highest)
        {
            newest = Some((number, path));
        }
    }
    match newest {
        Some((_, path)) => Ok(path),
        None => find_one(folder, &["params.mxnet"])
            .map_err(|_| not_sockeye(folder, "params.best, nor params.NNNNN, nor params.mxnet")),
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
