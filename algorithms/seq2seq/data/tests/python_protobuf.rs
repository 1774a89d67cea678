//! Tests that Google's protobuf library for Python reads our files, that we read the files that it writes, value for value, and
//! that vocabularies are byte for byte those that Python's json writes.
//!
//! Needs a Python that can import `google.protobuf`: `KOKANEE_PYTHON`, or `python3`. Without one the tests are ignored.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use kokanee_seq2seq_data::{
    Corpus, PrepareOptions, SequencePair, SequenceReader, Silent, TargetRule, VocabularySizes, prepare,
};
use kokanee_testkit::outside::{self, OutsideTest};

/// Lines with characters that are hard to encode: quotes, control characters, characters beyond the first plane.
const SOURCE: &str = "ein \"hund\" \\ läuft\nein\u{a0}haus\u{1}a \u{1d41a} \u{ff41}\u{7f}\n日本 ein b a\n";
const TARGET: &str = "a \"dog\" runs\na house\njapan a b\n";

fn main() -> ExitCode {
    let python = find();
    let test = |name, run: fn(&Python)| {
        OutsideTest::new(name, &python, move |program| run(&Python { program: program.to_owned() }))
    };
    outside::run([
        test("files_of_prepare_are_read_by_python", files_of_prepare_are_read_by_python),
        test("real_sentences_are_read_by_python", real_sentences_are_read_by_python),
        test("files_of_python_are_read", files_of_python_are_read),
    ])
}

fn files_of_prepare_are_read_by_python(python: &Python) {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |name: &str, lines: &str| {
        let path = folder.path().join(name);
        fs::write(&path, lines).expect("writes");
        path
    };
    let mut options = PrepareOptions::new(text("t.src", SOURCE), text("t.trg", TARGET));
    options.output_dir = Some(folder.path().to_owned());
    prepare(&options, &Silent).expect("prepares");
    python.check_reads_as_we_do(&folder.path().join("train.rec"), 3);
    for (name, lines) in [("vocab.src.json", "t.src"), ("vocab.trg.json", "t.trg")] {
        let expected = folder.path().join("expected.json");
        python.run(&["vocab", text_of(&expected), text_of(&folder.path().join(lines))]);
        let read = |path: &Path| fs::read_to_string(path).expect("reads");
        assert_eq!(read(&folder.path().join(name)), read(&expected), "{name}");
    }
}

fn real_sentences_are_read_by_python(python: &Python) {
    let folder = tempfile::tempdir().expect("a folder");
    let text = |name: &str| kokanee_testkit::golden_folder().join(name);
    let mut options = PrepareOptions::new(text("train.src"), text("train.trg"));
    options.output_dir = Some(folder.path().to_owned());
    prepare(&options, &Silent).expect("prepares");
    python.check_reads_as_we_do(&folder.path().join("train.rec"), 600);
}

fn files_of_python_are_read(python: &Python) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("peer.rec");
    // The same pairs as PAIRS in the script.
    let pair = |source: Vec<u32>, target: Vec<u32>| SequencePair { source, target };
    let expected = [
        pair(vec![4, 5, 1, 2_147_483_647], vec![7]),
        pair(vec![300], vec![128, 127, 16_384, 4]),
        pair(vec![9; 50], (1..200).collect()),
    ];
    for kind in ["packed", "unpacked", "float32", "float64", "label", "extras"] {
        python.run(&["write", text_of(&path), kind]);
        let got: Result<Vec<_>, _> =
            SequenceReader::open(&path, TargetRule::Required).expect("opens").collect();
        assert_eq!(got.expect("reads"), expected, "{kind}");
    }
}

/// A Python that can import protobuf.
struct Python {
    program: String,
}

/// The interpreter's name, or the reason why there is none.
fn find() -> Result<String, String> {
    let program = env::var("KOKANEE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let attempt = Command::new(&program).args(["-c", "import google.protobuf"]).output();
    let problem = match attempt {
        Ok(output) if output.status.success() => return Ok(program),
        Ok(output) => {
            // The last line of a traceback names the fault.
            String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(format!("{program} cannot import google.protobuf ({problem}); KOKANEE_PYTHON names another Python"))
}

impl Python {
    fn run(&self, arguments: &[&str]) -> String {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/protobuf_peer.py");
        let output = Command::new(&self.program).arg(script).args(arguments).output().expect("starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn check_reads_as_we_do(&self, path: &Path, pairs: usize) {
        let sizes = VocabularySizes { source: 50_004, target: 50_004 };
        let corpus = Corpus::read(path, sizes).expect("reads");
        assert_eq!(corpus.len(), pairs);
        let read = self.run(&["read", text_of(path)]);
        assert_eq!(read.lines().count(), pairs);
        for (pair, line) in read.lines().enumerate() {
            let expected = serde_json::json!({"source": corpus.source(pair), "target": corpus.target(pair)});
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(line).expect("JSON"),
                expected,
                "record {pair}"
            );
        }
    }
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}
