//! Application Auto Scaling.

use super::*;

const RESOURCE: &str = "endpoint/Ep/variant/A";

/// Creates the endpoint `Ep` in service, whose variant `A` has one instance of this type.
fn endpoint(place: &Place, instance_type: &str) {
    hosting(place);
    configure(place, "scaled", "A", instance_type);
    place.say("CreateEndpoint", json!({"EndpointName": "Ep", "EndpointConfigName": "scaled"}));
    let id = place.control.endpoints.all().unwrap()[0];
    let generation = place.control.endpoints.get(id).unwrap().unwrap().state.pending.unwrap().generation;
    place.control.endpoints.deployed(id, generation).unwrap();
}

fn configure(place: &Place, name: &str, variant: &str, instance_type: &str) {
    let variant = json!({
        "VariantName": variant, "ModelName": "Model", "InitialInstanceCount": 1, "InstanceType": instance_type,
    });
    place.say("CreateEndpointConfig", json!({"EndpointConfigName": name, "ProductionVariants": [variant]}));
}

fn about(changes: Value) -> Value {
    let mut request = json!({
        "ServiceNamespace": "sagemaker",
        "ResourceId": RESOURCE,
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    });
    request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    request
}

fn policy(changes: Value) -> Value {
    let mut config = json!({
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    about(json!({
        "PolicyName": "P", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": config,
    }))
}

impl Place {
    #[track_caller]
    fn scale(&self, operation: &str, input: Value) -> Value {
        self.ask(Service::AutoScaling, operation, input).unwrap()
    }

    #[track_caller]
    fn check_unscaled(&self, operation: &str, input: Value, code: &str, part: &str) {
        let error = self.ask(Service::AutoScaling, operation, input).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn a_variant_is_registered_and_deregistered() {
    let place = place();
    endpoint(&place, "ml.m5.large");
    let request = about(json!({"MinCapacity": 1, "MaxCapacity": 8, "Tags": {"a": "1"}}));
    let arn = place.scale("RegisterScalableTarget", request)["ScalableTargetARN"].clone();
    let prefix = "arn:aws:application-autoscaling:us-west-2:123456789012:scalable-target/";
    assert!(arn.as_str().unwrap().starts_with(prefix), "{arn}");
    // The names are not case-sensitive, and members that are absent keep their values.
    let again = about(json!({
        "ResourceId": "endpoint/eP/variant/A", "MaxCapacity": 4, "SuspendedState": {"DynamicScalingInSuspended": true},
    }));
    assert_eq!(place.scale("RegisterScalableTarget", again)["ScalableTargetARN"], arn);
    let listed = place.scale("DescribeScalableTargets", json!({"ServiceNamespace": "sagemaker"}));
    let [ref target] = listed["ScalableTargets"].as_array().unwrap()[..] else {
        panic!("one target: {listed}")
    };
    assert_eq!((&target["MinCapacity"], &target["MaxCapacity"]), (&json!(1), &json!(4)));
    assert_eq!(target["ResourceId"], RESOURCE);
    let suspended = json!({
        "DynamicScalingInSuspended": true, "DynamicScalingOutSuspended": false, "ScheduledScalingSuspended": false,
    });
    assert_eq!(target["SuspendedState"], suspended);
    let of = |ids: Value| {
        let request = json!({"ServiceNamespace": "sagemaker", "ResourceIds": ids});
        place.scale("DescribeScalableTargets", request)["ScalableTargets"].as_array().unwrap().len()
    };
    assert_eq!((of(json!([RESOURCE])), of(json!(["endpoint/x/variant/A"])), of(json!(["x"]))), (1, 0, 0));
    let ecs = place.scale("DescribeScalableTargets", json!({"ServiceNamespace": "ecs"}));
    assert_eq!(ecs, json!({"ScalableTargets": []}));
    // Tags.
    place.scale("TagResource", json!({"ResourceARN": arn, "Tags": {"b": "2"}}));
    place.scale("UntagResource", json!({"ResourceARN": arn, "TagKeys": ["a"]}));
    let tags = place.scale("ListTagsForResource", json!({"ResourceARN": arn}));
    assert_eq!(tags, json!({"Tags": {"b": "2"}}));
    place.scale("DeregisterScalableTarget", about(json!({})));
    let gone =
        "No scalable target found for service namespace: sagemaker, resource ID: endpoint/Ep/variant/A";
    place.check_unscaled("DeregisterScalableTarget", about(json!({})), "ObjectNotFoundException", gone);
    let untagged = json!({"ResourceARN": arn});
    place.check_unscaled("ListTagsForResource", untagged, "ResourceNotFoundException", "No scalable target");
}

#[test]
fn targets_are_refused_in_the_words_of_aws() {
    let place = place();
    endpoint(&place, "ml.t2.medium");
    let check = |changes: Value, part: &str| {
        let mut request = about(json!({"MinCapacity": 1, "MaxCapacity": 8}));
        request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        place.check_unscaled("RegisterScalableTarget", request, "ValidationException", part);
    };
    check(json!({}), "burstable");
    check(json!({"MinCapacity": 0}), "Minimum capacity must be at least 1");
    check(json!({"ResourceId": "endpoint/Ep/variant/B"}), "No variant found");
    check(json!({"ResourceId": "endpoint/Other/variant/A"}), "No variant found");
    check(json!({"ResourceId": "service/a/b"}), "Unsupported service namespace, resource type");
    check(json!({"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}), "not offered");
    check(json!({"ServiceNamespace": "x"}), "serviceNamespace");

    configure(&place, "better", "A", "ml.m5.large");
    place.say("UpdateEndpoint", json!({"EndpointName": "Ep", "EndpointConfigName": "better"}));
    let id = place.control.endpoints.all().unwrap()[0];
    let generation = place.control.endpoints.get(id).unwrap().unwrap().state.pending.unwrap().generation;
    place.control.endpoints.deployed(id, generation).unwrap();
    check(json!({"MinCapacity": 9}), "Maximum capacity cannot be less than minimum capacity");
    check(json!({"MinCapacity": null}), "Both MinCapacity and MaxCapacity");
    let list = |more: Value| {
        let mut request = json!({"ServiceNamespace": "sagemaker"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let token = list(json!({"NextToken": "x"}));
    place.check_unscaled("DescribeScalableTargets", token, "InvalidNextTokenException", "token");
    let many = list(json!({"MaxResults": 51}));
    place.check_unscaled("DescribeScalingActivities", many, "ValidationException", "MaxResults");
}

#[test]
fn a_policy_is_put_changed_and_deleted() {
    let place = place();
    endpoint(&place, "ml.m5.large");
    place.check_unscaled(
        "PutScalingPolicy",
        policy(json!({})),
        "ObjectNotFoundException",
        "No scalable target",
    );
    place.scale("RegisterScalableTarget", about(json!({"MinCapacity": 1, "MaxCapacity": 8})));
    let put = place.scale("PutScalingPolicy", policy(json!({})));
    let arn = put["PolicyARN"].as_str().unwrap();
    assert!(arn.starts_with("arn:aws:autoscaling:us-west-2:123456789012:scalingPolicy:"), "{arn}");
    assert!(arn.ends_with(":resource/sagemaker/endpoint/Ep/variant/A:policyName/P"), "{arn}");
    let high = put["Alarms"][0]["AlarmName"].as_str().unwrap();
    assert!(high.starts_with("TargetTracking-endpoint/Ep/variant/A-AlarmHigh-"), "{high}");
    let alarms = |input: Value| {
        place.ask(Service::CloudWatch, "DescribeAlarms", input).unwrap()["MetricAlarms"].clone()
    };
    let both = alarms(json!({}));
    let [ref first, ref second] = both.as_array().unwrap()[..] else { panic!("two alarms") };
    assert_eq!((&first["Threshold"], &second["Threshold"]), (&json!(70.0), &json!(63.0)));
    assert_eq!((&first["AlarmActions"], &first["StateValue"]), (&json!([arn]), &json!("INSUFFICIENT_DATA")));
    assert_eq!(alarms(json!({"AlarmNames": [high]}))[0]["AlarmArn"], put["Alarms"][0]["AlarmARN"]);
    assert_eq!(alarms(json!({"AlarmNamePrefix": "x"})), json!([]));
    // A changed policy is the same policy.
    let changed = place.scale("PutScalingPolicy", policy(json!({"TargetValue": 5, "DisableScaleIn": true})));
    assert_eq!((&changed["PolicyARN"], &changed["Alarms"]), (&put["PolicyARN"], &json!([put["Alarms"][0]])));
    let mut other = policy(json!({}));
    other["PolicyName"] = json!("Q");
    place.scale("PutScalingPolicy", other);
    let first =
        place.scale("DescribeScalingPolicies", json!({"ServiceNamespace": "sagemaker", "MaxResults": 1}));
    assert_eq!(first["ScalingPolicies"][0]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"], 5);
    let next = json!({"ServiceNamespace": "sagemaker", "NextToken": first["NextToken"]});
    let rest = place.scale("DescribeScalingPolicies", next);
    assert_eq!((&rest["ScalingPolicies"][0]["PolicyName"], &rest["NextToken"]), (&json!("Q"), &Value::Null));
    let named = json!({"ServiceNamespace": "sagemaker", "ResourceId": RESOURCE, "PolicyNames": ["Q", "R"]});
    let listed = place.scale("DescribeScalingPolicies", named);
    assert_eq!(listed["ScalingPolicies"].as_array().unwrap().len(), 1);
    place.scale("DeleteScalingPolicy", about(json!({"PolicyName": "P"})));
    let again = about(json!({"PolicyName": "P"}));
    place.check_unscaled("DeleteScalingPolicy", again, "ObjectNotFoundException", "policy name: P");
    for (changes, part) in [
        (json!({"PolicyType": "StepScaling"}), "StepScaling are not offered"),
        (json!({"PolicyType": null}), "StepScaling are not offered"),
        (json!({"StepScalingPolicyConfiguration": {}}), "does not fit"),
        (json!({"TargetTrackingScalingPolicyConfiguration": null}), "must be specified"),
        (json!({"TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1}}), "Exactly one"),
    ] {
        let mut request = policy(json!({}));
        request.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        place.check_unscaled("PutScalingPolicy", request, "ValidationException", part);
    }
}

#[test]
fn an_update_keeps_the_type_of_scaled_instances() {
    let place = place();
    endpoint(&place, "ml.m5.large");
    place.scale("RegisterScalableTarget", about(json!({"MinCapacity": 1, "MaxCapacity": 8})));
    configure(&place, "larger", "A", "ml.m5.xlarge");
    configure(&place, "renamed", "B", "ml.m5.large");
    configure(&place, "same", "A", "ml.m5.large");
    let to = |config: &str| json!({"EndpointName": "Ep", "EndpointConfigName": config});
    for config in ["larger", "renamed"] {
        place.check_refused("UpdateEndpoint", to(config), "ValidationException", "must be deregistered");
    }
    place.say("UpdateEndpoint", to("same"));
    let id = place.control.endpoints.all().unwrap()[0];
    let generation = place.control.endpoints.get(id).unwrap().unwrap().state.pending.unwrap().generation;
    place.control.endpoints.deployed(id, generation).unwrap();
    place.say("DeleteEndpoint", json!({"EndpointName": "ep"}));
    let listed = place.scale("DescribeScalableTargets", json!({"ServiceNamespace": "sagemaker"}));
    assert_eq!(listed, json!({"ScalableTargets": []}));
}
