//! The state from which a run can be resumed, bit for bit.
//!
//! A checkpoint folder holds one state, `state-000001000/`, and `latest`, which names it:
//!
//! | file | content |
//! |---|---|
//! | `state.json` | counters, schedule, best value, history, and the identity of the run ([`RunIdentity`]) |
//! | `parameters.safetensors` | the model after the last update |
//! | `optimizer.<kind>.safetensors` | the optimizer's tensors, by parameter name |
//! | `best.safetensors` | the best model, if it is not the last one |
//! | `checkpoint.<number>.safetensors` | checkpoints that may be averaged at the end, if that was asked for |
//!
//! A state is written into a new folder, flushed to disk, renamed, and named in `latest` by another rename; only then is the one
//! before removed. So whatever kills the program, `latest` names a complete state, or there is none yet. Only states that Kokanee
//! wrote, recognised by name and content, are removed, with their own files, and nothing else.

mod identity;
mod remove;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use kokanee_formats::{FolderUpdate, StagedFile, version, write_atomically};
use kokanee_seq2seq_nn::Parameters;
use kokanee_seq2seq_nn::artifact::{ArtifactError, load_parameters, write_tensors};
use kokanee_tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::optim::Optimizer;
use crate::run_state::RunState;

pub use identity::RunIdentity;

/// Version of the layout of a state; raised when an older program could not resume from a new layout.
const FORMAT_VERSION: u32 = 1;
/// The algorithm of these states; states without this field are of this algorithm too.
const ALGORITHM: &str = "seq2seq";
const LATEST_FILE: &str = "latest";
const STATE_FILE: &str = "state.json";
const PARAMETERS: &str = "parameters.safetensors";
const BEST: &str = "best.safetensors";
const PREFIX: &str = "state-";
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A folder with the state of a run.
pub struct CheckpointFolder {
    folder: PathBuf,
    identity: RunIdentity,
    /// File of the best model in this run's state that was written or loaded last.
    best: Option<PathBuf>,
    /// Files of the checkpoints, by number, that this state keeps for averaging.
    kept: BTreeMap<u64, PathBuf>,
}

/// The place of the best model of a state to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BestModel {
    /// There is no best model yet.
    None,
    /// The model of the state itself is the best.
    Current,
    /// The best model is that of the previous state.
    Earlier,
}

/// A state that was read.
pub struct LoadedState {
    /// Its folder.
    pub folder: PathBuf,
    /// Counters, schedule, history.
    pub run: RunState,
    /// Parameters by name.
    pub parameters: HashMap<String, Tensor>,
    /// The optimizer's tensors by kind and parameter name.
    pub optimizer: Vec<(String, HashMap<String, Tensor>)>,
    /// Parameters of the best model, if there is one.
    pub best: Option<HashMap<String, Tensor>>,
    /// Whether the identity has the same number of threads: if not, sums are rounded in another order.
    pub same_threads: bool,
}

#[derive(Serialize, Deserialize)]
struct StateFile {
    format_version: u32,
    kokanee_version: String,
    #[serde(default = "seq2seq")]
    algorithm: String,
    identity: RunIdentity,
    optimizer: Vec<String>,
    /// File of the best model.
    best: Option<BestFile>,
    /// Numbers of the checkpoints that are kept for averaging.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kept: Vec<u64>,
    run: RunState,
}

fn seq2seq() -> String {
    ALGORITHM.to_owned()
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BestFile {
    Parameters,
    Best,
}

impl BestFile {
    fn name(self) -> &'static str {
        match self {
            BestFile::Parameters => PARAMETERS,
            BestFile::Best => BEST,
        }
    }
}

