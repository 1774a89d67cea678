//! What the operations on models and on endpoint configurations share: both are created whole and never changed.

use serde_json::{Map, Value, json};

use super::input::Input;
use super::lists::{self, Order, seconds};
use super::{Answer, Caller, Control, tags};
use crate::hosting::{HostingError, NewRecord, Records};
use crate::wire::ApiError;

/// The kind of a record: model or endpoint configuration.
pub(super) struct Kind {
    /// The resource type in ARNs: `model`.
    pub(super) resource: &'static str,
    /// The stem of member names: `Model` in `ModelName`.
    pub(super) stem: &'static str,
    /// The records of this kind.
    pub(super) records: fn(&Control) -> &Records,
    /// Fills in the defaults that a description shows.
    pub(super) fill_in: fn(&mut Map<String, Value>),
}

impl Kind {
    /// Creates a record from a request that has been checked, except for its tags.
    pub(super) fn create(&self, control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
        let new_tags = input.tags("Tags");
        tags::check(&new_tags)?;
        let mut request = input.0.clone();
        request.retain(|name, value| !value.is_null() && name != "Tags");
        (self.fill_in)(&mut request);
        let arn = self.arn(control, caller, input);
        (self.records)(control).create(NewRecord {
            region: caller.region.clone(),
            name: input.required(&self.member("Name")).to_owned(),
            arn: arn.clone(),
            request,
            tags: new_tags,
        })?;
        Ok(json!({self.member("Arn"): arn}))
    }

    /// Returns the request that created the record, and the time.
    pub(super) fn describe(&self, control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
        let record = (self.records)(control).find(&self.arn(control, caller, input))?;
        let mut answer = record.request;
        answer.insert(self.member("Name"), json!(record.name));
        answer.insert(self.member("Arn"), json!(record.arn));
        answer.insert("CreationTime".to_owned(), json!(seconds(record.created_ms)));
        Ok(Value::Object(answer))
    }

    /// Returns a page of the records, latest first by default.
    pub(super) fn list(&self, control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
        let page = (self.records)(control).list(&lists::query(caller, input, Order::Descending))?;
        lists::answer(&self.member("s"), page, |record| {
            json!({
                self.member("Name"): record.name,
                self.member("Arn"): record.arn,
                "CreationTime": seconds(record.created_ms),
            })
        })
    }

    /// Deletes a record.
    pub(super) fn delete(&self, control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
        (self.records)(control).delete(&self.arn(control, caller, input))?;
        Ok(json!({}))
    }

    fn arn(&self, control: &Control, caller: &Caller, input: Input<'_>) -> String {
        control.arn(caller, self.resource, input.required(&self.member("Name")))
    }

    fn member(&self, rest: &str) -> String {
        format!("{}{rest}", self.stem)
    }
}

/// Refuses members that would change the behaviour, and that are not implemented here.
///
/// # Errors
/// Names the first such member that was given.
pub(super) fn refuse_any_of(names: &[&str], input: Input<'_>) -> Result<(), ApiError> {
    match names.iter().find(|name| input.get(name).is_some()) {
        Some(name) => Err(not_offered(name)),
        None => Ok(()),
    }
}

/// The error for settings that are not implemented here.
pub(super) fn not_offered(what: &str) -> ApiError {
    ApiError::validation(format!("{what} is not offered on your own machine"))
}

impl From<HostingError> for ApiError {
    fn from(error: HostingError) -> Self {
        match error {
            HostingError::Store(error) => error.into(),
            HostingError::Limit(message) => Self::new("ResourceLimitExceeded", message),
            HostingError::NotFound { .. }
            | HostingError::Exists { .. }
            | HostingError::InProgress(_)
            | HostingError::Refused(_) => Self::validation(error.to_string()),
        }
    }
}
