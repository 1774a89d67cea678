//! DescribeAlarms: the alarms of automatic scaling policies. There are no other alarms.

use serde_json::{Value, json};

use super::input::Input;
use super::lists::seconds;
use super::{Answer, Caller, Control, scaling};
use crate::scaling::{Alarm, AlarmState, Pace, Query};
use crate::tokens;
use crate::wire::ApiError;

/// The default number of alarms per page.
const DEFAULT_PAGE: i64 = 50;

pub(super) fn describe(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let limit = usize::try_from(input.number("MaxRecords").unwrap_or(DEFAULT_PAGE)).unwrap_or(1);
    let mut after = input.text("NextToken").map(place).transpose()?;
    let mut found: Vec<Value> = Vec::new();
    let mut next = None;
    let types = input.list("AlarmTypes");
    if types.is_empty() || types.contains(&json!("MetricAlarm")) {
        // The alarms of one policy stay on one page, so a page may hold one alarm more than the limit.
        while found.len() < limit {
            let query = Query { region: caller.region.clone(), limit: 1, after, ..Query::default() };
            let (alarms, more) = control.scaler(Pace::default()).alarms(&query)?;
            let wanted = alarms.iter().filter(|alarm| is_wanted(input, alarm));
            found.extend(wanted.map(|alarm| described(control, caller, alarm)));
            (after, next) = (more, more);
            if more.is_none() {
                break;
            }
        }
    }
    let mut answer = json!({"MetricAlarms": found, "CompositeAlarms": []});
    if let Some(place) = next {
        answer["NextToken"] = json!(tokens::write(&["alarm", &place.to_string()]));
    }
    Ok(answer)
}

fn place(token: &str) -> Result<i64, ApiError> {
    let place = tokens::read(token).and_then(|[kind, place]| place.parse().ok().filter(|_| kind == "alarm"));
    let message = "The token in the request is invalid: take NextToken of the page before";
    place.ok_or_else(|| ApiError::new("InvalidNextToken", message))
}

fn is_wanted(input: Input<'_>, alarm: &Alarm) -> bool {
    let names = input.list("AlarmNames");
    let begins = |member: &str, text: &str| input.text(member).is_none_or(|prefix| text.starts_with(prefix));
    (names.is_empty() || names.contains(&json!(alarm.name)))
        && begins("AlarmNamePrefix", &alarm.name)
        && begins("ActionPrefix", &alarm.policy_arn)
        && input.text("StateValue").is_none_or(|state| state == alarm.state.as_str())
}

fn described(control: &Control, caller: &Caller, alarm: &Alarm) -> Value {
    let dimensions = alarm.rule.metric.dimensions.iter();
    let dimensions: Vec<Value> =
        dimensions.map(|(name, value)| json!({"Name": name, "Value": value})).collect();
    let comparison = if alarm.is_high { "GreaterThanThreshold" } else { "LessThanThreshold" };
    let reason = match alarm.state {
        AlarmState::Insufficient => "Insufficient Data: periods without points say nothing".to_owned(),
        AlarmState::Ok => "Threshold not crossed".to_owned(),
        AlarmState::Alarm => {
            format!("Threshold crossed: the last {} datapoints crossed the threshold", alarm.periods)
        }
    };
    let mut described = json!({
        "AlarmName": alarm.name,
        "AlarmArn": scaling::alarm_arn(control, caller, &alarm.name),
        "AlarmDescription": format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {}.", alarm.policy_arn),
        "AlarmConfigurationUpdatedTimestamp": seconds(alarm.created_ms),
        "ActionsEnabled": true,
        "OKActions": [],
        "AlarmActions": [alarm.policy_arn],
        "InsufficientDataActions": [],
        "StateValue": alarm.state.as_str(),
        "StateReason": reason,
        "StateUpdatedTimestamp": seconds(alarm.created_ms.max(alarm.measured_to_ms)),
        "MetricName": alarm.rule.metric.name,
        "Namespace": alarm.rule.metric.namespace,
        "Statistic": alarm.rule.statistic.name(),
        "Dimensions": dimensions,
        "Period": alarm.period_seconds,
        "EvaluationPeriods": alarm.periods,
        "Threshold": alarm.threshold,
        "ComparisonOperator": comparison,
    });
    if let Some(unit) = &alarm.rule.unit {
        described["Unit"] = json!(unit);
    }
    described
}
