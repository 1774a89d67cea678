//! Requests for an orderly end: Ctrl-C and SIGTERM, a second one of which ends the program at once, and the end of stdin.

use std::io;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result};
use kokanee_algorithm::StopFlag;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit codes of programs that a signal ended are this number plus the signal's.
const SIGNAL_EXIT: i32 = 128;

/// A flag that the first signal raises.
///
/// # Errors
/// When the system does not allow a handler.
pub(crate) fn stop_on_signals() -> Result<StopFlag> {
    let stop = StopFlag::default();
    for signal in [SIGINT, SIGTERM] {
        // In this order the first signal finds the flag unset, and sets it; the second finds it set.
        flag::register_conditional_shutdown(signal, SIGNAL_EXIT + signal, Arc::clone(&stop.shared()))
            .and_then(|_| flag::register(signal, stop.shared()))
            .context("no handler could be set for signals")?;
    }
    Ok(stop)
}

/// Raises the flag when stdin ends. The process that started this one holds the other end of the pipe, so that this process also
/// stops when that one is killed.
///
/// # Errors
/// When the system refuses a thread.
pub(super) fn stop_when_input_ends(stop: &StopFlag) -> Result<()> {
    let stop = stop.clone();
    let watch = move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        stop.request();
    };
    thread::Builder::new().spawn(watch).context("no thread could be started to watch stdin")?;
    Ok(())
}
