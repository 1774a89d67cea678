//! Tags of scalable targets.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use super::input::Input;
use super::{Answer, Caller, Control};
use crate::scaling::Scaling;
use crate::tags::{self, MOST_TAGS};
use crate::wire::ApiError;

pub(super) fn add(control: &Control, _: &Caller, input: Input<'_>) -> Answer {
    let arn = input.required("ResourceARN");
    let new = read(input)?;
    control.store.write(|transaction| {
        expect(transaction, arn)?;
        tags::put(transaction, arn, &new)?;
        // An error rolls the transaction back.
        if tags::of(transaction, arn)?.len() > MOST_TAGS { Err(too_many()) } else { Ok(()) }
    })?;
    Ok(json!({}))
}

pub(super) fn list(control: &Control, _: &Caller, input: Input<'_>) -> Answer {
    let arn = input.required("ResourceARN");
    let all = control.store.read(|transaction| {
        expect(transaction, arn)?;
        Ok::<_, ApiError>(tags::of(transaction, arn)?)
    })?;
    let map: Map<String, Value> = all.into_iter().map(|(key, value)| (key, json!(value))).collect();
    Ok(json!({"Tags": map}))
}

pub(super) fn remove(control: &Control, _: &Caller, input: Input<'_>) -> Answer {
    let arn = input.required("ResourceARN");
    let keys = input.list("TagKeys").iter().filter_map(Value::as_str);
    control.store.write(|transaction| {
        expect(transaction, arn)?;
        tags::remove(transaction, arn, keys)?;
        Ok::<_, ApiError>(())
    })?;
    Ok(json!({}))
}

/// The tags of a request, which are a map in this service.
pub(super) fn read(input: Input<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let map = input.get("Tags").and_then(Value::as_object).into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tags: Vec<(String, String)> = map.map(|(key, value)| (key.clone(), text(value))).collect();
    if tags.len() > MOST_TAGS {
        return Err(too_many());
    }
    super::tags::check(&tags)?;
    Ok(tags)
}

fn too_many() -> ApiError {
    let message = format!("A scalable target has at most {MOST_TAGS} tags");
    ApiError::new("TooManyTagsException", message)
}

fn expect(connection: &Connection, arn: &str) -> Result<(), ApiError> {
    if Scaling::is_target(connection, arn)? {
        return Ok(());
    }
    let message = format!("No scalable target found for ARN: {arn}");
    Err(ApiError::new("ResourceNotFoundException", message))
}
