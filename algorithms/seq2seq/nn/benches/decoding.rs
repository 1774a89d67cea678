//! Measures the decoding speed of a trained model on a text, in each format and for several numbers of sentences at a time.
//!
//! `cargo xtask bench decode --model DIR --text FILE[.gz] [--batch 1,64] [--format f32,bf16,int8] [--beam 5] [--threads T]
//! [--sentences N] [--windows W]`
//!
//! Each window decodes the first sentences of the text (fewer with small batches: `--sentences` is for the largest), and the best
//! window counts. "Weights" are those that one step of the decoder multiplies by; "held" is the memory that a decoder keeps for all
//! of them.

// A benchmark speaks to a terminal.
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use kokanee_kernels::Team;
use kokanee_kernels::packed::Format;
use kokanee_seq2seq_nn::decode::{Decoding, Request, Search, Work};
use kokanee_seq2seq_nn::{Artifact, Model};

struct Options {
    model: PathBuf,
    text: PathBuf,
    batches: Vec<usize>,
    formats: Vec<Format>,
    beam: usize,
    threads: usize,
    sentences: usize,
    windows: usize,
}

/// The measurements of one window.
struct Measured {
    time: Duration,
    work: Work,
    answers: BTreeMap<u64, Vec<u32>>,
}

/// The repository root, to which relative paths refer: cargo runs a benchmark in the folder of its package.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");

fn main() {
    let Some(options) = Options::parse() else {
        println!("decode: nothing to do: name a trained model with --model and a text with --text");
        return;
    };
    let team = Arc::new(Team::new(options.threads));
    let Artifact { model, metadata } = Artifact::load(&options.model).expect("a model of Kokanee");
    let sources = read_ids(&options.text, &options.model.join("vocab.src.json"));
    let weights = step_weights(&model);
    println!(
        "threads {}, isa {:?}; {} parameters, {weights} of them in a step; {} sentences, beam {}",
        team.size(),
        kokanee_kernels::Isa::detect(),
        model.parameters().size(),
        sources.len(),
        options.beam
    );
    println!("after loading: peak memory {:.0} MB", peak_memory_mb());
    println!(
        "{:>6} {:>6} {:>11} {:>9} {:>8} {:>8} {:>9} {:>8} {:>9} {:>8} {:>9} {:>8}",
        "format",
        "batch",
        "sentences/s",
        "tokens/s",
        "ms/step",
        "rows",
        "GFLOP/s",
        "GB/s",
        "packing s",
        "MB held",
        "same",
        "peak MB"
    );
    let largest = options.batches.iter().copied().max().unwrap_or(1);
    let mut expected: HashMap<usize, BTreeMap<u64, Vec<u32>>> = HashMap::new();
    for &format in &options.formats {
        let start = Instant::now();
        let mut decoding = Decoding::new(&model, &metadata.lengths, &team, format);
        let packing = start.elapsed().as_secs_f64();
        let held = decoding.memory_bytes() as f64 / 1e6;
        for &batch in &options.batches {
            let count = (options.sentences * (batch + 15) / (largest + 15)).clamp(1, sources.len());
            decoding = decoding.with_window(batch * options.beam);
            let windows =
                (0..options.windows).map(|_| measure(&mut decoding, &sources[..count], options.beam));
            let best = windows.min_by_key(|window| window.time).expect("one window at least");
            let seconds = best.time.as_secs_f64();
            let tokens: usize = best.answers.values().map(|words| words.len() + 1).sum();
            let expected = expected.entry(batch).or_insert_with(|| best.answers.clone());
            let same = best.answers.iter().filter(|(at, words)| expected.get(at) == Some(words)).count();
            let (steps, rows) = (best.work.steps as f64, best.work.rows as f64);
            let bytes = weights as f64
                * match format {
                    Format::F32 => 4.0,
                    Format::Bf16 => 2.0,
                    Format::Int8 => 1.0,
                };
            println!(
                "{:>6} {batch:>6} {:>11.1} {:>9.0} {:>8.3} {:>8.1} {:>9.0} {:>8.1} {packing:>9.3} {held:>8.1} {:>8.1}% {:>8.0}",
                format!("{format:?}").to_lowercase(),
                count as f64 / seconds,
                tokens as f64 / seconds,
                seconds / steps * 1e3,
                rows / steps,
                2.0 * weights as f64 * rows / seconds / 1e9,
                bytes * steps / seconds / 1e9,
                100.0 * same as f64 / count as f64,
                peak_memory_mb(),
            );
        }
    }
}

