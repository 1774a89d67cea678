//! The properties of the terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::render::heatmap::ColorMode;

/// Number of columns to draw in if the width is not known.
const DEFAULT_COLUMNS: usize = 100;

/// Number of columns of the terminal behind stdout.
pub(crate) fn columns() -> usize {
    terminal_size::terminal_size().map_or(DEFAULT_COLUMNS, |(width, _)| usize::from(width.0).max(20))
}

/// Whether stdout shows colours: it is a terminal, and neither `NO_COLOR` (no-color.org) nor `TERM=dumb` says otherwise.
pub(crate) fn color_mode() -> ColorMode {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if std::io::stdout().is_terminal() && !refused { ColorMode::Ansi256 } else { ColorMode::Plain }
}

/// A bar on stderr, hidden if stderr is not a terminal.
pub(crate) fn progress_bar(length: u64, template: &str) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr_with_hz(5)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    // A template is a constant of ours; a fault in it gives a plain bar instead of a crash.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("━╸─"));
    if !bar.is_hidden() {
        bar.enable_steady_tick(Duration::from_millis(250));
    }
    bar
}
