//! The key pair of a server.

use std::fmt;

use kokanee_formats::utc;

use super::canonical;
use super::head::{Head, Rules};
use super::mac::{hex, is_signed, sha256, sign};
use super::scope::{ALGORITHM, Scope};
use crate::times::now_seconds;

/// The minimum length of a secret; a shorter one could be guessed.
const SHORTEST_SECRET: usize = 8;
const LONGEST: usize = 128;

/// The access key that clients name, and the secret that they sign with.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    access: String,
    secret: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Keys {
    /// A key pair.
    ///
    /// # Errors
    /// What is wrong with one of them, as human-readable text; the secret is not quoted.
    pub fn new(access: &str, secret: &str) -> Result<Self, String> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        if !(3..=LONGEST).contains(&access.len()) || !access.bytes().all(is_name) {
            return Err(format!("an access key has 3 to {LONGEST} letters, digits, _, - and ."));
        }
        let is_visible = secret.bytes().all(|byte| byte.is_ascii_graphic());
        if !(SHORTEST_SECRET..=LONGEST).contains(&secret.len()) || !is_visible {
            return Err(format!("a secret key has {SHORTEST_SECRET} to {LONGEST} visible ASCII characters"));
        }
        Ok(Self { access: access.to_owned(), secret: secret.to_owned() })
    }

    /// The keys that clients use for a server without keys. They are not secret, and keep clients from using real ones.
    pub fn anybody() -> Self {
        Self { access: "kokanee".to_owned(), secret: "kokanee".to_owned() }
    }

    /// The token for the console of a server that requires signed requests. Anyone with the keys can compute it, and it does not reveal
    /// them.
    pub fn console_token(&self) -> String {
        hex(&sign(self.secret.as_bytes(), &self.console_text("token", "")))
    }

    /// Whether this is the token of the console. The comparison takes constant time.
    pub(crate) fn is_console_token(&self, token: &str) -> bool {
        is_signed(self.secret.as_bytes(), &self.console_text("token", ""), token)
    }

    /// The session value of a browser that has shown the token, valid as long as the server has this nonce.
    pub(crate) fn console_session(&self, nonce: &str) -> String {
        hex(&sign(self.secret.as_bytes(), &self.console_text("session", nonce)))
    }

    /// Whether this is the session value for this nonce.
    pub(crate) fn is_console_session(&self, nonce: &str, session: &str) -> bool {
        is_signed(self.secret.as_bytes(), &self.console_text("session", nonce), session)
    }

    fn console_text(&self, what: &str, nonce: &str) -> String {
        format!("kokanee console {what} {} {nonce}", self.access)
    }

    /// The access key.
    pub fn access(&self) -> &str {
        &self.access
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The value of `Authorization` for a request with this body. All headers in `head` are signed, including `x-amz-date`.
    pub fn authorization(
        &self,
        head: &Head<'_>,
        rules: Rules,
        region: &str,
        service: &str,
        body: &[u8],
    ) -> String {
        let date = head.text("x-amz-date").unwrap_or_default();
        let mut names: Vec<&str> = head.headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let payload = match rules {
            Rules::S3 => head.text("x-amz-content-sha256").unwrap_or_default().to_owned(),
            Rules::Other => sha256(body),
        };
        let scope = Scope {
            day: date.get(..8).unwrap_or_default().to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        };
        let request = canonical::request(head, rules, &names, &payload);
        let signature =
            sign(&self.signing_key(&scope), &scope.string_to_sign(ALGORITHM, date, &sha256(&request)));
        format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={}",
            self.access,
            scope.text(),
            names.join(";"),
            hex(&signature)
        )
    }

    /// The key derived from the secret for a day, a region and a service.
    pub(super) fn signing_key(&self, scope: &Scope) -> Vec<u8> {
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [&scope.day, &scope.region, &scope.service, "aws4_request"] {
            key = sign(&key, part);
        }
        key
    }
}

/// The current time for `x-amz-date`.
pub fn date_of_now() -> String {
    let now = now_seconds();
    format!("{}Z", utc(now).replace(' ', "T").replace(['-', ':'], ""))
}