impl CheckpointFolder {
    /// A folder for the states of one run; it is created when the first is written.
    pub fn new(folder: PathBuf, identity: RunIdentity) -> CheckpointFolder {
        CheckpointFolder { folder, identity, best: None, kept: BTreeMap::new() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Whether the folder holds a state, of any run.
    pub fn holds_state(&self) -> bool {
        self.folder.join(LATEST_FILE).exists()
    }

    /// Replaces the previous state. It keeps the parameters of the checkpoints in `keep`: those of the last checkpoint from
    /// `parameters`, if no update was made since, earlier ones from the previous state.
    ///
    /// # Errors
    /// When the system returns an error; then the previous state is unchanged.
    pub fn save(
        &mut self,
        run: &RunState,
        parameters: &Parameters,
        optimizer: &Optimizer,
        best: BestModel,
        keep: &[u64],
    ) -> Result<(), TrainError> {
        fs::create_dir_all(&self.folder).map_err(TrainError::io("create the folder", &self.folder))?;
        self.check_replaceable()?;
        let name = self.free_name(run.updates);
        let mut update = FolderUpdate::begin(&self.folder)?;

        let mut named = |tensors: &mut dyn Iterator<Item = &Tensor>, file: &str| {
            let names = parameters.iter().map(|p| p.name.as_str());
            let tensors: Vec<_> = names.zip(tensors).collect();
            let place = self.folder.join(file);
            let write =
                |out: &mut StagedFile| write_tensors(out, &tensors).map_err(TrainError::io("write", &place));
            update.write(file, write).map(drop)
        };
        named(&mut parameters.iter().map(|p| &*p.value), PARAMETERS)?;
        for (kind, tensors) in optimizer.state() {
            named(&mut tensors.iter(), &optimizer_file(kind))?;
        }
        let best = match (best, &self.best) {
            (BestModel::Current, _) => Some(BestFile::Parameters),
            (BestModel::Earlier, Some(earlier)) => {
                update.place(BEST, |path| link_or_copy(earlier, path))?;
                Some(BestFile::Best)
            }
            (BestModel::None, _) | (BestModel::Earlier, None) => None,
        };
        let mut kept = Vec::new();
        for &number in keep {
            let file = kept_file(number);
            let last = run.history.last().filter(|last| last.update == run.updates);
            if last.is_some_and(|last| last.checkpoint == number) {
                let own = update.staged(PARAMETERS);
                update.place(&file, |path| link_or_copy(&own, path))?;
            } else if let Some(earlier) = self.kept.get(&number) {
                update.place(&file, |path| link_or_copy(earlier, path))?;
            } else {
                continue;
            }
            kept.push(number);
        }
        let state = StateFile {
            format_version: FORMAT_VERSION,
            kokanee_version: OWN_VERSION.to_owned(),
            algorithm: seq2seq(),
            identity: self.identity.clone(),
            optimizer: optimizer.state().iter().map(|(kind, _)| (*kind).to_owned()).collect(),
            best,
            kept,
            run: run.clone(),
        };
        let text = serde_json::to_string_pretty(&state).expect("a state is plain data");
        update.write_bytes(STATE_FILE, text.as_bytes())?;
        update.commit_as(&name)?;
        let folder = self.folder.join(&name);
        write_atomically(&self.folder.join(LATEST_FILE), format!("{name}\n").as_bytes())?;
        self.best = best.map(|file| folder.join(file.name()));
        self.kept = kept_files(&folder, &state.kept);
        remove::all_states_but(&self.folder, &name);
        Ok(())
    }

    /// Reads the state, which must be of the same run.
    ///
    /// # Errors
    /// When there is none, it is of another run, or damaged.
    pub fn load(&mut self) -> Result<LoadedState, TrainError> {
        let latest = self.folder.join(LATEST_FILE);
        let name = match fs::read_to_string(&latest) {
            Ok(name) => name.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let problem =
                    format!("the folder has no file `{LATEST_FILE}`, so no checkpoint was finished");
                return Err(TrainError::NoState { folder: self.folder.clone(), problem });
            }
            Err(error) => return Err(TrainError::io("read", &latest)(error)),
        };
        if !is_state_name(&name) {
            let problem = format!("it should name a folder such as {PREFIX}000001000, and says {name:?}");
            return Err(TrainError::DamagedState { path: latest, problem });
        }
        let folder = self.folder.join(name);
        let state = read_state_file(&folder.join(STATE_FILE))?;
        if state.algorithm != ALGORITHM {
            let problem = format!("it is a state of the algorithm {}; expected {ALGORITHM}", state.algorithm);
            return Err(TrainError::DamagedState { path: folder, problem });
        }
        let differences = state.identity.differences(&state.kokanee_version, &self.identity);
        if !differences.is_empty() {
            return Err(TrainError::AnotherRun { folder, differences });
        }
        let mut optimizer = Vec::new();
        for kind in state.optimizer {
            if !kind.chars().all(|c| c.is_ascii_alphanumeric()) {
                let problem = format!("{kind:?} is no kind of optimizer state");
                return Err(TrainError::DamagedState { path: folder.join(STATE_FILE), problem });
            }
            let tensors = load_parameters(&folder.join(optimizer_file(&kind)))?;
            optimizer.push((kind, tensors));
        }
        let kept = kept_files(&folder, &state.kept);
        if let Some(path) = kept.values().find(|path| !path.is_file()) {
            let problem = "it is missing, and is needed to average checkpoints".to_owned();
            return Err(TrainError::DamagedState { path: path.clone(), problem });
        }
        self.kept = kept;
        self.best = state.best.map(|file| folder.join(file.name()));
        Ok(LoadedState {
            run: state.run,
            parameters: load_parameters(&folder.join(PARAMETERS))?,
            optimizer,
            best: self.best.as_deref().map(load_parameters).transpose()?,
            same_threads: state.identity.threads == self.identity.threads,
            folder,
        })
    }

    /// The parameters of a checkpoint that was kept, and their file.
    ///
    /// # Errors
    /// When it was not kept, or the file is damaged.
    pub fn load_kept(&self, number: u64) -> Result<(PathBuf, HashMap<String, Tensor>), TrainError> {
        let Some(path) = self.kept.get(&number) else {
            let problem = format!("the parameters of checkpoint {number} were not kept");
            return Err(TrainError::DamagedState { path: self.folder.clone(), problem });
        };
        Ok((path.clone(), load_parameters(path)?))
    }

    /// An unused name: the number of updates, and a second number if a state of another run has that name.
    fn free_name(&self, updates: u64) -> String {
        let first = format!("{PREFIX}{updates:09}");
        let others = (2..).map(|number: u64| format!("{first}-{number}"));
        let mut names = std::iter::once(first.clone()).chain(others);
        names.find(|name| !self.folder.join(name).exists()).unwrap_or(first)
    }

    /// Checks that a state may be written here: a file `latest` of other programs is not replaced.
    ///
    /// # Errors
    /// When there is such a file.
    pub fn check_replaceable(&self) -> Result<(), TrainError> {
        let path = self.folder.join(LATEST_FILE);
        match fs::read_to_string(&path) {
            Ok(name) if is_state_name(name.trim()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(ArtifactError::NotOurs { path }.into()),
        }
    }
}

/// Whether this is the name of a state: `state-000001000`, or `state-000001000-2` if that name was taken.
fn is_state_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let (updates, second) = rest.split_once('-').unwrap_or((rest, "2"));
    updates.len() >= 9 && is_number(updates) && is_number(second)
}

fn kept_file(number: u64) -> String {
    format!("checkpoint.{number}.safetensors")
}

fn kept_files(folder: &Path, numbers: &[u64]) -> BTreeMap<u64, PathBuf> {
    numbers.iter().map(|&number| (number, folder.join(kept_file(number)))).collect()
}

fn optimizer_file(kind: &str) -> String {
    format!("optimizer.{kind}.safetensors")
}

fn read_state_file(path: &Path) -> Result<StateFile, TrainError> {
    let damaged = |problem: String| TrainError::DamagedState { path: path.to_owned(), problem };
    let text = fs::read_to_string(path).map_err(|error| damaged(format!("it cannot be read: {error}")))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
    // The version comes first: a later layout must not be reported as damage.
    let written_by = value.get("kokanee_version").and_then(serde_json::Value::as_str).unwrap_or("unknown");
    match value.get("format_version").map(|version| (version, version.as_u64())) {
        Some((_, Some(version))) if version == u64::from(FORMAT_VERSION) => {}
        Some((_, Some(version))) if version > u64::from(FORMAT_VERSION) => {
            return Err(damaged(format!(
                "its format_version is {version} (Kokanee {written_by} wrote it) and this program, Kokanee {OWN_VERSION}, reads \
                 {FORMAT_VERSION}; use the Kokanee that wrote it"
            )));
        }
        Some((version, _)) => {
            return Err(damaged(format!(
                "its format_version is {version}, which no version of Kokanee writes: the file is damaged; expected {FORMAT_VERSION}"
            )));
        }
        None => return Err(damaged("it has no format_version".to_owned())),
    }
    serde_json::from_str(&text).map_err(|e| {
        damaged(if version::is_later(written_by, OWN_VERSION) {
            format!("{e}; Kokanee {written_by} wrote it, and this is {OWN_VERSION}: use that version or a later one")
        } else {
            e.to_string()
        })
    })
}

/// Gives a file that never changes a second name; makes a copy if the file system has no links.
fn link_or_copy(from: &Path, to: &Path) -> Result<(), TrainError> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to).map_err(TrainError::io("copy the model from", from))?;
    let file = fs::File::open(to).map_err(TrainError::io("open", to))?;
    file.sync_all().map_err(TrainError::io("write", to))
}
