//! `text/plain`: one sentence per line; an empty line has an empty answer.

use kokanee_http::ServeError;

use super::lines::Lines;
use super::{Configuration, Input, Instance, Placed};

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
        let instance =
            Instance { input: Input::Text(line.to_owned()), configuration: Configuration::default() };
        Ok(Some(Placed { place, instance }))
    }

    pub(super) fn buffered_bytes(&self) -> usize {
        self.lines.buffered_bytes()
    }
}
