//! The policy of an HTML form, which the form's author signed.

use std::collections::BTreeMap;

use super::keys::Keys;
use super::mac::is_signed;
use super::refusal::{Refusal, Why};
use super::scope::{ALGORITHM, Scope};
use super::version_2;

impl Keys {
    /// Checks that a form's fields, by their names in lowercase, have a policy signed with these keys, in either version.
    ///
    /// # Errors
    /// If they do not.
    pub fn check_policy(&self, fields: &BTreeMap<String, String>) -> Result<(), Refusal> {
        let get = |name: &str| fields.get(name).map(String::as_str);
        let incomplete = |name: &str| {
            let message = format!(
                "Bucket POST must contain a field named '{name}'. If it is specified, please check the order of the fields."
            );
            Refusal::new(Why::Unusable, message)
        };
        let Some(policy) = get("policy") else {
            return Err(if fields.keys().any(|name| name.contains("signature")) {
                incomplete("policy")
            } else {
                Refusal::missing()
            });
        };
        if let Some(access) = get("awsaccesskeyid") {
            if access != self.access() {
                return Err(Refusal::unknown_key(access));
            }
            let signature = get("signature").ok_or_else(|| incomplete("signature"))?;
            let is_right = version_2::is_signed(self.secret(), policy.as_bytes(), signature);
            return if is_right { Ok(()) } else { Err(Refusal::mismatch().with("StringToSign", policy)) };
        }
        let algorithm = get("x-amz-algorithm").ok_or_else(|| incomplete("X-Amz-Algorithm"))?;
        let credential = get("x-amz-credential").ok_or_else(|| incomplete("X-Amz-Credential"))?;
        let signature = get("x-amz-signature").ok_or_else(|| incomplete("X-Amz-Signature"))?;
        let scope =
            Scope::parse(credential).filter(|(_, scope)| scope.service == "s3" && algorithm == ALGORITHM);
        let (access, scope) = scope.ok_or_else(|| {
            Refusal::new(Why::Parameters, "the form's X-Amz-Algorithm or X-Amz-Credential cannot be used")
        })?;
        if access != self.access() {
            return Err(Refusal::unknown_key(&access));
        }
        if is_signed(&self.signing_key(&scope), policy, signature) {
            return Ok(());
        }
        Err(Refusal::mismatch().with("StringToSign", policy))
    }
}
