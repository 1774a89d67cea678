use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::*;
use crate::jobs::{JobError, JobState as _, Refused, Status};
use crate::paging::{ListQuery, SortBy};
use crate::store::{Store, now_ms};

fn open(folder: &Path) -> TrainingJobs {
    TrainingJobs::new(Arc::new(Store::open(folder).unwrap()))
}

fn new(name: &str) -> NewTrainingJob {
    NewTrainingJob {
        region: "us-east-1".into(),
        name: name.into(),
        arn: format!("arn:aws:sagemaker:us-east-1:000000000000:training-job/{}", name.to_lowercase()),
        request: Map::new(),
        tags: Vec::new(),
        state: TrainingState::new(None, now_ms()),
    }
}

fn described(state: &TrainingState) -> Map<String, Value> {
    let mut answer = Map::new();
    state.describe(&mut answer);
    answer
}

#[test]
fn a_job_goes_through_its_life() {
    let mut state = TrainingState::new(None, 1000);
    assert_eq!(described(&state)["ModelArtifacts"]["S3ModelArtifacts"], "");
    state.enter(Secondary::Starting, Some("Waiting for its turn"), 1500).unwrap();
    assert_eq!((state.transitions.len(), state.started_ms), (1, None));
    state.enter(Secondary::Downloading, None, 2000).unwrap();
    state.enter(Secondary::Training, None, 3000).unwrap();
    let metric = |value, at_ms| FinalMetric { name: "m".into(), value, at_ms };
    state.measured([metric(2.0, 3100), metric(f64::NAN, 3150), metric(1.0, 3200)], 3200).unwrap();
    // If the clock is set back, times still do not decrease.
    state.enter(Secondary::Uploading, None, 10).unwrap();
    state.finish(Outcome::Completed { artefacts: "s3://b/k".into() }, 4100).unwrap();
    let times: Vec<_> =
        state.transitions.iter().map(|entry| (entry.status.as_str(), entry.start_ms, entry.end_ms)).collect();
    assert_eq!(
        times,
        [
            ("Starting", 1000, Some(2000)),
            ("Downloading", 2000, Some(3000)),
            ("Training", 3000, Some(3200)),
            ("Uploading", 3200, Some(4100)),
            ("Completed", 4100, Some(4100)),
        ]
    );
    let answer = described(&state);
    assert_eq!(answer["TrainingJobStatus"], "Completed");
    assert_eq!(answer["BillableTimeInSeconds"], 3);
    assert_eq!(answer["TrainingStartTime"], 2.0);
    assert_eq!(answer["FinalMetricDataList"][0]["Value"], 1.0);
    assert_eq!(answer["SecondaryStatusTransitions"][0]["StatusMessage"], "Waiting for its turn");
}

#[track_caller]
fn check_end(outcome: Outcome, status: &str, secondary: &str) {
    let mut state = TrainingState::new(None, 0);
    state.finish(outcome, 5).unwrap();
    assert_eq!((state.status.as_str(), state.secondary.as_str()), (status, secondary));
    let refused = Refused { noun: "training job", status: state.status };
    assert_eq!(state.stop(6), Err(refused));
    assert_eq!(state.enter(Secondary::Training, None, 6), Err(refused));
    assert_eq!(state.finish(Outcome::Failed { reason: "x".into() }, 6), Err(refused));
    assert_eq!(state.ended_ms, Some(5));
}

#[test]
fn nothing_follows_an_end() {
    check_end(Outcome::Completed { artefacts: "a".into() }, "Completed", "Completed");
    check_end(Outcome::Failed { reason: "x".into() }, "Failed", "Failed");
    check_end(Outcome::Stopped { artefacts: None }, "Stopped", "Stopped");
    check_end(Outcome::MaxRuntimeExceeded { artefacts: None }, "Stopped", "MaxRuntimeExceeded");
}

#[test]
fn a_reason_is_cut_as_sagemaker_cuts_it() {
    let mut state = TrainingState::new(None, 0);
    state.finish(Outcome::Failed { reason: "ä".repeat(2000) }, 1).unwrap();
    assert_eq!(state.failure_reason.unwrap().chars().count(), 1024);
}

