//! The demo's texts, records and vocabularies.

use anyhow::{Context as _, Result};
use kokanee_algorithm::human;
use kokanee_seq2seq_data::{PrepareOptions, Silent, prepare};

use super::DemoFolder;
use crate::cmudict::{self, Entry, Part};
use crate::output_file::{print, write_file};

/// Writes texts of letters and phonemes, and creates records from them. The bytes are the same each time, so that a training can be
/// resumed afterwards.
pub(super) fn write(folder: &DemoFolder) -> Result<()> {
    let path = folder.path();
    std::fs::create_dir_all(path).with_context(|| format!("cannot create the folder {}", path.display()))?;
    write_file(&folder.licence(), cmudict::LICENSE)?;
    let mut counts = Vec::new();
    for part in [Part::Train, Part::Validation, Part::Test] {
        let entries: Vec<&Entry> = of(part).collect();
        let text = |side: fn(&Entry) -> String| -> String {
            entries.iter().map(|entry| side(entry) + "\n").collect()
        };
        write_file(&folder.graphemes(part), &text(|entry| cmudict::letters(entry.word)))?;
        write_file(&folder.phonemes(part), &text(|entry| entry.phonemes.to_owned()))?;
        counts.push(human::count(entries.len() as u64));
    }
    let mut options = PrepareOptions::new(folder.graphemes(Part::Train), folder.phonemes(Part::Train));
    options.val_source = Some(folder.graphemes(Part::Validation));
    options.val_target = Some(folder.phonemes(Part::Validation));
    options.output_dir = Some(path.to_owned());
    let report = prepare(&options, &Silent)?;
    print(&format!(
        "English pronunciations from the CMU dictionary: {} words to train on, {} to watch the training, {} kept aside\n\
         as tests. Letters in ({} of them), phonemes out ({}; 0, 1, 2 after a vowel is its stress).\n\n",
        counts[0],
        counts[1],
        counts[2],
        report.source_vocabulary.types_in_training.unwrap_or_default(),
        report.target_vocabulary.types_in_training.unwrap_or_default(),
    ))
}

/// The entries of a part, sorted.
pub(super) fn of(part: Part) -> impl Iterator<Item = &'static Entry> {
    cmudict::entries().iter().filter(move |entry| cmudict::split(entry.word) == part)
}
