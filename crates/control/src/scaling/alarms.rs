//! Policies as CloudWatch shows them: each has an alarm that adds instances, and usually one that removes them.

use super::decision::{Measured, Pace, lately, low};
use super::policies::ListedPolicy;
use super::policy::TargetTracking;
use super::scaler::Scaler;
use super::store::Query;
use crate::store::{StoreError, now_ms};

/// The state of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlarmState {
    /// Some of the relevant periods have no points.
    Insufficient,
    /// Not all of them cross the threshold.
    Ok,
    /// All of them cross the threshold.
    Alarm,
}

/// An alarm.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// The policy that it triggers.
    pub policy_arn: String,
    /// The rule that it monitors.
    pub rule: TargetTracking,
    /// Whether it triggers above the threshold, or below.
    pub is_high: bool,
    /// The threshold.
    pub threshold: f64,
    /// How many consecutive periods must cross it.
    pub periods: usize,
    /// The length of a period.
    pub period_seconds: i64,
    /// Its state.
    pub state: AlarmState,
    /// Time when the policy was first put.
    pub created_ms: i64,
    /// End of the last relevant period.
    pub measured_to_ms: i64,
}

impl AlarmState {
    /// The name in AWS's spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insufficient => "INSUFFICIENT_DATA",
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
        }
    }
}

impl Scaler {
    /// The alarms of a page of policies, and the id of the last policy if there are more.
    ///
    /// # Errors
    /// If the database fails.
    pub fn alarms(&self, query: &Query) -> Result<(Vec<Alarm>, Option<i64>), StoreError> {
        let (policies, next) = self.scaling.policies(query)?;
        let mut alarms = Vec::new();
        for listed in policies {
            // It was parsed when it was put.
            let Ok(rule) = TargetTracking::parse(&listed.policy.config, &listed.id) else { continue };
            let (measured, measured_to_ms) = self.measure(&query.region, &rule, now_ms())?;
            alarms.push(alarm(&listed, &rule, true, (&measured, measured_to_ms), &self.pace));
            if rule.scales_in {
                alarms.push(alarm(&listed, &rule, false, (&measured, measured_to_ms), &self.pace));
            }
        }
        Ok((alarms, next))
    }
}

fn alarm(
    listed: &ListedPolicy,
    rule: &TargetTracking,
    is_high: bool,
    (measured, measured_to_ms): (&[Measured], i64),
    pace: &Pace,
) -> Alarm {
    let policy = &listed.policy;
    let (name, threshold, periods) = match is_high {
        true => (&policy.alarm_high, rule.target, pace.high_periods),
        false => (&policy.alarm_low, low(rule), pace.low_periods),
    };
    let crosses = |period: &Measured| match is_high {
        true => period.value > threshold,
        false => period.value < threshold,
    };
    let state = match lately(measured, measured_to_ms, periods, pace) {
        None => AlarmState::Insufficient,
        Some(lately) if lately.iter().all(crosses) => AlarmState::Alarm,
        Some(_) => AlarmState::Ok,
    };
    Alarm {
        name: name.clone(),
        policy_arn: policy.arn.clone(),
        rule: rule.clone(),
        is_high,
        threshold,
        periods,
        period_seconds: pace.period_seconds,
        state,
        created_ms: listed.created_ms,
        measured_to_ms,
    }
}
