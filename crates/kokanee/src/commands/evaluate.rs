//! `kokanee evaluate`: measures a model on text with references.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::Args;
use kokanee_algorithm::human;
use kokanee_seq2seq_data::DataError;
use kokanee_seq2seq_data::pronunciations::{Entry, Pronunciations};
use serde::Serialize;

use super::search_options::SearchOptions;
use crate::evaluation::{self, Item, Judged, Likelihood, Quality, Stress};
use crate::output_file::{print, write_json};
use crate::render::table::Table;
use crate::terminal;
use crate::text_input::read_lines;

const EXAMPLES: &str = "\
Examples:
  kokanee evaluate --model model --source test.de --target test.en
  kokanee evaluate --model model --source test.de --target test.en1 \\
      --target test.en2 --worst 20
  kokanee evaluate --model model --source words.graphemes \\
      --target words.phonemes --group-duplicate-sources --strip-stress
  kokanee evaluate --model model --pronunciations test.dict --strip-stress

Perplexity and accuracy: how well the model predicts the references, word by word, as in the validation of training. \
BLEU: n-gram overlap of its own answers with the references, as sacrebleu with tokenize=none. PER: edits (insertions, \
deletions, substitutions) between an answer and the nearest reference, over the tokens of that reference; with \
phonemes as tokens, the phoneme error rate. WER: the share of answers that equal no reference; with one word per line, \
the word error rate of pronunciation.";

/// Options of `kokanee evaluate`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EvaluateArgs {
    /// Model folder or model.tar.gz
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// Source text, one sentence per line, plain or .gz
    #[arg(long, value_name = "FILE", required_unless_present = "pronunciations")]
    source: Option<PathBuf>,
    /// References with the same number of lines; repeat for more references of the same sources
    #[arg(long, value_name = "FILE", required_unless_present = "pronunciations")]
    target: Vec<PathBuf>,
    /// Pronunciation dictionary instead of texts, as for `kokanee prepare`: every pronunciation of a word is a reference
    #[arg(long, value_name = "FILE", conflicts_with_all = ["source", "target"])]
    pronunciations: Option<PathBuf>,
    /// Treat equal source lines as one source with several references
    #[arg(long)]
    group_duplicate_sources: bool,
    /// Ignore the stress digits of ARPAbet vowels in BLEU, PER and WER: AA1 counts as AA
    #[arg(long)]
    strip_stress: bool,
    /// Show the N sentences with the most errors per token
    #[arg(long, value_name = "N", default_value_t = 0)]
    worst: usize,
    /// Also write the figures as JSON
    #[arg(long, value_name = "FILE")]
    output_json: Option<PathBuf>,
    #[command(flatten)]
    search: SearchOptions,
}

/// The figures as JSON.
#[derive(Serialize)]
struct Figures {
    sources: usize,
    references: usize,
    empty_sources: u64,
    target_tokens: u64,
    perplexity: Option<f64>,
    accuracy: Option<f64>,
    bleu: f64,
    bleu_precisions: [f64; 4],
    bleu_brevity_penalty: f64,
    hypothesis_tokens: u64,
    reference_tokens: u64,
    per: Option<f64>,
    wer: Option<f64>,
    substitutions: u64,
    insertions: u64,
    deletions: u64,
    stress_stripped: bool,
    seconds: f64,
    worst: Vec<WorstSentence>,
}

#[derive(Serialize)]
struct WorstSentence {
    /// Line in the source's file, from 1 (with equal sources grouped: its position among the different ones).
    number: usize,
    source: String,
    target: String,
    reference: String,
    edits: u64,
    rate: f64,
}

/// Runs the command.
///
/// # Errors
/// Errors of the model, the texts, or the output.
pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let started = Instant::now();
    let translator = args.search.open(&args.model, 1, false)?;
    let mut items = match (&args.pronunciations, &args.source) {
        (Some(dictionary), _) => read_pronunciations(dictionary)?,
        (None, Some(source)) => read_items(source, &args.target)?,
        (None, None) => bail!("give --source and --target, or --pronunciations"),
    };
    if args.group_duplicate_sources || args.pronunciations.is_some() {
        items = evaluation::group_by_source(items);
    }
    let stress = if args.strip_stress { Stress::Stripped } else { Stress::Counts };

    let bar = terminal::progress_bar(2 * items.len() as u64, "evaluating {bar:30} {percent:>3}%, {eta} left");
    let advance = |count| bar.inc(count);
    let likelihood = evaluation::likelihood(&translator, &items, advance);
    let answers = evaluation::answers(&translator, &items, advance);
    bar.finish_and_clear();
    let quality = evaluation::quality(&items, &answers, stress)?;

    let figures = args.figures(&items, &likelihood, &quality, started);
    if let Some(path) = &args.output_json {
        write_json(path, &figures)?;
    }
    print(&figures.report(&quality))
}

/// Returns an item for each entry of a dictionary.
fn read_pronunciations(dictionary: &Path) -> Result<Vec<Item>> {
    let read = Pronunciations::read(dictionary)?;
    let item = |entry: &Entry| Item { source: entry.letters.clone(), references: vec![entry.sounds.clone()] };
    Ok(read.entries().iter().map(item).collect())
}

