//! The figures: for a terminal, and for comparisons of several systems.

use std::fmt;
use std::path::Path;

use kokanee_formats::write_atomically;
use kokanee_testkit::median;
use serde::Serialize;

use crate::options::Options;

/// Measurements of some updates in a row. Padding and `<s>` are never counted; `</s>` is, in targets.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) updates: u64,
    pub(crate) sentences: u64,
    pub(crate) source_tokens: u64,
    pub(crate) target_tokens: u64,
    /// Multiply-adds of the matrix products.
    #[serde(skip)]
    pub(crate) multiply_adds: u64,
    /// Mean per target token, in nats.
    #[serde(skip)]
    pub(crate) loss: f64,
}

/// The results of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    system: &'static str,
    work: &'static str,
    precision: String,
    threads: usize,
    windows: Vec<Window>,
    loss: f64,
    peak_memory_mib: Option<u64>,
    detail: String,
    #[serde(skip)]
    effective: String,
}

impl Window {
    fn gflops(&self) -> f64 {
        2.0 * self.multiply_adds as f64 / self.seconds / 1e9
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} sentences/s, {:.0} target tokens/s, {:.1} ms an update, {:.0} GFLOP/s, loss {:.3}",
            self.sentences as f64 / self.seconds,
            self.target_tokens as f64 / self.seconds,
            1e3 * self.seconds / self.updates as f64,
            self.gflops(),
            self.loss
        )
    }
}

impl Report {
    /// `peak_gflops` is the peak of the multipliers, measured in the same run and precision.
    pub(crate) fn new(
        options: &Options,
        windows: &[Window],
        memory: Option<u64>,
        peak_gflops: f64,
    ) -> Report {
        let counted = median(windows.iter().map(Window::gflops));
        let tokens = median(windows.iter().map(|w| w.target_tokens as f64 / w.seconds));
        let estimated = tokens * options.work.estimated_mflop / 1e3;
        let effective = format!(
            "{counted:.0} GFLOP/s of products counted = {:.0}%, {estimated:.0} GFLOP/s by the estimate of {} MFLOP a target \
             token = {:.0}% of what the multipliers do in {}, {peak_gflops:.0}",
            100.0 * counted / peak_gflops,
            options.work.estimated_mflop,
            100.0 * estimated / peak_gflops,
            options.precision
        );
        Report {
            system: "Kokanee",
            work: options.work.name,
            precision: options.precision.clone(),
            threads: options.threads,
            windows: windows.to_vec(),
            loss: windows.last().map_or(f64::NAN, |window| window.loss),
            peak_memory_mib: memory,
            detail: format!(
                "Kokanee {}, isa {:?}; {effective}",
                env!("CARGO_PKG_VERSION"),
                kokanee_kernels::Isa::detect()
            ),
            effective,
        }
    }

    /// Writes the report as JSON, completely or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| format!("a report that is no JSON: {error}"))?;
        write_atomically(path, (text + "\n").as_bytes()).map(|_| ()).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |count: fn(&Window) -> u64| {
            let values: Vec<f64> = self.windows.iter().map(|w| count(w) as f64 / w.seconds).collect();
            let (low, high) = values.iter().fold((f64::INFINITY, 0f64), |(l, h), &v| (l.min(v), h.max(v)));
            let windows = values.len();
            format!("median {:.1} of {windows} windows ({low:.1} to {high:.1})", median(values))
        };
        writeln!(f, "sentences/s:     {}", rate(|w| w.sentences))?;
        writeln!(f, "source tokens/s: {}", rate(|w| w.source_tokens))?;
        writeln!(f, "target tokens/s: {}", rate(|w| w.target_tokens))?;
        writeln!(f, "effective:       {}", self.effective)?;
        let memory = self.peak_memory_mib.map_or("unknown on this system".into(), |mib| format!("{mib} MiB"));
        writeln!(f, "peak memory:     {memory}")
    }
}
