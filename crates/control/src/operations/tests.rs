use serde_json::{Value, json};

use super::model::compile;
use super::*;

#[test]
fn models_are_whole() {
    for service in Service::ALL {
        let model = service.model();
        assert!(!model.operations.is_empty(), "{}", service.name());
        for name in model.shape_names() {
            let shape = model.shape(name);
            if let Some(pattern) = &shape.pattern {
                assert!(compile(pattern).is_ok(), "{}: {name}: {pattern}", service.name());
            }
            let referenced = shape.members().map(|(_, shape)| shape);
            let referenced = referenced.chain([&*shape.member, &*shape.key, &*shape.value]);
            for reference in referenced.filter(|reference| !reference.is_empty()) {
                assert!(model.shape_names().any(|name| name == reference), "{name} needs {reference}");
            }
        }
    }
}

#[track_caller]
fn check_request(operation: &str, input: Value, want: Result<(), &str>) {
    let model = Service::SageMaker.model();
    let input = input.as_object().unwrap();
    let said = match check(model, &model.operations[operation].input, input) {
        Ok(()) => Ok(()),
        Err(Refusal::Type(text) | Refusal::Constraints(text)) => Err(text),
    };
    assert_eq!(said.as_ref().map_err(String::as_str), want.as_ref().map_err(|want| *want).map(|_| &()));
}

#[test]
fn constraints_are_told_in_the_words_of_aws() {
    check_request("DescribeTrainingJob", json!({"TrainingJobName": "a-1", "Unknown": [1]}), Ok(()));
    check_request(
        "DescribeTrainingJob",
        json!({"TrainingJobName": "a_1"}),
        Err(
            "1 validation error detected: Value 'a_1' at 'trainingJobName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
    );
    check_request(
        "DescribeTrainingJob",
        json!({"TrainingJobName": null}),
        Err(
            "1 validation error detected: Value null at 'trainingJobName' failed to satisfy constraint: Member must not be null",
        ),
    );
    check_request(
        "ListTrainingJobs",
        json!({"MaxResults": 0, "SortOrder": "Down"}),
        Err(
            "2 validation errors detected: Value '0' at 'maxResults' failed to satisfy constraint: Member must have value greater \
             than or equal to 1; Value 'Down' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: \
             [Ascending, Descending]",
        ),
    );
    check_request(
        "AddTags",
        json!({"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/a", "Tags": [{"Key": "a"}]}),
        Err(
            "1 validation error detected: Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null",
        ),
    );
}

#[test]
fn wrong_types_are_told_with_their_place() {
    check_request(
        "DescribeTrainingJob",
        json!({"TrainingJobName": 3}),
        Err("NUMBER_VALUE can not be converted to a String at 'trainingJobName'"),
    );
    check_request(
        "AddTags",
        json!({"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/a", "Tags": "a"}),
        Err("STRING_VALUE can not be converted to a list at 'tags'"),
    );
}

#[test]
fn answers_must_hold_what_is_required() {
    let model = Service::SageMaker.model();
    let output = &model.operations["ListTags"].output;
    assert!(faults_of_answer(model, output, &json!({"Tags": [{"Key": "a", "Value": "b"}]})).is_empty());
    let faults = faults_of_answer(model, output, &json!({"Tags": [{"Key": 1}]}));
    assert_eq!(faults, [".Tags[0].Value is missing", ".Tags[0].Key should be String, and is 1"]);
}

#[test]
fn a_list_that_is_not_there_is_known_by_name() {
    let model = Service::SageMaker.model();
    assert_eq!(model.only_list(&model.operations["ListModels"]), Some("Models"));
    assert_eq!(model.empty["ListNotebookInstances"], "NotebookInstances");
    assert!(model.others.contains("CreateNotebookInstance"));
}
