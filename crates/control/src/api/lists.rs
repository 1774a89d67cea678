//! What all List operations share.

use serde_json::{Value, json};

use super::input::Input;
use super::{Answer, Caller};
use crate::paging::{ListQuery, Page, SortBy};
use crate::wire::ApiError;

/// The default number of rows per page.
const DEFAULT_PAGE: i64 = 10;

/// The order of a list if the request names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// Reads filters, order and page.
pub(super) fn query(caller: &Caller, input: Input<'_>, default: Order) -> ListQuery {
    let text = |name: &str| input.text(name).map(str::to_owned);
    ListQuery {
        region: caller.region.clone(),
        name_contains: text("NameContains"),
        words: Vec::new(),
        status: text("StatusEquals"),
        created_after_ms: input.time_ms("CreationTimeAfter"),
        created_before_ms: input.time_ms("CreationTimeBefore"),
        modified_after_ms: input.time_ms("LastModifiedTimeAfter"),
        modified_before_ms: input.time_ms("LastModifiedTimeBefore"),
        sort_by: match input.text("SortBy") {
            Some("Name") => SortBy::Name,
            Some("Status") => SortBy::Status,
            _ => SortBy::CreationTime,
        },
        descending: match input.text("SortOrder") {
            Some(order) => order == "Descending",
            None => default == Order::Descending,
        },
        limit: usize::try_from(input.number("MaxResults").unwrap_or(DEFAULT_PAGE)).unwrap_or(1),
        token: text("NextToken"),
    }
}

/// Returns a page as the member `name` of an answer.
///
/// # Errors
/// If there is no page, because the token was not one of ours.
pub(super) fn answer<T>(name: &str, page: Option<Page<T>>, summary: impl Fn(&T) -> Value) -> Answer {
    let Some(page) = page else {
        return Err(ApiError::validation(
            "The token in the request is invalid: take NextToken of the page before",
        ));
    };
    let mut answer = json!({name: page.rows.iter().map(summary).collect::<Vec<_>>()});
    if let Some(token) = page.next {
        answer["NextToken"] = json!(token);
    }
    Ok(answer)
}

/// A point in time in the form that answers use.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
