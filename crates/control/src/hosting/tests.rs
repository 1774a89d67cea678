use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use super::state::Refusal;
use super::*;
use crate::store::Store;

fn deployment(config: &str, generation: i64, variants: &[(&str, f64, u32)]) -> Deployment {
    let variants: Vec<_> = variants
        .iter()
        .map(|(name, weight, count)| {
            json!({"VariantName": name, "ModelName": "m", "InitialInstanceCount": count, "InitialVariantWeight": weight})
        })
        .collect();
    let request = json!({ "ProductionVariants": variants }).as_object().unwrap().clone();
    let config = Record { name: config.into(), arn: format!("arn:{config}"), request, created_ms: 1 };
    Deployment::new::<HostingError>(&config, generation, |name| {
        let container = json!({"Image": "i", "ModelDataUrl": "s3://b/m.tar.gz", "Environment": {"A": "1"}});
        let request = json!({ "PrimaryContainer": container }).as_object().unwrap().clone();
        Ok(Record { name: name.into(), arn: "arn:m".into(), request, created_ms: 1 })
    })
    .unwrap()
}

fn in_service() -> EndpointState {
    let mut state = EndpointState::new(deployment("a", 10, &[("v", 1.0, 2), ("w", 3.0, 1)]), 10);
    state.deployed(10, 20);
    state
}

#[test]
fn an_endpoint_is_created() {
    let mut state = EndpointState::new(deployment("a", 10, &[("v", 1.0, 2)]), 10);
    assert_eq!((state.status, state.desired_instances()), (EndpointStatus::Creating, 2));
    for refused in [
        state.clone().delete(11),
        state.clone().reweigh(&[], 11),
        state.clone().update(deployment("b", 11, &[]), Retained::default(), 11),
    ] {
        assert_eq!(refused, Err(Refusal::InProgress));
    }
    // The generation is not that of the running deployment.
    state.deployed(9, 12);
    state.deployment_failed(9, "no", 12);
    assert_eq!(state.status, EndpointStatus::Creating);
    state.deployed(10, 13);
    assert_eq!((state.status, state.modified_ms, state.created_ms), (EndpointStatus::InService, 13, 10));
    let variant = &state.serving.as_ref().unwrap().variants[0];
    assert_eq!((variant.instances, variant.proven_instances), (2, 2));
    assert_eq!(variant.container.environment["A"], "1");
    state.delete(14).unwrap();
    assert_eq!(state.delete(15), Err(Refusal::InProgress));
}

#[test]
fn an_endpoint_that_never_answered_can_only_be_deleted() {
    let mut state = EndpointState::new(deployment("a", 10, &[("v", 1.0, 2)]), 10);
    state.deployment_failed(10, &"ü".repeat(2000), 11);
    assert_eq!((state.status, state.desired_instances()), (EndpointStatus::Failed, 0));
    assert_eq!(state.failure_reason.as_ref().unwrap().chars().count(), 1024);
    assert_eq!(state.reweigh(&[], 12), Err(Refusal::Failed));
    assert_eq!(state.update(deployment("b", 12, &[]), Retained::default(), 12), Err(Refusal::Failed));
    state.delete(13).unwrap();
}

#[test]
fn an_update_replaces_the_configuration_or_leaves_it() {
    let mut state = in_service();
    let same = deployment("A", 30, &[("v", 1.0, 1)]);
    assert_eq!(state.update(same, Retained::default(), 30), Err(Refusal::SameConfig));
    let new = || deployment("b", 30, &[("v", 5.0, 1), ("x", 1.0, 1)]);
    state.update(new(), Retained::default(), 30).unwrap();
    assert_eq!((state.status, state.desired_instances()), (EndpointStatus::Updating, 3));
    state.deployment_failed(30, "no", 31);
    assert_eq!(state.status, EndpointStatus::InService);
    assert_eq!(state.serving.as_ref().unwrap().config_name, "a");
    assert_eq!(state.failure_reason.as_deref(), Some("no"));
    // Even if the clock is set back, no folder is used twice.
    state
        .update(Deployment { generation: 5, ..new() }, Retained { weights: true, instances: true }, 32)
        .unwrap();
    let generation = state.pending.as_ref().unwrap().generation;
    assert_eq!(generation, 11);
    state.deployed(generation, 33);
    let serving = state.serving.as_ref().unwrap();
    assert_eq!((serving.config_name.as_str(), state.failure_reason.as_deref()), ("b", None));
    let kept = serving.variant("v").unwrap();
    assert_eq!((kept.weight, kept.desired_instances), (1.0, 2));
    assert_eq!(serving.variant("x").unwrap().weight, 1.0);
}

