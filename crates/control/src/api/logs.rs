//! CloudWatch Logs. Its timestamps are in milliseconds, unlike those of all other services.

use serde_json::{Value, json};

use super::input::Input;
use super::{Answer, Caller, Control};
use crate::logs::{
    Begin, DescribedStream, EventsQuery, Found, Group, GroupsQuery, LogError, MOST_EVENTS, OrderBy, Pattern,
    SearchQuery, StreamsQuery, Which,
};
use crate::wire::ApiError;

/// The default number of groups or streams per page.
const DEFAULT_PAGE: i64 = 50;

pub(super) fn describe_groups(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let text = |name: &str| input.text(name).unwrap_or_default().to_owned();
    let identifiers = input.list("logGroupIdentifiers").iter().filter_map(Value::as_str);
    if input.get("logGroupNamePrefix").is_some() && input.get("logGroupNamePattern").is_some() {
        return Err(invalid(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
        ));
    }
    // All groups here are of the standard class.
    if input.text("logGroupClass").is_some_and(|class| class != "STANDARD") {
        return Ok(json!({"logGroups": []}));
    }
    let query = GroupsQuery {
        region: caller.region.clone(),
        prefix: text("logGroupNamePrefix"),
        part: text("logGroupNamePattern"),
        names: identifiers.map(|identifier| group_name(identifier).to_owned()).collect(),
        limit: limit(input, DEFAULT_PAGE),
        token: input.text("nextToken").map(str::to_owned),
    };
    let (groups, next) = control.logs.groups(&query)?;
    let groups: Vec<Value> = groups.iter().map(|group| described_group(control, caller, group)).collect();
    Ok(with_token(json!({"logGroups": groups}), next))
}

pub(super) fn describe_streams(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let group = group(input)?;
    let order_by = match input.text("orderBy") {
        Some("LastEventTime") => OrderBy::LastEvent,
        _ => OrderBy::Name,
    };
    if order_by == OrderBy::LastEvent && input.get("logStreamNamePrefix").is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let query = StreamsQuery {
        region: caller.region.clone(),
        group: group.clone(),
        prefix: input.text("logStreamNamePrefix").unwrap_or_default().to_owned(),
        order_by,
        descending: is_true(input, "descending"),
        limit: limit(input, DEFAULT_PAGE),
        token: input.text("nextToken").map(str::to_owned),
    };
    let (streams, next) = control.logs.streams(&query)?;
    let arn = control.logs_arn(caller, &group);
    let streams: Vec<Value> = streams.iter().map(|stream| described_stream(&arn, stream)).collect();
    Ok(with_token(json!({"logStreams": streams}), next))
}

pub(super) fn get_events(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let stream = control.logs.stream(&caller.region, &group(input)?, input.required("logStreamName"))?;
    let begin = match input.text("nextToken") {
        Some(token) => Begin::Token(token.to_owned()),
        None if is_true(input, "startFromHead") => Begin::Head,
        None => Begin::Tail,
    };
    let page = stream.events(&EventsQuery {
        start_ms: input.number("startTime"),
        end_ms: input.number("endTime"),
        begin,
        limit: limit(input, MOST_EVENTS as i64),
    })?;
    let events = page
        .lines
        .iter()
        .map(|line| json!({"timestamp": line.at_ms, "message": line.text, "ingestionTime": line.at_ms}));
    Ok(json!({
        "events": events.collect::<Vec<_>>(),
        "nextForwardToken": page.forward,
        "nextBackwardToken": page.backward,
    }))
}

