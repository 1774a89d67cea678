//! Files and folders of the user, and the formats of the data in them.
//!
//! | module | promise |
//! |---|---|
//! | [`atomic_file`] | a file is written completely or not at all |
//! | [`folder_update`] | a set of files in a folder is replaced as a whole, or not at all |
//! | [`folder_lock`] | one command at a time writes into a folder; a second one learns who holds it |
//! | [`compression`] | compression is recognised by the first bytes |
//! | [`data_files`] | the files of a channel are always the same, in the same order |
//! | [`decompressed`] | data compressed with gzip is read like plain data |
//! | [`FileDigest`], [`crc32`], [`fnv1a`] | a file that was replaced by another is noticed |
//! | [`random`] | random draws never change between releases |
//! | [`link`] | a link that leads nowhere is distinguished from a missing file |
//!
//! None of them deletes files that Kokanee did not write.
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

/// The prefix of Kokanee's own names in every folder it writes to: temporary files, locks, unfinished updates.
pub const OWN_PREFIX: &str = ".kokanee-";
