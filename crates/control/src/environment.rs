//! The environment variables by which clients find the server, and the files that they refer to.
//!
//! `AWS_ENDPOINT_URL` alone is not enough: SageMaker's SDKs set their own address for STS, which only botocore's rules for endpoints can
//! redirect. botocore reads these rules from the folders of `AWS_DATA_PATH`, and also how often its waiters look. A proxy receives such
//! requests, too, and serves clients that know neither.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use kokanee_formats::{FileError, write_atomically};
use serde_json::json;

use crate::aws_names::is_aws;
use crate::objects::RemoteSettings;
use crate::proxy::{AuthorityError, Bundle, write_bundle};
use crate::signature::Keys;

/// The name of the folder in the data folder.
const FOLDER: &str = "clients";
const STS_RULES: &str = "sts/2011-06-15/endpoint-rule-set-1.json";
const WAITERS: &str = "sagemaker/2017-07-24/waiters-2.sdk-extras.json";
/// botocore's waiters of SageMaker and the most seconds that each waits. Between two looks they sleep for half a minute to two minutes,
/// which is longer than most of these operations take here; they look every second instead.
const WAITING_SECONDS: [(&str, u32); 4] = [
    ("EndpointInService", 3600),
    ("EndpointDeleted", 1800),
    ("TrainingJobCompletedOrStopped", 21_600),
    ("TransformJobCompletedOrStopped", 3600),
];
const SDK_SETTINGS: &str = "sagemaker.yaml";
/// A session token. No local SageMaker checks tokens, and this one prevents clients from sending a real one.
pub const ANY_TOKEN: &str = "kokanee";

/// A shell and its syntax for setting variables.
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

/// The way by which clients find the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Through `AWS_ENDPOINT_URL`, and a rule for STS.
    #[default]
    DataPath,
    /// Through `AWS_ENDPOINT_URL`, and through the proxy for other addresses: STS and telemetry of SageMaker's SDKs.
    Proxy,
    /// Through the proxy alone.
    ProxyOnly,
}

/// The properties of a server that clients need.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// Its data folder.
    pub data: &'a Path,
    /// The region of clients.
    pub region: &'a str,
    /// The keys that it requires.
    pub keys: Option<&'a Keys>,
    /// The S3 that holds its buckets, if it is another one.
    pub other_s3: Option<&'a RemoteSettings>,
}

/// The environment of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Names and values, in the order in which they are printed.
    pub variables: Vec<(&'static str, String)>,
    /// Variables that are set and must be unset.
    pub unwanted: Vec<&'static str>,
    /// Certificates for clients of the proxy.
    pub certificates: Option<Bundle>,
    folder: PathBuf,
    url: String,
}

impl Environment {
    /// The environment of clients that find the server through [`Mode::DataPath`]. `now` returns the present values: lists are extended.
    pub fn new(server: Server<'_>, now: impl Fn(&str) -> Option<String>) -> Self {
        let mut environment = Self::begin(server, Mode::DataPath, &now);
        let folder = path(&environment.folder);
        environment.variables.extend([
            // For Python's libraries; the AWS CLI is one of them.
            ("AWS_DATA_PATH", joined(now("AWS_DATA_PATH"), &[&folder], ':')),
            // Turns off the SDK's telemetry, whose address no variable changes.
            ("SAGEMAKER_USER_CONFIG_OVERRIDE", path(&environment.folder.join(SDK_SETTINGS))),
        ]);
        environment
    }

