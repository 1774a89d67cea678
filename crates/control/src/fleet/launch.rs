//! The program that an instance runs.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use super::Fleet;
use super::folder::InstanceFolder;
use crate::api::Image;
use crate::engine::Task;
use crate::hosting::Container;
use crate::images::{self, Launch, Launched, Purpose};

/// How long a built-in algorithm may take to answer. A large model is waited for as long as its process lives.
const STARTUP: Duration = Duration::from_secs(3600);
/// The same for a user's own image, which may run without ever answering.
const OWN_STARTUP: Duration = Duration::from_secs(480);

/// A program that serves a model.
pub(super) struct Program {
    /// The task that runs it.
    pub(super) launched: Launched,
    /// The address that it will listen on; none if the program chooses one and writes it to the ready file.
    pub(super) address: Option<SocketAddr>,
    /// How long it may take to answer by default.
    pub(super) startup: Duration,
}

/// Returns the program of an instance that is identified by `name` and `arn`.
///
/// # Errors
/// If the image cannot be run.
pub(super) fn program(
    fleet: &Fleet,
    container: &Container,
    folder: &InstanceFolder,
    region: &str,
    name: &str,
    arn: &str,
) -> Result<Program, String> {
    let mut environment = container.environment.clone();
    environment.insert("AWS_REGION".to_owned(), region.to_owned());
    let image = &container.image;
    if let Image::BuiltIn(_) = Image::parse(image).map_err(|error| error.to_string())? {
        let (prefix, ready_file) = (text(&folder.prefix())?, text(&folder.ready_file())?);
        let arguments =
            ["serve", "--prefix", &prefix, "--host", "127.0.0.1", "--port", "0", "--ready-file", &ready_file];
        let arguments = arguments.map(str::to_owned).to_vec();
        let task = Task { program: fleet.program.clone(), arguments, environment, directory: None };
        return Ok(Program { launched: Launched { task, cleanup: None }, address: None, startup: STARTUP });
    }
    let address = free_address().map_err(|error| format!("no port is free: {error}"))?;
    let launch = Launch {
        purpose: Purpose::Serve { port: address.port() },
        name,
        arn,
        folder: &folder.prefix(),
        environment,
        entrypoint: Vec::new(),
        arguments: Vec::new(),
    };
    let launched = images::resolve(&fleet.folder, image).and_then(|image| image.launch(&launch));
    let launched = launched.map_err(|error| error.to_string())?;
    Ok(Program { launched, address: Some(address), startup: OWN_STARTUP })
}

/// An address that nobody is listening on at the moment.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn text(path: &Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("{} is no UTF-8: choose another --data folder", path.display()))
}
