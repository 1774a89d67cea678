//! CloudWatch's metrics.

use serde_json::{Value, json};

use super::input::Input;
use super::metric_data::{invalid, metric};
use super::{Answer, Caller, Control};
use crate::metrics::{Direction, ListQuery, Metric, Range, Statistic};
use crate::store::now_ms;
use crate::tokens;
use crate::wire::ApiError;

pub(super) use super::metric_data::put;

/// The most periods in an answer of `GetMetricStatistics`.
const MOST_DATAPOINTS: i64 = 1440;
/// The most periods on a page of `GetMetricData`.
const MOST_DATAPOINTS_OF_PAGE: usize = 100_800;
/// The most queries in a call of `GetMetricData`.
const MOST_QUERIES: usize = 500;
/// The number of metrics per page of `ListMetrics`.
const PAGE: usize = 500;
/// The period that `RecentlyActive` means by `PT3H`.
const RECENT_MS: i64 = 3 * 3_600_000;

pub(super) fn get_statistics(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let names = |member: &str| input.list(member).iter().filter_map(Value::as_str);
    let (plain, extended) = (input.get("Statistics"), input.get("ExtendedStatistics"));
    if plain.is_some() == extended.is_some() {
        let message = "You must specify either Statistics or ExtendedStatistics, but not both.";
        return Err(ApiError::new("InvalidParameterCombinationException", message));
    }
    let mut statistics = Vec::new();
    for name in names("Statistics").chain(names("ExtendedStatistics")) {
        let statistic = Statistic::parse(name).map_err(|error| invalid(error.to_string()))?;
        if extended.is_some() != matches!(statistic, Statistic::Percentile(_)) {
            return Err(invalid(format!(
                "The value {name} for parameter ExtendedStatistics is not supported."
            )));
        }
        statistics.push((name, statistic));
    }
    let range = range(input, input.number("Period").unwrap_or(60))?;
    if range.periods() > MOST_DATAPOINTS {
        let message = format!(
            "You have requested up to {} datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by \
             increasing Period, or decreasing the time range.",
            range.periods()
        );
        return Err(ApiError::new("InvalidParameterCombinationException", message));
    }
    let metric = metric(input);
    let mut datapoints = Vec::new();
    for (series, unit) in control.metrics.series(&caller.region, &metric)? {
        if input.text("Unit").is_some_and(|wanted| wanted != unit) {
            continue;
        }
        for bucket in control.metrics.buckets(&[series], range, Direction::Ascending, usize::MAX)? {
            let mut datapoint = json!({"Timestamp": seconds(bucket.start_ms), "Unit": unit});
            let mut percentiles = json!({});
            for (name, statistic) in &statistics {
                let Some(value) = statistic.of(&bucket) else { continue };
                let place = if extended.is_some() { &mut percentiles } else { &mut datapoint };
                place[*name] = json!(value);
            }
            if extended.is_some() {
                // Percentiles of statistic sets are unknown.
                if percentiles == json!({}) {
                    continue;
                }
                datapoint["ExtendedStatistics"] = percentiles;
            }
            datapoints.push(datapoint);
        }
    }
    Ok(json!({"Label": metric.name, "Datapoints": datapoints}))
}

/// A query of `GetMetricData`.
struct Query<'a> {
    id: &'a str,
    label: String,
    metric: Metric,
    unit: Option<&'a str>,
    range: Range,
    statistic: Statistic,
}

pub(super) fn get_data(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let direction = match input.text("ScanBy") {
        Some("TimestampAscending") => Direction::Ascending,
        _ => Direction::Descending,
    };
    let most = input.number("MaxDatapoints").and_then(|most| usize::try_from(most).ok());
    let mut left = most.filter(|&most| most > 0).unwrap_or(usize::MAX).min(MOST_DATAPOINTS_OF_PAGE);
    let queries = queries(input)?;
    let (first, mut after) = match input.text("NextToken") {
        Some(token) => read_token(token)
            .ok_or_else(|| ApiError::new("InvalidNextToken", "The next token specified is invalid."))?,
        None => (0, None),
    };
    let mut results = Vec::new();
    let mut next = None;
    for (number, query) in queries.iter().enumerate().skip(first) {
        if left == 0 {
            next = Some(tokens::write(&[&number.to_string(), ""]));
            break;
        }
        let series = control.metrics.series(&caller.region, &query.metric)?;
        let series = series.iter().filter(|(_, unit)| query.unit.is_none_or(|wanted| wanted == unit));
        let series: Vec<i64> = series.map(|(id, _)| *id).collect();
        let range = resumed(query.range, direction, after.take());
        let mut buckets = control.metrics.buckets(&series, range, direction, left.saturating_add(1))?;
        let has_more = buckets.len() > left;
        buckets.truncate(left);
        left -= buckets.len();
        let values = buckets.iter().filter_map(|bucket| Some((bucket.start_ms, query.statistic.of(bucket)?)));
        let (times, values): (Vec<Value>, Vec<f64>) = values.map(|(ms, value)| (seconds(ms), value)).unzip();
        results.push(json!({
            "Id": query.id,
            "Label": query.label,
            "Timestamps": times,
            "Values": values,
            "StatusCode": if has_more { "PartialData" } else { "Complete" },
        }));
        if let Some(last) = buckets.last().filter(|_| has_more) {
            next = Some(tokens::write(&[&number.to_string(), &last.start_ms.to_string()]));
            break;
        }
    }
    let mut answer = json!({"MetricDataResults": results, "Messages": []});
    if let Some(token) = next {
        answer["NextToken"] = json!(token);
    }
    Ok(answer)
}

