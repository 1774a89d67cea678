//! The history of a training.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use kokanee_seq2seq_train::Report;

use crate::render::human;
use crate::render::table::Table;

/// Describes what `metrics.json` says.
pub(super) fn describe_history(path: &Path, head: usize, out: &mut String) -> Result<()> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let report: Report = match serde_json::from_str(&text) {
        Ok(report) => report,
        Err(error) => bail!("{} is no history of a training: {error}", path.display()),
    };
    history(&report, head, out);
    Ok(())
}

/// The last checkpoints, and which one is best.
pub(super) fn history(report: &Report, head: usize, out: &mut String) {
    let mut table = Table::new()
        .numbers("checkpoint")
        .numbers("update")
        .numbers("epoch")
        .numbers("learning rate")
        .numbers("train perplexity")
        .numbers("validation perplexity")
        .numbers("accuracy")
        .numbers("BLEU")
        .numbers("tokens/s")
        .words("");
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let left_out = report.checkpoints.len().saturating_sub(head);
    for checkpoint in &report.checkpoints[left_out..] {
        let is_best = report.best.is_some_and(|best| best.checkpoint == checkpoint.checkpoint);
        table.row([
            checkpoint.checkpoint.to_string(),
            human::count(checkpoint.update),
            checkpoint.epoch.to_string(),
            checkpoint.learning_rate.to_string(),
            number(checkpoint.train.perplexity),
            number(checkpoint.validation.perplexity),
            number(checkpoint.validation.accuracy),
            number(checkpoint.validation.bleu),
            human::count(checkpoint.target_tokens_per_second as u64),
            if is_best { "best".to_owned() } else { String::new() },
        ]);
    }
    let _ = write!(out, "{table}");
    if left_out > 0 {
        let _ = writeln!(
            out,
            "{left_out} earlier checkpoints are not shown (--head {})",
            report.checkpoints.len()
        );
    }
    if let Some(best) = report.best {
        let value = best.value.map_or("not measured".to_owned(), |value| format!("{value:.6}"));
        let _ = writeln!(
            out,
            "best by {}: checkpoint {}, update {}, {value}",
            report.optimized_metric,
            best.checkpoint,
            human::count(best.update)
        );
    }
    match report.stop_reason {
        Some(reason) => {
            let _ = writeln!(out, "training ended: {reason}");
        }
        None => out.push_str("training has not ended, or was interrupted\n"),
    }
}
