//! The resources of this machine, and how much of them is used.

use std::path::Path;

/// The memory of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The total; never 0.
    pub(crate) total_bytes: u64,
    /// The bytes that programs can still allocate.
    pub(crate) available_bytes: u64,
}

/// A volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    /// The bytes in use.
    pub(crate) used_bytes: u64,
    /// The bytes that can still be written.
    pub(crate) free_bytes: u64,
}

/// Returns this machine's memory; none if the system does not report it.
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

/// Returns the usage of the volume of a folder.
pub(crate) fn disk(folder: &Path) -> Option<Disk> {
    let volume = rustix::fs::statvfs(folder).ok()?;
    // Space that is reserved for the system's administrator counts neither as used nor as free, as in `df`.
    let used_bytes = volume.f_blocks.saturating_sub(volume.f_bfree).saturating_mul(volume.f_frsize);
    let free_bytes = volume.f_bavail.saturating_mul(volume.f_frsize);
    (used_bytes + free_bytes > 0).then_some(Disk { used_bytes, free_bytes })
}

impl Disk {
    /// The used percentage of the usable space.
    pub(crate) fn used_percent(self) -> f64 {
        self.used_bytes as f64 / (self.used_bytes + self.free_bytes) as f64 * 100.0
    }
}
