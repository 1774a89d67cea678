//! Shows a folder of this machine to one program as `/opt/ml`, without root.
//!
//! In its own namespace, a program sees the folder bound to `/opt/ml`. If `/opt` has no folder `ml`, an empty file system covers it, into
//! which its content is bound again. If the machine does not allow such namespaces, the program gets the folder's path.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use super::OwnImageError;
use super::patient::ask;

/// The variable that tells a program where its folders are.
pub(super) const PREFIX_VARIABLE: &str = "KOKANEE_PREFIX";
/// The path where programs expect their folders.
const OPT_ML: &str = "/opt/ml";
/// A namespace in which the user may mount. It adds no process, so that signals reach the program.
const NAMESPACE: [&str; 5] = ["unshare", "--user", "--map-root-user", "--mount", "--"];
/// Binds the folder `$1` to `/opt/ml` and becomes the program that follows.
const BIND: &str = r#"set -e
folder=$1
shift
if [ ! -d /opt/ml ]; then
    covered=$(mktemp -d)
    mount --rbind /opt "$covered"
    mount -t tmpfs kokanee /opt
    for entry in "$covered"/* "$covered"/.[!.]*; do
        name=/opt/${entry##*/}
        if [ -L "$entry" ]; then cp -P "$entry" "$name"
        elif [ -d "$entry" ]; then mkdir "$name"; mount --rbind "$entry" "$name"
        elif [ -e "$entry" ]; then : > "$name"; mount --bind "$entry" "$name"
        fi
    done
    mkdir /opt/ml
    umount -l "$covered"
    rmdir "$covered"
fi
mount --rbind "$folder" /opt/ml
cd "$PWD"
exec "$@"
"#;
/// Prints `$1` and becomes the program that follows.
const SAY: &str = r#"echo "$1"; shift; exec "$@""#;
/// How long the test for namespaces may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns a command that finds `folder` at the path in its environment's [`PREFIX_VARIABLE`], and the variable's value: `/opt/ml` where
/// that is possible.
///
/// # Errors
/// If the folder's path is not UTF-8.
pub(super) fn bind(folder: &Path, command: Vec<String>) -> Result<(Vec<String>, String), OwnImageError> {
    static REFUSED: OnceLock<Option<String>> = OnceLock::new();
    let refused = REFUSED.get_or_init(try_out);
    let folder = folder.to_str().ok_or_else(|| OwnImageError::Folder(folder.display().to_string()))?;
    Ok(bound(folder, command, refused.as_deref()))
}

/// The same, where `refused` is the reason why the machine does not bind folders.
fn bound(folder: &str, command: Vec<String>, refused: Option<&str>) -> (Vec<String>, String) {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    match refused {
        None => {
            let namespace = owned(&NAMESPACE);
            let words = [namespace, owned(&["/bin/sh", "-c", BIND, "kokanee", folder]), command].concat();
            (words, OPT_ML.to_owned())
        }
        Some(reason) => {
            let said = format!(
                "kokanee: {OPT_ML} cannot be offered on this machine ({reason}); the program has to look for its folders in the \
                 folder that {PREFIX_VARIABLE} names, {folder}"
            );
            let words = [owned(&["/bin/sh", "-c", SAY, "kokanee", &said]), command].concat();
            (words, folder.to_owned())
        }
    }
}

/// The reason why the machine does not bind folders; none if it does.
fn try_out() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("only Linux has namespaces".to_owned());
    }
    let folder = std::env::temp_dir();
    let folder = folder.to_str()?;
    let (words, _) = bound(folder, vec!["true".to_owned()], None);
    let (program, arguments) = words.split_first()?;
    ask(Command::new(program).args(arguments), PATIENCE).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(folder: &Path, script: &str, refused: Option<&str>) -> Result<String, String> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
        let (words, prefix) = bound(folder.to_str().unwrap(), command, refused);
        ask(Command::new(&words[0]).args(&words[1..]).env(PREFIX_VARIABLE, prefix), PATIENCE)
    }

    #[test]
    fn a_program_finds_its_folder_at_opt_ml() {
        if let Some(reason) = try_out() {
            eprintln!("not tested, since this machine allows no namespaces: {reason}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in"), "1").unwrap();
        let opt = |path: &str| {
            std::fs::read_dir(path).map_or(0, |entries| entries.filter(|entry| entry.is_ok()).count())
        };
        let script = "cat $KOKANEE_PREFIX/in; echo 2 > /opt/ml/out; ls -A /opt | grep -vx ml | wc -l";
        let others = opt("/opt") - usize::from(Path::new(OPT_ML).exists());
        assert_eq!(run(folder.path(), script, None).unwrap(), format!("1{others}"));
        assert_eq!(std::fs::read_to_string(folder.path().join("out")).unwrap(), "2\n");
    }

    #[test]
    fn where_that_is_not_possible_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let said = run(folder.path(), "echo in $KOKANEE_PREFIX", Some("no such luck")).unwrap();
        let (first, second) = said.split_once('\n').unwrap();
        assert!(
            first.starts_with("kokanee: /opt/ml cannot be offered on this machine (no such luck)"),
            "{first}"
        );
        assert_eq!(second, format!("in {}", folder.path().display()));
    }
}
