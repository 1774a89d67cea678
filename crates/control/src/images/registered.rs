//! Programs that are registered under names of images, in a file in the data folder.
//!
//! The command line writes the file, and a running server reads it for each job, so that neither needs the other.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use kokanee_formats::atomic_file::make_folders;
use kokanee_formats::{FileError, write_atomically};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::OwnImageError;
use super::name::ImageName;

/// The name of the file.
const FILE: &str = "images.json";
/// Locked by any process that changes the file.
const LOCK_FILE: &str = ".kokanee-images.lock";

/// The registered programs of a data folder.
#[derive(Clone, Debug)]
pub struct RegisteredImages {
    folder: PathBuf,
}

/// A program that stands for an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredImage {
    /// `my-algo:1`, without the registry of ECR.
    pub name: String,
    /// The program and arguments that train; empty if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub train: Vec<String>,
    /// The program and arguments that serve; empty if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub serve: Vec<String>,
    /// The folder that they start in.
    pub directory: PathBuf,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    images: Vec<RegisteredImage>,
}

/// An error in a command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// A quote is not closed.
    #[error("{0}: a quote is not closed")]
    Quote(String),
    /// The command is empty.
    #[error("the command is empty")]
    Empty,
    /// There is no such program.
    #[error("there is no program {0}; give its path, or a name that is found in PATH")]
    NoProgram(String),
}

impl RegisteredImages {
    /// The registered programs of a data folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// All registered programs, sorted by name.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn list(&self) -> Result<Vec<RegisteredImage>, OwnImageError> {
        let path = self.path();
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(FileError::io(&path, "read the file"))?,
        };
        let content: Content = serde_json::from_slice(&text).map_err(|error| OwnImageError::Damaged {
            file: path.display().to_string(),
            problem: error.to_string(),
        })?;
        Ok(content.images)
    }

    /// Finds the program for an image that a request names: the program of its tag, or of `latest`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn find(&self, image: &str) -> Result<Option<RegisteredImage>, OwnImageError> {
        let wanted = ImageName::parse(image);
        let mut latest = None;
        for image in self.list()? {
            let name = ImageName::parse(&image.name);
            if name == wanted {
                return Ok(Some(image));
            }
            if name.repository == wanted.repository && name.is_latest() {
                latest = Some(image);
            }
        }
        Ok(latest)
    }

    /// Registers a program. It replaces one of the same name.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn add(&self, image: RegisteredImage) -> Result<(), OwnImageError> {
        let name = ImageName::parse(&image.name);
        let image = RegisteredImage { name: name.to_string(), ..image };
        self.change(|images| {
            images.retain(|other| other.name != image.name);
            images.push(image);
            images.sort_by(|a, b| a.name.cmp(&b.name));
        })
    }

    /// Removes a program; false if none has the name.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn remove(&self, name: &str) -> Result<bool, OwnImageError> {
        let name = ImageName::parse(name).to_string();
        let mut is_there = false;
        self.change(|images| {
            is_there = images.iter().any(|image| image.name == name);
            images.retain(|image| image.name != name);
        })?;
        Ok(is_there)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    fn change(&self, change: impl FnOnce(&mut Vec<RegisteredImage>)) -> Result<(), OwnImageError> {
        make_folders(&self.folder).map_err(FileError::io(&self.folder, "create the folder"))?;
        let lock = self.folder.join(LOCK_FILE);
        let file = File::create(&lock).map_err(FileError::io(&lock, "create the file"))?;
        file.lock().map_err(FileError::io(&lock, "lock the file"))?;
        let mut content = Content { images: self.list()? };
        change(&mut content.images);
        let path = self.path();
        let text = serde_json::to_string_pretty(&content).map_err(|error| OwnImageError::Damaged {
            file: path.display().to_string(),
            problem: error.to_string(),
        })?;
        write_atomically(&path, format!("{text}\n").as_bytes())?;
        Ok(())
    }
}

/// Splits a command into words as a shell would. Variables and redirections have no effect.
///
/// # Errors
/// If there are no words, or if a quote is not closed.
pub fn command(text: &str) -> Result<Vec<String>, CommandError> {
    let words = shlex::split(text).ok_or_else(|| CommandError::Quote(text.to_owned()))?;
    if words.is_empty() { Err(CommandError::Empty) } else { Ok(words) }
}

/// Returns a command whose program is given by its path, so that it means the same to every caller. A plain name is looked up in `search`,
/// the folders of PATH; a path is relative to `directory`.
///
/// # Errors
/// If there is no such program.
pub fn located(
    mut command: Vec<String>,
    directory: &Path,
    search: &[PathBuf],
) -> Result<Vec<String>, CommandError> {
    let Some(program) = command.first_mut() else { return Err(CommandError::Empty) };
    let is_program = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let found = if program.contains('/') {
        Some(directory.join(&*program)).filter(is_program)
    } else {
        search.iter().map(|folder| folder.join(&*program)).find(is_program)
    };
    match found.as_ref().and_then(|path| path.to_str()) {
        Some(path) => path.clone_into(program),
        None => return Err(CommandError::NoProgram(program.clone())),
    }
    Ok(command)
}
