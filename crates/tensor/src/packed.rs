//! Weights laid out once in the format of their products, for as long as a model lives.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use kokanee_kernels::packed::{Format, PackedMatrix};

/// The layouts of one weight: each range of columns that a product asks for is laid out the first time, and kept.
///
/// Threads share it; products do not wait for each other, only a first layout does.
pub(crate) struct PackedWeight {
    format: Format,
    parts: Mutex<Vec<(Range<usize>, Arc<PackedMatrix>)>>,
}

impl PackedWeight {
    pub(crate) fn new(format: Format) -> PackedWeight {
        PackedWeight { format, parts: Mutex::default() }
    }

    /// The layout of `columns`, made by `pack` where there is none yet.
    pub(crate) fn columns(
        &self,
        columns: Range<usize>,
        pack: impl FnOnce(Format) -> PackedMatrix,
    ) -> Arc<PackedMatrix> {
        // What the lock guards is whole at any time, even where `pack` panicked.
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, part)) = parts.iter().find(|(range, _)| *range == columns) {
            return Arc::clone(part);
        }
        let part = Arc::new(pack(self.format));
        parts.push((columns, Arc::clone(&part)));
        part
    }

    /// Bytes of all layouts; 0 as long as no product asked for one.
    pub(crate) fn bytes(&self) -> usize {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().map(|(_, part)| part.bytes()).sum()
    }
}

impl std::fmt::Debug for PackedWeight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackedWeight {:?} of {} bytes", self.format, self.bytes())
    }
}
