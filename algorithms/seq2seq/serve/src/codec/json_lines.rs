//! `application/jsonlines`: `{"source": "..."}` per line, answered by `{"target": "..."}` per line. Blank lines are skipped.

use kokanee_http::ServeError;

use super::lines::Lines;
use super::{Placed, json};

/// Batch transform sends `source`; the key of an instance elsewhere is `data`.
const SOURCE_KEYS: &[&str] = &["source", "data"];

#[derive(Default)]
pub(super) struct Reader {
    lines: Lines,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.lines.finish();
    }

    pub(super) fn read(&mut self) -> Result<Option<Placed>, ServeError> {
        while let Some((place, line)) = self.lines.read()? {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let instance = json::instance(line, place, SOURCE_KEYS)?;
            return Ok(Some(Placed { place, instance }));
        }
        Ok(None)
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.lines.buffered_bytes()
    }
}
