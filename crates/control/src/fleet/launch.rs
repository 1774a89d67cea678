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

/// How long a built-in algorithm may take until it answers. A large model is waited for while its process lives.
const STARTUP: Duration = Duration::from_secs(3600);
/// The same of an image that a user brings, which may live without ever answering.
const OWN_STARTUP: Duration = Duration::from_secs(480);

/// A program that serves.
pub(super) struct Program {
    /// What runs.
    pub(super) launched: Launched,
    /// Where it will listen; none where the program chooses, and says it in the ready file.
    pub(super) address: Option<SocketAddr>,
    /// How long it may take until it answers, where nothing else is said.
    pub(super) startup: Duration,
}

/// The program of an instance, which is known by `name` and `arn`.
///
/// # Errors
/// If the image is none that can be run.
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

/// An address that nobody listens on at the moment.
fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn text(path: &Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("{} is no UTF-8: choose another --data folder", path.display()))
}