fn measure(decoding: &mut Decoding, sources: &[Vec<u32>], beam_size: usize) -> Measured {
    let search = Search { beam_size, ..Search::default() };
    let requests =
        sources.iter().zip(0..).map(|(source, at)| (at, Request::new(source.clone(), search.clone())));
    let before = decoding.work();
    let mut answers = BTreeMap::new();
    let start = Instant::now();
    decoding.admit(requests);
    while !decoding.is_idle() {
        for (at, translation) in decoding.step() {
            answers
                .insert(at, translation.hypotheses.into_iter().next().map_or(Vec::new(), |best| best.words));
        }
    }
    let (time, after) = (start.elapsed(), decoding.work());
    let work = Work {
        steps: after.steps - before.steps,
        rows: after.rows - before.rows,
        source_tokens: after.source_tokens - before.source_tokens,
    };
    Measured { time, work, answers }
}

/// The number of values in the matrices that a step of the decoder multiplies by: all but embeddings and the encoder's (and the few
/// that an attention applies to the encoder's outputs).
fn step_weights(model: &Model) -> usize {
    let of_step = |name: &str| !name.contains("embed") && !name.starts_with("encoder");
    let parameters = model.parameters().iter();
    let matrices = parameters.filter(|p| p.value.shape().extents().len() > 1 && of_step(&p.name));
    matrices.map(|p| p.value.data().len()).sum()
}

/// Reads the sentences of a text, gzipped or not, as ids; words that the vocabulary lacks become 1.
fn read_ids(text: &Path, vocabulary: &Path) -> Vec<Vec<u32>> {
    let open = |path: &Path| std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let words: HashMap<String, u32> =
        serde_json::from_reader(BufReader::new(open(vocabulary))).expect("a vocabulary: words and ids");
    let reader: Box<dyn Read> = match text.extension() {
        Some(extension) if extension == "gz" => Box::new(GzDecoder::new(open(text))),
        _ => Box::new(open(text)),
    };
    let lines = BufReader::new(reader).lines().map(|line| line.expect("a text in UTF-8"));
    let ids = |line: String| -> Vec<u32> {
        line.split_whitespace().map(|word| words.get(word).copied().unwrap_or(1)).collect()
    };
    lines.map(ids).filter(|ids| !ids.is_empty()).collect()
}

/// The peak memory of this process, if the system tells it.
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .map_or(f64::NAN, |kb| kb / 1e3)
}

impl Options {
    /// Returns `None` without a model or a text: `cargo bench --workspace` runs every target without arguments.
    fn parse() -> Option<Options> {
        let args: Vec<String> = std::env::args().collect();
        let value = |name: &str| {
            let at = args.iter().position(|arg| arg == name)?;
            Some(args.get(at + 1).unwrap_or_else(|| panic!("{name} needs a value")).as_str())
        };
        let number = |name: &str, default: usize| {
            value(name).map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{name} {text}: {e}")))
        };
        let format = |name: &str| match name {
            "f32" => Format::F32,
            "bf16" => Format::Bf16,
            "int8" => Format::Int8,
            other => panic!("--format {other}: formats are f32, bf16 and int8"),
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Some(Options {
            model: Path::new(ROOT).join(value("--model")?),
            text: Path::new(ROOT).join(value("--text")?),
            batches: value("--batch")
                .unwrap_or("1,64")
                .split(',')
                .map(|n| n.parse().unwrap_or_else(|e| panic!("--batch {n}: {e}")))
                .collect(),
            formats: value("--format").unwrap_or("f32,bf16,int8").split(',').map(format).collect(),
            beam: number("--beam", 5),
            threads: number("--threads", cores),
            sentences: number("--sentences", 1000),
            windows: number("--windows", 3).max(1),
        })
    }
}
