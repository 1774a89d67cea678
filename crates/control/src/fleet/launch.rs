//! The program that an instance runs.

use std::collections::BTreeMap;
use std::path::Path;

use super::folder::InstanceFolder;
use crate::api::Image;
use crate::engine::Task;
use crate::hosting::Container;

/// The task that serves a container's model on a port of its own.
///
/// # Errors
/// If the image is none that can be run.
pub(super) fn task(program: &Path, container: &Container, folder: &InstanceFolder) -> Result<Task, String> {
    match Image::parse(&container.image).map_err(|error| error.to_string())? {
        Image::BuiltIn(_) => {}
        Image::Own => {
            return Err(format!(
                "The image {} is none of the built-in algorithms, and programs of your own cannot be run yet.",
                container.image
            ));
        }
    }
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let arguments = [
        "serve".to_owned(),
        "--prefix".to_owned(),
        text(&folder.prefix()),
        "--host".to_owned(),
        "127.0.0.1".to_owned(),
        "--port".to_owned(),
        "0".to_owned(),
        "--ready-file".to_owned(),
        text(&folder.ready_file()),
    ];
    Ok(Task {
        program: program.to_owned(),
        arguments: arguments.to_vec(),
        environment: BTreeMap::clone(&container.environment),
        directory: None,
    })
}
