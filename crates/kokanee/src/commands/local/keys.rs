//! The keys of a server: their source, and the file in which clients of the same user find them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use kokanee_control::signature::Keys;
use kokanee_formats::FileError;
use serde_json::{Value, json};

use super::private_file::PrivateFile;

/// The file in the data folder; only its owner can read it.
const FILE: &str = "keys.json";
const ACCESS_VARIABLE: &str = "KOKANEE_ACCESS_KEY";
const SECRET_VARIABLE: &str = "KOKANEE_SECRET_KEY";

/// Options that name the keys.
#[derive(Args)]
pub(super) struct KeyArgs {
    /// Access key that requests must be signed with, along with --secret-key [default: KOKANEE_ACCESS_KEY, else signatures are not checked]
    #[arg(long, value_name = "KEY", global = true)]
    access_key: Option<String>,
    /// Secret key. Prefer KOKANEE_SECRET_KEY: other users can see the arguments of a program [default: KOKANEE_SECRET_KEY]
    #[arg(long, value_name = "SECRET", global = true)]
    secret_key: Option<String>,
}

impl std::fmt::Debug for KeyArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyArgs").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl KeyArgs {
    /// The keys given by options or variables.
    ///
    /// # Errors
    /// If one is given without the other, or is malformed.
    pub(super) fn given(&self) -> Result<Option<Keys>> {
        let access = self.access_key.clone().or_else(|| super::variable(ACCESS_VARIABLE));
        let secret = self.secret_key.clone().or_else(|| super::variable(SECRET_VARIABLE));
        match (access, secret) {
            (None, None) => Ok(None),
            (Some(access), Some(secret)) => Keys::new(&access, &secret).map(Some).map_err(anyhow::Error::msg),
            (Some(_), None) => {
                bail!("an access key is given without a secret key: set {SECRET_VARIABLE} or --secret-key")
            }
            (None, Some(_)) => {
                bail!("a secret key is given without an access key: set {ACCESS_VARIABLE} or --access-key")
            }
        }
    }

    /// The keys for the server that runs on a data folder: the given ones, or those that the server wrote for its clients.
    ///
    /// # Errors
    /// If the server wrote keys that cannot be read.
    pub(super) fn of_server(&self, data: &Path) -> Result<Option<Keys>> {
        if let Some(keys) = self.given()? {
            return Ok(Some(keys));
        }
        let path = data.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let hint = format!(
                    "{} cannot be read, in which the server's keys are; whoever started it can give them to you, for {ACCESS_VARIABLE} and \
                     {SECRET_VARIABLE}",
                    path.display()
                );
                return Err(error).context(hint);
            }
        };
        let content: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is broken", path.display()))?;
        let text = |name: &str| content[name].as_str().unwrap_or_default();
        let keys = Keys::new(text("access_key"), text("secret_key"));
        keys.map(Some).map_err(|reason| anyhow::anyhow!("{}: {reason}", path.display()))
    }
}

/// Writes the keys of a server for its clients; a server without keys has no file.
///
/// # Errors
/// When the system returns an error.
pub(super) fn write(data: &Path, keys: Option<&Keys>) -> Result<PrivateFile, FileError> {
    let content = keys.map(|keys| json!({"access_key": keys.access(), "secret_key": keys.secret()}));
    PrivateFile::write(data.join(FILE), content.as_ref())
}
