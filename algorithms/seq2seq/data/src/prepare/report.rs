//! The report of `prepare` on the data.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// The final report of `prepare`; its `Display` is an aligned table for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrepareReport {
    /// The training text.
    pub train: SplitReport,
    /// The validation text, if there was one.
    pub validation: Option<SplitReport>,
    /// The vocabulary of the source side.
    pub source_vocabulary: VocabularyReport,
    /// The vocabulary of the target side.
    pub target_vocabulary: VocabularyReport,
    /// Pairs that training and validation text share, if there was a validation text.
    pub shared: Option<SharedPairs>,
    /// The source limit by which overlong pairs were counted, in tokens.
    pub max_seq_len_source: usize,
    /// The target limit by which overlong pairs were counted, in tokens with `<s>`.
    pub max_seq_len_target: usize,
    /// The files written.
    pub files: Vec<WrittenFile>,
}

/// Statistics of one parallel text. All but `skipped` are about the pairs kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    /// Number of pairs written.
    pub pairs_kept: u64,
    /// Numbers of skipped pairs.
    pub skipped: Skipped,
    /// The source side.
    pub source: SideReport,
    /// The target side.
    pub target: SideReport,
    /// Numbers of pairs longer than the limits.
    pub overlong: Overlong,
    /// Target length (with `<s>`) over source length.
    pub length_ratio: LengthRatio,
}

/// Numbers of skipped pairs, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Only the source line had no tokens.
    pub blank_source: u64,
    /// Only the target line had no tokens.
    pub blank_target: u64,
    /// Neither line had tokens.
    pub blank_both: u64,
}

/// Statistics of one side of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideReport {
    /// Number of tokens.
    pub tokens: u64,
    /// Number of tokens that the vocabulary lacks.
    pub unknown: u64,
    /// Their share, from 0 to 1.
    pub unknown_rate: f64,
    /// Number of tokens that look like a special symbol and were taken as unknown words.
    pub special_symbols: u64,
    /// Sentence lengths.
    pub lengths: Lengths,
}

/// Percentiles of sentence lengths, in tokens: the least length that this percentage of sentences do not exceed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// 5%.
    pub p5: usize,
    /// 25%.
    pub p25: usize,
    /// The median.
    pub p50: usize,
    /// 75%.
    pub p75: usize,
    /// 95%.
    pub p95: usize,
    /// 99%.
    pub p99: usize,
    /// The longest.
    pub max: usize,
}

/// Numbers of pairs that `max_seq_len_source` and `max_seq_len_target` would cut (or drop).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Overlong {
    /// Pairs whose source is too long.
    pub source: u64,
    /// Pairs whose target, with `<s>`, is too long.
    pub target: u64,
    /// Pairs with a side that is too long.
    pub pairs: u64,
}

/// Mean and population standard deviation over pairs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LengthRatio {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std: f64,
}

/// A vocabulary's origin and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VocabularyReport {
    /// The file it was read from; `None` if it was built.
    pub given: Option<PathBuf>,
    /// Number of ids, including special symbols.
    pub entries: usize,
    /// Number of different words of the training text (of both sides for a single vocabulary), if they were counted.
    pub types_in_training: Option<u64>,
}

/// Leaks between training and validation text: examples that a model could answer from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SharedPairs {
    /// Number of validation pairs that are also training pairs, word for word.
    pub validation_pairs_in_train: u64,
    /// Number of validation pairs whose source is also a training source.
    pub validation_sources_in_train: u64,
    /// Number of training pairs that are also validation pairs.
    pub train_pairs_in_validation: u64,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrittenFile {
    /// Its path.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

impl Skipped {
    /// The sum over all reasons.
    pub fn total(&self) -> u64 {
        self.blank_source + self.blank_target + self.blank_both
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.blank_source += other.blank_source;
        self.blank_target += other.blank_target;
        self.blank_both += other.blank_both;
    }
}

impl Overlong {
    pub(super) fn merge(&mut self, other: &Self) {
        self.source += other.source;
        self.target += other.target;
        self.pairs += other.pairs;
    }
}

/// The number of sentences of each length.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    sentences: u64,
    max: usize,
}

impl Histogram {
    /// Lengths from this one on share one count, so that an extremely long line costs no memory; the maximum stays exact.
    const RESOLVED: usize = 1 << 14;

    pub(super) fn add(&mut self, length: usize) {
        let slot = length.min(Self::RESOLVED);
        if self.counts.len() <= slot {
            self.counts.resize(slot + 1, 0);
        }
        self.counts[slot] += 1;
        self.sentences += 1;
        self.max = self.max.max(length);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sentences += other.sentences;
        self.max = self.max.max(other.max);
    }

