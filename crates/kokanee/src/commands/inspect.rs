//! `kokanee inspect`: shows the content of a file or folder.

mod kind;
mod model;
mod records;
mod state;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use kokanee_algorithm::{Report, human};
use kokanee_seq2seq_data::Vocabulary;
use kokanee_seq2seq_data::vocab::SPECIAL_SYMBOLS;
use kokanee_seq2seq_nn::artifact::{OpenedFolder, sockeye};
use kokanee_seq2seq_train::model_folder::METRICS_FILE;

use crate::learning_curve::{self, Labels};
use crate::output_file::{print, write_file};
use crate::render::report::text_of;
use crate::render::table::Table;
use kind::Kind;

const EXAMPLES: &str = "\
Examples:
  kokanee inspect data/train.rec
  kokanee inspect test.rec --vocab-source data/vocab.src.json \\
      --vocab-target data/vocab.trg.json --head 20
  kokanee inspect data/vocab.src.json
  kokanee inspect model
  kokanee inspect model --curve learning-curve.svg
  kokanee inspect model.tar.gz
  kokanee inspect clusters --export centers.csv
  kokanee inspect model/checkpoints";

/// Options of `kokanee inspect`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// A .rec file, a vocabulary, a model (folder or .tar.gz), a checkpoint folder, a parameter file, …
    path: PathBuf,
    /// Vocabulary to decode source ids with [default: vocab.src.json beside the records]
    #[arg(long, value_name = "FILE")]
    vocab_source: Option<PathBuf>,
    /// Vocabulary to decode target ids with [default: vocab.trg.json beside the records]
    #[arg(long, value_name = "FILE")]
    vocab_target: Option<PathBuf>,
    /// Number of records, words or checkpoints to show
    #[arg(long, value_name = "N", default_value_t = 5)]
    head: usize,
    /// Write the model as CSV for other programs: the centres of k-means, one per line
    #[arg(long, value_name = "FILE.csv")]
    export: Option<PathBuf>,
    /// Plot the learning curve of a model's training
    #[arg(long, value_name = "FILE.svg")]
    curve: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When nothing exists at the path, or it is damaged. What could be read is shown first.
pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    let path = args.path.as_path();
    let mut text = String::new();
    let kind = kind::of(path)?;
    let result = describe(args, kind.clone(), path, &mut text);
    print(&text)?;
    result?;
    match &args.curve {
        Some(picture) => draw_curve(kind, path, picture),
        None => Ok(()),
    }
}

fn draw_curve(kind: Kind, path: &Path, picture: &Path) -> Result<()> {
    let labels = |title: String| Labels { title, samples: "pairs", perplexity: "perplexity per token" };
    let title = path.display().to_string();
    match kind {
        Kind::Metrics => learning_curve::draw(path, picture, labels(title)),
        Kind::Model => {
            let opened = OpenedFolder::open(path)?;
            learning_curve::draw(&opened.path().join(METRICS_FILE), picture, labels(title))
        }
        other => bail!("--curve draws the training of a model, but {title} is: {other}"),
    }
}

fn describe(args: &InspectArgs, kind: Kind, path: &Path, out: &mut String) -> Result<()> {
    match kind {
        Kind::Records => records::describe(args, path, out),
        Kind::Vocabulary => vocabulary(path, args.head, out),
        Kind::Model => {
            let report = model::model(path, args.head)?;
            out.push_str(&text_of(&report));
            export(args, &report)
        }
        Kind::Sockeye => sockeye_model(path, out),
        Kind::Safetensors | Kind::Mxnet => {
            out.push_str(&text_of(&model::parameter_file(path, kind)?));
            Ok(())
        }
        Kind::Metrics => {
            out.push_str(&text_of(&model::history_file(path, args.head)?));
            Ok(())
        }
        Kind::States => state::describe(path, args.head, out),
        Kind::Folder => folder(path, out),
        Kind::Other(what) => {
            let _ = writeln!(out, "{}: {what}", path.display());
            let _ = writeln!(
                out,
                "this is none of the files that Kokanee works with: records, vocabularies, models, checkpoints, parameters"
            );
            Ok(())
        }
    }
}

/// Writes the export of a model, if it was asked for.
fn export(args: &InspectArgs, report: &Report) -> Result<()> {
    let Some(path) = &args.export else { return Ok(()) };
    match report.exports.first() {
        Some((_, csv)) => write_file(path, csv),
        None => bail!("--export: a model of this algorithm has nothing to be written as CSV"),
    }
}

fn vocabulary(path: &Path, head: usize, out: &mut String) -> Result<()> {
    let vocabulary = Vocabulary::read(path)?;
    let words = vocabulary.len() - SPECIAL_SYMBOLS.len();
    let _ = writeln!(out, "{}: vocabulary, {} ids", path.display(), human::count(vocabulary.len() as u64));
    let _ = writeln!(
        out,
        "{} words after the special symbols {}",
        human::count(words as u64),
        SPECIAL_SYMBOLS.join(" ")
    );
    let ids = SPECIAL_SYMBOLS.len() as u32..vocabulary.len() as u32;
    let longest = ids.clone().filter_map(|id| vocabulary.word(id)).max_by_key(|word| word.chars().count());
    if let Some(longest) = longest {
        let _ = writeln!(out, "longest word: {longest} ({} characters)", longest.chars().count());
    }
    let mut table = Table::new().numbers("id").words("word");
    let shown = ids.clone().take(head).chain(ids.clone().skip(head.max(ids.len().saturating_sub(head))));
    for id in shown {
        table.row([&id.to_string(), vocabulary.word(id).unwrap_or_default()]);
    }
    let _ =
        write!(out, "\nthe first and last words (commonest first where `kokanee prepare` made it):\n{table}");
    Ok(())
}

/// Describes a model that must be imported before it can be used.
fn sockeye_model(path: &Path, out: &mut String) -> Result<()> {
    let opened = OpenedFolder::open(path)?;
    let Some(found) = sockeye::find_model(opened.path()) else { bail!("{} holds no model", path.display()) };
    let version = sockeye::version_of(&found)
        .map_or("a version that is not said".to_owned(), |v| format!("version {v}"));
    let _ = writeln!(out, "{}: model of Sockeye, {version}", path.display());
    let _ = writeln!(
        out,
        "to use it, make a model of Kokanee of it: kokanee import {} --output FOLDER",
        path.display()
    );
    let mut table = Table::new().words("file").numbers("size");
    let mut files: Vec<_> = std::fs::read_dir(&found)?.flatten().collect();
    files.sort_unstable_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let size =
            file.path().metadata().map_or("missing".to_owned(), |metadata| human::bytes(metadata.len()));
        table.row([&file.file_name().to_string_lossy(), &*size]);
    }
    let _ = write!(out, "\n{table}");
    Ok(())
}

/// Describes each file in a folder of unknown purpose.
fn folder(path: &Path, out: &mut String) -> Result<()> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path)?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    entries.sort_unstable();
    let _ = writeln!(out, "{}: a folder with {} entries", path.display(), entries.len());
    let mut table = Table::new().words("name").numbers("size").words("what it is");
    for entry in &entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let size = entry.metadata().ok().filter(|m| m.is_file()).map(|m| human::bytes(m.len()));
        let what = kind::of(entry).map_or_else(|error| error.to_string(), |kind| kind.to_string());
        table.row([name, size.unwrap_or_default(), what]);
    }
    let _ = write!(out, "\n{table}");
    Ok(())
}
