use std::io::Write as _;
use std::sync::Mutex;

use super::*;
use crate::corpus::{Corpus, VocabularySizes};
use crate::vocab::VocabularyLimits;

const SOURCE: &str = "der hund läuft\n\nder hund\n  \t\nein <s> haus\nder hund läuft\n";
const TARGET: &str = "the dog runs\nnothing\nthe dog\n\na house\nthe dog runs away\n";
const VAL_SOURCE: &str = "der hund\nder vogel\nein haus\n\n";
const VAL_TARGET: &str = "the dog\nthe bird\n\nx\n";

/// A folder with texts, and options that read them and write to its subfolder `out`.
struct Workplace {
    folder: tempfile::TempDir,
    options: PrepareOptions,
}

impl Workplace {
    fn new(texts: [&[u8]; 4]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = ["t.de", "t.en", "v.de", "v.en"].map(|name| folder.path().join(name));
        for (path, text) in paths.iter().zip(texts) {
            fs::write(path, text).expect("writes");
        }
        let [train_source, train_target, val_source, val_target] = paths;
        let mut options = PrepareOptions::new(train_source, train_target);
        options.val_source = Some(val_source);
        options.val_target = Some(val_target);
        options.output_dir = Some(folder.path().join("out"));
        Self { folder, options }
    }

