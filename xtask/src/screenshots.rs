//! `cargo xtask screenshots`: the pictures of docs/console.md, from a server with real jobs.
//!
//! They are taken by the console's test in the browser (`crates/kokanee/tests/outside/console.rs`), so that every picture shows something
//! tested.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};

use crate::workspace::{Workspace, cargo, command_line, run as run_command};

/// The folder of the pictures.
const FOLDER: &str = "docs/images";
/// The pictures in the documentation; the test takes more.
const KEPT: [&str; 9] =
    ["overview", "jobs", "job", "compare", "tuning", "endpoint", "endpoint-rows", "bucket", "records"];
/// The maximum size of a picture, since they are stored in the repository.
const MOST_BYTES: u64 = 150 << 10;

pub(crate) fn run() -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let folder = workspace.root.join(FOLDER);
    let taken = workspace.target_dir.join("screenshots");
    let mut command = cargo(&workspace.root);
    command.args(["test", "--package", "kokanee", "--test", "outside", "--", "console_people_watch"]);
    command.env("KOKANEE_SCREENSHOTS", &taken).env("CI", "true");
    println!("{}", command_line(&command));
    run_command(&mut command)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in KEPT {
        let file = format!("console-{name}.png");
        let (from, to) = (taken.join(&file), folder.join(&file));
        let bytes = fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        ensure!(bytes <= MOST_BYTES, "{file} has {bytes} bytes, of at most {MOST_BYTES}: show less on it");
        println!("{FOLDER}/{file}: {bytes} bytes");
    }
    Ok(ExitCode::SUCCESS)
}
