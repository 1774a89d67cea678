//! RegisterScalableTarget, PutScalingPolicy and the operations on existing targets and policies.

use serde_json::{Value, json};

use super::input::Input;
use super::lists::seconds;
use super::{Answer, Caller, Control, scaling_tags};
use crate::scaling::{
    Activity, ListedPolicy, Policy, Query, ScalingError, Target, TargetTracking, Targeted, VariantId,
};
use crate::tokens;
use crate::wire::{ApiError, request_id};

const NAMESPACE: &str = "sagemaker";
const DIMENSION: &str = "sagemaker:variant:DesiredInstanceCount";
/// The role that AWS creates for endpoints.
const ROLE: &str = "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/\
                    AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint";
/// The largest and the default number of rows per page.
const MOST_ROWS: i64 = 50;

pub(super) fn register(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let id = variant_id(input)?;
    let (least, most) =
        (capacity(input, "MinCapacity", "Minimum")?, capacity(input, "MaxCapacity", "Maximum")?);
    let endpoint = control.endpoints.named(&caller.region, &id.endpoint)?;
    let deployments = endpoint.as_ref().map(|endpoint| [&endpoint.state.serving, &endpoint.state.pending]);
    let mut deployments = deployments.into_iter().flatten().flatten();
    let Some((endpoint, variant)) =
        endpoint.as_ref().zip(deployments.find_map(|deployment| deployment.variant(&id.variant)))
    else {
        return Err(ApiError::validation(format!(
            "No variant found for service namespace: {NAMESPACE}, resource ID: {id}, scalable dimension: {DIMENSION}"
        )));
    };
    if is_burstable(&variant.instance_type) {
        return Err(ApiError::validation(format!(
            "Automatic scaling is not supported for burstable instances: variant {} has the instance type {}",
            id.variant, variant.instance_type
        )));
    }
    let tags = scaling_tags::read(input)?;
    let partition = caller.partition();
    let registered = control.scaling.register(&Targeted {
        arn: format!(
            "arn:{partition}:application-autoscaling:{}:{}:scalable-target/{}",
            caller.region,
            control.account,
            request_id().replace('-', "")
        ),
        region: caller.region.clone(),
        id: VariantId { endpoint: endpoint.name.clone(), ..id },
        least,
        most,
        // As on AWS, the service's own role is used, whatever role the request names.
        role_arn: format!("arn:{partition}:iam::{}:{ROLE}", control.account),
        suspended: input.get("SuspendedState").cloned(),
        tags,
    })?;
    Ok(json!({"ScalableTargetARN": registered}))
}

pub(super) fn deregister(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    control.scaling.deregister(&caller.region, &variant_id(input)?)?;
    Ok(json!({}))
}

pub(super) fn describe_targets(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let ids = input.get("ResourceIds").map(|_| input.list("ResourceIds").iter().filter_map(Value::as_str));
    let Some(query) = query(caller, input, ids)? else { return Ok(json!({"ScalableTargets": []})) };
    let (targets, next) = control.scaling.targets(&query)?;
    Ok(page("ScalableTargets", targets.iter().map(described_target).collect(), next))
}

pub(super) fn put_policy(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let id = variant_id(input)?;
    let kind = input.text("PolicyType").unwrap_or("StepScaling");
    if kind != "TargetTrackingScaling" {
        return Err(ApiError::validation(format!(
            "Policies of type {kind} are not offered on your own machine: put one with PolicyType TargetTrackingScaling"
        )));
    }
    for other in ["StepScalingPolicyConfiguration", "PredictiveScalingPolicyConfiguration"] {
        if input.get(other).is_some() {
            return Err(ApiError::validation(format!("{other} does not fit the policy type {kind}")));
        }
    }
    let Some(config) = input.get("TargetTrackingScalingPolicyConfiguration") else {
        return Err(ApiError::validation(
            "TargetTrackingScalingPolicyConfiguration must be specified for policies of type TargetTrackingScaling",
        ));
    };
    TargetTracking::parse(config, &id).map_err(ApiError::validation)?;
    let name = input.required("PolicyName");
    let (partition, account, region) = (caller.partition(), &control.account, &caller.region);
    let alarm = |which: &str| format!("TargetTracking-{id}-Alarm{which}-{}", request_id());
    let put = control.scaling.put_policy(
        region,
        &id,
        Policy {
            arn: format!(
                "arn:{partition}:autoscaling:{region}:{account}:scalingPolicy:{}:resource/{NAMESPACE}/{id}:policyName/{name}",
                request_id()
            ),
            name: name.to_owned(),
            config: config.clone(),
            alarm_high: alarm("High"),
            alarm_low: alarm("Low"),
        },
    )?;
    Ok(json!({"PolicyARN": put.arn, "Alarms": alarms(control, caller, &put)}))
}

pub(super) fn delete_policy(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    control.scaling.delete_policy(&caller.region, &variant_id(input)?, input.required("PolicyName"))?;
    Ok(json!({}))
}

pub(super) fn describe_policies(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let Some(mut query) = query(caller, input, input.text("ResourceId").map(|id| [id].into_iter()))? else {
        return Ok(json!({"ScalingPolicies": []}));
    };
    let names = input.get("PolicyNames").map(|_| input.list("PolicyNames"));
    query.names = names.map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    let (policies, next) = control.scaling.policies(&query)?;
    let described = policies.iter().map(|policy| described_policy(control, caller, policy)).collect();
    Ok(page("ScalingPolicies", described, next))
}

pub(super) fn describe_activities(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    let Some(query) = query(caller, input, input.text("ResourceId").map(|id| [id].into_iter()))? else {
        return Ok(json!({"ScalingActivities": []}));
    };
    let (activities, next) = control.scaling.activities(&query)?;
    Ok(page("ScalingActivities", activities.iter().map(described_activity).collect(), next))
}

