//! `kokanee local image`: manages programs that replace users' own images.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand};
use kokanee_control::images::{ImageName, RegisteredImage, RegisteredImages, command, located};

use crate::output_file::print;
use crate::render::table::Table;

/// What can be done with images.
#[derive(Debug, Subcommand)]
pub(super) enum ImageCommand {
    /// Register a program under the name of an image; one of the same name is replaced
    Add(AddArgs),
    /// List registered programs
    List,
    /// Remove the registration of a program
    Rm {
        /// Name of the image
        name: String,
    },
}

/// Options of `kokanee local image add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// Name of the image, such as my-algo:1; an ECR registry in front of it is ignored
    name: String,
    /// Training command, with shell quoting but without variables or pipes
    #[arg(long, value_name = "COMMAND", required_unless_present = "serve")]
    train: Option<String>,
    /// Serving command
    #[arg(long, value_name = "COMMAND")]
    serve: Option<String>,
    /// Working directory of both commands [default: the current one]
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

/// Runs the command on a data folder, whether or not a server runs there.
///
/// # Errors
/// When a command cannot be found, or the data folder cannot be written.
pub(super) fn run(data: &Path, what: &ImageCommand) -> Result<()> {
    let images = RegisteredImages::new(data);
    match what {
        ImageCommand::Add(args) => {
            let image = args.image()?;
            let name = ImageName::parse(&image.name);
            images.add(image)?;
            print(&format!("{name} is registered\n"))
        }
        ImageCommand::List => {
            let mut table = Table::new().words("image").words("train").words("serve").words("folder");
            for image in images.list()? {
                let folder = image.directory.display().to_string();
                table.row([image.name, image.train.join(" "), image.serve.join(" "), folder]);
            }
            print(&table.to_string())
        }
        ImageCommand::Rm { name } => {
            if images.remove(name)? {
                return print(&format!("{} is no longer registered\n", ImageName::parse(name)));
            }
            bail!(
                "no program is registered under {}; `kokanee local image list` lists registered ones",
                ImageName::parse(name)
            )
        }
    }
}

impl AddArgs {
    fn image(&self) -> Result<RegisteredImage> {
        ensure!(!self.name.trim().is_empty(), "an image has a name, such as my-algo:1");
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None => std::env::current_dir().context("the folder to start in cannot be found")?,
        };
        let directory =
            directory.canonicalize().with_context(|| format!("--directory {}", directory.display()))?;
        ensure!(directory.is_dir(), "--directory {} is not a folder", directory.display());
        let search: Vec<PathBuf> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
        let find = |option: &str, text: &Option<String>| -> Result<Vec<String>> {
            let Some(text) = text else { return Ok(Vec::new()) };
            let words = command(text).and_then(|words| located(words, &directory, &search));
            words.with_context(|| format!("--{option} \"{text}\""))
        };
        Ok(RegisteredImage {
            name: self.name.trim().to_owned(),
            train: find("train", &self.train)?,
            serve: find("serve", &self.serve)?,
            directory,
        })
    }
}
