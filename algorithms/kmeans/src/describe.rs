//! The description of a model for a person.

use std::path::Path;

use kokanee_algorithm::human;
use kokanee_algorithm::report::{Report, Table};

use crate::artifact::{Artifact, MODEL_FILE};
use crate::model::Model;

/// The number of features of a centre that are shown; the export has all.
const SHOWN_FEATURES: usize = 6;

/// Describes clusters: how many rows each represents, how far the next one is, and where its centre lies.
pub(crate) fn describe(shown: &Path, artifact: &Artifact, head: usize) -> Report {
    let model = &artifact.model;
    let (k, width) = (model.k(), model.width());
    let mut report = Report::default();
    report.line(format!("{}: model of kmeans, {k} clusters of {width} features", shown.display()));
    match &artifact.manifest {
        Some(manifest) => {
            for (channel, records) in &manifest.records {
                report.line(format!("channel {channel}: {} records", human::count(*records)));
            }
            for (metric, value) in &manifest.metrics {
                report.line(format!("{metric} {value:?}"));
            }
            report.line(format!("written by Kokanee {}", manifest.kokanee_version));
        }
        None => {
            report.line(format!(
                "{} was not written by Kokanee: sizes of clusters are not known",
                artifact.file
            ));
        }
    }
    if artifact.file != MODEL_FILE {
        let name = &artifact.file;
        report.line(format!("note: the real container looks for a file called {MODEL_FILE}, not {name}"));
    }
    let shown_features = width.min(SHOWN_FEATURES);
    let mut table = Table::new()
        .numbers("cluster")
        .numbers("records")
        .numbers("share")
        .numbers("next cluster")
        .numbers("distance to it");
    for feature in 0..shown_features {
        table = table.numbers(format!("feature {feature}"));
    }
    let total: f64 = model.counts().iter().sum();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&a, &b| model.counts()[b].total_cmp(&model.counts()[a]).then(a.cmp(&b)));
    for cluster in order.into_iter().take(head) {
        let count = model.counts()[cluster];
        let known = |text: String| if total > 0.0 { text } else { "-".to_owned() };
        let (next, distance) = next_to(model, cluster)
            .map_or(("-".to_owned(), "-".to_owned()), |(next, distance)| {
                (next.to_string(), format!("{distance:.4}"))
            });
        let mut row = vec![
            cluster.to_string(),
            known(format!("{count:.0}")),
            known(format!("{:.1}%", 100.0 * count / total)),
            next,
            distance,
        ];
        row.extend(model.center(cluster)[..shown_features].iter().map(|value| format!("{value:.4}")));
        table.row(row);
    }
    let rows = table.rows.len();
    let of_all = if rows < k {
        format!("the {rows} largest of {k} clusters (--head {k} shows all)")
    } else {
        "clusters".to_owned()
    };
    let of_features = if shown_features < width {
        format!(", and the first {shown_features} of {width} features of their centres (--export has all)")
    } else {
        String::new()
    };
    report.titled(format!("{of_all}{of_features}:"), table);
    let centers = (0..k).map(|cluster| csv_line(model.center(cluster))).collect();
    report.exports.push(("centers", centers));
    report
}

/// Finds the nearest other centre, and its distance.
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
