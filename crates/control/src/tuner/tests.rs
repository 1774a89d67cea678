use super::*;
use crate::tuning::tests::{definition, state};
use crate::tuning::{Limits, TuningState};

/// Children in the order of their creation; each ends a second after the one before.
fn children(outcomes: &[(Status, Option<f64>, &str)]) -> Vec<Child> {
    let child = |(index, (status, objective, reason)): (usize, &(Status, Option<f64>, &str))| Child {
        number: index as u32 + 1,
        name: format!("t-{index:03}-0"),
        arn: String::new(),
        definition: 0,
        values: [("a".to_owned(), "x".to_owned())].into(),
        retries: None,
        created_ms: 0,
        started_ms: None,
        ended_ms: status.is_final().then_some(index as i64 * 1000),
        status: *status,
        objective: *objective,
        failure_reason: (!reason.is_empty()).then(|| (*reason).to_owned()),
    };
    outcomes.iter().enumerate().map(child).collect()
}

const DONE: (Status, Option<f64>, &str) = (Status::Completed, Some(2.0), "");
const AT_WORK: (Status, Option<f64>, &str) = (Status::InProgress, None, "");
const FAILED: (Status, Option<f64>, &str) = (Status::Failed, None, "ClientError: no");
const FAILED_BY_US: (Status, Option<f64>, &str) = (Status::Failed, None, "InternalServerError: disk");
const NEW: Step = Step::Create { definition: 0, retries: None };

#[track_caller]
fn check(state: &TuningState, outcomes: &[(Status, Option<f64>, &str)], want: Step) {
    assert_eq!(decision::next(state, &children(outcomes), 10_000), want, "{outcomes:?}");
}

#[track_caller]
fn check_fails(outcomes: &[(Status, Option<f64>, &str)], part: &str) {
    match decision::next(&state(), &children(outcomes), 0) {
        Step::Finish(Outcome::Failed { reason }) => assert!(reason.contains(part), "{reason}"),
        step => panic!("{step:?}"),
    }
}

#[test]
fn children_are_created_up_to_the_limits() {
    let state = state();
    check(&state, &[], NEW);
    check(&state, &[AT_WORK], NEW);
    check(&state, &[AT_WORK, AT_WORK], Step::Wait);
    check(&state, &[DONE, FAILED, AT_WORK], NEW);
    check(&state, &[DONE, DONE, DONE, DONE, AT_WORK], Step::Wait);
    check(&state, &[DONE, DONE, FAILED, DONE, DONE], Step::Finish(Outcome::Completed));
}

#[test]
fn values_that_the_machine_failed_are_tried_again() {
    let state = state();
    let again = |place| Step::Create { definition: 0, retries: Some(place) };
    check(&state, &[FAILED_BY_US], again(0));
    let mut tries = children(&[FAILED_BY_US, FAILED_BY_US]);
    tries[1].retries = Some(1);
    assert_eq!(decision::next(&state, &tries, 0), again(1));
    // Two retries suffice, and they do not count among the five trainings.
    let mut tries = children(&[FAILED_BY_US, FAILED_BY_US, FAILED_BY_US, DONE, DONE, DONE]);
    (tries[1].retries, tries[2].retries) = (Some(1), Some(2));
    assert_eq!(decision::next(&state, &tries, 0), NEW);
}

#[test]
fn five_failures_without_a_success_are_enough() {
    let closed = |state: TuningState| TuningState { closing: Some((Closing::NoSuccess, 0)), ..state };
    check(&state(), &[FAILED; 5], Step::Close(Closing::NoSuccess));
    check(&closed(state()), &[FAILED, FAILED, FAILED, FAILED, FAILED, AT_WORK], Step::Wait);
    check(&state(), &[FAILED, FAILED, FAILED, FAILED, DONE], Step::Finish(Outcome::Completed));
    check_fails(&[(Status::Stopped, None, ""); 5], "No training job succeeded after 5 attempts.");
    let without_value = (Status::Completed, None, "");
    check(&state(), &[without_value; 5], Step::Close(Closing::NoSuccess));
    let state = closed(state());
    match decision::next(&state, &children(&[without_value; 5]), 0) {
        Step::Finish(Outcome::Failed { reason }) => {
            assert!(
                reason.starts_with("No objective metrics found after running 5 training jobs."),
                "{reason}"
            );
        }
        step => panic!("{step:?}"),
    }
}

#[test]
fn a_job_that_is_to_stop_stops_its_children_first() {
    let state = TuningState { status: Status::Stopping, ..state() };
    check(&state, &[DONE, AT_WORK, (Status::Stopping, None, "")], Step::Stop(vec![1]));
    check(&state, &[DONE, (Status::Stopping, None, "")], Step::Wait);
    check(&state, &[DONE], Step::Finish(Outcome::Stopped));
    check(&state, &[], Step::Finish(Outcome::Stopped));
}

#[test]
fn criteria_end_a_job() {
    let with = |limits: Limits| TuningState {
        limits: Limits { most_trainings: 99, most_parallel: 2, ..limits },
        ..state()
    };
    let target = with(Limits { target: Some(2.0), ..Limits::default() });
    check(&target, &[(Status::Completed, Some(2.1), "")], NEW);
    check(&target, &[DONE, AT_WORK], Step::Close(Closing::Target));
    let upwards = TuningState { definitions: vec![definition(true)], ..target.clone() };
    check(&upwards, &[(Status::Completed, Some(1.9), "")], NEW);
    check(&upwards, &[(Status::Completed, Some(2.1), "")], Step::Close(Closing::Target));
    let closed = TuningState { closing: Some((Closing::Target, 0)), ..target };
    check(&closed, &[DONE, AT_WORK], Step::Stop(vec![1]));
    check(&closed, &[DONE, (Status::Stopped, None, "")], Step::Finish(Outcome::Completed));
    check(&with(Limits { max_runtime_s: Some(10), ..Limits::default() }), &[], Step::Close(Closing::Runtime));
    check(&with(Limits { max_runtime_s: Some(11), ..Limits::default() }), &[], NEW);
    let patient = with(Limits { most_not_improving: Some(3), ..Limits::default() });
    check(
        &patient,
        &[DONE, DONE, FAILED, (Status::Stopped, None, ""), DONE],
        Step::Close(Closing::NotImproving),
    );
    check(
        &patient,
        &[DONE, DONE, FAILED, FAILED_BY_US, (Status::Stopped, None, "")],
        Step::Create { definition: 0, retries: Some(3) },
    );
}

#[test]
fn patience_follows_the_order_of_ends() {
    let limits =
        Limits { most_trainings: 99, most_parallel: 2, most_not_improving: Some(2), ..Limits::default() };
    let state = TuningState { limits, ..state() };
    let mut tries = children(&[(Status::Completed, Some(1.0), ""), DONE, DONE]);
    assert_eq!(decision::next(&state, &tries, 0), Step::Close(Closing::NotImproving));
    // The best child ended last.
    tries[0].ended_ms = Some(9000);
    assert_eq!(decision::next(&state, &tries, 0), NEW);
}

#[test]
fn results_that_stay_where_they_are_have_converged() {
    let state = TuningState {
        limits: Limits {
            most_trainings: 99,
            most_parallel: 2,
            ends_on_convergence: true,
            ..Limits::default()
        },
        ..state()
    };
    let falling = |count: usize, until: usize| -> Vec<(Status, Option<f64>, &'static str)> {
        (0..count).map(|index| (Status::Completed, Some(100.0 - index.min(until) as f64), "")).collect()
    };
    check(&state, &falling(24, 10), Step::Close(Closing::Converged));
    check(&state, &falling(19, 5), NEW);
}
