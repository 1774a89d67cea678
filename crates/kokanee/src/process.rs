//! The resources of this process.

use std::sync::Arc;

use kokanee_kernels::{Isa, IsaError, Team, TeamError};

/// Checks that the environment asks for an instruction set that the machine has.
///
/// # Errors
/// When `KOKANEE_ISA` asks for another.
pub(crate) fn check_environment() -> Result<(), IsaError> {
    Isa::asked_for().map(drop)
}

/// Starts threads to compute with; 0 stands for the number of the machine's cores.
///
/// # Errors
/// When the system refuses one.
pub(crate) fn team(threads: usize) -> Result<Arc<Team>, TeamError> {
    Ok(Arc::new(if threads == 0 { Team::of_machine()? } else { Team::start(threads)? }))
}

/// Memory in use now, in bytes; `None` if the system does not tell it (on systems other than Linux).
pub(crate) fn memory_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// Peak memory so far, in bytes.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

fn status_bytes(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn memory_is_known() {
        let (now, peak) = (memory_bytes().unwrap(), peak_memory_bytes().unwrap());
        assert!(now > 1 << 20 && peak >= now, "{now} {peak}");
        assert_eq!(status_bytes("NoSuchField:"), None);
    }

    #[test]
    fn a_team_has_the_size_asked_for() {
        assert_eq!(team(3).unwrap().size(), 3);
        assert!(team(0).unwrap().size() >= 1);
    }
}
