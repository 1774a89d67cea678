//! What clients need in their environment to find the server, and the files that go with it.
//!
//! `AWS_ENDPOINT_URL` alone is not enough: SageMaker's SDKs give STS an address of their own, which only botocore's rules for
//! endpoints can redirect; botocore reads them from the folders of `AWS_DATA_PATH`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use kokanee_formats::{FileError, write_atomically};
use serde_json::json;

use crate::signature::Keys;

/// Folder in the data folder.
const FOLDER: &str = "clients";
const STS_RULES: &str = "sts/2011-06-15/endpoint-rule-set-1.json";
const SDK_SETTINGS: &str = "sagemaker.yaml";
/// No server looks at tokens; this one keeps a real one from being sent.
const ANY_TOKEN: &str = "kokanee";

/// A shell, and how it sets variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// bash, zsh, dash: `export NAME='value'`.
    Posix,
    /// fish: `set -gx NAME 'value'`.
    Fish,
    /// PowerShell: `$env:NAME = 'value'`.
    PowerShell,
    /// A file of lines `NAME="value"`, as editors and docker compose read it.
    Dotenv,
}

/// The environment of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Names and values, in the order in which they are printed.
    pub variables: Vec<(&'static str, String)>,
    folder: PathBuf,
    url: String,
}

impl Environment {
    /// That of a server at `address` whose data are in `data`, with the keys that it wants. `now` looks up what is set already: lists are added to.
    pub fn new(
        address: SocketAddr,
        data: &Path,
        region: &str,
        keys: Option<&Keys>,
        now: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let keys = keys.cloned().unwrap_or_else(Keys::anybody);
        let folder = data.join(FOLDER);
        let url = url(address);
        let path = |path: &Path| path.display().to_string();
        let host = url.trim_start_matches("http://");
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned();
        // Names in two spellings: curl and Go look for one, Python's requests for either.
        let no_proxy = now("NO_PROXY").or_else(|| now("no_proxy"));
        let no_proxy = joined(no_proxy, &[&host, "localhost"], ',');
        let variables = vec![
            ("AWS_ENDPOINT_URL", url.clone()),
            ("AWS_ACCESS_KEY_ID", keys.access().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", keys.secret().to_owned()),
            ("AWS_SESSION_TOKEN", ANY_TOKEN.to_owned()),
            ("AWS_REGION", region.to_owned()),
            ("AWS_DEFAULT_REGION", region.to_owned()),
            // Python's libraries; the AWS CLI is one of them.
            ("AWS_DATA_PATH", joined(now("AWS_DATA_PATH"), &[&path(&folder)], ':')),
            // Nobody asks the cloud's machine for its role.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            // No telemetry of the SDK, whose address no variable changes.
            ("SAGEMAKER_USER_CONFIG_OVERRIDE", path(&folder.join(SDK_SETTINGS))),
            // SDK v3 asks IAM about the role before each job.
            ("SAGEMAKER_VALIDATE_ROLE", "false".to_owned()),
            ("NO_PROXY", no_proxy.clone()),
            ("no_proxy", no_proxy),
        ];
        Self { variables, folder, url }
    }

    /// Writes the files that variables name.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_files(&self) -> Result<(), FileError> {
        let parameter = |kind: &str| json!({"type": kind, "required": false, "documentation": ""});
        let rules = json!({
            "version": "1.0",
            "parameters": {
                "Region": {"builtIn": "AWS::Region", "type": "String", "required": false, "documentation": ""},
                "UseDualStack": parameter("Boolean"),
                "UseFIPS": parameter("Boolean"),
                "Endpoint": parameter("String"),
                "UseGlobalEndpoint": parameter("Boolean"),
            },
            "rules": [{
                "conditions": [],
                "endpoint": {"url": self.url, "properties": {}, "headers": {}},
                "type": "endpoint",
            }],
        });
        let settings =
            "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n";
        for (name, text) in [(STS_RULES, rules.to_string()), (SDK_SETTINGS, settings.to_owned())] {
            let path = self.folder.join(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(FileError::io(folder, "make the folder"))?;
            }
            // A client that starts meanwhile reads it whole.
            if fs::read_to_string(&path).is_ok_and(|there| there == text) {
                continue;
            }
            write_atomically(&path, text.as_bytes())?;
        }
        Ok(())
    }

    /// The lines that set all variables in a shell.
    pub fn lines(&self, shell: Shell) -> String {
        self.variables.iter().map(|(name, value)| shell.line(name, value) + "\n").collect()
    }
}

impl Shell {
    fn line(self, name: &str, value: &str) -> String {
        match self {
            Self::Posix => format!("export {name}='{}'", value.replace('\'', r"'\''")),
            Self::Fish => format!("set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
            Self::PowerShell => format!("$env:{name} = '{}'", value.replace('\'', "''")),
            Self::Dotenv => {
                let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('$', r"\$");
                format!("{name}=\"{value}\"")
            }
        }
    }
}

/// The address for clients. Where all addresses are listened on, loopback is one; and an IP keeps clients of S3 from asking for
/// names that do not resolve.
pub fn url(address: SocketAddr) -> String {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// A list with what it lacks of `more`.
fn joined(list: Option<String>, more: &[&str], divider: char) -> String {
    let list = list.unwrap_or_default();
    let mut parts: Vec<&str> = list.split(divider).filter(|part| !part.is_empty()).collect();
    for part in more {
        if !parts.contains(part) {
            parts.push(part);
        }
    }
    parts.join(&divider.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(data: &Path) -> Environment {
        let now = |name: &str| match name {
            "NO_PROXY" => Some("corp.example,localhost".to_owned()),
            "AWS_DATA_PATH" => Some("/models".to_owned()),
            _ => None,
        };
        Environment::new("127.0.0.1:7243".parse().unwrap(), data, "us-west-2", None, now)
    }

    #[test]
    fn lists_are_added_to_and_files_written() {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path());
        let value = |name: &str| {
            let found = environment.variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone()).unwrap()
        };
        let clients = folder.path().join("clients");
        assert_eq!(value("AWS_ENDPOINT_URL"), "http://127.0.0.1:7243");
        assert_eq!(value("NO_PROXY"), "corp.example,localhost,127.0.0.1");
        assert_eq!(value("AWS_DATA_PATH"), format!("/models:{}", clients.display()));
        environment.write_files().unwrap();
        environment.write_files().unwrap();
        let rules = fs::read_to_string(clients.join(STS_RULES)).unwrap();
        assert!(rules.contains("\"http://127.0.0.1:7243\""), "{rules}");
        assert!(Path::new(&value("SAGEMAKER_USER_CONFIG_OVERRIDE")).is_file());
    }

    #[test]
    fn shells_quote_in_their_own_way() {
        let check = |shell: Shell, want: &str| assert_eq!(shell.line("A", r#"it's "$x\"#), want);
        check(Shell::Posix, r#"export A='it'\''s "$x\'"#);
        check(Shell::Fish, r#"set -gx A 'it\'s "$x\\'"#);
        check(Shell::PowerShell, r#"$env:A = 'it''s "$x\'"#);
        check(Shell::Dotenv, r#"A="it's \"\$x\\""#);
    }

    #[test]
    fn clients_get_an_address_that_they_can_reach() {
        assert_eq!(url("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80");
        assert_eq!(url("[::1]:80".parse().unwrap()), "http://[::1]:80");
    }
}
