//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the program at once.

use kokanee_algorithm::StopFlag;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit codes of programs that a signal ended are this plus the signal's number.
const SIGNAL_EXIT: i32 = 128;

/// A flag that the first signal raises.
///
/// # Errors
/// When the system lets no handler be set.
pub(crate) fn stop_on_signals() -> Result<StopFlag> {
    let stop = StopFlag::default();
    for signal in [SIGINT, SIGTERM] {
        // In this order the first signal finds the flag down, and raises it; the second finds it up.
        flag::register_conditional_shutdown(signal, SIGNAL_EXIT + signal, Arc::clone(&stop.shared()))
            .and_then(|_| flag::register(signal, stop.shared()))
            .context("no handler could be set for signals")?;
    }
    Ok(stop)
}
