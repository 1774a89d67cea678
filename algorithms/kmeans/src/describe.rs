//! What a person wants to know of a model.

use std::path::Path;

use kokanee_algorithm::{Report, Table};

use crate::artifact::{Artifact, MODEL_FILE};
use crate::model::Model;

/// Columns of a centre that are shown; the rest is in the export.
const SHOWN_FEATURES: usize = 6;

/// Describes clusters: how many rows each stands for, how far the next one is, and where its centre lies.
pub(crate) fn describe(shown: &Path, artifact: &Artifact, head: usize) -> Report {
    let model = &artifact.model;
    let (k, width) = (model.k(), model.width());
    let mut lines = vec![format!("{}: model of kmeans, {k} clusters of {width} features", shown.display())];
    match &artifact.manifest {
        Some(manifest) => {
            for (channel, records) in &manifest.records {
                lines.push(format!("channel {channel}: {records} records"));
            }
            for (metric, value) in &manifest.metrics {
                lines.push(format!("{metric} {value:?}"));
            }
            lines.push(format!("written by Kokanee {}", manifest.kokanee_version));
        }
        None => lines.push(format!("{} was not written by Kokanee: sizes of clusters are not known", artifact.file)),
    }
    if artifact.file != MODEL_FILE {
        lines.push(format!("note: the real container looks for a file called {MODEL_FILE}, not {}", artifact.file));
    }
    let shown_features = width.min(SHOWN_FEATURES);
    let mut columns: Vec<(String, bool)> =
        ["cluster", "records", "share", "next cluster", "distance to it"].map(|name| (name.to_owned(), true)).into();
    columns.extend((0..shown_features).map(|feature| (format!("feature {feature}"), true)));
    if shown_features < width {
        columns.push((format!("… {}", width - shown_features), false));
    }
    let total: f64 = model.counts().iter().sum();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&a, &b| model.counts()[b].total_cmp(&model.counts()[a]).then(a.cmp(&b)));
    let rows = order.into_iter().take(head).map(|cluster| {
        let count = model.counts()[cluster];
        let known = |text: String| if total > 0.0 { text } else { "-".to_owned() };
        let (next, distance) = next_to(model, cluster)
            .map_or(("-".to_owned(), "-".to_owned()), |(next, distance)| (next.to_string(), format!("{distance:.4}")));
        let mut row = vec![
            cluster.to_string(),
            known(format!("{count:.0}")),
            known(format!("{:.1}%", 100.0 * count / total)),
            next,
            distance,
        ];
        row.extend(model.center(cluster)[..shown_features].iter().map(|value| format!("{value:.4}")));
        if shown_features < width {
            row.push(String::new());
        }
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let title = if rows.len() < k { format!("the {} largest of {k} clusters", rows.len()) } else { "clusters".to_owned() };
    let export = (0..k).map(|cluster| csv_line(model.center(cluster))).collect();
    Report { lines, tables: vec![Table { title, columns, rows }], exports: vec![("centers", export)] }
}

/// The nearest other centre, and its distance.
fn next_to(model: &Model, cluster: usize) -> Option<(usize, f64)> {
    let distance = |other: usize| -> f64 {
        let pairs = model.center(cluster).iter().zip(model.center(other));
        pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
    };
    let others = (0..model.k()).filter(|&other| other != cluster);
    others.map(|other| (other, distance(other))).min_by(|a, b| a.1.total_cmp(&b.1))
}

fn csv_line(values: &[f32]) -> String {
    let mut line = values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}
