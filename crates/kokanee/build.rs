//! Extracts the pronouncing dictionary from the source of `cmudict-fast`, so that the demo needs no file and no network. The crate
//! carries the dictionary as a file beside its code, but its interface only reads a path and cannot list the words; so this script
//! asks cargo for the path of the crate's source.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Crate that carries the dictionary.
const CRATE: &str = "cmudict-fast";
/// Names a folder with `resources/cmudict.dict` and `LICENSE-CMUDICT`, for builds in which cargo cannot be asked.
const OVERRIDE: &str = "KOKANEE_CMUDICT_DIR";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    if let Err(fault) = generate() {
        println!("cargo::error=the demo's dictionary could not be embedded: {fault}");
    }
}

fn generate() -> Result<(), String> {
    let source = env::var_os(OVERRIDE).map_or_else(locate, |folder| Ok(PathBuf::from(folder)))?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: run this through cargo")?);
    let dictionary = read(&source.join("resources/cmudict.dict"))?;
    write(&out.join("cmudict.txt"), &first_pronunciations(&dictionary))?;
    write(&out.join("cmudict-license.txt"), &read(&source.join("LICENSE-CMUDICT"))?)
}

/// The first pronunciation of each word of plain letters a to z, one per line, sorted. In the source further ones are marked as in
/// `word(2)`, and comments begin with `#` or `;;;`.
fn first_pronunciations(dictionary: &str) -> String {
    let mut words = BTreeMap::new();
    for line in dictionary.lines() {
        let mut fields = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(word) = fields.next() else { continue };
        let phonemes: Vec<&str> = fields.collect();
        if word.bytes().all(|byte| byte.is_ascii_lowercase()) && !phonemes.is_empty() {
            words.entry(word).or_insert_with(|| phonemes.join(" "));
        }
    }
    words.into_iter().map(|(word, phonemes)| format!("{word} {phonemes}\n")).collect()
}

/// The folder in which cargo keeps the crate's source.
fn locate() -> Result<PathBuf, String> {
    // The packages for the build exist already, but those for tests or other crates of the workspace may be missing: only then
    // cargo may use the network.
    let metadata = metadata(&["--offline"]).or_else(|_| metadata(&[]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| package["name"] == CRATE)
        .filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent().map(Path::to_owned))
        .next()
        .ok_or_else(|| format!("cargo knows no package {CRATE}: it must be a dependency"))
}

fn metadata(more: &[&str]) -> Result<String, String> {
    let variable =
        |name: &str| env::var(name).map_err(|_| format!("{name} is not set: run this through cargo"));
    let output = Command::new(variable("CARGO")?)
        .args(["metadata", "--format-version=1", "--filter-platform"])
        .arg(variable("TARGET")?)
        .args(more)
        .current_dir(variable("CARGO_MANIFEST_DIR")?)
        .output()
        .map_err(|error| format!("cargo metadata does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "cargo metadata failed, set {OVERRIDE} to the folder of {CRATE}'s source: {}",
            said.trim().replace('\n', " ")
        ));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
