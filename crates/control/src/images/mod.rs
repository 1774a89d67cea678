//! Users' own images: how each runs on this machine, for training and for serving.
//!
//! An image is either a program that is registered under its name ([`RegisteredImages`]) or a container of Docker or Podman. Either way, it
//! becomes a [`Task`](crate::engine::Task) that sees a folder of this machine as `/opt/ml`.

mod container;
mod launch;
mod name;
mod opt_ml;
mod patient;
mod registered;
#[cfg(test)]
mod tests;

use std::path::Path;

use thiserror::Error;

pub use launch::{Launch, Launched, Purpose};
pub use name::ImageName;
pub(crate) use name::is_ecr;
pub use registered::{CommandError, RegisteredImage, RegisteredImages, command, located};

use self::container::ContainerTool;

/// An image that can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnImage {
    /// A program that was registered under the image's name.
    Registered(RegisteredImage),
    /// A container.
    Container(ContainerImage),
}

/// An image that a container tool knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerImage {
    tool: ContainerTool,
    /// The image as the request names it.
    name: String,
}

/// An error that keeps an image from running.
#[derive(Debug, Error)]
pub enum OwnImageError {
    /// No program is registered for the image, and no container tool answers.
    #[error(
        "the image {image} is none of the built-in algorithms, and no program is registered under its name; register one with \
         `kokanee local image add {short} --train \"python train.py\" --serve \"python serve.py\"`, or start Docker or Podman to run \
         the image itself ({asked})"
    )]
    Unknown {
        /// The image's name in the request.
        image: String,
        /// The name without its registry.
        short: String,
        /// The messages of the container tools.
        asked: String,
    },
    /// The registered program has no command for this purpose.
    #[error(
        "the program that is registered under the image {image} has no command to {purpose}; register it again with `kokanee local \
         image add {image} --{purpose} \"…\"`"
    )]
    NoCommand {
        /// The image's name.
        image: String,
        /// `train` or `serve`.
        purpose: &'static str,
    },
    /// A folder whose path cannot be passed to a container tool.
    #[error(
        "{0}: a container cannot be given a folder whose path has a colon or is no UTF-8; choose another --data folder"
    )]
    Folder(String),
    /// The registered programs cannot be read.
    #[error("the registered images cannot be read: {0}")]
    Registered(#[from] kokanee_formats::FileError),
    /// Their file is damaged.
    #[error("{file}: {problem}; mend the file, or remove it and register the images again")]
    Damaged {
        /// The file.
        file: String,
        /// The problem with it.
        problem: String,
    },
}

/// Finds out how the image of this name runs: as a program registered in a data folder, or else through a container tool.
///
/// # Errors
/// If the image cannot be run.
pub fn resolve(data: &Path, image: &str) -> Result<OwnImage, OwnImageError> {
    if let Some(registered) = RegisteredImages::new(data).find(image)? {
        return Ok(OwnImage::Registered(registered));
    }
    match ContainerTool::find() {
        Ok(tool) => Ok(OwnImage::Container(ContainerImage::of(tool, image))),
        Err(asked) => Err(OwnImageError::Unknown {
            image: image.to_owned(),
            short: ImageName::parse(image).to_string(),
            asked,
        }),
    }
}
