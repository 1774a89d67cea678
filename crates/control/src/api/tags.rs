//! AddTags, ListTags, DeleteTags.

use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};

use super::input::Input;
use super::{Answer, Caller, Control};
use crate::store::StoreError;
use crate::tags::{self, MOST_TAGS};
use crate::wire::ApiError;

/// The kinds of resources that have tags, as named in ARNs, and their tables.
const TAGGED: [(&str, &str); 6] = [
    ("training-job", "training_jobs"),
    ("transform-job", "transform_jobs"),
    ("hyper-parameter-tuning-job", "tuning_jobs"),
    ("model", "models"),
    ("endpoint-config", "endpoint_configs"),
    ("endpoint", "endpoints"),
];

pub(super) fn add(control: &Control, _: &Caller, input: Input<'_>) -> Answer {
    let arn = input.required("ResourceArn");
    let new = input.tags("Tags");
    check(&new)?;
    let all = control.store.write(|transaction| {
        expect(transaction, arn)?;
        tags::put(transaction, arn, &new)?;
        let all = tags::of(transaction, arn)?;
        // An error rolls the transaction back.
        if all.len() > MOST_TAGS { Err(too_many(all.len())) } else { Ok(all) }
    })?;
    Ok(json!({"Tags": listed(all)}))
}

pub(super) fn list(control: &Control, _: &Caller, input: Input<'_>) -> Answer {
    let arn = input.required("ResourceArn");
    let all = control.store.read(|transaction| {
        expect(transaction, arn)?;
        Ok::<_, ApiError>(tags::of(transaction, arn)?)
    })?;
    // A page holds at least 50 tags, and a resource has at most as many.
    Ok(json!({"Tags": listed(all)}))
}

pub(super) fn delete(control: &Control, _: &Caller, input: Input<'_>) -> Answer {
    let arn = input.required("ResourceArn");
    let keys = input.list("TagKeys").iter().filter_map(Value::as_str);
    control.store.write(|transaction| {
        expect(transaction, arn)?;
        tags::remove(transaction, arn, keys)?;
        Ok::<_, ApiError>(())
    })?;
    Ok(json!({}))
}

/// Checks that tags can be put on a new resource.
///
/// # Errors
/// If there are too many, if a key occurs twice, or if a key is reserved for AWS.
pub(super) fn check(new: &[(String, String)]) -> Result<(), ApiError> {
    if new.len() > MOST_TAGS {
        return Err(too_many(new.len()));
    }
    for (index, (key, _)) in new.iter().enumerate() {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(ApiError::validation(format!(
                "The tag key \"{key}\" is not valid: keys that begin with aws: are reserved for AWS"
            )));
        }
        if new[..index].iter().any(|(other, _)| other == key) {
            return Err(ApiError::validation(format!(
                "Duplicate tag keys found. The key \"{key}\" is given more than once"
            )));
        }
    }
    Ok(())
}

fn too_many(count: usize) -> ApiError {
    let message = format!("A resource has at most {MOST_TAGS} tags, and these would be {count}");
    ApiError::new("ResourceLimitExceeded", message)
}

fn listed(tags: Vec<(String, String)>) -> Vec<Value> {
    tags.into_iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// Checks that there is a resource with this ARN.
fn expect(connection: &Connection, arn: &str) -> Result<(), ApiError> {
    let kind = arn.splitn(6, ':').nth(5).and_then(|resource| resource.split('/').next());
    let table = TAGGED.iter().find(|(known, _)| Some(*known) == kind).map(|(_, table)| table);
    let found = match table {
        Some(table) => {
            let statement = format!("SELECT 1 FROM {table} WHERE arn = ?1");
            let mut statement = connection.prepare_cached(&statement).map_err(StoreError::from)?;
            statement.query_row([arn], |_| Ok(())).optional().map_err(StoreError::from)?
        }
        None => None,
    };
    found.ok_or_else(|| {
        let shown: String = arn.chars().take(300).collect();
        ApiError::validation(format!("Could not find the resource \"{shown}\"."))
    })
}
