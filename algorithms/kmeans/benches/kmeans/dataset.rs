//! The data sets that `xtask/peers/numeric_data.py` writes.

use std::fs;
use std::path::Path;

use kokanee_formats::rows::Rows;

/// Rows in memory, row-major.
pub(crate) struct Dataset {
    pub(crate) name: &'static str,
    pub(crate) width: usize,
    pub(crate) values: Vec<f32>,
}

impl Dataset {
    /// Reads a data set; none if it does not exist.
    pub(crate) fn read(folder: &Path, name: &'static str) -> Option<Self> {
        let shape: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join(format!("{name}.json"))).ok()?).ok()?;
        let bytes = fs::read(folder.join(format!("{name}.f32"))).ok()?;
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Some(Self { name, width: usize::try_from(shape["width"].as_u64()?).ok()?, values })
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Mini-batches in the order of the rows.
    pub(crate) fn batches(&self, rows: usize) -> Vec<Rows> {
        self.values.chunks(rows * self.width).map(|values| Rows::dense(self.width, values)).collect()
    }

    /// Returns the same after a shuffle of the rows: the result for a seed depends on the rows of the first batch most of all.
    pub(crate) fn shuffled(&self, rows: usize, seed: u64) -> Vec<Rows> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for at in (1..order.len()).rev() {
            // xorshift64 (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            order.swap(at, (state % (at as u64 + 1)) as usize);
        }
        let batch = |order: &[usize]| {
            let mut batch = Rows::new(self.width);
            order.iter().for_each(|&row| batch.push_dense(&self.values[row * self.width..][..self.width]));
            batch
        };
        order.chunks(rows).map(batch).collect()
    }
}
