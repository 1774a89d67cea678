//! Tests that models trained by Sockeye 1.10.5 give the same words and scores here, in each number format of the weights.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use kokanee_contract::algorithms::seq2seq::BeamSearchRule;
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_nn::artifact::sockeye::{ImportOptions, Imported, import};
use kokanee_seq2seq_nn::decode::{Decoding, Request, Search};

/// `piece` is the longest source that the model translates at once.
fn check(name: &str, piece: usize, notes: &[&str]) {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/sockeye-1.10.5"));
    let folder = data.join(name);
    let Imported { artifact, source_vocabulary, target_vocabulary, notes: got } =
        import(&folder, &ImportOptions::default()).unwrap();
    assert_eq!(got.len(), notes.len(), "{name}: {got:?}");
    for (got, part) in got.iter().zip(notes) {
        assert!(got.contains(part), "{name}: `{got}` should contain `{part}`");
    }
    let ids: HashMap<&str, u32> = source_vocabulary.iter().map(String::as_str).zip(0..).collect();
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    let sources: Vec<Vec<u32>> = text(&data.join("test.src"))
        .lines()
        .map(|line| line.split(' ').map(|word| ids.get(word).copied().unwrap_or(1)).collect())
        .collect();
    let search = Search {
        beam_size: 5,
        rule: BeamSearchRule::Sockeye1_12,
        length_penalty_alpha: 1.0,
        length_penalty_beta: 0.0,
        nbest: 1,
        attention: false,
    };
    let team = Arc::new(Team::new(1));
    let expected = text(&folder.join("expected.tsv"));
    assert_eq!(sources.len(), expected.lines().count());
    // Three decimals are recorded; coarser weights change the mean cost of a word by this much.
    for (format, tolerance) in [(Format::F32, 6e-4), (Format::Bf16, 0.02), (Format::Int8, 0.05)] {
        let mut decoding = Decoding::new(&artifact.model, &artifact.metadata.lengths, &team, format);
        let requests = sources.iter().map(|source| Request::new(source.clone(), search.clone()));
        decoding.admit((0..).zip(requests));
        let mut translations = BTreeMap::new();
        while !decoding.is_idle() {
            translations.extend(decoding.step());
        }
        for ((translation, line), source) in translations.values().zip(expected.lines()).zip(&sources) {
            let (score, words) = line.split_once('\t').unwrap();
            let best = &translation.hypotheses[0];
            let got: Vec<&str> =
                best.words.iter().map(|id| target_vocabulary[*id as usize].as_str()).collect();
            assert_eq!(got.join(" "), words, "{name} {format:?}");
            if source.len() > piece {
                // Sockeye counts the `<s>` of every piece when it joins their scores; we do not.
                continue;
            }
            let score: f64 = score.parse().unwrap();
            let off = (best.score - score).abs();
            assert!(off < tolerance, "{name} {format:?}: `{words}` scores {}, not {score}", best.score);
        }
    }
}

const NO_EOS: &str = "no </s> is put after source sentences";
const RENAMED: &str = "names of Sockeye up to 1.12";
const PACKED: &str = "saved gate by gate";

#[test]
fn its_lstm() {
    check(
        "lstm",
        6,
        &["attention_in_upper_layers is true, but decoder_rnn_l1_i2h_weight", NO_EOS, RENAMED, PACKED],
    );
}

#[test]
fn its_gru_with_tied_weights() {
    check("gru", 6, &[NO_EOS, RENAMED, PACKED]);
}

#[test]
fn its_convolutions() {
    check("cnn", 4, &[NO_EOS, RENAMED]);
}
