//! What this machine has, and how much of it is used.

use std::path::Path;

/// Memory of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// All of it; never 0.
    pub(crate) total_bytes: u64,
    /// What programs can still have.
    pub(crate) available_bytes: u64,
}

/// A volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// What is used.
    pub(crate) used_bytes: u64,
    /// What can still be written.
    pub(crate) free_bytes: u64,
}

/// Memory of this machine; none where the system does not tell.
pub(crate) fn memory() -> Option<Memory> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib * 1024)
    };
    let total_bytes = bytes("MemTotal:").filter(|&bytes| bytes > 0)?;
    Some(Memory { total_bytes, available_bytes: bytes("MemAvailable:")? })
}

/// How full the volume of a folder is.
pub(crate) fn disk(folder: &Path) -> Option<Disk> {
    let volume = rustix::fs::statvfs(folder).ok()?;
    // What only the system's keeper may use counts neither as used nor as free, as in `df`.
    let used_bytes = volume.f_blocks.saturating_sub(volume.f_bfree).saturating_mul(volume.f_frsize);
    let free_bytes = volume.f_bavail.saturating_mul(volume.f_frsize);
    (used_bytes + free_bytes > 0).then_some(Disk { used_bytes, free_bytes })
}

impl Disk {
    /// How much of what can be used is used.
    pub(crate) fn used_percent(self) -> f64 {
        self.used_bytes as f64 / (self.used_bytes + self.free_bytes) as f64 * 100.0
    }
}
