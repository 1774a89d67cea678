//! Vocabularies in Sockeye's format: a JSON object of word to id.

use std::collections::BTreeSet;
use std::path::Path;

use kokanee_contract::algorithms::seq2seq::special_ids::SPECIAL_SYMBOLS;

use crate::artifact::ArtifactError;

/// Reads a vocabulary of `size` words, in the order of their ids.
///
/// # Errors
/// When the file cannot be read, is damaged, or does not fit a model of that many words.
pub(super) fn read(path: &Path, size: usize) -> Result<Vec<String>, ArtifactError> {
    let bytes = std::fs::read(path).map_err(|e| ArtifactError::io("read", path, e))?;
    let damaged = |reason: String| ArtifactError::damaged(path, reason);
    let ids: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes)
        .map_err(|e| damaged(format!("not a vocabulary, which is a JSON object of word to id: {e}")))?;
    let mut words = vec![None; ids.len()];
    for (word, id) in ids {
        let place = id.as_u64().and_then(|id| words.get_mut(usize::try_from(id).ok()?));
        match place {
            Some(place @ None) => *place = Some(word),
            Some(Some(other)) => {
                return Err(damaged(format!("`{other}` and `{word}` have the same id {id}")));
            }
            None => {
                let last = words.len() - 1;
                return Err(damaged(format!(
                    "`{word}` has id {id}; expected ids from 0 to {last} without gaps"
                )));
            }
        }
    }
    // The number of different ids equals that of places.
    let words: Vec<String> = words.into_iter().flatten().collect();
    check(&words, size).map_err(damaged)?;
    Ok(words)
}

/// Checks that words can be the vocabulary of a model of `size` words.
///
/// # Errors
/// Returns the reason if they cannot.
pub(super) fn check(words: &[String], size: usize) -> Result<(), String> {
    if words.len() != size {
        return Err(format!("it has {} words, and the model has {size}", words.len()));
    }
    for (id, symbol) in SPECIAL_SYMBOLS.iter().enumerate() {
        match words.get(id) {
            Some(word) if word == symbol => {}
            found => {
                let found = found.map_or("nothing", |word| word);
                return Err(format!("id {id} is `{found}`, and must be {symbol}"));
            }
        }
    }
    let mut seen = BTreeSet::new();
    match words.iter().find(|word| !seen.insert(word.as_str())) {
        Some(word) => Err(format!("the word `{word}` is there twice")),
        None => Ok(()),
    }
}

/// A vocabulary as JSON, words in the order of their ids.
pub(super) fn to_text(words: &[String]) -> String {
    let lines = words.iter().enumerate().map(|(id, word)| {
        let quoted = serde_json::to_string(word).expect("a word is plain data");
        format!("\n    {quoted}: {id}")
    });
    format!("{{{}\n}}\n", lines.collect::<Vec<_>>().join(","))
}
