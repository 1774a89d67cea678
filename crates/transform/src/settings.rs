//! The settings of a transform job, under SageMaker's names.

use std::collections::BTreeMap;

use kokanee_contract::MediaType;

use crate::choices::{AssembleWith, BatchStrategy, CompressionType, JoinSource, SplitType};
use crate::error::TransformError;
use crate::json_path::JsonPath;
use crate::line_form::LineForm;

/// Bytes in the MB that payload limits are given in.
pub const MEGABYTE: u64 = 1 << 20;

/// The payload limit in MB where none is given (SageMaker's default).
pub const DEFAULT_MAX_PAYLOAD_MB: u64 = 6;

/// The processing of records before they are sent and after they are answered (`DataProcessing`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataProcessing {
    /// Selects the part of a record that is sent.
    pub input_filter: JsonPath,
    /// What a response is joined with.
    pub join_source: JoinSource,
    /// Selects the part of the joined record that is written.
    pub output_filter: JsonPath,
}

impl Default for DataProcessing {
    fn default() -> Self {
        Self {
            input_filter: JsonPath::root(),
            join_source: JoinSource::None,
            output_filter: JsonPath::root(),
        }
    }
}

impl DataProcessing {
    /// Whether records and responses pass through unchanged.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// How files are split, sent and assembled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// MIME type of requests.
    pub content_type: String,
    /// MIME type of responses.
    pub accept: String,
    /// Where files are split.
    pub split_type: SplitType,
    /// How responses are assembled.
    pub assemble_with: AssembleWith,
    /// Number of records per request.
    pub batch_strategy: BatchStrategy,
    /// How files are compressed.
    pub compression_type: CompressionType,
    /// Maximum bytes of a request, and so of a record; 0 for no limit. Without a limit a mini-batch of several records is still closed at
    /// [`DEFAULT_MAX_PAYLOAD_MB`], so that memory stays bounded.
    pub max_payload_bytes: u64,
    /// Maximum records of a request. SageMaker has no such limit; where requests are not sent over a network, a lower number costs nothing
    /// and shows progress sooner.
    pub max_records: usize,
    /// Number of parallel requests; at least 1.
    pub max_concurrent: usize,
    /// Filters and join.
    pub data_processing: DataProcessing,
}

impl Settings {
    /// SageMaker's defaults, with the split and assembly that its guide recommends for these types.
    pub fn new(content_type: &str, accept: &str) -> Self {
        Self {
            content_type: content_type.to_owned(),
            accept: accept.to_owned(),
            split_type: recommended_split(content_type),
            assemble_with: recommended_assembly(accept),
            batch_strategy: BatchStrategy::MultiRecord,
            compression_type: CompressionType::None,
            max_payload_bytes: DEFAULT_MAX_PAYLOAD_MB * MEGABYTE,
            max_records: usize::MAX,
            max_concurrent: 1,
            data_processing: DataProcessing::default(),
        }
    }

    /// Checks that the settings are consistent.
    ///
    /// # Errors
    /// If filters or the join are used with anything but JSON lines or CSV, split and assembled by lines; a join needs both sides in the
    /// same format.
    pub fn check(&self) -> Result<(), TransformError> {
        let processing = &self.data_processing;
        let option = match () {
            () if processing.is_nothing() => return Ok(()),
            () if processing.join_source != JoinSource::None => "--join-source",
            () if processing.input_filter != JsonPath::root() => "--input-filter",
            () => "--output-filter",
        };
        let needs = |what: &str, got: &str, give: &str| TransformError::Options {
            option,
            problem: format!("works on JSON lines and CSV only, but {what} is {got}; give {give}"),
        };
        let Some(form) = LineForm::of(&self.content_type) else {
            let give = "--content-type application/jsonlines or text/csv";
            return Err(needs("the content type", &self.content_type, give));
        };
        let Some(answer_form) = LineForm::of(&self.accept) else {
            let give = "--accept application/jsonlines or text/csv";
            return Err(needs("the type of the answers", &self.accept, give));
        };
        if processing.join_source != JoinSource::None && form != answer_form {
            let problem = format!(
                "joins records with answers of the same form, but the content type is {} and the type of the answers is {}",
                self.content_type, self.accept
            );
            return Err(TransformError::Options { option, problem });
        }
        if self.split_type != SplitType::Line {
            return Err(needs("the split type", self.split_type.name(), "--split-type Line"));
        }
        if self.assemble_with != AssembleWith::Line {
            return Err(needs("the assembly", self.assemble_with.name(), "--assemble-with Line"));
        }
        Ok(())
    }

    /// All settings that affect the output. Limits and concurrency are left out: they only decide how much is sent at a time.
    pub(crate) fn identity(&self) -> BTreeMap<String, String> {
        let processing = &self.data_processing;
        let pairs = [
            ("content-type", self.content_type.as_str()),
            ("accept", &self.accept),
            ("split-type", self.split_type.name()),
            ("assemble-with", self.assemble_with.name()),
            ("batch-strategy", self.batch_strategy.name()),
            ("compression-type", self.compression_type.name()),
            ("input-filter", processing.input_filter.as_str()),
            ("join-source", processing.join_source.name()),
            ("output-filter", processing.output_filter.as_str()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Whether empty lines are not records: an empty line is neither JSON nor a row of numbers.
    pub(crate) fn skips_blank_lines(&self) -> bool {
        matches!(MediaType::of_name(&self.content_type), Some(MediaType::JsonLines | MediaType::Csv))
    }

    /// Whether a response must have one line per record of its request.
    pub(crate) fn answers_line_by_line(&self) -> bool {
        let has_lines = |mime: &str| recommended_split(mime) == SplitType::Line;
        self.split_type == SplitType::Line && has_lines(&self.content_type) && has_lines(&self.accept)
    }
}

/// The split that the guide's table "Using Batch Transform with Built-in Algorithms" recommends for a content type.
pub fn recommended_split(content_type: &str) -> SplitType {
    match MediaType::of_name(content_type) {
        Some(MediaType::RecordIo) => SplitType::RecordIO,
        Some(MediaType::JsonLines | MediaType::Text | MediaType::Csv | MediaType::Libsvm) => SplitType::Line,
        Some(MediaType::Json | MediaType::Model) | None => SplitType::None,
    }
}

/// The assembly that the same table recommends for an accepted type.
pub fn recommended_assembly(accept: &str) -> AssembleWith {
    match recommended_split(accept) {
        SplitType::Line => AssembleWith::Line,
        SplitType::None | SplitType::RecordIO => AssembleWith::None,
    }
}
