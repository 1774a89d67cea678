//! STS: every caller has the same role of the same account.

use serde_json::{Value, json};

use super::input::Input;
use super::{Answer, Caller, Control};
use crate::store::now_ms;

/// The role of every caller. The SDK asks IAM for it by this name, and passes it on to jobs.
const ROLE: &str = "KokaneeRole";
const SESSION: &str = "kokanee";
/// Credentials never expire. AWS's last this long by default.
const LIFETIME_SECONDS: i64 = 3600;

pub(super) fn get_caller_identity(control: &Control, caller: &Caller, _: Input<'_>) -> Answer {
    Ok(json!({
        "Account": control.account,
        // SDKs derive the role's name from it, so it must be a session of a role.
        "Arn": assumed(control, caller, ROLE, SESSION),
        "UserId": format!("AROAKOKANEE0LOCAL000:{SESSION}"),
    }))
}

pub(super) fn assume_role(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let role = input.required("RoleArn").rsplit('/').next().unwrap_or(ROLE);
    let session = input.required("RoleSessionName");
    Ok(json!({
        "Credentials": credentials(control, input),
        "AssumedRoleUser": {
            "AssumedRoleId": format!("AROAKOKANEE0LOCAL000:{session}"),
            "Arn": assumed(control, caller, role, session),
        },
    }))
}

pub(super) fn get_session_token(control: &Control, _: &Caller, input: Input<'_>) -> Answer {
    Ok(json!({"Credentials": credentials(control, input)}))
}

fn assumed(control: &Control, caller: &Caller, role: &str, session: &str) -> String {
    format!("arn:{}:sts::{}:assumed-role/{role}/{session}", caller.partition(), control.account)
}

fn credentials(control: &Control, input: Input<'_>) -> Value {
    let lifetime = input.number("DurationSeconds").unwrap_or(LIFETIME_SECONDS);
    json!({
        // If the server has keys, the caller already has them, and the credentials of its roles are the same.
        "AccessKeyId": control.keys.as_ref().map_or("ASIAKOKANEE0LOCAL000", |keys| keys.access()),
        "SecretAccessKey": control.keys.as_ref().map_or("kokanee", |keys| keys.secret()),
        "SessionToken": "kokanee",
        "Expiration": now_ms() / 1000 + lifetime,
    })
}
