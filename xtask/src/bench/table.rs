//! The table of a workload: every system's speed, and its ratio to Kokanee's.

use super::quantile::{median, quantiles};
use crate::peers::speed::{Report, Window};

/// A run, the cores that other processes used meanwhile, and the nanoseconds between two cores before and after.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) report: Report,
    pub(super) load_before: f64,
    pub(super) load_during: f64,
    pub(super) apart: [Option<f64>; 2],
}

impl Row {
    pub(super) fn loudest(&self) -> f64 {
        self.load_before.max(self.load_during)
    }
}

/// All runs of one system: the windows of all rounds form one sample.
struct Group<'a> {
    system: &'a str,
    precision: &'a str,
    rows: Vec<&'a Row>,
}

impl Group<'_> {
    /// The speed of every window.
    fn speeds(&self, counted: fn(&Window) -> u64) -> Vec<f64> {
        let windows = self.rows.iter().flat_map(|row| &row.report.windows);
        windows.map(|window| counted(window) as f64 / window.seconds).collect()
    }

    /// Whether the system is Kokanee.
    fn is_kokanee(&self) -> bool {
        self.system.starts_with("Kokanee")
    }
}

/// A table in Markdown. `rows` belong to one workload, in the order of their runs.
pub(super) fn table(work: &str, rows: &[&Row]) -> String {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for &row in rows {
        let (system, precision) = (row.report.system.as_str(), row.report.precision.as_str());
        match groups.iter_mut().find(|group| group.system == system && group.precision == precision) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { system, precision, rows: vec![row] }),
        }
    }
    let ours = |precision: &str| {
        let group = groups.iter().find(|group| group.is_kokanee() && group.precision == precision)?;
        Some(median(&group.speeds(|window| window.target_tokens)))
    };
    let ours = [ours("f32"), ours("bf16")];
    let mut text = format!(
        "### {work}\n\n\
         | system | precision | sentences/s | lowest to highest | target tokens/s | Kokanee f32 is | Kokanee bf16 is | \
         peak memory, MiB | other load before, during | ns between cores |\n\
         |---|---|---|---|---|---|---|---|---|---|\n"
    );
    for group in &groups {
        let [lowest, middle, highest] = quantiles(&group.speeds(|window| window.sentences), [0.0, 0.5, 1.0]);
        let tokens = median(&group.speeds(|window| window.target_tokens));
        let [f32, bf16] =
            ours.map(|ours| ours.map_or("-".to_owned(), |ours| format!("{:.2}x", ours / tokens)));
        let memory = group.rows.iter().map(|row| row.report.peak_memory_mib).max().unwrap_or(0);
        let loudest = |load: fn(&Row) -> f64| group.rows.iter().map(|row| load(row)).fold(0.0, f64::max);
        let apart = group.rows.iter().flat_map(|row| row.apart);
        let apart: Vec<String> = apart.map(|ns| ns.map_or("-".to_owned(), |ns| format!("{ns:.0}"))).collect();
        text += &format!(
            "| {} | {} | {:.1} | {:.1} to {:.1} | {tokens:.0} | {f32} | {bf16} | {memory} | {:.2}, {:.2} | {} |\n",
            group.system,
            group.precision,
            middle,
            lowest,
            highest,
            loudest(|row| row.load_before),
            loudest(|row| row.load_during),
            apart.join(", "),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(system: &str, precision: &str, sentences: &[u64], load_during: f64) -> Row {
        let windows = sentences
            .iter()
            .map(|&sentences| Window {
                seconds: 2.0,
                updates: 1,
                sentences,
                source_tokens: 0,
                target_tokens: 10 * sentences,
            })
            .collect();
        let report = Report {
            system: system.into(),
            work: "CNN1".into(),
            precision: precision.into(),
            threads: 2,
            windows,
            loss: 9.0,
            peak_memory_mib: sentences[0],
            detail: String::new(),
        };
        Row { report, load_before: 0.0, load_during, apart: [Some(60.4), Some(340.0)] }
    }

    #[test]
    fn ratios_are_of_medians_over_all_rounds() {
        let rows = [
            row("Kokanee", "f32", &[600, 620], 0.1),
            row("PyTorch 2.15", "f32", &[200], 0.0),
            row("Kokanee", "f32", &[580], 0.4),
            row("PyTorch 2.15", "f32", &[400], 0.0),
        ];
        let text = table("CNN1", &rows.iter().collect::<Vec<_>>());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "### CNN1");
        assert_eq!(
            lines[4..],
            [
                "| Kokanee | f32 | 300.0 | 290.0 to 310.0 | 3000 | 1.00x | - | 600 | 0.00, 0.40 | 60, 340, 60, 340 |",
                "| PyTorch 2.15 | f32 | 150.0 | 100.0 to 200.0 | 1500 | 2.00x | - | 400 | 0.00, 0.00 | 60, 340, 60, 340 |",
            ]
        );
        assert_eq!(rows[2].loudest(), 0.4);
    }

    #[test]
    fn both_precisions_are_compared_with_each_peer() {
        let rows = [
            row("Kokanee", "f32", &[30], 0.0),
            row("Kokanee", "bf16", &[60], 0.0),
            row("X", "f32", &[20], 0.0),
        ];
        let text = table("CNN1", &rows.iter().collect::<Vec<_>>());
        assert!(text.contains("| X | f32 | 10.0 | 10.0 to 10.0 | 100 | 1.50x | 3.00x |"), "{text}");
    }
}
