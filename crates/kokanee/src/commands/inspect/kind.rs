//! The kind of a file or folder, determined by its content instead of its name.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::read::MultiGzDecoder;
use kokanee_algorithm::algorithm_of;
use kokanee_algorithm::human;
use kokanee_formats::compression::{self, GZIP, is_tar};
use kokanee_formats::text_lines::BYTE_ORDER_MARK;
use kokanee_formats::{mxnet, recordio};
use kokanee_seq2seq_nn::artifact::{OpenedFolder, holds_sockeye_model, sockeye};

use super::state;
use crate::algorithms::ALGORITHMS;

/// Number of bytes of a file that are examined before it is read completely.
const LOOKED_AT: usize = 4096;
/// Our JSON files are far smaller.
const LARGEST_JSON_BYTES: u64 = 256 << 20;

/// The kinds that can be distinguished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Records,
    Vocabulary,
    /// A model's folder or archive.
    Model,
    /// A model of Sockeye, in its folder.
    Sockeye,
    /// Parameters alone.
    Safetensors,
    /// Parameters in the format of MXNet and Sockeye.
    Mxnet,
    /// The history of a training.
    Metrics,
    /// States to resume from.
    States,
    Folder,
    /// Something else, described in words.
    Other(String),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => "records (RecordIO)",
            Self::Vocabulary => "vocabulary",
            Self::Model => "model",
            Self::Sockeye => "model of Sockeye",
            Self::Safetensors => "parameters (safetensors)",
            Self::Mxnet => "parameters (MXNet)",
            Self::Metrics => "history of a training",
            Self::States => "checkpoints to resume from",
            Self::Folder => "folder",
            Self::Other(what) => what,
        })
    }
}

/// Determines the kind of a file or folder.
///
/// # Errors
/// When it does not exist, or cannot be read.
pub(crate) fn of(path: &Path) -> Result<Kind> {
    let metadata = path.metadata().with_context(|| format!("cannot inspect {}", path.display()))?;
    if metadata.is_dir() {
        return Ok(of_folder(path));
    }
    if !metadata.is_file() {
        return Ok(Kind::Other("neither a file nor a folder".to_owned()));
    }
    let open = || File::open(path).with_context(|| format!("cannot open {}", path.display()));
    let start = start_of(open()?).with_context(|| format!("cannot read {}", path.display()))?;
    if is_tar(&start) {
        return Ok(of_archive(path));
    }
    if compression::of(&start) == Some(GZIP) {
        return Ok(match start_of(MultiGzDecoder::new(open()?)) {
            Err(error) => Kind::Other(format!("damaged gzip: {error}")),
            Ok(inside) if is_tar(&inside) => of_archive(path),
            Ok(inside) if inside.starts_with(&recordio::MAGIC.to_le_bytes()) => Kind::Other(
                "RecordIO, compressed with gzip; records are read as they are: decompress the file first (gunzip)".to_owned(),
            ),
            Ok(inside) if compression::of(&inside) == Some(GZIP) => {
                Kind::Other("data compressed with gzip twice: decompress it once (gunzip)".to_owned())
            }
            Ok(inside) => Kind::Other(format!("{}, compressed with gzip", words_for(&inside, None))),
        });
    }
    if start.starts_with(&recordio::MAGIC.to_le_bytes()) {
        return Ok(Kind::Records);
    }
    if start.starts_with(&mxnet::LIST_MAGIC.to_le_bytes()) {
        return Ok(Kind::Mxnet);
    }
    if start.get(8) == Some(&b'{') && start[..8].ends_with(&[0, 0, 0]) {
        return Ok(Kind::Safetensors);
    }
    let text = start.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(&start).trim_ascii_start();
    if text.starts_with(b"{") && metadata.len() <= LARGEST_JSON_BYTES {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        return Ok(of_json(&bytes));
    }
    Ok(Kind::Other(words_for(&start, Some(metadata.len()))))
}

fn of_folder(path: &Path) -> Kind {
    // The model may also be in the only sub-folder.
    if algorithm_of(path, ALGORITHMS).is_ok() {
        Kind::Model
    } else if holds_sockeye_model(path) {
        Kind::Sockeye
    } else if state::file_of(path).is_some() {
        Kind::States
    } else {
        Kind::Folder
    }
}

fn of_archive(path: &Path) -> Kind {
    match OpenedFolder::open(path) {
        Ok(opened) if sockeye::find_model(opened.path()).is_some() => Kind::Sockeye,
        // Faults are reported when the model is described.
        _ => Kind::Model,
    }
}

fn of_json(bytes: &[u8]) -> Kind {
    let text = bytes.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(bytes);
    let value: serde_json::Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => return Kind::Other(format!("damaged JSON: {error}")),
    };
    let Some(object) = value.as_object() else { return Kind::Other("JSON".to_owned()) };
    // A faulty vocabulary is still one: the fault is reported when it is read.
    if object.contains_key("<pad>") || object.contains_key("<unk>") {
        return Kind::Vocabulary;
    }
    if object.contains_key("checkpoints") && object.contains_key("format_version") {
        return Kind::Metrics;
    }
    let keys: Vec<&str> = object.keys().take(8).map(String::as_str).collect();
    let more = if object.len() > keys.len() { ", …" } else { "" };
    Kind::Other(format!("a JSON object with {} keys ({}{more})", object.len(), keys.join(", ")))
}

fn start_of(mut input: impl Read) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    input.by_ref().take(LOOKED_AT as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn words_for(start: &[u8], size: Option<u64>) -> String {
    let size = size.map_or_else(String::new, |size| format!("{} of ", human::bytes(size)));
    if start.is_empty() {
        return "an empty file".to_owned();
    }
    if let Some(compression) = compression::of(start) {
        return format!(
            "{size}data, {compression}, which is not read: unpack it first ({}; a tar archive with {})",
            compression.undo, compression.unpack
        );
    }
    let text = match std::str::from_utf8(start) {
        Ok(text) => Some(text),
        // The last character may be cut in two.
        Err(error) if error.valid_up_to() + 4 > start.len() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    match text {
        Some(text) if !text.contains('\0') => {
            let first: String = text.lines().next().unwrap_or_default().chars().take(60).collect();
            format!("{size}text, which begins with {first:?}; `kokanee prepare` turns text into records")
        }
        _ => {
            let bytes: Vec<String> = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("{size}binary data, which begins with the bytes {}", bytes.join(" "))
        }
    }
}
