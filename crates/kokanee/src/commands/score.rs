//! `kokanee score`: computes the probability of given translations.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use kokanee_algorithm::human;
use kokanee_seq2seq_data::text::tokens;
use kokanee_seq2seq_serve::Translator;

use super::parallel_input::ParallelInput;
use crate::exit::say;
use crate::output_file::ResultOutput;
use crate::process;

/// Number of pairs read and scored together.
const CHUNK_PAIRS: usize = 512;

const EXAMPLES: &str = "\
Example:
  kokanee score --model model --source test.de --target test.en > scores.txt

Each output line is the natural logarithm of the probability of the whole target, including the end of the sentence, \
given the source: 0 is certain, lower is less probable. Words outside the vocabularies count as <unk>. A source \
without tokens gives 0 with an empty target and -inf with any other: the model answers an empty line with an empty \
line. A pair with more tokens than a convolutional model has positions gives -inf.";

/// Options of `kokanee score`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScoreArgs {
    /// Model folder or model.tar.gz
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// Source text, one sentence per line, plain or .gz
    #[arg(long, value_name = "FILE")]
    source: PathBuf,
    /// Target text with the same number of lines
    #[arg(long, value_name = "FILE")]
    target: PathBuf,
    /// Output file [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Number of threads, 0 for one per core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=1024))]
    threads: u16,
    /// Print nothing but errors
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command.
///
/// # Errors
/// Errors of the model, the texts, or the output.
pub(crate) fn run(args: &ScoreArgs) -> Result<()> {
    let translator = Translator::open(&args.model, process::team(usize::from(args.threads))?)?;
    for note in &translator.notes {
        say(&format!("note: {note}"));
    }
    let mut input = ParallelInput::open(&args.source, &args.target)?;
    let mut output = ResultOutput::open(args.output.as_deref())?;
    let (mut pairs_seen, mut scored_tokens, mut total) = (0, 0, 0.0);
    loop {
        let pairs = input.next_chunk(CHUNK_PAIRS)?;
        if pairs.is_empty() {
            break;
        }
        let mut text = String::new();
        for (score, (_, target)) in translator.score(&pairs).iter().zip(&pairs) {
            let sum = score.total(tokens(target).next().is_none());
            text.push_str(&format!("{sum:.6}\n"));
            pairs_seen += 1;
            if sum.is_finite() {
                scored_tokens += score.log_probabilities.len() as u64;
                total += sum;
            }
        }
        output.write(&text)?;
    }
    output.finish()?;
    if !args.quiet {
        let mean = if scored_tokens > 0 { total / scored_tokens as f64 } else { 0.0 };
        let (pairs, tokens) = (human::count(pairs_seen), human::count(scored_tokens));
        say(&format!("scored {pairs} pairs, {tokens} target tokens; mean {mean:.4} a token"));
    }
    Ok(())
}
