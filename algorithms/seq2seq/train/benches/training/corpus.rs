//! Multi30k as ids.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use flate2::read::GzDecoder;
use kokanee_seq2seq_data::vocab::VocabularyLimits;
use kokanee_seq2seq_data::{Corpus, Vocabulary};

/// The training pairs, and the sizes of the vocabularies (source, target) with all their words.
pub(crate) fn multi30k(folder: &Path) -> (Corpus, [usize; 2]) {
    let sides = ["train.en.gz", "train.de.gz"].map(|name| read_lines(&folder.join(name)));
    let vocabularies = sides.each_ref().map(|lines| {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        lines
            .iter()
            .flat_map(|line| line.split_whitespace())
            .for_each(|w| *counts.entry(w).or_default() += 1);
        Vocabulary::build(counts, VocabularyLimits::default())
    });
    let mut corpus = Corpus::new();
    for (source, target) in sides[0].iter().zip(&sides[1]) {
        let (source, target) = (vocabularies[0].encode(source), vocabularies[1].encode(target));
        if !source.is_empty() && !target.is_empty() {
            corpus.push(&source, &target);
        }
    }
    (corpus, vocabularies.map(|v| v.len()))
}

fn read_lines(path: &Path) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    BufReader::new(GzDecoder::new(file)).lines().collect::<Result<_, _>>().expect("gzip-compressed UTF-8")
}
