//! SageMaker's clients against `kokanee local`.

use std::path::Path;

use crate::workplace::{Workplace, said};

/// boto3 and SDK v2, which know of the server by their environment only.
pub(crate) fn boto3_and_the_sdk_use_a_local_sagemaker(python: &str) {
    check("local_boto3.py", python, &[]);
}

/// Logs and metrics, in every protocol.
pub(crate) fn clients_read_logs_and_metrics(python: &str) {
    check("local_logs.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// Programs of users' own, and every way in which data comes to jobs and goes from them.
pub(crate) fn own_programs_train_in_a_local_sagemaker(python: &str) {
    check("local_own.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// Models and endpoints.
pub(crate) fn boto3_and_the_sdk_host_models(python: &str) {
    check("local_hosting.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// Batch transform.
pub(crate) fn boto3_and_the_sdk_transform(python: &str) {
    check("local_transform.py", python, &[]);
}

/// Every service of a server that was started with keys.
pub(crate) fn clients_with_keys_are_served_and_others_refused(python: &str) {
    let keys = [("KOKANEE_ACCESS_KEY", "team"), ("KOKANEE_SECRET_KEY", "a/secret+with=odd~characters")];
    check_with(&keys, "local_keys.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// Automatic scaling.
pub(crate) fn clients_scale_endpoints(python: &str) {
    check("local_scaling.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// Runs a script beside a server of its own; it says that all is as it expects.
fn check(script: &str, python: &str, arguments: &[&str]) {
    check_with(&[], script, python, arguments);
}

/// The same with further variables.
fn check_with(variables: &[(&str, &str)], script: &str, python: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/python").join(script);
    let script = script.to_str().expect("UTF-8");
    let work = Workplace::new();
    let line = [
        ["local", "run", "--data", "data", "--jobs", "1", "--region", "us-west-2", "--"].as_slice(),
        &[python, "-W", "ignore", script],
        arguments,
    ]
    .concat();
    let mut command = work.command(&line);
    // No container tool answers, whether this machine has one or not.
    command.env("DOCKER_HOST", "unix:///nowhere.sock").env("CONTAINER_HOST", "unix:///nowhere.sock");
    // Whatever the user of this machine has set up for AWS plays no part.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env_remove("AWS_PROFILE");
    command.envs(variables.iter().copied());
    let said = said(command).well();
    assert!(said.stdout.contains("all as expected"), "{said:#?}");
}
