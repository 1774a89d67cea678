//! The input channels of k-means.

use crate::channels::{ChannelSpec, Distribution, InputMode};
use crate::media::MediaType;

/// Channel of the rows to cluster.
pub const TRAIN: &str = "train";
/// Optional channel of rows that the clusters are measured on.
pub const TEST: &str = "test";

const ROWS: ChannelSpec = ChannelSpec {
    name: TRAIN,
    required: true,
    content_types: &[MediaType::RecordIo, MediaType::Csv],
    default_content_type: MediaType::RecordIo,
    modes: InputMode::ALL,
    distributions: Distribution::ALL,
    doc: "Rows to cluster. A label is passed over: `text/csv` without labels needs `label_size=0`.",
    content_type_advice: "`text/csv;label_size=0` is CSV without labels",
    mode_reason: "",
    absence: "",
};

/// The channels that training reads.
pub(super) const CHANNELS: &[ChannelSpec] = &[
    ROWS,
    ChannelSpec {
        name: TEST,
        required: false,
        doc: "Rows of the same form, on which the finished clusters are measured.",
        ..ROWS
    },
];
