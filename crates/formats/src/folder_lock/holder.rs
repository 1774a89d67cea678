//! The holder of a folder's lock, and whether its process is alive.

use std::fmt;
use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::LARGEST_LOCK_BYTES;
use crate::utc::utc;

/// The maximum length of the recorded command line, in characters.
const LONGEST_COMMAND_CHARS: usize = 300;
/// The bit of SIGKILL in the kernel's masks of pending signals.
const KILL_BIT: u64 = 1 << 8;

/// The process that writes into a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    pub(super) kokanee_pid: u32,
    pub(super) command: String,
    /// Seconds since 1970.
    pub(super) since: u64,
}

impl Holder {
    pub(super) fn this_process() -> Self {
        let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        let words = words.collect::<Vec<_>>().join(" ");
        let mut command: String = words.chars().take(LONGEST_COMMAND_CHARS).collect();
        if command.len() < words.len() {
            command.push('…');
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { kokanee_pid: std::process::id(), command, since }
    }

    /// Reads the holder from a lock's file. A process that has just locked it may need a moment to write it.
    pub(super) fn of(file: &mut File) -> Option<Self> {
        for _ in 0..20 {
            let mut text = String::new();
            file.rewind().ok()?;
            file.take(LARGEST_LOCK_BYTES).read_to_string(&mut text).ok()?;
            if let Some(first) = text.lines().next() {
                return serde_json::from_str(first).ok();
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Whether its process has ended, or was killed and is about to end. A killed process keeps its files open until its memory is freed,
    /// which takes a moment. False where the system does not tell, that is everywhere but on Linux.
    pub(super) fn has_ended(&self) -> bool {
        match fs::read_to_string(format!("/proc/{}/status", self.kokanee_pid)) {
            Ok(status) => is_ending(&status),
            Err(_) => Path::new("/proc/self/status").exists(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kokanee_pid, command, since } = self;
        write!(f, "process {kokanee_pid} (`{command}`, since {} UTC)", utc(*since))
    }
}

/// Whether this `/proc/<pid>/status` belongs to a process that has ended or was killed.
fn is_ending(status: &str) -> bool {
    status.lines().filter_map(|line| line.split_once(':')).any(|(name, value)| match name {
        "State" => value.trim_start().starts_with(['Z', 'X']),
        "SigPnd" | "ShdPnd" => {
            u64::from_str_radix(value.trim(), 16).is_ok_and(|pending| pending & KILL_BIT != 0)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_shows_in_its_state_and_its_signals() {
        let status = |state: &str, own: &str, shared: &str| {
            format!(
                "Name:\tkokanee\nState:\t{state}\nSigPnd:\t{own}\nShdPnd:\t{shared}\nSigBlk:\t0000000000000100\n"
            )
        };
        let none = "0000000000000000";
        assert!(!is_ending(&status("R (running)", none, none)));
        assert!(is_ending(&status("Z (zombie)", none, none)));
        assert!(is_ending(&status("R (running)", "0000000000000100", none)));
        assert!(is_ending(&status("D (disk sleep)", none, "0000000000004100")));
        // SIGTERM may be handled.
        assert!(!is_ending(&status("S (sleeping)", none, "0000000000004000")));
        assert!(!Holder::this_process().has_ended());
    }
}
