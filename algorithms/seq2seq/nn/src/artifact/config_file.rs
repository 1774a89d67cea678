//! `config.json`: everything that a model needs but its parameters and vocabularies.

use std::collections::BTreeMap;
use std::path::Path;

use kokanee_formats::{FileDigest, folder_update, version};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArtifactError, CONFIG_FILE, Metadata};
use crate::ModelConfig;

/// Version of the layout of `config.json`; raised when older programs could not read a new layout.
const FORMAT_VERSION: u32 = 1;
/// The algorithm of these models; files without this field are of this algorithm too.
const ALGORITHM: &str = "seq2seq";
/// The version of the program that writes.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The content of `config.json`.
pub(super) struct ConfigFile {
    pub(super) model: ModelConfig,
    pub(super) metadata: Metadata,
    /// The other files of the model, by name; none in files from before the field existed.
    pub(super) files: BTreeMap<String, FileDigest>,
}

#[derive(Serialize)]
struct Written<'a> {
    format_version: u32,
    kokanee_version: &'static str,
    algorithm: &'static str,
    model: &'a ModelConfig,
    #[serde(flatten)]
    metadata: &'a Metadata,
    files: &'a BTreeMap<String, FileDigest>,
}

#[derive(Deserialize)]
struct Read {
    model: ModelConfig,
    #[serde(flatten)]
    metadata: Metadata,
    #[serde(default)]
    files: BTreeMap<String, FileDigest>,
}

/// The text of a new `config.json`.
pub(super) fn to_text(
    model: &ModelConfig,
    metadata: &Metadata,
    files: &BTreeMap<String, FileDigest>,
) -> String {
    let written = Written {
        format_version: FORMAT_VERSION,
        kokanee_version: OWN_VERSION,
        algorithm: ALGORITHM,
        model,
        metadata,
        files,
    };
    serde_json::to_string_pretty(&written).expect("a configuration is plain data") + "\n"
}

/// Reads `config.json`. Unknown fields are ignored, except those of the model: they determine its shape.
pub(super) fn parse(path: &Path, text: &[u8]) -> Result<ConfigFile, ArtifactError> {
    let value: Value =
        serde_json::from_slice(text).map_err(|e| ArtifactError::damaged(path, e.to_string()))?;
    let written_by = value.get("kokanee_version").and_then(Value::as_str).unwrap_or("unknown").to_owned();
    let is_later = version::is_later(&written_by, OWN_VERSION);
    let damaged = |reason: String| {
        let later = format!(
            "{reason}; Kokanee {written_by} wrote it, and this is {OWN_VERSION}: use that version or a later one"
        );
        ArtifactError::damaged(path, if is_later { later } else { reason })
    };
    // Version and algorithm come first: a different layout must not be reported as damage.
    match value.get("format_version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(FORMAT_VERSION) => {}
        Some(version) if version > u64::from(FORMAT_VERSION) => {
            return Err(ArtifactError::damaged(
                path,
                format!(
                    "its format_version is {version} (Kokanee {written_by} wrote it) and this program, Kokanee {OWN_VERSION}, reads \
                     {FORMAT_VERSION}; use a later Kokanee"
                ),
            ));
        }
        _ if value.get("format_version").is_some() => {
            let found = &value["format_version"];
            return Err(damaged(format!(
                "its format_version is {found}, which no version of Kokanee writes: the file is damaged; expected {FORMAT_VERSION}"
            )));
        }
        _ => return Err(damaged("it has no format_version: not a model of Kokanee".to_owned())),
    }
    match value.get("algorithm") {
        None => {}
        Some(Value::String(name)) if name == ALGORITHM => {}
        Some(other) => {
            return Err(damaged(format!("it is a model of the algorithm {other}; expected \"{ALGORITHM}\"")));
        }
    }
    let shape = value.get("model").cloned().unwrap_or_default();
    let Read { model, metadata, files } =
        serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?;
    let known = serde_json::to_value(&model).expect("a configuration is plain data");
    let mut unknown = Vec::new();
    unknown_fields("model", &shape, &known, &mut unknown);
    if !unknown.is_empty() {
        return Err(damaged(format!(
            "it describes a model by {}, which this program does not know: it would compute another model",
            unknown.join(", ")
        )));
    }
    metadata.lengths.check().map_err(damaged)?;
    if let Some(name) = files.keys().find(|name| !folder_update::is_plain_name(name)) {
        return Err(damaged(format!(
            "its \"files\" name {name:?}, which is not a file of the model's folder"
        )));
    }
    Ok(ConfigFile { model, metadata, files })
}

/// Whether a folder's `config.json` was written by Kokanee.
pub(super) fn is_ours(text: &[u8]) -> bool {
    let value: Value = serde_json::from_slice(text).unwrap_or_default();
    value.get("format_version").is_some() && value.get("kokanee_version").is_some()
}

/// Fields of `given` that are not in `known`, by their paths; `null` counts as absent.
fn unknown_fields(path: &str, given: &Value, known: &Value, unknown: &mut Vec<String>) {
    let (Value::Object(given), Value::Object(known)) = (given, known) else { return };
    for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
        match known.get(name) {
            Some(known) => unknown_fields(&format!("{path}.{name}"), value, known, unknown),
            None => unknown.push(format!("{path}.{name} = {value}")),
        }
    }
}

/// The reason why a file is not the one that `config.json` was written with; `None` if it is, or nothing is known about it.
pub(super) fn foreign(
    files: &BTreeMap<String, FileDigest>,
    name: &str,
    found: &FileDigest,
) -> Option<String> {
    let expected = files.get(name).filter(|expected| *expected != found)?;
    Some(format!(
        "it is not the {name} that this model was written with: {CONFIG_FILE} says {} bytes with CRC-32 {}, and it has {} bytes with \
         CRC-32 {}. It is damaged or belongs to another model: copy the model's folder as a whole. (Changed on purpose? Then remove \
         it from \"files\" in {CONFIG_FILE})",
        expected.bytes, expected.crc32, found.bytes, found.crc32
    ))
}
