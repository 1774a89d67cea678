//! IAM: every role exists, SageMaker may assume it, and it has all permissions.

use serde_json::{Value, json};

use super::input::Input;
use super::{Answer, Caller, Control};

/// The trust policy of every role in IAM's form: percent-encoded JSON. SDK v3 looks for SageMaker in it.
const TRUST: &str = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A\
                     %7B%22Service%22%3A%22sagemaker.amazonaws.com%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
/// 1 January 2018: roles have always existed.
const CREATED_SECONDS: i64 = 1_514_764_800;

pub(super) fn get_role(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    Ok(json!({"Role": role(control, caller, input)}))
}

pub(super) fn create_role(control: &Control, caller: &Caller, input: Input<'_>) -> Answer {
    Ok(json!({"Role": role(control, caller, input)}))
}

pub(super) fn attach_role_policy(_: &Control, _: &Caller, _: Input<'_>) -> Answer {
    Ok(Value::Null)
}

pub(super) fn list_attached_role_policies(_: &Control, caller: &Caller, _: Input<'_>) -> Answer {
    let name = "AmazonSageMakerFullAccess";
    let arn = format!("arn:{}:iam::aws:policy/{name}", caller.partition());
    Ok(json!({"AttachedPolicies": [{"PolicyName": name, "PolicyArn": arn}], "IsTruncated": false}))
}

pub(super) fn simulate_principal_policy(_: &Control, _: &Caller, input: Input<'_>) -> Answer {
    let resources: Vec<&str> = input.list("ResourceArns").iter().filter_map(Value::as_str).collect();
    let resources = if resources.is_empty() { vec!["*"] } else { resources };
    let actions = input.list("ActionNames").iter().filter_map(Value::as_str);
    let results: Vec<Value> = actions
        .flat_map(|action| resources.iter().map(move |resource| (action, *resource)))
        .map(|(action, resource)| {
            json!({"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": "allowed"})
        })
        .collect();
    Ok(json!({"EvaluationResults": results, "IsTruncated": false}))
}

fn role(control: &Control, caller: &Caller, input: Input<'_>) -> Value {
    let name = input.required("RoleName");
    json!({
        "Path": "/",
        "RoleName": name,
        "RoleId": "AROAKOKANEE0LOCAL000",
        "Arn": format!("arn:{}:iam::{}:role/{name}", caller.partition(), control.account),
        "CreateDate": CREATED_SECONDS,
        "AssumeRolePolicyDocument": TRUST,
        "MaxSessionDuration": 3600,
    })
}
