//! Data that cannot be clustered.

use thiserror::Error;

use crate::nearest::Overflow;

/// Data that cannot be clustered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The channel has fewer records than clusters are asked for.
    #[error("k={k} clusters need at least {k} records, channel train holds {records}")]
    TooFewRecords {
        /// Clusters asked for.
        k: usize,
        /// Records that there are.
        records: usize,
    },
    /// The first batch has fewer records than starting centres.
    #[error(
        "k={k} * extra_center_factor={factor} = {} centres are drawn from the first mini-batch, which has {records} records; \
         lower extra_center_factor or give more data", .k * .factor
    )]
    TooFewForCenters {
        /// Clusters asked for.
        k: usize,
        /// The factor.
        factor: usize,
        /// Records of the first batch.
        records: usize,
    },
    /// Values whose squares are beyond 32-bit floats.
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
