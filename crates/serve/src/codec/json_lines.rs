//! `application/jsonlines`: `{"source": "..."}` a line, answered by `{"target": "..."}` a line.

use super::lines::Lines;
use super::{Placed, json};
use crate::error::ServeError;

/// Batch transform sends `source`; `data` is how an instance is called elsewhere.
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
        let Some((place, line)) = self.lines.read()? else { return Ok(None) };
        if line.trim_ascii().is_empty() {
            let problem = r#"the line is empty; expected an object, {"source": "..."}"#;
            return Err(place.bad(None, problem));
        }
        let instance = json::instance(line, place, SOURCE_KEYS)?;
        Ok(Some(Placed { place, instance }))
    }
}