    /// The environment of clients that find the server through a proxy, alone or not. This writes the files of certificates.
    ///
    /// # Errors
    /// When the proxy has no certificate authority, or the system refuses.
    pub fn with_proxy(
        server: Server<'_>,
        is_alone: bool,
        now: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, AuthorityError> {
        let mode = if is_alone { Mode::ProxyOnly } else { Mode::Proxy };
        let mut environment = Self::begin(server, mode, &now);
        let bundle = write_bundle(server.data, &environment.folder, &now)?;
        let all = path(&bundle.all);
        let url = &environment.url;
        // Both spellings of the name are needed: curl and Go look for one each, Python's requests for either.
        let proxies = ["HTTPS_PROXY", "https_proxy"].map(|name| (name, url.clone()));
        environment.variables.extend(proxies);
        // boto3 and the AWS CLI; requests, and pip with it; what OpenSSL and Go use by default, such as Python's urllib; curl.
        let names = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"];
        environment.variables.extend(names.map(|name| (name, all.clone())));
        environment.variables.push(("NODE_EXTRA_CA_CERTS", path(&bundle.authority)));
        environment.certificates = Some(bundle);
        Ok(environment)
    }

    fn begin(server: Server<'_>, mode: Mode, now: &impl Fn(&str) -> Option<String>) -> Self {
        let Server { address, data, region, keys, other_s3 } = server;
        // Clients have one key pair for all services.
        let keys = keys.or(other_s3.map(|other| &other.keys)).cloned().unwrap_or_else(Keys::anybody);
        let url = url(address);
        let host = url.trim_start_matches("http://");
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host).to_owned();
        let no_proxy = now("NO_PROXY").or_else(|| now("no_proxy"));
        // A list that keeps AWS away from proxies was meant for another proxy.
        let no_proxy = no_proxy.map(|list| if mode == Mode::DataPath { list } else { without_aws(&list) });
        let no_proxy = joined(no_proxy, &[&host, "localhost"], ',');
        let token = other_s3.and_then(|other| other.session_token.clone());
        let mut variables = vec![
            ("AWS_ENDPOINT_URL", url.clone()),
            ("AWS_ACCESS_KEY_ID", keys.access().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", keys.secret().to_owned()),
            ("AWS_SESSION_TOKEN", token.unwrap_or_else(|| ANY_TOKEN.to_owned())),
            ("AWS_REGION", region.to_owned()),
            ("AWS_DEFAULT_REGION", region.to_owned()),
            // Clients must not ask the cloud's machine for its role.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            // Without this, SDK v3 asks IAM about the role before each job.
            ("SAGEMAKER_VALIDATE_ROLE", "false".to_owned()),
            ("NO_PROXY", no_proxy.clone()),
            ("no_proxy", no_proxy),
        ];
        let mut unwanted = Vec::new();
        match other_s3 {
            Some(other) => variables.push(("AWS_ENDPOINT_URL_S3", other.url.clone())),
            // Clients would prefer that address to all others.
            None => unwanted.extend(now("AWS_ENDPOINT_URL_S3").map(|_| "AWS_ENDPOINT_URL_S3")),
        }
        if mode == Mode::ProxyOnly {
            variables.remove(0);
            unwanted.extend(now("AWS_ENDPOINT_URL").map(|_| "AWS_ENDPOINT_URL"));
        }
        Self { variables, unwanted, certificates: None, folder: data.join(FOLDER), url }
    }

    /// Writes the files that the variables refer to.
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
        let waiters: serde_json::Map<String, serde_json::Value> = WAITING_SECONDS
            .iter()
            .map(|(name, seconds)| ((*name).to_owned(), json!({"delay": 1, "maxAttempts": seconds})))
            .collect();
        // botocore merges it over its own file.
        let waiters = json!({"version": 1.0, "merge": {"waiters": waiters}});
        let settings =
            "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n";
        let files = [
            (STS_RULES, rules.to_string()),
            (WAITERS, waiters.to_string()),
            (SDK_SETTINGS, settings.to_owned()),
        ];
        for (name, text) in files {
            let path = self.folder.join(name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(FileError::io(folder, "make the folder"))?;
            }
            // A client that starts meanwhile must not read an incomplete file.
            if fs::read_to_string(&path).is_ok_and(|there| there == text) {
                continue;
            }
            write_atomically(&path, text.as_bytes())?;
        }
        Ok(())
    }

    /// The lines that set all variables in a shell, and unset the unwanted ones.
    pub fn lines(&self, shell: Shell) -> String {
        let unset = self.unwanted.iter().filter_map(|name| shell.unset(name));
        let set = self.variables.iter().map(|(name, value)| shell.line(name, value));
        unset.chain(set).map(|line| line + "\n").collect()
    }
}