pub(super) fn list(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let after = match input.text("NextToken") {
        Some(token) => tokens::read::<1>(token)
            .and_then(|[place]| place.parse().ok())
            .ok_or_else(|| invalid("The value for parameter NextToken is invalid."))?,
        None => 0,
    };
    let filters = input.list("Dimensions").iter().filter_map(Value::as_object).map(Input);
    let query = ListQuery {
        region: caller.region.clone(),
        namespace: input.text("Namespace").map(str::to_owned),
        name: input.text("MetricName").map(str::to_owned),
        dimensions: filters
            .map(|filter| (filter.required("Name").to_owned(), filter.text("Value").map(str::to_owned)))
            .collect(),
        since_ms: input.get("RecentlyActive").map(|_| now_ms() - RECENT_MS),
        limit: PAGE,
        after,
    };
    let (metrics, last) = control.metrics.list(&query)?;
    let metrics: Vec<Value> = metrics
        .iter()
        .map(|metric| {
            let dimensions =
                metric.dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value}));
            json!({
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": dimensions.collect::<Vec<_>>(),
            })
        })
        .collect();
    let mut answer = json!({"Metrics": metrics});
    if let Some(last) = last {
        answer["NextToken"] = json!(tokens::write(&[&last.to_string()]));
    }
    Ok(answer)
}

/// Checks all queries, and returns those whose data are returned.
fn queries(input: Input<'_>) -> Result<Vec<Query<'_>>, ApiError> {
    let given: Vec<Input<'_>> =
        input.list("MetricDataQueries").iter().filter_map(Value::as_object).map(Input).collect();
    if given.len() > MOST_QUERIES {
        return Err(ApiError::validation(format!(
            "The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}."
        )));
    }
    let mut queries: Vec<Query<'_>> = Vec::new();
    for (number, query) in given.iter().enumerate() {
        let id = query.required("Id");
        if !id.starts_with(|first: char| first.is_ascii_lowercase())
            || !id.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        {
            return Err(ApiError::validation(format!(
                "The value {id} for parameter MetricDataQueries.member.{}.Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                number + 1
            )));
        }
        if given[..number].iter().any(|other| other.required("Id") == id) {
            return Err(ApiError::validation(format!(
                "The values for parameter id in MetricDataQueries are not unique: {id}."
            )));
        }
        let Some(stat) = query.structure("MetricStat").filter(|_| query.get("Expression").is_none()) else {
            return Err(ApiError::validation(format!(
                "The query {id} has no MetricStat; metric math (Expression) is not offered on your own machine"
            )));
        };
        let name = stat.required("Stat");
        let statistic = Statistic::parse(name).map_err(|error| ApiError::validation(error.to_string()))?;
        let metric = metric(stat.structure("Metric").unwrap_or(stat));
        let range = range(input, stat.number("Period").unwrap_or(60))
            .map_err(|error| ApiError::validation(error.message))?;
        // Nothing is computed from data that are not returned, so their queries are left out.
        if query.get("ReturnData").is_none_or(|returned| returned != false) {
            let label = query.text("Label").unwrap_or(&metric.name).to_owned();
            queries.push(Query { id, label, metric, unit: stat.text("Unit"), range, statistic });
        }
    }
    Ok(queries)
}

fn range(input: Input<'_>, period: i64) -> Result<Range, ApiError> {
    if !matches!(period, 1 | 5 | 10 | 20 | 30) && period % 60 != 0 {
        return Err(invalid("The parameter Period must be 1, 5, 10, 20, 30, or a multiple of 60."));
    }
    let (start, end) = (input.time_ms("StartTime").unwrap_or(0), input.time_ms("EndTime").unwrap_or(0));
    // Times outside the calendar would overflow.
    let known = 0..=253_402_300_799_999;
    if start >= end || !known.contains(&start) || !known.contains(&end) {
        return Err(invalid("The parameter StartTime must be less than the parameter EndTime."));
    }
    Ok(Range::new(start, end, period))
}

/// Returns the rest of a range after the period in a token.
fn resumed(range: Range, direction: Direction, after: Option<i64>) -> Range {
    match (after, direction) {
        (None, _) => range,
        (Some(last), Direction::Descending) => Range { end_ms: last.min(range.end_ms), ..range },
        (Some(last), Direction::Ascending) => {
            let next = last.saturating_add(range.period_ms);
            Range { start_ms: next.max(range.start_ms), ..range }
        }
    }
}

/// Reads a token: the number of a query, and the last period of it that was returned.
fn read_token(token: &str) -> Option<(usize, Option<i64>)> {
    let [number, last] = tokens::read::<2>(token)?;
    let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
    Some((number.parse().ok()?, last))
}

fn seconds(ms: i64) -> Value {
    json!(ms as f64 / 1000.0)
}
