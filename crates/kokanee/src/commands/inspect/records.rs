//! The description of a file of records.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use kokanee_algorithm::human;
use kokanee_contract::algorithms::seq2seq::channels::{VOCAB_SOURCE_FILE, VOCAB_TARGET_FILE};
use kokanee_contract::algorithms::seq2seq::special_ids::UNK;
use kokanee_seq2seq_data::{SequencePair, SequenceReader, TargetRule, Vocabulary};

use super::InspectArgs;
use crate::render::table::Table;

const PERCENTILES: [u64; 6] = [5, 25, 50, 75, 95, 99];

/// One side of all records.
#[derive(Default)]
struct Side {
    tokens: u64,
    unknown: u64,
    empty: u64,
    least: Option<u32>,
    greatest: Option<u32>,
    lengths: BTreeMap<usize, u64>,
}

impl Side {
    fn add(&mut self, ids: &[u32]) {
        self.tokens += ids.len() as u64;
        self.unknown += ids.iter().filter(|&&id| id == UNK).count() as u64;
        self.empty += u64::from(ids.is_empty());
        self.least = self.least.into_iter().chain(ids.iter().copied()).min();
        self.greatest = self.greatest.into_iter().chain(ids.iter().copied()).max();
        *self.lengths.entry(ids.len()).or_default() += 1;
    }

    /// The least length that `percent` percent of the sequences do not exceed.
    fn percentile(&self, percent: u64) -> usize {
        let sequences: u64 = self.lengths.values().sum();
        let rank = (sequences * percent).div_ceil(100);
        let mut below = 0;
        let found = self.lengths.iter().find(|(_, count)| {
            below += *count;
            below >= rank
        });
        found.map_or(0, |(length, _)| *length)
    }

    fn row(&self, name: &str) -> Vec<String> {
        let id = |id: Option<u32>| id.map_or("-".to_owned(), |id| id.to_string());
        let share = human::percent(self.unknown as f64 / self.tokens.max(1) as f64);
        let mut row = vec![
            name.to_owned(),
            human::count(self.tokens),
            format!("{} ({share})", human::count(self.unknown)),
            format!("{}..{}", id(self.least), id(self.greatest)),
        ];
        row.extend(PERCENTILES.map(|percent| self.percentile(percent).to_string()));
        row.push(self.lengths.keys().last().copied().unwrap_or(0).to_string());
        row
    }
}

/// Describes the records; if the file is damaged, those before the damage, followed by the error.
pub(super) fn describe(args: &InspectArgs, path: &Path, out: &mut String) -> Result<()> {
    let vocabularies = [
        vocabulary(args.vocab_source.as_deref(), path, VOCAB_SOURCE_FILE)?,
        vocabulary(args.vocab_target.as_deref(), path, VOCAB_TARGET_FILE)?,
    ];
    let (mut source, mut target) = (Side::default(), Side::default());
    let mut head: Vec<SequencePair> = Vec::new();
    let mut records = 0;
    let mut damage = None;
    for pair in SequenceReader::open(path, TargetRule::Optional)? {
        match pair {
            Ok(pair) => {
                records += 1;
                source.add(&pair.source);
                target.add(&pair.target);
                if head.len() < args.head {
                    head.push(pair);
                }
            }
            Err(error) => damage = Some(error),
        }
    }
    let bytes = path.metadata().map_or(0, |metadata| metadata.len());
    let before = if damage.is_some() { " before the damage" } else { "" };
    let _ = writeln!(
        out,
        "{}: {} records{before}, {}",
        path.display(),
        human::count(records),
        human::bytes(bytes)
    );
    if target.empty > 0 {
        let _ = writeln!(
            out,
            "{} records have no target: they can be translated, not trained on",
            human::count(target.empty)
        );
    }
    let mut table = Table::new().words("").numbers("tokens").numbers("<unk>").numbers("ids");
    for percent in PERCENTILES {
        table = table.numbers(&format!("p{percent}"));
    }
    let mut table = table.numbers("longest");
    table.row(source.row("source"));
    table.row(target.row("target"));
    let _ = write!(out, "\n{table}");
    for ((name, side), vocabulary) in [("source", &source), ("target", &target)].iter().zip(&vocabularies) {
        if let (Some(vocabulary), Some(greatest)) = (vocabulary, side.greatest)
            && greatest as usize >= vocabulary.len()
        {
            let _ = writeln!(
                out,
                "the {name} vocabulary has only {} ids: it is not the one these records were made with",
                vocabulary.len()
            );
        }
    }
    for (number, pair) in head.iter().enumerate() {
        let _ = writeln!(out, "\nrecord {}", number + 1);
        for ((name, ids), vocabulary) in
            [("source", &pair.source), ("target", &pair.target)].iter().zip(&vocabularies)
        {
            let text = match vocabulary {
                Some(vocabulary) => words(ids, vocabulary),
                None => ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "),
            };
            let _ = writeln!(out, "  {name}  {text}");
        }
    }
    if vocabularies.iter().any(Option::is_none) && !head.is_empty() {
        let _ = writeln!(out, "\nids are shown where no vocabulary was given or found beside the records");
    }
    damage.map_or(Ok(()), |error| Err(error.into()))
}

/// Every id as its word; an id that the vocabulary lacks as the number.
fn words(ids: &[u32], vocabulary: &Vocabulary) -> String {
    let word = |id: &u32| vocabulary.word(*id).map_or_else(|| format!("[{id}]"), str::to_owned);
    ids.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The given vocabulary, or otherwise the one beside the records, if it can be read.
fn vocabulary(named: Option<&Path>, records: &Path, file: &str) -> Result<Option<Vocabulary>> {
    if let Some(path) = named {
        return Ok(Some(Vocabulary::read(path)?));
    }
    let beside = records.with_file_name(file);
    Ok(beside.is_file().then(|| Vocabulary::read(&beside).ok()).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lengths: &[usize], expected: [usize; 6], longest: usize) {
        let mut side = Side::default();
        for &length in lengths {
            side.add(&vec![UNK + 3; length]);
        }
        assert_eq!(PERCENTILES.map(|percent| side.percentile(percent)), expected);
        assert_eq!(side.row("x").last(), Some(&longest.to_string()));
    }

    #[test]
    fn percentiles_are_lengths_that_occur() {
        check(&[], [0; 6], 0);
        check(&[7], [7; 6], 7);
        check(&[1, 2, 3, 4], [1, 1, 2, 3, 4, 4], 4);
        check(&(1..=100).collect::<Vec<_>>(), [5, 25, 50, 75, 95, 99], 100);
    }

    #[test]
    fn sides_count_ids() {
        let mut side = Side::default();
        side.add(&[4, UNK, 9]);
        side.add(&[]);
        assert_eq!(side.row("source")[..4], ["source", "3", "1 (33.3%)", "1..9"]);
        assert_eq!(side.empty, 1);
    }
}
