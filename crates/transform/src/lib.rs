//! Batch transform: turns files of records into files of responses, as SageMaker's CreateTransformJob does.
//!
//! Each input file is divided into records (`split`), records are grouped into mini-batches, and each mini-batch is filtered, sent,
//! answered and joined (`records`) by one of several threads. Responses are written in the order of the records (`ordered`), and a file
//! gets its name when it is complete (`files`, `journal`). The number of mini-batches in progress is bounded, so memory does not grow with
//! the files.

mod choices;
mod error;
mod files;
mod job;
mod journal;
mod json_path;
mod line_form;
mod ordered;
mod records;
mod settings;
mod split;

pub use choices::{AssembleWith, BatchStrategy, CompressionType, JoinSource, SplitType};
pub use error::{InvokeError, Place, TransformError};
pub use job::{Job, Progress, Silent, Summary, run};
pub use journal::JOURNAL_FILE;
pub use json_path::{JsonPath, PathFault};
pub use settings::{
    DEFAULT_MAX_PAYLOAD_MB, DataProcessing, MEGABYTE, Settings, recommended_assembly, recommended_split,
};

#[cfg(test)]
mod tests;
