use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::hosting::{Deployment, EndpointId, Endpoints, HostingError, NewEndpoint, Record};
use crate::metrics::{INVOCATIONS, Metric, Metrics, Point};
use crate::store::Store;

/// The current time: the minute before it has points.
const NOW: i64 = 1_700_000_000_000 / 60_000 * 60_000 + 15_000;
const MINUTE: i64 = 60_000;

fn id() -> VariantId {
    VariantId::parse("endpoint/Ep/variant/v").unwrap()
}

fn config(changes: Value) -> Value {
    let mut config = json!({
        "TargetValue": 10.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config
}

fn rule(changes: Value) -> TargetTracking {
    TargetTracking::parse(&config(changes), &id()).unwrap()
}

/// The last minutes before now, with these values; `None` means a minute without points.
fn minutes(values: &[Option<f64>]) -> Vec<Measured> {
    let end = NOW - 15_000;
    let first = end - i64::try_from(values.len()).unwrap() * MINUTE;
    let all = values.iter().zip((0..).map(|number| first + number * MINUTE));
    all.filter_map(|(value, start_ms)| value.map(|value| Measured { start_ms, value })).collect()
}

fn situation(instances: u32, measured: &[Measured]) -> Situation<'_> {
    Situation {
        instances,
        least: 1,
        most: 8,
        may_out: true,
        may_in: true,
        measured,
        measured_to_ms: NOW - 15_000,
        history: History::default(),
        now_ms: NOW,
    }
}

fn decided(rule: &TargetTracking, situation: &Situation<'_>) -> Decision {
    decide(rule, situation, &Pace::default())
}

#[test]
fn three_busy_minutes_add_instances_in_proportion() {
    let rule = rule(json!({}));
    let decided_for =
        |instances, values: &[Option<f64>]| decided(&rule, &situation(instances, &minutes(values)));
    let busy = [Some(11.0), Some(15.0), Some(25.0)];
    assert_eq!(decided_for(2, &busy), Decision::Out(5));
    // Never more than the maximum, and no change at the maximum.
    assert_eq!(decided_for(4, &busy), Decision::Out(8));
    assert_eq!(decided_for(8, &busy), Decision::Stay);
    // A minute at the target, one without points, or no minutes at all.
    for values in
        [[Some(10.0), Some(15.0), Some(25.0)], [Some(20.0), None, Some(20.0)], [Some(20.0), Some(20.0), None]]
    {
        assert_eq!(decided_for(2, &values), Decision::Stay, "{values:?}");
    }
    assert_eq!(decided_for(2, &[Some(20.0), Some(20.0)]), Decision::Stay);
    assert_eq!(decided_for(2, &[]), Decision::Stay);
    // A rounding error must not add an instance.
    assert_eq!(decided_for(3, &[Some(20.0); 3]), Decision::Out(6));
    assert_eq!(decided_for(1, &[Some(f64::MAX); 3]), Decision::Out(8));
}

#[test]
fn fifteen_quiet_minutes_take_instances_away() {
    let rule = rule(json!({}));
    let decided_for =
        |instances, values: &[Option<f64>]| decided(&rule, &situation(instances, &minutes(values)));
    let mut quiet = [Some(2.0); 15];
    assert_eq!(decided_for(8, &quiet), Decision::In(2));
    assert_eq!(decided_for(1, &quiet), Decision::Stay);
    // The busiest minute counts.
    quiet[0] = Some(4.9);
    assert_eq!(decided_for(8, &quiet), Decision::In(4));
    quiet[3] = Some(9.0);
    assert_eq!(decided_for(8, &quiet), Decision::Stay);
    quiet[3] = None;
    assert_eq!(decided_for(8, &quiet), Decision::Stay, "no points, no scaling in");
    assert_eq!(decided_for(8, &[Some(2.0); 14]), Decision::Stay);
    let measured = minutes(&[Some(0.0); 15]);
    assert_eq!(decided(&rule, &Situation { least: 3, ..situation(8, &measured) }), Decision::In(3));
}

#[test]
fn cool_downs_and_suspensions_hold_a_direction_up() {
    let (busy, quiet) = (minutes(&[Some(20.0); 3]), minutes(&[Some(2.0); 15]));
    let at = |before_ms: i64| Some(NOW - before_ms);
    let default = rule(json!({}));
    for (history, out, fewer) in [
        (History { out_ms: at(299_999), ..History::default() }, Decision::Stay, Decision::In(1)),
        (History { out_ms: at(300_000), ..History::default() }, Decision::Out(8), Decision::In(1)),
        (History { in_ms: at(299_999), ..History::default() }, Decision::Out(8), Decision::Stay),
        (History { in_ms: at(300_000), ..History::default() }, Decision::Out(8), Decision::In(1)),
        // Measured with another number of instances.
        (History { changed_ms: at(15_000), ..History::default() }, Decision::Stay, Decision::Stay),
        (History { changed_ms: at(75_000), ..History::default() }, Decision::Out(8), Decision::In(1)),
    ] {
        assert_eq!(decided(&default, &Situation { history, ..situation(4, &busy) }), out, "{history:?}");
        assert_eq!(decided(&default, &Situation { history, ..situation(4, &quiet) }), fewer, "{history:?}");
    }
    let short = rule(json!({"ScaleOutCooldown": 100, "ScaleInCooldown": 0}));
    let history = History { out_ms: at(100_000), in_ms: at(76_000), ..History::default() };
    assert_eq!(decided(&short, &Situation { history, ..situation(4, &busy) }), Decision::Out(8));
    assert_eq!(decided(&short, &Situation { history, ..situation(4, &quiet) }), Decision::In(1));
    let only_out = rule(json!({"DisableScaleIn": true}));
    assert_eq!(decided(&only_out, &situation(4, &quiet)), Decision::Stay);
    assert_eq!(decided(&default, &Situation { may_out: false, ..situation(4, &busy) }), Decision::Stay);
    assert_eq!(decided(&default, &Situation { may_in: false, ..situation(4, &quiet) }), Decision::Stay);
}

#[test]
fn several_policies_agree() {
    use Decision::{In, Out, Stay};
    for (decisions, all) in [
        (vec![], Stay),
        (vec![(Out(3), true), (Out(5), false), (In(1), true)], Out(5)),
        (vec![(In(2), true), (In(3), true)], In(3)),
        (vec![(In(2), true), (Stay, true)], Stay),
        (vec![(In(2), true), (Stay, false)], In(2)),
        (vec![(Stay, false)], Stay),
    ] {
        assert_eq!(combine(&decisions), all, "{decisions:?}");
    }
    assert_eq!((within(3, 1, 4), within(0, 1, 4), within(9, 1, 4)), (None, Some(1), Some(4)));
}

#[test]
fn policies_are_read() {
    let custom = |changes: Value| {
        let mut custom = json!({
            "MetricName": "CPUUtilization", "Namespace": "/aws/sagemaker/Endpoints", "Statistic": "Average", "Unit": "Percent",
            "Dimensions": [{"Name": "VariantName", "Value": "v"}, {"Name": "EndpointName", "Value": "Ep"}],
        });
        custom.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({"TargetValue": 50, "CustomizedMetricSpecification": custom})
    };
    let read = TargetTracking::parse(&custom(json!({})), &id()).unwrap();
    let dimensions = [("EndpointName", "Ep"), ("VariantName", "v")];
    assert_eq!(read.metric, Metric::new("/aws/sagemaker/Endpoints", "CPUUtilization", dimensions));
    assert_eq!((read.target, read.unit.as_deref(), read.out_cooldown_ms), (50.0, Some("Percent"), 300_000));
    for (config, part) in [
        (config(json!({"TargetValue": 0})), "TargetValue"),
        (config(json!({"ScaleInCooldown": -1})), "ScaleInCooldown"),
        (config(json!({"CustomizedMetricSpecification": {}})), "Exactly one"),
        (json!({"TargetValue": 1}), "Exactly one"),
        (
            config(
                json!({"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}),
            ),
            "ECSS",
        ),
        (custom(json!({"Metrics": []})), "metric math"),
        (custom(json!({"Statistic": null})), "Statistic"),
    ] {
        let error = TargetTracking::parse(&config, &id()).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    for bad in [
        "endpoint/Ep",
        "endpoint//variant/v",
        "endpoint/a/b/variant/v",
        "variant/v",
        "endpoint/Ep/variant/v/w",
    ] {
        assert_eq!(VariantId::parse(bad), None, "{bad}");
    }
}

/// An endpoint in service with a variant of two instances, registered for one to four.
struct Place {
    scaler: Scaler,
    endpoint: EndpointId,
    arn: String,
    _folder: TempDir,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let endpoints = Endpoints::new(Arc::clone(&store));
    let variants = json!([{"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 2, "InstanceType": "ml.m5.large"}]);
    let record = |request: Value| Record {
        name: "n".into(),
        arn: "arn:n".into(),
        request: request.as_object().unwrap().clone(),
        created_ms: 1,
    };
    let deployment =
        Deployment::new::<HostingError>(&record(json!({"ProductionVariants": variants})), 1, |_| {
            Ok(record(json!({"PrimaryContainer": {"Image": "i"}})))
        });
    let arn = "arn:ep".to_owned();
    let new = NewEndpoint {
        region: "r".into(),
        name: "Ep".into(),
        arn: arn.clone(),
        deployment: deployment.unwrap(),
        deployment_config: None,
        tags: Vec::new(),
    };
    endpoints.create(new).unwrap();
    let endpoint = endpoints.find(&arn).unwrap().id;
    endpoints.deployed(endpoint, 1).unwrap();
    let scaling = Scaling::new(Arc::clone(&store));
    let pace = Pace { look: Duration::from_millis(1), ..Pace::default() };
    let scaler = Scaler { scaling, endpoints, metrics: Metrics::new(store), pace };
    let place = Place { scaler, endpoint, arn, _folder: folder };
    place.register(Some(1), Some(4)).unwrap();
    place
}

impl Place {
    fn register(&self, least: Option<u32>, most: Option<u32>) -> Result<String, ScalingError> {
        self.scaler.scaling.register(&Targeted {
            arn: "arn:target".into(),
            region: "r".into(),
            id: id(),
            least,
            most,
            role_arn: "arn:role".into(),
            suspended: None,
            tags: Vec::new(),
        })
    }

    fn put(&self, name: &str, changes: Value) {
        let policy = Policy {
            arn: format!("arn:{name}"),
            name: name.into(),
            config: config(changes),
            alarm_high: format!("{name}-high"),
            alarm_low: format!("{name}-low"),
        };
        self.scaler.scaling.put_policy("r", &id(), policy).unwrap();
    }

    /// Adds so many invocations per instance in each of the last minutes before a time.
    fn invoke(&self, now_ms: i64, minutes: i64, invocations: f64) {
        let metric = || {
            let dimensions = [("EndpointName", "Ep"), ("VariantName", "v")];
            Metric::new(INVOCATIONS, "InvocationsPerInstance", dimensions)
        };
        let end = now_ms / MINUTE * MINUTE;
        let points: Vec<Point> =
            (1..=minutes).map(|ago| Point::new(metric(), end - ago * MINUTE, invocations)).collect();
        self.scaler.metrics.put("r", &points).unwrap();
    }

    /// Runs a check; returns the number of instances requested, which the fleet provides if it can.
    fn look(&self, now_ms: i64) -> u32 {
        self.scaler.look(now_ms);
        self.scaler.endpoints.settled(self.endpoint).unwrap();
        let endpoint = self.scaler.endpoints.find(&self.arn).unwrap();
        endpoint.state.serving.unwrap().variants[0].desired_instances
    }

    fn activities(&self) -> Vec<Activity> {
        let query = Query { region: "r".into(), limit: 50, ..Query::default() };
        self.scaler.scaling.activities(&query).unwrap().0
    }
}

#[test]
fn a_variant_follows_its_traffic() {
    let place = place();
    // A time in the present, since old points are deleted.
    let now = crate::store::now_ms() / MINUTE * MINUTE + 15_000;
    place.put("p", json!({"ScaleInCooldown": 0}));
    assert_eq!(place.look(now), 2);
    place.invoke(now, 3, 15.0);
    assert_eq!(place.look(now), 3);
    let [ref activity] = place.activities()[..] else { panic!("one activity") };
    assert_eq!((activity.status.as_str(), activity.wanted), ("InProgress", 3));
    assert_eq!(activity.text, "monitor alarm p-high in state ALARM triggered policy p");
    // The next check sees that it is done, and that the cool-down has begun.
    place.invoke(now + 3 * MINUTE, 3, 15.0);
    assert_eq!(place.look(now + 3 * MINUTE), 3);
    let [ref activity] = place.activities()[..] else { panic!("one activity") };
    assert_eq!((activity.status.as_str(), activity.ended_ms), ("Successful", Some(now + 3 * MINUTE)));
    assert!(activity.message.as_deref().unwrap().contains("desired instance count to 3"), "{activity:?}");
    // After the cool-down: up to the maximum.
    place.invoke(now + 8 * MINUTE, 5, 90.0);
    assert_eq!(place.look(now + 8 * MINUTE), 4);
    // No requests for an hour, and then few.
    assert_eq!(place.look(now + 68 * MINUTE), 4);
    place.invoke(now + 83 * MINUTE, 15, 2.0);
    assert_eq!(place.look(now + 83 * MINUTE), 1);
    assert_eq!(place.activities()[0].text, "monitor alarm p-low in state ALARM triggered policy p");
    assert_eq!(place.activities().len(), 3);
}

#[test]
fn a_variant_is_brought_within_its_bounds() {
    let place = place();
    place.register(Some(3), None).unwrap();
    assert_eq!(place.look(NOW), 3);
    assert_eq!(place.activities()[0].text, "minimum capacity was set to 3");
    place.register(Some(1), Some(2)).unwrap();
    assert_eq!(place.look(NOW + 1), 2);
    assert_eq!(place.activities()[0].text, "maximum capacity was set to 2");
    // A change by the user.
    let wish =
        |instances| [crate::hosting::Wish { variant: "v".into(), weight: None, instances: Some(instances) }];
    place.scaler.endpoints.reweigh(&place.arn, &wish(4)).unwrap();
    assert_eq!(place.look(NOW + 2), 4, "not while the endpoint is being changed");
    assert_eq!(place.look(NOW + 3), 2);
    let error = place.register(Some(3), None).unwrap_err();
    assert!(matches!(error, ScalingError::Refused(_)), "{error}");
}

#[test]
fn a_change_that_fails_is_told_and_tried_again_later() {
    let place = place();
    place.register(Some(3), None).unwrap();
    place.scaler.look(NOW);
    place.scaler.endpoints.settling_failed(place.endpoint, "no memory").unwrap();
    assert_eq!(place.look(NOW + 5_000), 2);
    let [ref activity] = place.activities()[..] else { panic!("one activity") };
    assert_eq!(activity.status, "Failed");
    assert!(activity.message.as_deref().unwrap().contains("no memory"), "{activity:?}");
    assert_eq!(place.look(NOW + 64_999), 2);
    assert_eq!(place.look(NOW + 65_000), 3);
    // More instances than the machine can run.
    place.register(Some(100_000), Some(100_000)).unwrap();
    assert_eq!(place.look(NOW + 70_000), 3);
    let newest = &place.activities()[0];
    assert_eq!((newest.status.as_str(), newest.ended_ms), ("Failed", Some(NOW + 70_000)));
    assert!(newest.message.as_deref().unwrap().contains("This machine runs at most"), "{newest:?}");
}

#[test]
fn targets_go_with_their_endpoints() {
    let place = place();
    place.put("p", json!({}));
    place.register(Some(3), None).unwrap();
    place.scaler.look(NOW);
    assert_eq!(place.activities()[0].status, "InProgress");
    place.scaler.endpoints.settled(place.endpoint).unwrap();
    place.scaler.endpoints.delete(&place.arn).unwrap();
    place.scaler.look(NOW + 1);
    assert_eq!(place.scaler.scaling.all().unwrap(), []);
    let query = Query { region: "r".into(), limit: 50, ..Query::default() };
    assert_eq!(place.scaler.scaling.policies(&query).unwrap(), (Vec::new(), None));
    let [ref activity] = place.activities()[..] else { panic!("one activity") };
    assert_eq!(activity.status, "Overridden");
    let error = place.scaler.scaling.deregister("r", &id()).unwrap_err();
    assert!(matches!(error, ScalingError::NotFound(_)), "{error}");
}

#[test]
fn alarms_have_the_states_of_their_metrics() {
    let place = place();
    place.put("p", json!({}));
    place.put("q", json!({"DisableScaleIn": true, "TargetValue": 30}));
    // Points in the present: alarms are described at the current time.
    let now_ms = crate::store::now_ms();
    place.invoke(now_ms, 4, 20.0);
    let query = Query { region: "r".into(), limit: 50, ..Query::default() };
    let (alarms, next) = place.scaler.alarms(&query).unwrap();
    let said: Vec<_> =
        alarms.iter().map(|alarm| (alarm.name.as_str(), alarm.threshold, alarm.state)).collect();
    let want = [
        ("p-high", 10.0, AlarmState::Alarm),
        ("p-low", 9.0, AlarmState::Insufficient),
        ("q-high", 30.0, AlarmState::Ok),
    ];
    assert_eq!((said.as_slice(), next), (want.as_slice(), None));
}
