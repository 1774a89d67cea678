//! The decision whether a variant should have another number of instances.

use std::time::Duration;

use super::activities::History;
use super::policy::TargetTracking;

/// The share of the target below which instances are removed.
const LOW: f64 = 0.9;

/// The time settings of policies.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time between two checks of all targets.
    pub look: Duration,
    /// The length of a metric's period, in seconds.
    pub period_seconds: i64,
    /// The delay between a period's end and the availability of its points.
    pub lag_ms: i64,
    /// Consecutive periods above the target before instances are added.
    pub high_periods: usize,
    /// Consecutive periods below nine tenths of the target before instances are removed.
    pub low_periods: usize,
    /// Time after a failed change until the next attempt.
    pub retry_ms: i64,
}

/// A period's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Beginning of the period, in milliseconds since 1970.
    pub start_ms: i64,
    /// The statistic.
    pub value: f64,
}

/// The situation of a variant, for the decision of a policy.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The present target number of instances.
    pub instances: u32,
    /// The minimum number of instances.
    pub least: u32,
    /// The maximum number of instances.
    pub most: u32,
    /// Whether instances may be added.
    pub may_out: bool,
    /// Whether instances may be removed.
    pub may_in: bool,
    /// Periods that have points, in order.
    pub measured: &'a [Measured],
    /// End of the last period that could have points.
    pub measured_to_ms: i64,
    /// The last changes.
    pub history: History,
    /// The current time.
    pub now_ms: i64,
}

/// The decision of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No change.
    Stay,
    /// More instances: this number.
    Out(u32),
    /// Fewer instances: this number.
    In(u32),
}

impl Default for Pace {
    /// The times of Application Auto Scaling.
    fn default() -> Self {
        Self {
            look: Duration::from_secs(5),
            period_seconds: 60,
            lag_ms: 10_000,
            high_periods: 3,
            low_periods: 15,
            retry_ms: 60_000,
        }
    }
}

/// The decision of one policy.
///
/// Periods without points are ignored: without requests, nothing is scaled in. Measurements from before the last change do not apply to the
/// present instances.
pub fn decide(policy: &TargetTracking, situation: &Situation<'_>, pace: &Pace) -> Decision {
    let Situation { instances, least, most, history, now_ms, .. } = situation;
    let Some(last) = situation.measured.last() else { return Decision::Stay };
    if history.changed_ms.is_some_and(|changed_ms| last.start_ms < changed_ms) {
        return Decision::Stay;
    }
    let is_over = |changed_ms: Option<i64>, wait_ms: i64| {
        changed_ms.is_none_or(|at| now_ms.saturating_sub(at) >= wait_ms)
    };
    let needed = |value: f64| (f64::from(*instances) * value / policy.target - 1e-9).ceil() as u32;
    let lately = |periods: usize| lately(situation.measured, situation.measured_to_ms, periods, pace);
    if lately(pace.high_periods).is_some_and(|lately| all(lately, |value| value > policy.target)) {
        let wanted = needed(last.value).min(*most);
        let may = situation.may_out && is_over(history.out_ms, policy.out_cooldown_ms);
        return if may && wanted > *instances { Decision::Out(wanted) } else { Decision::Stay };
    }
    let Some(lately) = lately(pace.low_periods) else { return Decision::Stay };
    if policy.scales_in && all(lately, |value| value < low(policy)) {
        // The number that would have been enough for the busiest of these periods.
        let busiest = lately.iter().map(|period| period.value).fold(f64::MIN, f64::max);
        let wanted = needed(busiest).max(*least);
        let may = situation.may_in && is_over(history.in_ms, policy.in_cooldown_ms);
        return if may && wanted < *instances { Decision::In(wanted) } else { Decision::Stay };
    }
    Decision::Stay
}

/// The combined decision of all policies of a variant: the largest number that any wants, and fewer instances only if each policy that may
/// scale in wants fewer. Each decision comes with whether its policy may scale in.
pub fn combine(decisions: &[(Decision, bool)]) -> Decision {
    let out = decisions.iter().filter_map(|(decision, _)| match decision {
        Decision::Out(wanted) => Some(*wanted),
        _ => None,
    });
    if let Some(wanted) = out.max() {
        return Decision::Out(wanted);
    }
    let mut fewer = None;
    for (decision, _) in decisions.iter().filter(|(_, scales_in)| *scales_in) {
        match decision {
            Decision::In(wanted) => fewer = fewer.max(Some(*wanted)),
            _ => return Decision::Stay,
        }
    }
    fewer.map_or(Decision::Stay, Decision::In)
}

/// The number of instances within the bounds; `None` if it already is.
pub fn within(instances: u32, least: u32, most: u32) -> Option<u32> {
    let wanted = instances.min(most).max(least);
    (wanted != instances).then_some(wanted)
}

/// The last so many periods before a time, if all have points.
pub(super) fn lately<'a>(
    measured: &'a [Measured],
    measured_to_ms: i64,
    periods: usize,
    pace: &Pace,
) -> Option<&'a [Measured]> {
    let lately = &measured[measured.len().checked_sub(periods)?..];
    let reach_ms = i64::try_from(periods).ok()?.saturating_mul(pace.period_seconds * 1000);
    lately.first().filter(|first| first.start_ms >= measured_to_ms.saturating_sub(reach_ms))?;
    Some(lately)
}

/// The limit below which a policy's metric must stay for instances to be removed.
pub(super) fn low(policy: &TargetTracking) -> f64 {
    LOW * policy.target
}

fn all(periods: &[Measured], is: impl Fn(f64) -> bool) -> bool {
    periods.iter().all(|period| is(period.value))
}
