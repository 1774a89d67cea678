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
/// The maximum size of a picture, since they are stored in the repository. The largest, with lines that differ from run to run, has about
/// 150 KiB.
const MOST_BYTES: u64 = 200 << 10;

pub(crate) fn run() -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let folder = workspace.root.join(FOLDER);
    let taken = workspace.target_dir.join("screenshots");
    let mut command = cargo(&workspace.root);
    command.args(["test", "--package", "kokanee", "--test", "outside", "--", "console_people_watch"]);
    command.env("KOKANEE_SCREENSHOTS", &taken).env("CI", "true");
    println!("{}", command_line(&command));
    run_command(&mut command)?;
    let files = KEPT.map(|name| format!("console-{name}.png"));
    // The pictures belong together: if one is refused, all stay as they are.
    for file in &files {
        let from = taken.join(file);
        let bytes = fs::metadata(&from).with_context(|| format!("cannot find {}", from.display()))?.len();
        ensure!(bytes <= MOST_BYTES, "{file} has {bytes} bytes, of at most {MOST_BYTES}: show less on it");
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for file in files {
        let from = taken.join(&file);
        let bytes =
            fs::copy(&from, folder.join(&file)).with_context(|| format!("cannot copy {}", from.display()))?;
        println!("{FOLDER}/{file}: {bytes} bytes");
    }
    Ok(ExitCode::SUCCESS)
}
