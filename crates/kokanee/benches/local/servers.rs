//! The measured servers: `kokanee local`, and moto's server, which answers without doing any work.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::Connection;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Time from starting the process to its first response.
    pub(crate) started_in: Duration,
    child: Child,
}

impl Server {
    /// Starts `kokanee local` on a folder.
    pub(crate) fn kokanee(data: &Path) -> Result<Self, String> {
        let begun = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kokanee"));
        command.args(["local", "--port", "0", "--data"]).arg(data);
        let child = spawn(&mut command)?;
        let file = data.join("server.json");
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let content: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            if let Some(address) = content["address"].as_str().and_then(|address| address.parse().ok()) {
                return Self::answering(address, child, begun);
            }
            wait(begun)?;
        }
    }

    /// Starts moto's server with this Python.
    pub(crate) fn moto(python: &str) -> Result<Self, String> {
        let begun = Instant::now();
        let address: SocketAddr = ([127, 0, 0, 1], 7399).into();
        let mut command = Command::new(python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "7399"]);
        let child = spawn(&mut command)?;
        while TcpStream::connect(address).is_err() {
            wait(begun)?;
        }
        Self::answering(address, child, begun)
    }

    fn answering(address: SocketAddr, child: Child, begun: Instant) -> Result<Self, String> {
        let mut connection = Connection::new(address).map_err(|error| error.to_string())?;
        connection.say("ListTrainingJobs", "{}")?;
        Ok(Self { address, started_in: begun.elapsed(), child })
    }

    /// Registers a program under an image's name, in the data folder of a server.
    pub(crate) fn register(&self, data: &Path, image: &str, train: &str) -> Result<(), String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kokanee"));
        command.args(["local", "image", "add", image, "--train", train, "--data"]).arg(data);
        let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said) }
    }

    pub(crate) fn connect(&self) -> Result<Connection, String> {
        Connection::new(self.address).map_err(|error| format!("{}: {error}", self.address))
    }

    /// The memory of the process, in MiB, and the processor time that it has used, in seconds.
    pub(crate) fn usage(&self) -> (f64, f64) {
        let read =
            |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap_or_default();
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        let stat = read("stat");
        let fields: Vec<f64> = stat
            .rsplit_once(')')
            .map(|(_, rest)| {
                rest.split_ascii_whitespace().map(|field| field.parse().unwrap_or_default()).collect()
            })
            .unwrap_or_default();
        let ticks = fields.get(11).unwrap_or(&0.0) + fields.get(12).unwrap_or(&0.0);
        (resident.unwrap_or_default() / 1024.0, ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|error| format!("{command:?}: {error}"))
}

fn wait(begun: Instant) -> Result<(), String> {
    std::thread::sleep(Duration::from_millis(2));
    if begun.elapsed() > PATIENCE { Err("a server did not start".to_owned()) } else { Ok(()) }
}
