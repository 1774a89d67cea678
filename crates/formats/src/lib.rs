//! Files and folders that belong to the user, and the forms in which data lies in them.
//!
//! | module | promise |
//! |---|---|
//! | [`atomic_file`] | one file appears whole or not at all |
//! | [`folder_update`] | a set of files replaces its predecessors in a folder as one, or not at all |
//! | [`folder_lock`] | one command at a time writes into a folder; the second learns who is there |
//! | [`compression`] | what a file is compressed with is known by its first bytes |
//! | [`data_files`] | the files of a channel are always the same, in the same order |
//! | [`decompressed`] | what is compressed with gzip is read as if it were not |
//! | [`FileDigest`], [`crc32`], [`fnv1a`] | a file that was exchanged for another is noticed |
//! | [`random`] | what is drawn by chance never changes between releases |
//! | [`link`] | a link that leads nowhere is told from a file that is absent |
//!
//! None of them deletes what Kokanee did not write.
//!
//! | module | form |
//! |---|---|
//! | [`text_lines`] | lines of text, plain or compressed with gzip |
//! | [`csv`] | rows of numbers as text |
//! | [`recordio`] | records one after another, in frames |
//! | [`record`] | the protobuf message of an observation |
//! | [`numeric`] | rows of numbers with labels, from CSV or records; bodies of records |
//! | [`json_instances`] | rows in JSON and JSON lines |
//! | [`libsvm`] | sparse rows with labels, as text |
//! | [`mxnet`] | arrays of numbers, as MXNet saves them |
//! | [`archive`] | `model.tar.gz` |
//! | [`rows`] | a batch of rows in memory, dense or sparse |

pub mod archive;
pub mod atomic_file;
pub mod compression;
pub mod csv;
pub mod data_files;
pub mod decompressed;
mod digest;
mod error;
pub mod folder_lock;
pub mod folder_update;
pub mod json_instances;
pub mod libsvm;
pub mod link;
pub mod mxnet;
pub mod numeric;
pub mod random;
pub mod record;
pub mod recordio;
pub mod rows;
pub mod text_lines;
mod utc;
pub mod version;

pub use atomic_file::{AtomicFile, write_atomically};
pub use digest::{Digesting, FileDigest, crc32, fnv1a};
pub use error::FileError;
pub use folder_lock::{Busy, FolderLock, LockError};
pub use folder_update::{FolderUpdate, StagedFile};
pub use utc::utc;

/// Names that begin like this are Kokanee's own in every folder it writes to: temporary files, locks, unfinished updates.
pub const OWN_PREFIX: &str = ".kokanee-";