/// The variant that a request refers to.
fn variant_id(input: Input<'_>) -> Result<VariantId, ApiError> {
    let (namespace, dimension) = (input.required("ServiceNamespace"), input.required("ScalableDimension"));
    let resource = input.required("ResourceId");
    if namespace != NAMESPACE || dimension != DIMENSION {
        return Err(ApiError::validation(format!(
            "Service namespace {namespace} with scalable dimension {dimension} is not offered on your own machine; {NAMESPACE} \
             with {DIMENSION} is"
        )));
    }
    VariantId::parse(resource).ok_or_else(|| {
        let shown: String = resource.chars().take(300).collect();
        ApiError::validation(format!(
            "Unsupported service namespace, resource type or scalable dimension: {NAMESPACE} has no resource \"{shown}\"; a variant \
             is endpoint/<endpoint>/variant/<variant>"
        ))
    })
}

/// `ml.t2.medium`, but not `ml.trn1.2xlarge`.
fn is_burstable(instance_type: &str) -> bool {
    let rest = instance_type.strip_prefix("ml.t");
    rest.is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
}

fn capacity(input: Input<'_>, member: &str, noun: &str) -> Result<Option<u32>, ApiError> {
    let Some(capacity) = input.number(member) else { return Ok(None) };
    if capacity < 1 {
        return Err(ApiError::validation(format!("{noun} capacity must be at least 1 for {DIMENSION}")));
    }
    Ok(Some(u32::try_from(capacity).unwrap_or(u32::MAX)))
}

/// Reads the query of a list. None if the list must be empty, because no such resources exist here.
fn query<'a>(
    caller: &Caller,
    input: Input<'_>,
    ids: Option<impl Iterator<Item = &'a str>>,
) -> Result<Option<Query>, ApiError> {
    let limit = input.number("MaxResults").unwrap_or(MOST_ROWS);
    if !(1..=MOST_ROWS).contains(&limit) {
        return Err(ApiError::validation(format!(
            "MaxResults must be between 1 and {MOST_ROWS}, and is {limit}"
        )));
    }
    let after = input.text("NextToken").map(|token| {
        let place =
            tokens::read(token).and_then(|[kind, place]| place.parse().ok().filter(|_| kind == "scaling"));
        let message = "The token in the request is invalid: take NextToken of the page before";
        place.ok_or_else(|| ApiError::new("InvalidNextTokenException", message))
    });
    let query = Query {
        region: caller.region.clone(),
        ids: ids.map(|ids| ids.filter_map(VariantId::parse).collect()),
        names: None,
        limit: usize::try_from(limit).unwrap_or(1),
        after: after.transpose()?,
    };
    let is_ours = input.required("ServiceNamespace") == NAMESPACE
        && input.text("ScalableDimension").is_none_or(|dimension| dimension == DIMENSION);
    Ok(is_ours.then_some(query))
}

fn page(name: &str, rows: Vec<Value>, next: Option<i64>) -> Value {
    let mut answer = json!({name: rows});
    if let Some(place) = next {
        answer["NextToken"] = json!(tokens::write(&["scaling", &place.to_string()]));
    }
    answer
}

fn described_target(target: &Target) -> Value {
    json!({
        "ServiceNamespace": NAMESPACE,
        "ResourceId": target.id.to_string(),
        "ScalableDimension": DIMENSION,
        "MinCapacity": target.least,
        "MaxCapacity": target.most,
        "RoleARN": target.role_arn,
        "CreationTime": seconds(target.created_ms),
        "SuspendedState": target.suspended,
        "ScalableTargetARN": target.arn,
    })
}

fn described_policy(control: &Control, caller: &Caller, listed: &ListedPolicy) -> Value {
    json!({
        "PolicyARN": listed.policy.arn,
        "PolicyName": listed.policy.name,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": listed.id.to_string(),
        "ScalableDimension": DIMENSION,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": listed.policy.config,
        "Alarms": alarms(control, caller, &listed.policy),
        "CreationTime": seconds(listed.created_ms),
    })
}

/// The alarms of a policy. A policy that does not scale in has only the first.
fn alarms(control: &Control, caller: &Caller, policy: &Policy) -> Vec<Value> {
    let names = policy.alarms().into_iter();
    names.map(|name| json!({"AlarmName": name, "AlarmARN": alarm_arn(control, caller, name)})).collect()
}

/// The ARN of an alarm.
pub(super) fn alarm_arn(control: &Control, caller: &Caller, name: &str) -> String {
    format!("arn:{}:cloudwatch:{}:{}:alarm:{name}", caller.partition(), caller.region, control.account)
}

fn described_activity(activity: &Activity) -> Value {
    let mut described = json!({
        "ActivityId": activity.activity,
        "ServiceNamespace": NAMESPACE,
        "ResourceId": activity.id.to_string(),
        "ScalableDimension": DIMENSION,
        "Description": format!("Setting desired instance count to {}.", activity.wanted),
        "Cause": activity.text,
        "StartTime": seconds(activity.started_ms),
        "StatusCode": activity.status,
    });
    if let Some(ended_ms) = activity.ended_ms {
        described["EndTime"] = json!(seconds(ended_ms));
    }
    if let Some(message) = &activity.message {
        described["StatusMessage"] = json!(message);
    }
    described
}

impl From<ScalingError> for ApiError {
    fn from(error: ScalingError) -> Self {
        match error {
            ScalingError::Store(error) => error.into(),
            ScalingError::NotFound(message) => Self::new("ObjectNotFoundException", message),
            ScalingError::Refused(message) => Self::validation(message),
            ScalingError::Limit(message) => Self::new("LimitExceededException", message),
        }
    }
}
