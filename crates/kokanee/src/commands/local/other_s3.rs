//! Another S3 for the objects of jobs: its address and keys, and the file in which clients of the same user find them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use kokanee_control::environment::ANY_TOKEN;
use kokanee_control::objects::RemoteSettings;
use kokanee_control::signature::Keys;
use kokanee_formats::FileError;
use serde_json::{Value, json};

use super::private_file::PrivateFile;
use super::variable;

/// The file in the data folder; only its owner can read it.
const FILE: &str = "s3.json";

/// The option that names it.
#[derive(Debug, Default, Args)]
pub(super) struct OtherS3Args {
    /// Use the buckets of another S3, such as MinIO, with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY [default: keep buckets in
    /// the data folder]
    #[arg(long, value_name = "URL")]
    s3: Option<String>,
}

impl OtherS3Args {
    pub(super) fn is_given(&self) -> bool {
        self.s3.is_some()
    }

    /// This option, or the other if it is not given.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self { s3: self.s3.clone().or_else(|| other.s3.clone()) }
    }

    /// The other S3, with the keys from the environment.
    ///
    /// # Errors
    /// If there are no keys, or they differ from those of the server.
    pub(super) fn given(&self, region: String, server: Option<&Keys>) -> Result<Option<RemoteSettings>> {
        let Some(url) = &self.s3 else { return Ok(None) };
        let variables = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(variable);
        let [Some(access), Some(secret)] = variables else {
            bail!(
                "--s3 {url}: requests to it must be signed: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            );
        };
        let keys = pair(&access, &secret).with_context(|| format!("--s3 {url}"))?;
        ensure!(
            server.is_none_or(|server| *server == keys),
            "--s3 {url}: clients sign with one pair of keys for all services, so that KOKANEE_ACCESS_KEY and KOKANEE_SECRET_KEY must be those \
             of the S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        );
        // A token from the environment of another local SageMaker means nothing to others.
        let session_token = variable("AWS_SESSION_TOKEN").filter(|token| token != ANY_TOKEN);
        Ok(Some(RemoteSettings { url: url.clone(), region, keys, session_token }))
    }

    /// The other S3 of the server that runs on a data folder, from the file that the server wrote for its clients.
    ///
    /// # Errors
    /// If that file cannot be read.
    pub(super) fn of_server(data: &Path, region: String) -> Result<Option<RemoteSettings>> {
        let path = data.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("{} cannot be read", path.display()))?,
        };
        let content: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is broken", path.display()))?;
        let text = |name: &str| content[name].as_str().unwrap_or_default();
        let keys = pair(text("access_key"), text("secret_key"));
        let keys = keys.with_context(|| path.display().to_string())?;
        let session_token = content["session_token"].as_str().map(str::to_owned);
        Ok(Some(RemoteSettings { url: text("url").to_owned(), region, keys, session_token }))
    }
}

/// Writes the file on the other S3 for clients; a server without one has no file.
///
/// # Errors
/// When the system returns an error.
pub(super) fn write(data: &Path, other: Option<&RemoteSettings>) -> Result<PrivateFile, FileError> {
    let content = other.map(|other| {
        json!({
            "url": other.url,
            "access_key": other.keys.access(),
            "secret_key": other.keys.secret(),
            "session_token": other.session_token,
        })
    });
    PrivateFile::write(data.join(FILE), content.as_ref())
}

/// A pair of keys; that of a local SageMaker without keys is valid too.
fn pair(access: &str, secret: &str) -> Result<Keys> {
    let anybody = Keys::anybody();
    if (access, secret) == (anybody.access(), anybody.secret()) {
        return Ok(anybody);
    }
    Keys::new(access, secret).map_err(anyhow::Error::msg)
}
