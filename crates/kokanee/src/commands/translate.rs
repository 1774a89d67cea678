//! `kokanee translate`: translates text to text or JSON, line by line.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use kokanee_algorithm::human;
use kokanee_seq2seq_serve::{Answer, AttentionMatrix};
use serde::Serialize;

use super::search_options::SearchOptions;
use crate::exit::say;
use crate::output_file::{ResultOutput, write_file};
use crate::text_input::TextInput;
use kokanee_pages::svg::heat_map;
use kokanee_pages::{Attention, Scale};

/// Number of lines translated together. More would delay the first answer and gain little.
const CHUNK_LINES: usize = 512;

/// Number of bytes that are written before a chunk is complete.
const FLUSHED_BYTES: usize = 1 << 20;
/// The largest picture, in cells: some 30 MB.
const MOST_DRAWN: usize = 1 << 18;

const EXAMPLES: &str = "\
Examples:
  echo 'ein hund läuft' | kokanee translate --model model
  kokanee translate --model model.tar.gz --input test.de --output test.en
  kokanee translate --model model --input test.de --format json --nbest 3 \\
      --attention
  kokanee translate --model model --input test.de --output test.en \\
      --plot attention.svg --plot-line 7

The output has one line per input line, in the same order; an empty line gives an empty line. In text format with \
--nbest there are several: input line number, rank, score and target, separated by tabs.";

/// Options of `kokanee translate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TranslateArgs {
    /// Model folder or model.tar.gz
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// Text to translate, one sentence per line, plain or .gz [default: stdin]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Output file [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Number of hypotheses per line, at most the beam size
    #[arg(long, value_name = "N")]
    nbest: Option<usize>,
    /// Output the attention matrix (JSON only): one row per target token, one column per source token
    #[arg(long)]
    attention: bool,
    /// Plot the attention of one sentence
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Line to plot, from 1
    #[arg(long, value_name = "N", default_value_t = 1, requires = "plot")]
    plot_line: u64,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    search: SearchOptions,
}

/// Form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Target tokens, separated by spaces
    Text,
    /// One object per line: source, target, score, and if requested nbest and matrix
    Json,
}

/// One line of JSON output.
#[derive(Serialize)]
struct JsonAnswer<'a> {
    source: &'a str,
    target: String,
    /// Mean negative log-likelihood per token (with the default length penalty), null for a line without tokens.
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbest: Option<Vec<JsonHypothesis>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matrix: Option<&'a AttentionMatrix>,
}

#[derive(Serialize)]
struct JsonHypothesis {
    target: String,
    score: f64,
}

/// Runs the command.
///
/// # Errors
/// Errors of the model, the input, or the output.
pub(crate) fn run(args: &TranslateArgs) -> Result<()> {
    ensure!(
        !args.attention || args.format == Format::Json,
        "--attention needs --format json: plain text has no place for a matrix (--plot FILE.svg draws one)"
    );
    let attention = args.attention || args.plot.is_some();
    let translator = args.search.open(&args.model, args.nbest.unwrap_or(1), attention)?.only_decoding();
    let mut input = TextInput::open(args.input.as_deref())?;
    let mut output = ResultOutput::open(args.output.as_deref())?;
    let mut tally = Tally::default();
    loop {
        let first_line = input.lines() + 1;
        let lines = input.next_chunk(CHUNK_LINES)?;
        if lines.is_empty() {
            break;
        }
        let answers = translator.translate(&lines);
        let mut text = String::new();
        for ((line, answer), number) in lines.iter().zip(&answers).zip(first_line..) {
            tally.add(answer);
            args.write(&mut text, number, line, answer)?;
            // The attention of long lines is large.
            if text.len() > FLUSHED_BYTES {
                output.write(&text)?;
                text.clear();
            }
            if let Some(path) = args.plot.as_deref().filter(|_| number == args.plot_line) {
                plot(path, number, answer)?;
            }
        }
        output.write(&text)?;
    }
    if args.plot.is_some() && input.lines() < args.plot_line {
        bail!(
            "--plot-line {}: {} has only {} lines, so nothing was drawn",
            args.plot_line,
            input.name().display(),
            input.lines()
        );
    }
    output.finish()?;
    if !args.quiet {
        say(&tally.to_string());
    }
    Ok(())
}

