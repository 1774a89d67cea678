//! The memory that this process may use: all of the machine's, or less if a limit is set.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The lowest limit of memory, and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes.
    pub bytes: u64,
    /// The origin of the limit.
    pub origin: MemoryOrigin,
}

/// The origin of a limit of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryOrigin {
    /// The memory of the machine.
    Machine,
    /// The control group that the process runs in, which limits containers.
    ControlGroup,
    /// The limit of the process's address space or data, as `ulimit -v` sets it.
    Process,
}

impl fmt::Display for MemoryOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MemoryOrigin::Machine => "the machine has",
            MemoryOrigin::ControlGroup => "the container (its control group) has",
            MemoryOrigin::Process => "the limit of the process (ulimit -v) is",
        })
    }
}

impl MemoryLimit {
    /// The limit of this process; none if the system does not tell it (on systems other than Linux).
    pub fn of_process() -> Option<MemoryLimit> {
        Self::under(Path::new("/"))
    }

    /// The limit according to the files of the system under `root`.
    fn under(root: &Path) -> Option<MemoryLimit> {
        let limit = |bytes: Option<u64>, origin| bytes.map(|bytes| MemoryLimit { bytes, origin });
        let machine = limit(machine(root), MemoryOrigin::Machine);
        let group = limit(control_group(root), MemoryOrigin::ControlGroup);
        let process = limit(process(root), MemoryOrigin::Process);
        // The first of equal ones.
        [machine, group, process].into_iter().flatten().min_by_key(|limit| limit.bytes)
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn machine(root: &Path) -> Option<u64> {
    let text = read(&root.join("proc/meminfo"));
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The lowest limit of the process's groups and their parents, in either version of control groups.
fn control_group(root: &Path) -> Option<u64> {
    let groups = read(&root.join("proc/self/cgroup"));
    let groups = groups.lines().filter_map(|line| {
        // hierarchy:controllers:path
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let (mount, file) = if controllers.is_empty() {
            ("sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            return None;
        };
        Some((root.join(mount), path.trim_start_matches('/').to_owned(), file))
    });
    // A process that sees its own group as the root has its path elsewhere; then the root counts.
    let limits = groups.flat_map(|(mount, path, file)| {
        let group = mount.join(path);
        let within: Vec<PathBuf> =
            group.ancestors().take_while(|group| group.starts_with(&mount)).map(Path::to_owned).collect();
        within.into_iter().filter_map(move |group| read(&group.join(file)).trim().parse::<u64>().ok())
    });
    limits.min()
}

/// Soft limits of address space and of data; both count what is mapped.
fn process(root: &Path) -> Option<u64> {
    let text = read(&root.join("proc/self/limits"));
    let soft = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    [soft("Max address space"), soft("Max data size")].into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       16000000 kB\nMemFree:         1 kB\n";
    const UNLIMITED: &str = "Limit   Soft Limit  Hard Limit  Units\n\
                             Max data size             unlimited            unlimited            bytes\n\
                             Max address space         unlimited            unlimited            bytes\n";

    /// Checks the limit on a system with these files.
    fn check(name: &str, files: &[(&str, &str)], want: Option<(u64, MemoryOrigin)>) {
        let root = std::env::temp_dir().join(format!("kokanee-limit-{name}-{}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let got = MemoryLimit::under(&root).map(|limit| (limit.bytes, limit.origin));
        let _ = fs::remove_dir_all(&root);
        assert_eq!(got, want, "{name}");
    }

    #[test]
    fn the_least_limit_counts() {
        use MemoryOrigin::{ControlGroup, Machine, Process};
        let machine = 16_000_000 * 1024;
        check("none", &[], None);
        check(
            "machine",
            &[("proc/meminfo", MEMINFO), ("proc/self/limits", UNLIMITED)],
            Some((machine, Machine)),
        );
        let second = [("proc/meminfo", MEMINFO), ("proc/self/cgroup", "0::/a/b\n")];
        let with = |more: &[(&'static str, &'static str)]| [&second[..], more].concat();
        check(
            "unlimited-group",
            &with(&[("sys/fs/cgroup/a/b/memory.max", "max\n")]),
            Some((machine, Machine)),
        );
        check(
            "group-of-a-group",
            &with(&[("sys/fs/cgroup/a/b/memory.max", "max\n"), ("sys/fs/cgroup/a/memory.max", "5000000\n")]),
            Some((5_000_000, ControlGroup)),
        );
        check(
            "namespace",
            &with(&[("sys/fs/cgroup/memory.max", "7000000\n")]),
            Some((7_000_000, ControlGroup)),
        );
        check(
            "version-1",
            &[
                ("proc/meminfo", MEMINFO),
                ("proc/self/cgroup", "5:cpu,cpuacct:/c\n4:memory:/c\n0::/\n"),
                ("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "6000000\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ],
            Some((6_000_000, ControlGroup)),
        );
        check(
            "address-space",
            &[
                ("proc/meminfo", MEMINFO),
                (
                    "proc/self/limits",
                    "Max address space         4096000              unlimited            bytes\n",
                ),
            ],
            Some((4_096_000, Process)),
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_a_limit() {
        assert!(MemoryLimit::of_process().is_some_and(|limit| limit.bytes > 1 << 20));
    }
}