    fn standard() -> Self {
        Self::new([SOURCE, TARGET, VAL_SOURCE, VAL_TARGET].map(str::as_bytes))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn output(&self, name: &str) -> Vec<u8> {
        fs::read(self.path("out").join(name)).expect("was written")
    }

    fn corpus(&self, name: &str) -> Vec<(Vec<u32>, Vec<u32>)> {
        let sizes = VocabularySizes { source: 1000, target: 1000 };
        let corpus = Corpus::read(&self.path("out").join(name), sizes).expect("reads");
        (0..corpus.len()).map(|pair| (corpus.source(pair).to_vec(), corpus.target(pair).to_vec())).collect()
    }

    fn run(&self) -> PrepareReport {
        prepare(&self.options, &Silent).expect("prepares")
    }

    /// Runs, and checks that it fails with this message (without the folder), and that nothing was written.
    #[track_caller]
    fn check_refused(&self, expected: &str) {
        let error = prepare(&self.options, &Silent).expect_err("must be refused").to_string();
        assert_eq!(error.replace(&format!("{}/", self.folder.path().display()), ""), expected);
        let left = fs::read_dir(self.path("out")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "after an error no file may lie there");
    }
}

#[test]
fn text_becomes_vocabularies_and_records() {
    let work = Workplace::standard();
    work.run();
    let words = |name| {
        let vocabulary = Vocabulary::read(&work.path("out").join(name)).expect("reads");
        (4..vocabulary.len() as u32)
            .filter_map(|id| vocabulary.word(id).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(words("vocab.src.json"), ["hund", "der", "läuft", "haus", "ein"]);
    // Words of skipped pairs count too, as in AWS's script.
    assert_eq!(words("vocab.trg.json"), ["the", "dog", "runs", "nothing", "house", "away", "a"]);
    let expected = [
        (vec![5, 4, 6], vec![4, 5, 6]),
        (vec![5, 4], vec![4, 5]),
        (vec![8, 1, 7], vec![10, 8]),
        (vec![5, 4, 6], vec![4, 5, 6, 9]),
    ];
    assert_eq!(work.corpus("train.rec"), expected);
    assert_eq!(work.corpus("val.rec"), [(vec![5, 4], vec![4, 5]), (vec![5, 1], vec![4, 1])]);
}

#[test]
fn the_report_counts_everything() {
    let mut work = Workplace::standard();
    work.options.max_seq_len_source = 2;
    work.options.max_seq_len_target = 4;
    let report = work.run();
    assert_eq!(report.train.pairs_kept, 4);
    assert_eq!(report.train.skipped, Skipped { blank_source: 1, blank_target: 0, blank_both: 1 });
    assert_eq!((report.train.source.tokens, report.train.target.tokens), (11, 11));
    assert_eq!((report.train.source.unknown, report.train.source.special_symbols), (1, 1));
    assert_eq!(report.train.overlong, Overlong { source: 3, target: 1, pairs: 3 });
    let Lengths { p5, p50, p75, max, .. } = report.train.target.lengths;
    assert_eq!((p5, p50, p75, max), (2, 2, 3, 4));
    // Ratios 4/3, 3/2, 3/3, 5/3.
    assert!((report.train.length_ratio.mean - 1.375).abs() < 1e-12, "{:?}", report.train.length_ratio);
    let squares: f64 =
        [4.0 / 3.0, 1.5, 1.0, 5.0 / 3.0].map(|ratio: f64| (ratio - 1.375).powi(2)).iter().sum();
    assert!((report.train.length_ratio.std - (squares / 4.0).sqrt()).abs() < 1e-12);
    let validation = report.validation.as_ref().expect("was given");
    assert_eq!(validation.skipped, Skipped { blank_source: 1, blank_target: 1, blank_both: 0 });
    assert_eq!((validation.source.unknown, validation.target.unknown), (1, 1));
    assert_eq!(validation.source.unknown_rate, 0.25);
    let shared = report.shared.expect("both texts were given");
    assert_eq!(
        (
            shared.validation_pairs_in_train,
            shared.validation_sources_in_train,
            shared.train_pairs_in_validation
        ),
        (1, 1, 1)
    );
    assert_eq!((report.source_vocabulary.entries, report.source_vocabulary.types_in_training), (9, Some(6)));
    let files: Vec<_> = report.files.iter().map(|file| (file.path.clone(), file.bytes)).collect();
    let on_disk = ["vocab.src.json", "vocab.trg.json", "train.rec", "val.rec"]
        .map(|name| (work.path("out").join(name), work.output(name).len() as u64));
    assert_eq!(files, on_disk);
    let json = serde_json::to_value(&report).expect("serialises");
    assert_eq!(json["train"]["skipped"]["blank_both"], 1);
}

#[test]
fn the_report_reads_well() {
    let work = Workplace::standard();
    let text = work.run().to_string().replace(&format!("{}/", work.folder.path().display()), "");
    assert_eq!(
        text,
        "                                                   train      validation
pairs kept                                             4               2
pairs skipped                                          2               2
  only the source is blank                             1               1
  only the target is blank                             0               1
  both are blank                                       1               0
over 100 source tokens                                 0               0
over 100 target tokens with <s>                        0               0
over either limit (would be cut)                       0               0
target/source length ratio                 1.375 ± 0.247   1.500 ± 0.000
source tokens                                         11               4
source unknown                                 1 (9.09%)      1 (25.00%)
source special symbols, taken as unknown               1               0
source length p5 p25 p50 p75 p95 p99 max   2 2 3 3 3 3 3   2 2 2 2 2 2 2
target tokens                                         11               4
target unknown                                 0 (0.00%)      1 (25.00%)
target length p5 p25 p50 p75 p95 p99 max   2 2 2 3 4 4 4   2 2 2 2 2 2 2

source vocabulary: 9 entries with the 4 special symbols, from 6 types
target vocabulary: 11 entries with the 4 special symbols, from 7 types
shared: 1 of 2 validation pairs are in the training text word for word, 1 with their source; 1 training pairs are in \
the validation text
wrote out/vocab.src.json (138 bytes)
wrote out/vocab.trg.json (168 bytes)
wrote out/train.rec (188 bytes)
wrote out/val.rec (88 bytes)
"
    );
}

#[test]
fn output_depends_on_neither_threads_nor_chunks_nor_compression() {
    let (mut source, mut target) = (String::new(), String::new());
    for i in 0..2000_usize {
        let words = |seed: usize, count: usize| {
            (0..count).map(|j| format!("w{}", (i * seed + j * j) % 97)).collect::<Vec<_>>().join(" ")
        };
        source += &(words(7, i % 11) + "\n");
        target += &(words(13, (i + 3) % 9) + "\n");
    }
    let run = |threads: usize, chunk: ChunkSize, compress: bool| {
        let pack = |text: &str| {
            if !compress {
                return text.as_bytes().to_vec();
            }
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).expect("compresses");
            encoder.finish().expect("compresses")
        };
        let texts = [pack(&source), pack(&target), pack(&source), pack(&target)];
        let work = Workplace::new([&texts[0], &texts[1], &texts[2], &texts[3]]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let report = pool.install(|| prepare_in_chunks(&work.options, &Silent, chunk)).expect("prepares");
        let files =
            ["vocab.src.json", "vocab.trg.json", "train.rec", "val.rec"].map(|name| work.output(name));
        (files, report)
    };
    let chunk = ChunkSize { lines: 7, bytes: 200 };
    let (files, report) = run(1, chunk, false);
    assert_eq!(files[2], files[3], "same text, same records");
    let shared = report.shared.expect("both texts were given");
    assert_eq!(shared.validation_pairs_in_train, report.train.pairs_kept);
    for threads in [2, 3] {
        let (same_files, same_report) = run(threads, chunk, true);
        assert!(same_files == files, "{threads} threads");
        assert_eq!(same_report.train, report.train);
    }
    for chunk in [ChunkSize { lines: 1, bytes: 1 << 20 }, CHUNK] {
        assert!(run(2, chunk, false).0 == files, "{chunk:?}");
    }
}

#[test]
fn given_vocabularies_are_used() {
    let mut work = Workplace::standard();
    let given = Vocabulary::build([("läuft", 9), ("der", 8)], VocabularyLimits::default());
    given.write(&work.path("given.json")).expect("writes");
    work.options.vocab_source_json = Some(work.path("given.json"));
    let report = work.run();
    assert_eq!(work.corpus("train.rec")[0].0, [5, 1, 4]);
    assert_eq!(report.source_vocabulary.given, Some(work.path("given.json")));
    assert_eq!(report.target_vocabulary.given, None);
    assert_eq!(work.output("vocab.src.json"), given.to_json().as_bytes(), "the folder is complete");
    // Without --output-dir a given vocabulary is written nowhere.
    work.options.output_dir = None;
    work.options.vocab_target_json = Some(work.path("given.json"));
    work.options.train_output = work.path("here.rec");
    work.options.val_output = work.path("here.val.rec");
    let written: Vec<_> = work.run().files.into_iter().map(|file| file.path).collect();
    assert_eq!(written, [work.path("here.rec"), work.path("here.val.rec")]);
}

#[test]
fn one_vocabulary_can_serve_both_sides() {
    let mut work = Workplace::standard();
    work.options.single_vocab = true;
    work.options.source_limits = VocabularyLimits { num_words: 3, min_count: 2 };
    let report = work.run();
    assert_eq!(work.output("vocab.src.json"), work.output("vocab.trg.json"));
    let vocabulary = Vocabulary::read(&work.path("out/vocab.src.json")).expect("reads");
    let words: Vec<_> = (4..vocabulary.len() as u32).filter_map(|id| vocabulary.word(id)).collect();
    assert_eq!(words, ["the", "hund", "dog"]);
    assert_eq!(report.source_vocabulary.types_in_training, Some(13));
}

#[test]
fn faulty_requests_are_refused() {
    let text = |source: &str, target: &str| {
        Workplace::new([source.as_bytes(), target.as_bytes(), VAL_SOURCE.as_bytes(), VAL_TARGET.as_bytes()])
    };
    let mut work = Workplace::standard();
    work.options.val_target = None;
    work.check_refused(
        "--val-target: is missing, though --val-source is given; validation text has two sides, give both or none",
    );
    let mut work = Workplace::standard();
    work.options.target_limits.num_words = 0;
    work.check_refused("--num-words-target: a vocabulary of 0 words knows none; give at least 1");
    let mut work = Workplace::standard();
    work.options.val_output = "train.rec".into();
    work.check_refused(
        "--train-output, --val-output, --output-dir: out/train.rec would be written twice; give every output a name \
         of its own",
    );
    let mut work = Workplace::standard();
    work.options.train_output = work.path("t.de");
    work.check_refused(
        "--train-output, --val-output, --output-dir: t.de is also an input, which would be overwritten; choose \
         another name or folder",
    );
    let mut work = Workplace::standard();
    work.options.train_source = work.path("none.de");
    work.check_refused("none.de: cannot open the text file: No such file or directory (os error 2)");
    text("a\nb\nc\n", "a\nb\n").check_refused(
        "t.en ends at line 2, but t.de goes on to line 3: line N of the one must be the translation of line N of the \
         other; find the first pair that does not match",
    );
    text("a\n \n", "\nb\n")
        .check_refused("t.de and t.en: none of the 2 line pairs has words on both sides; nothing to write");
    text("", "")
        .check_refused("t.de and t.en: none of the 0 line pairs has words on both sides; nothing to write");
    let not_utf8 = Workplace::new([b"gut\ngr\xfc\xdfe\n", b"good\nhi\n", b"a\n", b"b\n"]);
    not_utf8.check_refused(
        "t.de:2:3: byte 0xfc is not valid UTF-8 here; save the file as UTF-8 (iconv -f … -t utf-8)",
    );
    let unequal = Workplace::new([b"a\n", b"b\n", b"a\n", &b"b\n".repeat(5000)]);
    unequal.check_refused(
        "v.de ends at line 1, but v.en goes on to line 5000: line N of the one must be the translation of line N of \
         the other; find the first pair that does not match",
    );
    let mut work = Workplace::standard();
    for (name, word) in [("a.json", "a"), ("b.json", "b")] {
        let vocabulary = Vocabulary::build([(word, 1)], VocabularyLimits::default());
        vocabulary.write(&work.path(name)).expect("writes");
    }
    work.options.single_vocab = true;
    work.options.vocab_source_json = Some(work.path("a.json"));
    work.options.vocab_target_json = Some(work.path("b.json"));
    work.check_refused(
        "-single-vocab: the two vocabularies given differ; give one of them, or leave out -single-vocab",
    );
}

#[test]
fn progress_reaches_the_size_of_the_files() {
    #[derive(Default)]
    struct Log(Mutex<Vec<(String, u64, u64)>>);
    impl Progress for Log {
        fn begin(&self, phase: &str, total_bytes: u64) {
            self.0.lock().expect("lock").push((phase.to_owned(), total_bytes, 0));
        }
        fn advance(&self, bytes: u64) {
            self.0.lock().expect("lock").last_mut().expect("a phase").2 += bytes;
        }
    }
    let (work, log) = (Workplace::standard(), Log::default());
    prepare(&work.options, &log).expect("prepares");
    let phases = log.0.into_inner().expect("lock");
    let names: Vec<_> = phases.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["counting words", "encoding validation text", "encoding training text"]);
    for (name, total, done) in &phases {
        assert_eq!(done, total, "{name}");
    }
}

#[test]
fn real_sentences_have_the_figures_that_python_counts() {
    let text = |name: &str| kokanee_testkit::golden_folder().join(name);
    let folder = tempfile::tempdir().expect("a folder");
    let mut options = PrepareOptions::new(text("train.src"), text("train.trg"));
    (options.val_source, options.val_target) = (Some(text("val.src")), Some(text("val.trg")));
    options.output_dir = Some(folder.path().to_owned());
    let report = prepare(&options, &Silent).expect("prepares");
    // Computed by Python's collections.Counter and statistics, from the same files.
    assert_eq!((report.source_vocabulary.entries, report.target_vocabulary.entries), (84, 74));
    assert_eq!(report.train.pairs_kept, 600);
    assert_eq!((report.train.source.tokens, report.train.target.tokens), (5606, 5075));
    assert!((report.train.length_ratio.mean - 1.041_953_677_722).abs() < 1e-9);
    assert!((report.train.length_ratio.std - 0.243_372_402_652).abs() < 1e-9);
    let corpus = Corpus::read(&folder.path().join("train.rec"), VocabularySizes { source: 84, target: 74 })
        .expect("reads");
    let statistics = corpus.length_statistics();
    assert_eq!(statistics.source_tokens as u64, report.train.source.tokens);
    assert!((statistics.ratio_mean - report.train.length_ratio.mean).abs() < 1e-9);
    assert!((statistics.ratio_std - report.train.length_ratio.std).abs() < 1e-9);
}

/// The files in the output folder, by name.
fn outputs(work: &Workplace) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(work.path("out")).expect("lists").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    let mut files: Vec<_> = files
        .map(|entry| {
            (entry.file_name().into_string().expect("UTF-8"), fs::read(entry.path()).expect("reads"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn prepared_data_is_replaced_as_one_or_not_at_all() {
    let mut work = Workplace::standard();
    work.run();
    let before = outputs(&work);
    assert_eq!(before.len(), 4);
    fs::write(&work.options.train_source, SOURCE.replace("hund", "wolf")).expect("writes");
    // The last file cannot be put in place.
    fs::create_dir(work.path("out/sub.rec")).expect("a folder");
    work.options.val_output = "sub.rec".into();
    let error = prepare(&work.options, &Silent).expect_err("must be refused").to_string();
    assert!(error.contains("out/sub.rec: cannot write the file: a folder has this name"), "{error}");
    assert_eq!(outputs(&work), before);
    work.options.val_output = "val.rec".into();
    work.run();
    let after = outputs(&work);
    assert!(after.iter().zip(&before).all(|(after, before)| after.0 == before.0) && after != before);
}

#[test]
fn a_file_that_is_no_output_of_prepare_is_not_replaced() {
    for (name, kind) in [("train.rec", "RecordIO file"), ("vocab.trg.json", "vocabulary")] {
        let work = Workplace::standard();
        fs::create_dir(work.path("out")).expect("a folder");
        fs::write(work.path("out").join(name), "my own notes").expect("writes");
        let error = prepare(&work.options, &Silent).expect_err("must be refused").to_string();
        assert!(
            error.contains(&format!("out/{name} is there and is no {kind}, so it is not replaced")),
            "{error}"
        );
        assert_eq!(outputs(&work), [(name.to_owned(), b"my own notes".to_vec())]);
    }
}

#[test]
fn prepared_data_that_was_interrupted_on_its_way_is_finished_by_who_reads_it() {
    let work = Workplace::standard();
    work.run();
    let new = Workplace::new([SOURCE.replace("hund", "wolf").as_bytes(), TARGET.as_bytes(), b"a\n", b"b\n"]);
    new.run();
    // The state after a process was killed: the commit is complete, and the first vocabulary is already in its place.
    let commit = work.path("out/.kokanee-commit");
    fs::create_dir(&commit).expect("a folder");
    let names = ["vocab.src.json", "vocab.trg.json", "train.rec", "val.rec"];
    for name in &names[1..] {
        fs::copy(new.path("out").join(name), commit.join(name)).expect("copies");
    }
    fs::copy(new.path("out").join(names[0]), work.path("out").join(names[0])).expect("copies");
    let lines: String = names.iter().map(|name| format!("{{\"file\":\"{name}\"}}\n")).collect();
    let list = format!("{{\"kokanee_folder_update\":1}}\n{lines}\"complete\"\n");
    fs::write(commit.join("update.jsonl"), list).expect("writes");
    assert_eq!(work.corpus("train.rec"), new.corpus("train.rec"));
    assert_eq!(outputs(&work), outputs(&new));
    assert!(!commit.exists());
}
