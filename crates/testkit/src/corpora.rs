//! The corpora for benchmarks that are too large, or not free enough, for this repository.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of the corpora: `data` in the folder that `KOKANEE_SHARED` names, or else `../shared/data` of the repository.
///
/// For benchmarks only. Tests use only files of the repository, so that a clone alone can run them.
///
/// # Errors
/// When the folder is missing; the message says where it was searched for and how to name another.
pub fn corpora() -> Result<PathBuf, String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = env::var_os("KOKANEE_SHARED").map_or(beside, PathBuf::from);
    let data = shared.join("data");
    let found = data.canonicalize().ok().filter(|data| data.is_dir());
    found.ok_or_else(|| {
        format!(
            "the corpora are not in {}: set KOKANEE_SHARED to a folder that holds them in `data` (such as data/multi30k)",
            data.display()
        )
    })
}