pub(super) fn filter_events(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let names = input.list("logStreamNames").iter().filter_map(Value::as_str).map(str::to_owned);
    let which = match (input.get("logStreamNames"), input.text("logStreamNamePrefix")) {
        (Some(_), Some(_)) => {
            return Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters."));
        }
        (Some(_), None) => Which::Names(names.collect()),
        (None, prefix) => Which::Prefix(prefix.unwrap_or_default().to_owned()),
    };
    if input.get("startFromHead").is_some_and(|value| value == false) {
        return Err(invalid(
            "startFromHead=false is not offered on your own machine: events come oldest first",
        ));
    }
    let pattern = Pattern::parse(input.text("filterPattern").unwrap_or_default());
    let page = control.logs.search(&SearchQuery {
        region: caller.region.clone(),
        group: group(input)?,
        which,
        start_ms: input.number("startTime"),
        end_ms: input.number("endTime"),
        pattern: pattern.map_err(|error| invalid(error.to_string()))?,
        limit: limit(input, MOST_EVENTS as i64),
        token: input.text("nextToken").map(str::to_owned),
    })?;
    let events: Vec<Value> = page.events.iter().map(found).collect();
    Ok(with_token(json!({"events": events, "searchedLogStreams": []}), page.next))
}

/// The group that a request refers to, by its name or its ARN.
fn group(input: Input<'_>) -> Result<String, ApiError> {
    match (input.text("logGroupName"), input.text("logGroupIdentifier")) {
        (Some(name), None) => Ok(name.to_owned()),
        (None, Some(identifier)) => Ok(group_name(identifier).to_owned()),
        (Some(_), Some(_)) => {
            Err(invalid("LogGroup name and LogGroup identifier are mutually exclusive parameters."))
        }
        (None, None) => Err(invalid("Either LogGroup name or LogGroup identifier must be given.")),
    }
}

/// The name in `arn:aws:logs:us-east-1:000000000000:log-group:NAME`, or the text itself if it is a plain name.
fn group_name(identifier: &str) -> &str {
    identifier.split_once(":log-group:").map_or(identifier, |(_, name)| name)
}

fn described_group(control: &Control, caller: &Caller, group: &Group) -> Value {
    let arn = control.logs_arn(caller, &group.name);
    let mut described = json!({
        "logGroupName": group.name,
        "creationTime": group.created_ms,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "storedBytes": group.stored_bytes,
        "logGroupClass": "STANDARD",
    });
    if let Some(days) = group.retention_days {
        described["retentionInDays"] = json!(days);
    }
    described
}

fn described_stream(arn_of_group: &str, described: &DescribedStream) -> Value {
    let stream = &described.stream;
    let mut answer = json!({
        "logStreamName": stream.name,
        "creationTime": stream.created_ms,
        "arn": format!("{arn_of_group}:log-stream:{}", stream.name),
        // AWS gives 0 for every stream.
        "storedBytes": 0,
    });
    if let (Some(first_ms), Some(last_ms)) = (described.first_ms, described.last_ms) {
        answer["firstEventTimestamp"] = json!(first_ms);
        answer["lastEventTimestamp"] = json!(last_ms);
        answer["lastIngestionTime"] = json!(last_ms);
    }
    answer
}

fn found(event: &Found) -> Value {
    json!({
        "logStreamName": event.stream,
        "timestamp": event.line.at_ms,
        "message": event.line.text,
        "ingestionTime": event.line.at_ms,
        "eventId": event.id(),
    })
}

fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(token) = next {
        answer["nextToken"] = json!(token);
    }
    answer
}

/// Returns the limit of a request, whose bounds the table has checked.
fn limit(input: Input<'_>, default: i64) -> usize {
    usize::try_from(input.number("limit").unwrap_or(default)).unwrap_or(1)
}

fn is_true(input: Input<'_>, name: &str) -> bool {
    input.get(name).is_some_and(|value| value == true)
}

pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

impl Control {
    /// `arn:aws:logs:us-east-1:000000000000:log-group:NAME`.
    fn logs_arn(&self, caller: &Caller, group: &str) -> String {
        format!("arn:{}:logs:{}:{}:log-group:{group}", caller.partition(), caller.region, self.account)
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Store(error) => error.into(),
            LogError::File { .. } => {
                tracing::error!(%error, "a log cannot be read");
                Self::internal(error.to_string())
            }
            LogError::NoGroup | LogError::NoStream => {
                Self::new("ResourceNotFoundException", error.to_string())
            }
            LogError::Exists(_) => Self::new("ResourceAlreadyExistsException", error.to_string()),
            LogError::Token | LogError::Foreign(_) => invalid(error.to_string()),
        }
    }
}
