//! Parameter files and configurations of Sockeye models from anybody: no panic, no allocation beyond what the file can hold.
#![no_main]

use kokanee_seq2seq_nn::artifact::sockeye::{ImportOptions, import};
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = include_bytes!("../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5/gru/config");
const PARAMETERS: &[u8] = include_bytes!("../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5/gru/params.best");
const SOURCE: &[u8] = include_bytes!("../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5/gru/vocab.src.json");
const TARGET: &[u8] = include_bytes!("../../algorithms/seq2seq/nn/tests/data/sockeye-1.10.5/gru/vocab.trg.json");

fuzz_target!(|bytes: &[u8]| {
    let Some((which, rest)) = bytes.split_first() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut files = [("params.best", PARAMETERS), ("config", CONFIG), ("vocab.src.json", SOURCE), ("vocab.trg.json", TARGET)];
    let file = usize::from(*which) % files.len();
    files[file].1 = rest;
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("write");
    }
    let _ = import(folder.path(), &ImportOptions::default());
});