#[test]
fn weights_and_instances_change_or_go_back() {
    let mut state = in_service();
    let wish = |variant: &str, weight, instances| Wish { variant: variant.into(), weight, instances };
    let unknown = state.reweigh(&[wish("v", None, None), wish("y", None, None)], 30);
    assert_eq!(unknown, Err(Refusal::NoVariant(vec!["y".into()])));
    state.reweigh(&[wish("v", Some(0.0), None), wish("w", None, Some(4))], 30).unwrap();
    assert_eq!((state.status, state.desired_instances()), (EndpointStatus::Updating, 6));
    let numbers = |state: &EndpointState| -> Vec<(f64, f64, u32, u32)> {
        let variants = state.serving.as_ref().unwrap().variants.iter();
        variants
            .map(|one| (one.weight, one.desired_weight, one.proven_instances, one.desired_instances))
            .collect()
    };
    assert_eq!(numbers(&state), [(1.0, 0.0, 2, 2), (3.0, 3.0, 1, 4)]);
    let mut other = state.clone();
    state.settled(31);
    assert_eq!(numbers(&state), [(0.0, 0.0, 2, 2), (3.0, 3.0, 4, 4)]);
    other.settling_failed("no room", 31);
    assert_eq!(numbers(&other), [(1.0, 1.0, 2, 2), (3.0, 3.0, 1, 1)]);
    assert_eq!((other.status, other.failure_reason.as_deref()), (EndpointStatus::InService, Some("no room")));
}

#[test]
fn models_lie_where_their_containers_say() {
    let check = |container: serde_json::Value, want: Option<(&str, &str, ModelForm)>| {
        let found = ModelData::of(&container).unwrap();
        let found = found.as_ref().map(|data| (data.bucket.as_str(), data.key.as_str(), data.form));
        assert_eq!(found, want, "{container}");
    };
    check(json!({"Image": "i"}), None);
    check(json!({"ModelDataUrl": "s3://b/a/m.tar.gz"}), Some(("b", "a/m.tar.gz", ModelForm::Archive)));
    check(
        json!({"ModelDataUrl": "https://bucket.s3-us-west-2.amazonaws.com/m.tar.gz"}),
        Some(("bucket", "m.tar.gz", ModelForm::Archive)),
    );
    for (kind, compression, form) in [
        ("S3Object", "Gzip", ModelForm::Archive),
        ("S3Object", "None", ModelForm::File),
        ("S3Prefix", "None", ModelForm::Folder),
    ] {
        let source = json!({"S3Uri": "s3://b/m", "S3DataType": kind, "CompressionType": compression});
        check(json!({"ModelDataSource": {"S3DataSource": source}}), Some(("b", "m", form)));
    }
    assert!(ModelData::of(&json!({"ModelDataUrl": "https://example.com/m"})).is_err());
}

fn open(folder: &Path) -> Endpoints {
    Endpoints::new(Arc::new(Store::open(folder).unwrap()))
}

fn new(name: &str, count: u32) -> NewEndpoint {
    NewEndpoint {
        region: "r".into(),
        name: name.into(),
        arn: format!("arn:aws:sagemaker:r:0:endpoint/{}", name.to_lowercase()),
        deployment: deployment("a", 10, &[("v", 1.0, count)]),
        deployment_config: None,
        tags: vec![("k".into(), "v".into())],
    }
}

#[test]
fn endpoints_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let endpoints = open(folder.path());
    let mut changes = endpoints.changes();
    changes.mark_unchanged();
    endpoints.create(new("E", 1)).unwrap();
    assert!(changes.has_changed().unwrap());
    let error = endpoints.create(new("e", 1)).unwrap_err().to_string();
    assert_eq!(error, "Cannot create already existing endpoint \"arn:aws:sagemaker:r:0:endpoint/e\".");
    let arn = "arn:aws:sagemaker:r:0:endpoint/e";
    let error = endpoints.delete(arn).unwrap_err().to_string();
    assert_eq!(error, format!("Cannot update in-progress endpoint \"{arn}\"."));
    let id = endpoints.find(arn).unwrap().id;
    endpoints.deployed(id, 10).unwrap();
    drop(endpoints);
    let endpoints = open(folder.path());
    assert_eq!(endpoints.all().unwrap(), [id]);
    let endpoint = endpoints.named("r", "e").unwrap().unwrap();
    assert_eq!((endpoint.name.as_str(), endpoint.state.status), ("E", EndpointStatus::InService));
    endpoints.counted(id, 10, &[("v".into(), 0)]).unwrap();
    assert_eq!(endpoints.get(id).unwrap().unwrap().state.serving.unwrap().variants[0].instances, 0);
    endpoints.delete(arn).unwrap();
    endpoints.forget(id).unwrap();
    assert_eq!(endpoints.find(arn).unwrap_err().to_string(), format!("Could not find endpoint \"{arn}\"."));
    // Later events are not recorded for a deleted endpoint.
    endpoints.settled(id).unwrap();
}

#[test]
fn a_machine_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let endpoints = open(folder.path());
    endpoints.create(new("e", 16)).unwrap();
    let error = endpoints.create(new("f", 1_000_000)).unwrap_err();
    assert!(matches!(error, HostingError::Limit(_)), "{error}");
    assert!(endpoints.named("r", "f").unwrap().is_none());
    let id = endpoints.all().unwrap()[0];
    endpoints.deployed(id, 10).unwrap();
    let wish = Wish { variant: "v".into(), weight: None, instances: Some(u32::MAX) };
    let arn = "arn:aws:sagemaker:r:0:endpoint/e";
    assert!(matches!(endpoints.reweigh(arn, &[wish]), Err(HostingError::Limit(_))));
    assert_eq!(endpoints.find(arn).unwrap().state.status, EndpointStatus::InService);
}