/// Reads items from a source file and files of references with the same number of lines.
pub(crate) fn read_items(source: &Path, targets: &[PathBuf]) -> Result<Vec<Item>> {
    let sources = read_lines(source)?;
    ensure!(!sources.is_empty(), "{} is empty: there is nothing to evaluate on", source.display());
    let mut items: Vec<Item> =
        sources.into_iter().map(|source| Item { source, references: Vec::new() }).collect();
    for path in targets {
        let references = read_lines(path)?;
        let [ours, theirs] = [(source, items.len()), (path.as_path(), references.len())];
        if ours.1 != theirs.1 {
            let (shorter, longer) = if ours.1 < theirs.1 { (ours, theirs) } else { (theirs, ours) };
            let error = DataError::UnequalLines {
                shorter: shorter.0.to_owned(),
                shorter_lines: shorter.1 as u64,
                longer: longer.0.to_owned(),
                longer_lines: longer.1 as u64,
            };
            return Err(error.into());
        }
        for (item, reference) in items.iter_mut().zip(references) {
            item.references.push(reference);
        }
    }
    Ok(items)
}

impl EvaluateArgs {
    fn figures(
        &self,
        items: &[Item],
        likelihood: &Likelihood,
        quality: &Quality,
        started: Instant,
    ) -> Figures {
        let mut order: Vec<usize> =
            (0..items.len()).filter(|&i| !quality.judged[i].errors.is_exact()).collect();
        let edits = |judged: &Judged| judged.errors.edits.total();
        order.sort_by(|&a, &b| {
            let key = |i: usize| (quality.judged[i].rate(), edits(&quality.judged[i]));
            let ((rate_a, edits_a), (rate_b, edits_b)) = (key(a), key(b));
            rate_b.total_cmp(&rate_a).then(Reverse(edits_a).cmp(&Reverse(edits_b)))
        });
        order.truncate(self.worst);
        let worst = order.into_iter().map(|i| {
            let judged = &quality.judged[i];
            WorstSentence {
                number: i + 1,
                source: items[i].source.clone(),
                target: judged.hypothesis.join(" "),
                reference: judged.reference.join(" "),
                edits: edits(judged),
                rate: judged.rate(),
            }
        });
        let (bleu, errors) = (&quality.bleu, &quality.errors);
        Figures {
            sources: items.len(),
            references: items.iter().map(|item| item.references.len()).sum(),
            empty_sources: likelihood.skipped,
            target_tokens: likelihood.perplexity.tokens(),
            perplexity: likelihood.perplexity.value(),
            accuracy: likelihood.accuracy.value(),
            bleu: bleu.value,
            bleu_precisions: bleu.precisions,
            bleu_brevity_penalty: bleu.brevity_penalty,
            hypothesis_tokens: bleu.hypothesis_tokens,
            reference_tokens: bleu.reference_tokens,
            per: errors.token_error_rate(),
            wer: errors.sequence_error_rate(),
            substitutions: errors.edits().substitutions,
            insertions: errors.edits().insertions,
            deletions: errors.edits().deletions,
            stress_stripped: self.strip_stress,
            seconds: started.elapsed().as_secs_f64(),
            worst: worst.collect(),
        }
    }
}

impl Figures {
    fn report(&self, quality: &Quality) -> String {
        let count = |number: u64| human::count(number);
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
        let share =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{:.2}%", 100.0 * value));
        let mut table = Table::new().words("measure").numbers("value").words("of");
        let sources = format!("{} sources", count(self.sources as u64));
        let likely = format!("{} target tokens with </s>", count(self.target_tokens));
        table.row(["perplexity", &number(self.perplexity), &likely]);
        table.row(["accuracy", &number(self.accuracy), &likely]);
        let references = format!("{sources}, {} references", count(self.references as u64));
        table.row(["BLEU", &number(Some(self.bleu)), &references]);
        let stress = if self.stress_stripped { ", without stress" } else { "" };
        let per = format!(
            "{} substitutions, {} insertions, {} deletions in {} tokens{stress}",
            count(self.substitutions),
            count(self.insertions),
            count(self.deletions),
            count(quality.errors.reference_tokens())
        );
        table.row(["PER", &share(self.per), &per]);
        let wrong = count(quality.errors.wrong());
        table.row(["WER", &share(self.wer), &format!("{wrong} wrong of {sources}{stress}")]);
        let mut text = format!("{table}\n{}\n", quality.bleu);
        if self.empty_sources > 0 {
            let skipped = count(self.empty_sources);
            text.push_str(&format!(
                "{skipped} pairs have a source without tokens: they count in BLEU, PER and WER (with an empty answer), but not in \
                 perplexity and accuracy\n"
            ));
        }
        if !self.worst.is_empty() {
            let mut table =
                Table::new().numbers("line").numbers("rate").words("source").words("said").words("reference");
            for worst in &self.worst {
                table.row([
                    &worst.number.to_string(),
                    &human::percent(worst.rate),
                    &worst.source,
                    &worst.target,
                    &worst.reference,
                ]);
            }
            text.push_str(&format!("\n{table}"));
        }
        text.push_str(&format!("took {:.1} s\n", self.seconds));
        text
    }
}
