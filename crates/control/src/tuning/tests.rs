use serde_json::json;

use super::*;
use crate::jobs::Status;

pub(crate) fn definition(maximizes: bool) -> Definition {
    let ranges = json!({"CategoricalParameterRanges": [{"Name": "a", "Values": ["x", "y"]}]});
    Definition {
        name: None,
        metric: "loss".into(),
        maximizes,
        ranges: ranges.as_object().unwrap().clone(),
        statics: [("b".to_owned(), "1".to_owned())].into(),
        algorithm: Some("kmeans".into()),
        template: serde_json::Map::new(),
        most_retries: 2,
    }
}

/// The state of a job with at most five trainings, two in parallel, that began at 0.
pub(crate) fn state() -> TuningState {
    let limits = Limits { most_trainings: 5, most_parallel: 2, ..Limits::default() };
    TuningState::new(vec![definition(false)], StrategyKind::Random, limits, 1, 0)
}

#[test]
fn parents_obey_the_rules_of_the_guide() {
    let parent = |definition: Definition, status: Status| TuningJob {
        id: crate::jobs::JobId(1),
        region: "us-east-1".into(),
        name: "old".into(),
        arn: String::new(),
        request: serde_json::Map::new(),
        state: TuningState { definitions: vec![definition], status, ..state() },
    };
    let new = definition(false);
    let refused = |old: Definition, status: Status| {
        check_warm_start(&new, &parent(old, status), true).err().map(|error| error.to_string())
    };
    let old = |change: &dyn Fn(&mut Definition)| {
        let mut old = definition(false);
        change(&mut old);
        refused(old, Status::Completed).unwrap_or_default()
    };
    assert_eq!(refused(definition(false), Status::Stopped), None);
    assert!(
        refused(definition(false), Status::InProgress).is_some_and(|text| text.contains("has not ended"))
    );
    assert!(old(&|old| old.metric = "bleu".into()).contains("objective metric"));
    assert!(old(&|old| drop(old.statics.insert("c".into(), "1".into()))).contains("tunable plus static"));
    let integers = json!({"IntegerParameterRanges": [{"Name": "a", "MinValue": "1", "MaxValue": "2"}]});
    assert!(old(&|old| old.ranges = integers.as_object().unwrap().clone()).contains("integer in the parent"));
    assert!(
        old(&|old| old.algorithm = Some("seq2seq".into()))
            .contains("are allowed to change: [outputDataConfig")
    );
    assert_eq!(old(&|old| drop(old.statics.insert("b".into(), "2".into()))), "");
}

#[test]
fn more_than_ten_changes_are_too_many() {
    let many = |value: &str| {
        let mut definition = definition(false);
        definition.statics = (0..6).map(|number| (format!("s{number}"), value.to_owned())).collect();
        definition
    };
    let parent = TuningJob {
        id: crate::jobs::JobId(1),
        region: String::new(),
        name: "old".into(),
        arn: String::new(),
        request: serde_json::Map::new(),
        state: TuningState { definitions: vec![many("1")], status: Status::Completed, ..state() },
    };
    let error = check_warm_start(&many("2"), &parent, false).unwrap_err().to_string();
    assert!(error.starts_with("12 changes from the parent tuning job old"), "{error}");
    assert!(check_warm_start(&many("1"), &parent, false).is_ok());
}

#[test]
fn bounds_must_be_numbers() {
    let wrong = json!({"ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.1x", "MaxValue": "1"}]});
    let error = ranges(wrong.as_object().unwrap()).unwrap_err().to_string();
    assert_eq!(error, "The value \"0.1x\" of MinValue of the hyperparameter lr is not a number");
    let definition = Definition { ranges: serde_json::Map::new(), ..definition(false) };
    assert!(definition.space().unwrap_err().to_string().contains("no hyperparameter to tune"));
}
