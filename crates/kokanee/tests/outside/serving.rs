//! `kokanee serve`, started by a command and stopped at the end.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Its address, such as `127.0.0.1:45678`.
    pub(crate) address: String,
}

impl Server {
    /// Starts it and waits until it is ready. The command must ask for a log in JSON.
    pub(crate) fn start(mut command: Command, name: &str) -> Self {
        // There is a shell in between: both form a group, which is stopped together.
        command.process_group(0);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (mut address, mut said) = (String::new(), String::new());
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < Duration::from_secs(60), "{name}: not ready in a minute: {said}");
            let line = log.next().unwrap_or_else(|| panic!("{name}: it ended: {said}")).expect("text");
            let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(listening) = event["address"].as_str() {
                // It may listen on all addresses.
                address = format!("127.0.0.1:{}", listening.rsplit(':').next().unwrap_or_default());
            }
            if event["message"] == "ready" {
                break;
            }
            said.push_str(&line);
        }
        // Nobody reads any further; the pipe must not fill up.
        std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}
