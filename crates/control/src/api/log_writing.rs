//! Log groups and streams that users create and write themselves.

use serde_json::{Value, json};

use super::input::Input;
use super::logs::invalid;
use super::{Answer, Caller, Control};
use crate::wire::ApiError;

/// The most bytes in the messages of one call, where each message counts 26 bytes more.
const MOST_BATCH_BYTES: usize = 1 << 20;
const EVENT_BYTES: usize = 26;
/// The most bytes in a message, which is also the limit for a line of a log.
const MOST_MESSAGE_BYTES: usize = crate::engine::log_file::LONGEST_LINE_BYTES;
/// The longest time between the first and the last event of a call.
const LONGEST_MS: i64 = 86_400_000;
/// The retention periods that may be set, in days.
const RETENTION_DAYS: [i64; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

pub(super) fn create_group(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    if input.text("logGroupClass").is_some_and(|class| class != "STANDARD") {
        return Err(invalid("log groups are of the class STANDARD on your own machine"));
    }
    control.logs.create_group(&caller.region, input.required("logGroupName"))?;
    Ok(json!({}))
}

pub(super) fn delete_group(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    control.logs.remove_group(&caller.region, input.required("logGroupName"))?;
    Ok(json!({}))
}

pub(super) fn create_stream(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let (group, stream) = (input.required("logGroupName"), input.required("logStreamName"));
    control.logs.create_stream(&caller.region, group, stream)?;
    Ok(json!({}))
}

pub(super) fn delete_stream(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let (group, stream) = (input.required("logGroupName"), input.required("logStreamName"));
    control.logs.remove_stream(&caller.region, group, stream)?;
    Ok(json!({}))
}

pub(super) fn put_events(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let events = input.list("logEvents").iter().filter_map(Value::as_object).map(Input);
    let events: Vec<(i64, &str)> =
        events.map(|event| (event.number("timestamp").unwrap_or(0), event.required("message"))).collect();
    check(&events)?;
    let (group, stream) = (input.required("logGroupName"), input.required("logStreamName"));
    let rejected = control.logs.put(&caller.region, group, stream, &events)?;
    // The token is no longer required, but older clients send it with their next call.
    let mut answer = json!({"nextSequenceToken": format!("{:056}", 1)});
    if rejected.too_old_before > 0 {
        answer["rejectedLogEventsInfo"]["tooOldLogEventEndIndex"] = json!(rejected.too_old_before);
    }
    if let Some(from) = rejected.too_new_from {
        answer["rejectedLogEventsInfo"]["tooNewLogEventStartIndex"] = json!(from);
    }
    Ok(answer)
}

pub(super) fn put_retention(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let days = input.number("retentionInDays").unwrap_or(0);
    if !RETENTION_DAYS.contains(&days) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum \
             value set: {RETENTION_DAYS:?}"
        )));
    }
    control.logs.retain(&caller.region, input.required("logGroupName"), Some(days))?;
    Ok(json!({}))
}

pub(super) fn delete_retention(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    control.logs.retain(&caller.region, input.required("logGroupName"), None)?;
    Ok(json!({}))
}

fn check(events: &[(i64, &str)]) -> Result<(), ApiError> {
    if !events.is_sorted_by_key(|(at_ms, _)| *at_ms) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    if let (Some((first, _)), Some((last, _))) = (events.first(), events.last())
        && last.saturating_sub(*first) > LONGEST_MS
    {
        let message =
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.";
        return Err(invalid(message));
    }
    let bytes: usize = events.iter().map(|(_, message)| message.len() + EVENT_BYTES).sum();
    if bytes > MOST_BATCH_BYTES {
        return Err(invalid(format!("Upload too large: {bytes} bytes exceeds limit of {MOST_BATCH_BYTES}")));
    }
    // A line break takes two bytes in a file.
    let length = |message: &str| message.len() + message.matches(['\n', '\\']).count();
    let longest = events.iter().map(|(_, message)| length(message)).max().unwrap_or(0);
    if longest > MOST_MESSAGE_BYTES {
        return Err(invalid(format!(
            "Log event too large: {longest} bytes exceeds limit of {MOST_MESSAGE_BYTES}"
        )));
    }
    Ok(())
}
