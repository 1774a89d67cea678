//! The loop that measures, decides and requests instances from endpoints.

use std::sync::Arc;

use tokio::sync::watch;

use super::activities::{Activity, Cause, History, NewActivity, Outcome};
use super::decision::{Decision, Measured, Pace, Situation, combine, decide, within};
use super::policies::{ListedPolicy, MOST_POLICIES, Policy};
use super::policy::TargetTracking;
use super::store::{Query, Scaling, Target};
use crate::hosting::{Endpoint, EndpointStatus, Endpoints, HostingError, Variant, Wish};
use crate::metrics::{Direction, Metrics, Range};
use crate::store::{StoreError, now_ms};
use crate::wire::request_id;

/// Changes older than this are irrelevant: no cool-down is longer.
const HISTORY_MS: i64 = 42 * 86_400_000;

/// Scales all registered variants.
#[derive(Debug)]
pub struct Scaler {
    /// Targets and policies.
    pub scaling: Scaling,
    /// The endpoints.
    pub endpoints: Endpoints,
    /// The measured metrics.
    pub metrics: Metrics,
    /// The time settings.
    pub pace: Pace,
}

/// A wanted change, and its reason.
struct Change {
    cause: Cause,
    wanted: u32,
    text: String,
}

impl Scaler {
    /// Scales until `stop` counts 1.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<u32>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.pace.look) => {}
                _ = stop.wait_for(|&count| count > 0) => return,
            }
            let scaler = Arc::clone(&self);
            // The panic hook has reported a panic.
            let _ = tokio::task::spawn_blocking(move || scaler.look(now_ms())).await;
        }
    }

    /// Checks all targets once. Failures are logged, and retried in the next check.
    pub fn look(&self, now_ms: i64) {
        let targets = self.scaling.all().unwrap_or_else(|error| {
            tracing::error!(%error, "scalable targets cannot be read");
            Vec::new()
        });
        for target in targets {
            if let Err(error) = self.look_at(&target, now_ms) {
                tracing::error!(%error, variant = %target.id, "a variant cannot be scaled");
            }
        }
    }

    fn look_at(&self, target: &Target, now_ms: i64) -> Result<(), HostingError> {
        let endpoint = self.endpoints.named(&target.region, &target.id.endpoint)?;
        let Some(endpoint) = endpoint.filter(|endpoint| endpoint.state.status != EndpointStatus::Deleting)
        else {
            self.scaling.forget_endpoint(&target.region, &target.id.endpoint)?;
            return Ok(());
        };
        if endpoint.state.status != EndpointStatus::InService {
            return Ok(());
        }
        let serving = endpoint.state.serving.as_ref();
        let Some(variant) = serving.and_then(|serving| serving.variant(&target.id.variant)) else {
            return Ok(());
        };
        if let Some(activity) = self.scaling.at_work(&target.region, &target.id)? {
            self.conclude(&endpoint, variant, &activity, now_ms)?;
        }
        let history = self.scaling.history(&target.region, &target.id, now_ms - HISTORY_MS)?;
        if history.failed_ms.is_some_and(|failed_ms| now_ms - failed_ms < self.pace.retry_ms) {
            return Ok(());
        }
        match self.change(target, variant.desired_instances, history, now_ms)? {
            Some(change) => self.begin(&endpoint, target, change, now_ms),
            None => Ok(()),
        }
    }

    /// Ends a change when the endpoint is in service again.
    fn conclude(
        &self,
        endpoint: &Endpoint,
        variant: &Variant,
        activity: &Activity,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let wanted = activity.wanted;
        let (outcome, message) = if variant.desired_instances == wanted {
            let message = format!(
                "Successfully set desired instance count to {wanted}. Change successfully fulfilled by sagemaker."
            );
            (Outcome::Successful, message)
        } else if let Some(reason) = &endpoint.state.failure_reason {
            (Outcome::Failed, format!("Failed to set desired instance count to {wanted}. Reason: {reason}"))
        } else {
            let found = variant.desired_instances;
            (Outcome::Overridden, format!("The desired instance count is {found}, and not {wanted}."))
        };
        self.scaling.end(&activity.activity, outcome, &message, now_ms)
    }

    /// The change to make, if any.
    fn change(
        &self,
        target: &Target,
        instances: u32,
        history: History,
        now_ms: i64,
    ) -> Result<Option<Change>, StoreError> {
        if let Some(wanted) = within(instances, target.least, target.most) {
            let (bound, value) =
                if wanted > instances { ("minimum", target.least) } else { ("maximum", target.most) };
            let text = format!("{bound} capacity was set to {value}");
            return Ok(Some(Change { cause: Cause::Bounds, wanted, text }));
        }
        let query = Query {
            region: target.region.clone(),
            ids: Some(vec![target.id.clone()]),
            limit: MOST_POLICIES,
            ..Query::default()
        };
        let mut decided: Vec<(Decision, bool)> = Vec::new();
        let mut policies = Vec::new();
        for policy in self.scaling.policies(&query)?.0 {
            // It was parsed when it was put.
            let Ok(rule) = TargetTracking::parse(&policy.policy.config, &target.id) else { continue };
            let (measured, measured_to_ms) = self.measure(&target.region, &rule, now_ms)?;
            let situation = Situation {
                instances,
                least: target.least,
                most: target.most,
                may_out: !target.suspended.dynamic_scaling_out_suspended,
                may_in: !target.suspended.dynamic_scaling_in_suspended,
                measured: &measured,
                measured_to_ms,
                history,
                now_ms,
            };
            decided.push((decide(&rule, &situation, &self.pace), rule.scales_in));
            policies.push(policy);
        }
        let all = combine(&decided);
        let (cause, wanted) = match all {
            Decision::Stay => return Ok(None),
            Decision::Out(wanted) => (Cause::Out, wanted),
            Decision::In(wanted) => (Cause::In, wanted),
        };
        let named = decided.iter().zip(&policies).find(|((decision, _), _)| *decision == all);
        Ok(named.map(|(_, policy)| Change { cause, wanted, text: triggered(policy, cause) }))
    }

    /// The relevant periods for a policy, and the end of the last one.
    pub(super) fn measure(
        &self,
        region: &str,
        rule: &TargetTracking,
        now_ms: i64,
    ) -> Result<(Vec<Measured>, i64), StoreError> {
        let Pace { period_seconds, lag_ms, high_periods, low_periods, .. } = self.pace;
        let period_ms = period_seconds * 1000;
        let end_ms = (now_ms - lag_ms).div_euclid(period_ms) * period_ms;
        let periods = high_periods.max(low_periods);
        let reach_ms = period_ms.saturating_mul(i64::try_from(periods).unwrap_or(i64::MAX));
        let range = Range { start_ms: end_ms.saturating_sub(reach_ms), end_ms, period_ms };
        let series = self.metrics.series(region, &rule.metric)?.into_iter();
        let series = series.filter(|(_, unit)| rule.unit.as_ref().is_none_or(|wanted| wanted == unit));
        let series: Vec<i64> = series.map(|(place, _)| place).collect();
        let buckets = self.metrics.buckets(&series, range, Direction::Ascending, periods)?;
        let measured = buckets.iter().filter_map(|bucket| {
            Some(Measured { start_ms: bucket.start_ms, value: rule.statistic.of(bucket)? })
        });
        Ok((measured.collect(), end_ms))
    }

    fn begin(
        &self,
        endpoint: &Endpoint,
        target: &Target,
        change: Change,
        now_ms: i64,
    ) -> Result<(), HostingError> {
        let Change { cause, wanted, text } = change;
        let activity = request_id();
        tracing::info!(variant = %target.id, instances = wanted, cause = text, "scaling");
        self.scaling.begin(&NewActivity {
            activity: activity.clone(),
            region: &target.region,
            id: &target.id,
            cause,
            text,
            wanted,
            started_ms: now_ms,
        })?;
        let wish = Wish { variant: target.id.variant.clone(), weight: None, instances: Some(wanted) };
        match self.endpoints.reweigh(&endpoint.arn, &[wish]) {
            Ok(()) => Ok(()),
            Err(HostingError::Store(error)) => Err(error.into()),
            // Another request was faster; the next check sees its result.
            Err(HostingError::InProgress(_)) => Ok(self.scaling.withdraw(&activity)?),
            Err(error) => {
                let message = format!("Failed to set desired instance count to {wanted}. Reason: {error}");
                Ok(self.scaling.end(&activity, Outcome::Failed, &message, now_ms)?)
            }
        }
    }
}

fn triggered(policy: &ListedPolicy, cause: Cause) -> String {
    let Policy { alarm_high, alarm_low, name, .. } = &policy.policy;
    let alarm = if cause == Cause::In { alarm_low } else { alarm_high };
    format!("monitor alarm {alarm} in state ALARM triggered policy {name}")
}