    pub(super) fn lengths(&self) -> Lengths {
        let percentile = |percent: u64| {
            let rank = (self.sentences * percent).div_ceil(100);
            let mut below = 0;
            let found = self.counts.iter().position(|count| {
                below += count;
                below >= rank
            });
            found.filter(|&length| length < Self::RESOLVED).unwrap_or(self.max)
        };
        Lengths {
            p5: percentile(5),
            p25: percentile(25),
            p50: percentile(50),
            p75: percentile(75),
            p95: percentile(95),
            p99: percentile(99),
            max: self.max,
        }
    }
}

/// Count, mean and sum of squared deviations of ratios (Welford's recurrence; merged after Chan et al.).
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct RatioSum {
    count: f64,
    mean: f64,
    squares: f64,
}

impl RatioSum {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.mean += delta * other.count / count;
        self.squares += other.squares + delta * delta * self.count * other.count / count;
        self.count = count;
    }

    pub(super) fn ratio(&self) -> LengthRatio {
        LengthRatio { mean: self.mean, std: (self.squares / self.count.max(1.0)).sqrt() }
    }
}

impl fmt::Display for PrepareReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let splits: Vec<_> = std::iter::once(&self.train).chain(&self.validation).collect();
        let mut table = Table::default();
        let titles = ["train", "validation"];
        table.row("", titles.iter().take(splits.len()).map(|title| (*title).to_owned()));
        let mut count = |label: &str, figure: &dyn Fn(&SplitReport) -> u64| {
            table.row(label, splits.iter().map(|split| grouped(figure(split))));
        };
        count("pairs kept", &|split| split.pairs_kept);
        count("pairs skipped", &|split| split.skipped.total());
        count("  only the source is blank", &|split| split.skipped.blank_source);
        count("  only the target is blank", &|split| split.skipped.blank_target);
        count("  both are blank", &|split| split.skipped.blank_both);
        count(&format!("over {} source tokens", self.max_seq_len_source), &|split| split.overlong.source);
        count(&format!("over {} target tokens with <s>", self.max_seq_len_target), &|split| {
            split.overlong.target
        });
        count("over either limit (would be cut)", &|split| split.overlong.pairs);
        let ratio =
            |split: &&SplitReport| format!("{:.3} ± {:.3}", split.length_ratio.mean, split.length_ratio.std);
        table.row("target/source length ratio", splits.iter().map(ratio));
        for (name, side) in
            [("source", (|s| &s.source) as fn(&SplitReport) -> &SideReport), ("target", |s| &s.target)]
        {
            let mut row = |label: &str, figure: &dyn Fn(&SideReport) -> String| {
                table.row(&format!("{name} {label}"), splits.iter().map(|split| figure(side(split))));
            };
            row("tokens", &|side| grouped(side.tokens));
            row("unknown", &|side| format!("{} ({:.2}%)", grouped(side.unknown), side.unknown_rate * 100.0));
            if splits.iter().any(|split| side(split).special_symbols > 0) {
                row("special symbols, taken as unknown", &|side| grouped(side.special_symbols));
            }
            row("length p5 p25 p50 p75 p95 p99 max", &|side| {
                let Lengths { p5, p25, p50, p75, p95, p99, max } = side.lengths;
                format!("{p5} {p25} {p50} {p75} {p95} {p99} {max}")
            });
        }
        write!(f, "{table}")?;
        writeln!(f)?;
        for (name, vocabulary) in [("source", &self.source_vocabulary), ("target", &self.target_vocabulary)] {
            write!(f, "{name} vocabulary: {} entries", grouped(vocabulary.entries as u64))?;
            match (&vocabulary.given, vocabulary.types_in_training) {
                (Some(path), _) => writeln!(f, ", given as {}", path.display())?,
                (None, Some(types)) => {
                    writeln!(f, " with the 4 special symbols, from {} types", grouped(types))?
                }
                (None, None) => writeln!(f)?,
            }
        }
        if let (Some(shared), Some(validation)) = (&self.shared, &self.validation) {
            writeln!(
                f,
                "shared: {} of {} validation pairs are in the training text word for word, {} with their source; \
                 {} training pairs are in the validation text",
                grouped(shared.validation_pairs_in_train),
                grouped(validation.pairs_kept),
                grouped(shared.validation_sources_in_train),
                grouped(shared.train_pairs_in_validation),
            )?;
        }
        for file in &self.files {
            writeln!(f, "wrote {} ({} bytes)", file.path.display(), grouped(file.bytes))?;
        }
        Ok(())
    }
}

/// A table with labels on the left and right-aligned columns.
#[derive(Default)]
struct Table {
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    fn row(&mut self, label: &str, cells: impl Iterator<Item = String>) {
        self.rows.push((label.to_owned(), cells.collect()));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label_width = self.rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        for (label, cells) in &self.rows {
            write!(f, "{label:label_width$}")?;
            for (column, cell) in cells.iter().enumerate() {
                write!(f, "   {cell:>width$}", width = width(column))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Formats digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
