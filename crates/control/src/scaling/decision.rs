//! Whether a variant is to have another number of instances.

use std::time::Duration;

use super::activities::History;
use super::policy::TargetTracking;

/// Below this part of the target there is too little to do.
const LOW: f64 = 0.9;

/// How time passes for policies.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks at everything.
    pub look: Duration,
    /// The length of a metric's period, in seconds.
    pub period_seconds: i64,
    /// How long after a period's end its points are there.
    pub lag_ms: i64,
    /// Periods in a row above the target until there are more instances.
    pub high_periods: usize,
    /// Periods in a row below nine tenths of the target until there are fewer.
    pub low_periods: usize,
    /// After a change that came to nothing, until the next try.
    pub retry_ms: i64,
}

/// A period's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// When the period begins, in milliseconds since 1970.
    pub start_ms: i64,
    /// The statistic.
    pub value: f64,
}

/// A variant, as a policy sees it.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// Instances that it is to have now.
    pub instances: u32,
    /// The fewest that it may have.
    pub least: u32,
    /// The most.
    pub most: u32,
    /// Whether it may have more.
    pub may_out: bool,
    /// Whether it may have fewer.
    pub may_in: bool,
    /// Periods that have points, in order.
    pub measured: &'a [Measured],
    /// When the last period that could have points ended.
    pub measured_to_ms: i64,
    /// The last changes.
    pub history: History,
    /// Now.
    pub now_ms: i64,
}

/// What a policy wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// As many instances as there are.
    Stay,
    /// More: so many.
    Out(u32),
    /// Fewer: so many.
    In(u32),
}

impl Default for Pace {
    /// That of Application Auto Scaling.
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

/// What one policy wants.
///
/// A period without points says nothing: where nobody sends requests, nothing is scaled in. What was measured before the last change
/// says nothing about the instances that there are now.
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
        // What would have been enough for the busiest of these periods.
        let busiest = lately.iter().map(|period| period.value).fold(f64::MIN, f64::max);
        let wanted = needed(busiest).max(*least);
        let may = situation.may_in && is_over(history.in_ms, policy.in_cooldown_ms);
        return if may && wanted < *instances { Decision::In(wanted) } else { Decision::Stay };
    }
    Decision::Stay
}

/// What all policies of a variant want together: as many instances as the one that wants most, and fewer only where each that may scale
/// in wants fewer. With each decision comes whether its policy may.
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

/// The number of instances within the bounds; none where it is already.
pub fn within(instances: u32, least: u32, most: u32) -> Option<u32> {
    let wanted = instances.min(most).max(least);
    (wanted != instances).then_some(wanted)
}

/// The last so many periods before a time, where each has points.
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

/// What a policy's metric must stay below for instances to be taken away.
pub(super) fn low(policy: &TargetTracking) -> f64 {
    LOW * policy.target
}

fn all(periods: &[Measured], is: impl Fn(f64) -> bool) -> bool {
    periods.iter().all(|period| is(period.value))
}