#[test]
fn jobs_wait_in_order_and_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = open(folder.path());
    for name in ["b", "a", "c"] {
        jobs.create(new(name)).unwrap();
    }
    assert!(matches!(jobs.create(new("A")), Err(JobError::Exists { arn, .. }) if arn.ends_with("/a")));
    let first = jobs.next_waiting().unwrap().unwrap();
    assert_eq!(first.name, "b");
    jobs.enter(first.id, Secondary::Training, None).unwrap();
    // A job that no runner has taken stops at once; a running job is told to stop.
    jobs.stop("us-east-1", "a").unwrap();
    assert_eq!(jobs.find("us-east-1", "a").unwrap().state.status, Status::Stopped);
    jobs.stop("us-east-1", "b").unwrap();
    assert!(jobs.is_stopping(first.id).unwrap());
    drop(jobs);
    let jobs = open(folder.path());
    let unfinished: Vec<String> = jobs.unfinished().unwrap().into_iter().map(|job| job.name).collect();
    assert_eq!(unfinished, ["b"]);
    assert_eq!(jobs.next_waiting().unwrap().unwrap().name, "c");
    assert_eq!(jobs.next_waiting().unwrap(), None);
    jobs.finish(first.id, Outcome::Stopped { artefacts: None }).unwrap();
    assert!(matches!(jobs.stop("us-east-1", "b"), Err(JobError::Refused(_))));
    assert!(matches!(jobs.find("eu-west-1", "b"), Err(JobError::NotFound)));
    jobs.delete("us-east-1", "b").unwrap();
    assert!(matches!(jobs.get(first.id), Err(JobError::NotFound)));
}

fn query() -> ListQuery {
    ListQuery {
        region: "us-east-1".into(),
        name_contains: None,
        words: Vec::new(),
        status: None,
        created_after_ms: None,
        created_before_ms: None,
        modified_after_ms: None,
        modified_before_ms: None,
        sort_by: SortBy::Name,
        descending: false,
        limit: 2,
        token: None,
    }
}

#[track_caller]
fn check_list(jobs: &TrainingJobs, mut query: ListQuery, want: &[&str]) {
    let mut names = Vec::new();
    loop {
        let page = jobs.list(&query).unwrap().unwrap();
        assert!(page.rows.len() <= query.limit);
        names.extend(page.rows.into_iter().map(|job| job.name));
        query.token = page.next;
        if query.token.is_none() {
            break;
        }
    }
    assert_eq!(names, want);
}

#[test]
fn lists_are_sorted_filtered_and_paged() {
    let folder = tempfile::tempdir().unwrap();
    let jobs = open(folder.path());
    for name in ["b1", "C1", "a1", "b2", "d"] {
        jobs.create(new(name)).unwrap();
    }
    jobs.stop("us-east-1", "a1").unwrap();
    jobs.stop("us-east-1", "d").unwrap();
    check_list(&jobs, query(), &["a1", "b1", "b2", "C1", "d"]);
    check_list(&jobs, ListQuery { descending: true, ..query() }, &["d", "C1", "b2", "b1", "a1"]);
    let part = Some("b".to_owned());
    check_list(&jobs, ListQuery { name_contains: part, ..query() }, &["b1", "b2"]);
    let stopped = Some("Stopped".to_owned());
    check_list(&jobs, ListQuery { status: stopped, ..query() }, &["a1", "d"]);
    check_list(&jobs, ListQuery { sort_by: SortBy::Status, ..query() }, &["b1", "b2", "C1", "a1", "d"]);
    check_list(&jobs, ListQuery { created_before_ms: Some(0), ..query() }, &[]);
    let created = ListQuery { sort_by: SortBy::CreationTime, created_after_ms: Some(0), ..query() };
    let mut all = Vec::new();
    let mut page = jobs.list(&created).unwrap().unwrap();
    loop {
        all.append(&mut page.rows);
        let Some(token) = page.next else { break };
        page = jobs.list(&ListQuery { token: Some(token), ..created.clone() }).unwrap().unwrap();
    }
    assert!(all.len() == 5 && all.is_sorted_by_key(|job| job.created_ms));
    for token in ["", "!", "bmFtZQ"] {
        assert_eq!(jobs.list(&ListQuery { token: Some(token.into()), ..query() }).unwrap(), None, "{token}");
    }
}
