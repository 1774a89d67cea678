//! Two parallel texts, read line by line.

use std::path::Path;

use anyhow::Result;
use kokanee_seq2seq_data::DataError;

use crate::text_input::TextInput;

/// Reads pairs of lines.
pub(crate) struct ParallelInput {
    source: TextInput,
    target: TextInput,
}

impl ParallelInput {
    /// Opens both files.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub(crate) fn open(source: &Path, target: &Path) -> Result<Self> {
        Ok(Self { source: TextInput::open(Some(source))?, target: TextInput::open(Some(target))? })
    }

    /// Returns the next pairs, at most `most`; none at the end.
    ///
    /// # Errors
    /// When a line cannot be read, or one text ends before the other: then the longer one is counted to its end.
    pub(crate) fn next_chunk(&mut self, most: usize) -> Result<Vec<(String, String)>> {
        let mut pairs = Vec::new();
        while pairs.len() < most {
            match (self.source.next_line()?, self.target.next_line()?) {
                (Some(source), Some(target)) => pairs.push((source, target)),
                (None, None) => break,
                (Some(_), None) => return Err(unequal(&self.target, &mut self.source)),
                (None, Some(_)) => return Err(unequal(&self.source, &mut self.target)),
            }
        }
        Ok(pairs)
    }
}

fn unequal(shorter: &TextInput, longer: &mut TextInput) -> anyhow::Error {
    loop {
        match longer.next_line() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => return error,
        }
    }
    let error = DataError::UnequalLines {
        shorter: shorter.name().to_owned(),
        shorter_lines: shorter.lines(),
        longer: longer.name().to_owned(),
        longer_lines: longer.lines(),
    };
    error.into()
}
