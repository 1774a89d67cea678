//! Queries programs with a time limit.

use std::io::{self, Read as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The time between two looks at a program.
const LOOK: Duration = Duration::from_millis(5);
/// The most bytes of an answer that are kept.
const MOST_BYTES: u64 = 4 << 10;

/// Runs a program. Returns its output if it succeeds, or else an error message.
pub(super) fn ask(command: &mut Command, patience: Duration) -> Result<String, String> {
    let (mut output, writer) = io::pipe().map_err(|error| error.to_string())?;
    let writers = writer.try_clone().map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(writer).stderr(writers);
    let program = command.get_program().to_string_lossy().into_owned();
    let spawned = command.spawn();
    // Our copies of the writer must be closed, so that the pipe ends with the program.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawned.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("there is no {program}"),
        _ => format!("{program} cannot be started: {error}"),
    })?;
    let reader = thread::Builder::new().spawn(move || {
        let mut text = Vec::new();
        let _ = output.by_ref().take(MOST_BYTES).read_to_end(&mut text);
        let _ = io::copy(&mut output, &mut io::sink());
        String::from_utf8_lossy(&text).trim().to_owned()
    });
    let reader = match reader {
        Ok(reader) => reader,
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("the answer of {program} cannot be read: {error}"));
        }
    };
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < patience => thread::sleep(LOOK),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{program} does not answer"));
            }
        }
    };
    let said = reader.join().unwrap_or_default();
    match status.success() {
        true => Ok(said),
        false if said.is_empty() => Err(format!("{program} ended with {status}")),
        false => Err(said),
    }
}