impl TranslateArgs {
    fn write(&self, out: &mut String, number: u64, line: &str, answer: &Answer) -> Result<()> {
        let best = answer.hypotheses.first();
        let target = best.map(|best| best.text()).unwrap_or_default();
        match (self.format, self.nbest) {
            (Format::Text, None) => out.push_str(&target),
            (Format::Text, Some(_)) if answer.hypotheses.is_empty() => {
                out.push_str(&format!("{number}\t1\t\t"));
            }
            (Format::Text, Some(_)) => {
                let lines = answer.hypotheses.iter().zip(1..).map(|(hypothesis, rank)| {
                    format!("{number}\t{rank}\t{:.6}\t{}", hypothesis.score, hypothesis.text())
                });
                out.push_str(&lines.collect::<Vec<_>>().join("\n"));
            }
            (Format::Json, _) => {
                let hypotheses = answer.hypotheses.iter();
                let nbest = hypotheses.map(|h| JsonHypothesis { target: h.text(), score: h.score });
                let object = JsonAnswer {
                    source: line,
                    target,
                    score: best.map(|best| best.score),
                    nbest: self.nbest.map(|_| nbest.collect()),
                    matrix: self
                        .attention
                        .then(|| best.map_or(AttentionMatrix::nothing(), |best| &best.matrix)),
                };
                out.push_str(
                    &serde_json::to_string(&object).context("an answer could not be put into JSON")?,
                );
            }
        }
        out.push('\n');
        Ok(())
    }
}

/// Draws the attention of the best hypothesis.
pub(crate) fn plot(path: &Path, line: u64, answer: &Answer) -> Result<()> {
    let Some(best) = answer.hypotheses.first() else {
        bail!(
            "--plot: line {line} has no tokens, so there is nothing to draw; choose another with --plot-line"
        );
    };
    let cells = best.tokens.len() * answer.source.len();
    ensure!(
        cells <= MOST_DRAWN,
        "--plot: line {line} has {cells} attention weights ({} target and {} source tokens), too many to be drawn; expected at most \
         {MOST_DRAWN}: choose a shorter line with --plot-line, or give --format json --attention",
        best.tokens.len(),
        answer.source.len()
    );
    let weights = best.matrix.dense();
    let attention = Attention::new(&best.tokens, &answer.source, &weights, Scale::One)?;
    let title = if best.tokens.is_empty() { "(empty)".to_owned() } else { best.text() };
    write_file(path, &heat_map::draw(&attention, &title).document())
}

/// Counts for the summary at the end.
#[derive(Default)]
struct Tally {
    lines: u64,
    empty: u64,
    tokens: u64,
    unknown: u64,
    unknown_lines: u64,
    in_pieces: u64,
}

impl Tally {
    fn add(&mut self, answer: &Answer) {
        self.lines += 1;
        self.empty += u64::from(answer.source.is_empty());
        self.tokens += answer.source.len() as u64;
        self.unknown += answer.unknown as u64;
        self.unknown_lines += u64::from(answer.unknown > 0);
        self.in_pieces += u64::from(answer.pieces > 1);
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "translated {} lines, {} tokens", human::count(self.lines), human::count(self.tokens))?;
        if self.empty > 0 {
            write!(f, "; {} empty", human::count(self.empty))?;
        }
        if self.unknown > 0 {
            let share = human::percent(self.unknown as f64 / self.tokens.max(1) as f64);
            let (unknown, lines) = (human::count(self.unknown), human::count(self.unknown_lines));
            write!(
                f,
                "; {unknown} tokens ({share}) in {lines} lines are unknown to the model, read as <unk>"
            )?;
        }
        if self.in_pieces > 0 {
            let lines = human::count(self.in_pieces);
            write!(f, "; {lines} lines are too long for the model as a whole and were translated in pieces")?;
        }
        Ok(())
    }
}