impl Shell {
    /// The line that unsets a variable. A file of variables cannot unset one.
    fn unset(self, name: &str) -> Option<String> {
        match self {
            Self::Posix => Some(format!("unset {name}")),
            Self::Fish => Some(format!("set -e {name}")),
            Self::PowerShell => Some(format!("Remove-Item Env:{name}")),
            Self::Dotenv => None,
        }
    }

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

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Removes AWS's names and `*` from a list in `NO_PROXY`.
fn without_aws(list: &str) -> String {
    let names = list.split(',').map(str::trim);
    let is_kept = |name: &&str| {
        let host = name.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
        !host.is_empty() && !is_aws(&host)
    };
    names.filter(is_kept).collect::<Vec<_>>().join(",")
}

/// The address for clients. If the server listens on all addresses, it is that of loopback. An IP keeps clients of S3 from looking up names
/// that do not resolve.
pub fn url(address: SocketAddr) -> String {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// Extends a list with those of `more` that it lacks.
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

    fn server(data: &Path) -> Server<'_> {
        Server {
            address: "127.0.0.1:7243".parse().unwrap(),
            data,
            region: "us-west-2",
            keys: None,
            other_s3: None,
        }
    }

    fn now(name: &str) -> Option<String> {
        let value = match name {
            "NO_PROXY" => "corp.example,localhost,*,.amazonaws.com",
            "AWS_DATA_PATH" => "/models",
            "AWS_ENDPOINT_URL" => "http://127.0.0.1:7243",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn value(environment: &Environment, name: &str) -> Option<String> {
        let found = environment.variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    }

    #[test]
    fn lists_are_added_to_and_files_written() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new(server(folder.path()), now);
        let value = |name: &str| value(&environment, name).unwrap();
        let clients = folder.path().join("clients");
        assert_eq!(value("AWS_ENDPOINT_URL"), "http://127.0.0.1:7243");
        assert_eq!(value("NO_PROXY"), "corp.example,localhost,*,.amazonaws.com,127.0.0.1");
        assert_eq!(value("AWS_DATA_PATH"), format!("/models:{}", clients.display()));
        environment.write_files().unwrap();
        environment.write_files().unwrap();
        let rules = fs::read_to_string(clients.join(STS_RULES)).unwrap();
        assert!(rules.contains("\"http://127.0.0.1:7243\""), "{rules}");
        assert!(Path::new(&value("SAGEMAKER_USER_CONFIG_OVERRIDE")).is_file());
    }

    #[test]
    fn a_proxy_gets_what_is_for_aws() {
        let folder = tempfile::tempdir().unwrap();
        for is_alone in [false, true] {
            let environment = Environment::with_proxy(server(folder.path()), is_alone, now).unwrap();
            let value = |name: &str| value(&environment, name);
            assert_eq!(value("HTTPS_PROXY").unwrap(), "http://127.0.0.1:7243");
            assert_eq!(value("NO_PROXY").unwrap(), "corp.example,localhost,127.0.0.1");
            assert_eq!(value("AWS_ENDPOINT_URL").is_none(), is_alone);
            assert_eq!(environment.lines(Shell::Posix).starts_with("unset AWS_ENDPOINT_URL\n"), is_alone);
            for name in ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
                let text = fs::read_to_string(value(name).unwrap()).unwrap();
                assert!(text.starts_with("-----BEGIN CERTIFICATE-----\n"), "{name}: {text}");
            }
        }
    }

    #[test]
    fn clients_go_to_the_other_s3_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let other = RemoteSettings {
            url: "http://minio:9000".to_owned(),
            region: "us-west-2".to_owned(),
            keys: Keys::new("team", "other-secret").unwrap(),
            session_token: None,
        };
        let now = |name: &str| (name == "AWS_ENDPOINT_URL_S3").then(|| "http://elsewhere".to_owned());
        let there = Environment::new(Server { other_s3: Some(&other), ..server(folder.path()) }, now);
        assert_eq!(value(&there, "AWS_ENDPOINT_URL_S3").unwrap(), "http://minio:9000");
        assert_eq!(value(&there, "AWS_SECRET_ACCESS_KEY").unwrap(), "other-secret");
        assert_eq!(value(&there, "AWS_SESSION_TOKEN").unwrap(), ANY_TOKEN);
        assert!(there.unwanted.is_empty());
        let here = Environment::new(server(folder.path()), now);
        assert_eq!(
            (value(&here, "AWS_ENDPOINT_URL_S3"), &*here.unwanted),
            (None, &["AWS_ENDPOINT_URL_S3"][..])
        );
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
