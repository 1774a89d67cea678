//! Information on processes from the kernel's `/proc`; none on other systems.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use super::Usage;

/// A line of `/proc/<process>/stat`, see proc_pid_stat(5).
struct Stat {
    session: i32,
    /// Processor time of the process and of those children that it has waited for.
    cpu_ticks: u64,
    start_ticks: u64,
    resident_pages: u64,
}

/// The start time of a process, in ticks since the machine started.
pub(super) fn start_ticks(process: i32) -> Option<u64> {
    Some(read(process)?.start_ticks)
}

/// The resources that all processes of a session use together, without its leader.
pub(super) fn session_usage(session: i32) -> Option<Usage> {
    let mut usage = Usage::default();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let process = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(process) = process.filter(|&process| process != session) else { continue };
        // The process may have ended meanwhile.
        let Some(stat) = read(process).filter(|stat| stat.session == session) else { continue };
        usage.cpu_seconds += stat.cpu_ticks as f64 / clock_ticks_per_second() as f64;
        usage.memory_bytes += stat.resident_pages * page_size() as u64;
    }
    Some(usage)
}

/// The processes of a session, without its leader.
pub(super) fn members(session: i32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes
        .filter(|&process| process != session && read(process).is_some_and(|stat| stat.session == session))
        .collect()
}

fn read(process: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The program's name, in parentheses, may contain any characters.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The first of the fields is field 3 of the manual page.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        session: fields.get(6 - 3)?.parse().ok()?,
        cpu_ticks: field(14)? + field(15)? + field(16)? + field(17)?,
        start_ticks: field(22)?,
        resident_pages: field(24)?,
    })
}
