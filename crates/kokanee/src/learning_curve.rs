//! A training's metrics as a picture.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use kokanee_seq2seq_train::{CheckpointReport, Report};

use crate::output_file::write_file;
use kokanee_pages::svg::lines::{self, Chart, Series};

/// The labels of a picture's axes.
pub(crate) struct Labels {
    pub(crate) title: String,
    pub(crate) samples: &'static str,
    pub(crate) perplexity: &'static str,
}

/// Draws perplexity on training and validation data over the pairs seen, from a `metrics.json`.
///
/// # Errors
/// When the file cannot be read, is damaged or holds no checkpoint, or the picture cannot be written.
pub(crate) fn draw(metrics: &Path, picture: &Path, labels: Labels) -> Result<()> {
    let text = std::fs::read_to_string(metrics)
        .with_context(|| format!("cannot read {}, the history of a training", metrics.display()))?;
    let report: Report =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", metrics.display()))?;
    if report.checkpoints.is_empty() {
        bail!("{} holds no checkpoint, so there is nothing to draw", metrics.display());
    }
    let series = |name: &str, value: fn(&CheckpointReport) -> Option<f64>| Series {
        name: name.to_owned(),
        points: report
            .checkpoints
            .iter()
            .filter_map(|checkpoint| Some((checkpoint.samples as f64 / 1000.0, value(checkpoint)?)))
            .collect(),
        ..Series::default()
    };
    let chart = Chart {
        title: labels.title,
        x_label: format!("{} seen, in thousands", labels.samples),
        y_label: labels.perplexity.to_owned(),
        log_y: true,
        series: vec![
            series("training", |checkpoint| checkpoint.train.perplexity),
            series("validation", |checkpoint| checkpoint.validation.perplexity),
        ],
        ..Chart::default()
    };
    write_file(picture, &lines::draw(&chart).document())
}
