//! Information about the workspace from cargo, and commands that call cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// The packages of the workspace and cargo's target folder.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target_dir: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// A package, with the data that the crate arrows and the benchmarks need.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the root, with `/`.
    pub(crate) manifest: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) benches: Vec<String>,
}

/// A line of a `[dependencies]`, `[build-dependencies]` or `[dev-dependencies]` table.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) is_dev: bool,
}

impl Workspace {
    /// Asks `cargo metadata` about the workspace that this tool was built from.
    pub(crate) fn load() -> Result<Self> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let output = cargo(Path::new("."))
            .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
            .arg(&manifest)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start `cargo metadata`")?;
        ensure!(output.status.success(), "`cargo metadata` failed ({})", output.status);
        let json = serde_json::from_slice(&output.stdout).context("`cargo metadata` gave no JSON")?;
        Self::from_metadata(&json).context("`cargo metadata` gave JSON of another form than expected")
    }

    fn from_metadata(json: &Value) -> Result<Self> {
        let root = PathBuf::from(text(json, "workspace_root")?);
        let packages =
            list(json, "packages")?.iter().map(|json| package(json, &root)).collect::<Result<_>>()?;
        Ok(Self { target_dir: PathBuf::from(text(json, "target_directory")?), packages, root })
    }
}

/// A `cargo` command in `dir` that never reads from the terminal.
pub(crate) fn cargo(dir: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs `command` to its end; the error names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// The command as a person would type it; the program without its folder.
pub(crate) fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn package(json: &Value, root: &Path) -> Result<Package> {
    let manifest = Path::new(text(json, "manifest_path")?);
    let manifest = manifest.strip_prefix(root).unwrap_or(manifest);
    let dependencies = list(json, "dependencies")?
        .iter()
        .map(|json| Ok(Dependency { name: text(json, "name")?.to_owned(), is_dev: json["kind"] == "dev" }))
        .collect::<Result<_>>()?;
    let mut benches = Vec::new();
    for target in list(json, "targets")? {
        if list(target, "kind")?.iter().any(|kind| kind == "bench") {
            benches.push(text(target, "name")?.to_owned());
        }
    }
    Ok(Package {
        name: text(json, "name")?.to_owned(),
        manifest: manifest.to_string_lossy().replace('\\', "/"),
        dependencies,
        benches,
    })
}

fn text<'a>(json: &'a Value, key: &str) -> Result<&'a str> {
    json[key].as_str().with_context(|| format!("no text under `{key}`"))
}

fn list<'a>(json: &'a Value, key: &str) -> Result<&'a [Value]> {
    json[key].as_array().map(Vec::as_slice).with_context(|| format!("no list under `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read() {
        let json = serde_json::json!({
            "workspace_root": "/w", "target_directory": "/t",
            "packages": [{
                "name": "kokanee-seq2seq-nn", "manifest_path": "/w/algorithms/seq2seq/nn/Cargo.toml",
                "dependencies": [{"name": "kokanee-tensor", "kind": null}, {"name": "insta", "kind": "dev"}],
                "targets": [{"name": "kokanee_seq2seq_nn", "kind": ["lib"]}, {"name": "decoding", "kind": ["bench"]}],
            }],
        });
        let workspace = Workspace::from_metadata(&json).unwrap();
        let package = &workspace.packages[0];
        assert_eq!(
            (package.name.as_str(), package.manifest.as_str()),
            ("kokanee-seq2seq-nn", "algorithms/seq2seq/nn/Cargo.toml")
        );
        assert_eq!(package.benches, ["decoding"]);
        assert!(!package.dependencies[0].is_dev && package.dependencies[1].is_dev);
    }

    #[test]
    fn metadata_of_another_form_is_an_error_that_names_the_key() {
        let error = Workspace::from_metadata(&serde_json::json!({"workspace_root": "/w"})).err().unwrap();
        assert_eq!(error.to_string(), "no list under `packages`");
    }
}
