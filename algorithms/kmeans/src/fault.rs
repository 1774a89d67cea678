//! Data that cannot be clustered.

use thiserror::Error;

use crate::nearest::Overflow;

/// Data that cannot be clustered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The channel has fewer records than the requested number of clusters.
    #[error("k={k} clusters need at least {k} records, channel train holds {records}")]
    TooFewRecords {
        /// Requested number of clusters.
        k: usize,
        /// Number of records in the channel.
        records: usize,
    },
    /// The first batch has fewer records than starting centres.
    #[error(
        "k={k} * extra_center_factor={factor} = {} centres are drawn from the first mini-batch, which has {records} records; \
         lower extra_center_factor or give more data", .k * .factor
    )]
    TooFewForCenters {
        /// Requested number of clusters.
        k: usize,
        /// The factor.
        factor: usize,
        /// Number of records in the first batch.
        records: usize,
    },
    /// The squares of values exceed the range of 32-bit floats.
    #[error("record {row} of the batch: squares overflow 32-bit floats; scale column {}", .column + 1)]
    Overflow {
        /// The record within its batch, from 1.
        row: usize,
        /// The column, from 0.
        column: usize,
    },
}

impl From<Overflow> for Fault {
    fn from(Overflow { row, column }: Overflow) -> Self {
        Fault::Overflow { row: row + 1, column }
    }
}
