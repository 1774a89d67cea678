//! Tests of SageMaker's clients against `kokanee local`.

use std::path::Path;

use crate::workplace::{Workplace, said};

/// boto3 and SDK v2, which find the server only by their environment.
pub(crate) fn boto3_and_the_sdk_use_a_local_sagemaker(python: &str) {
    check("local_boto3.py", python, &[]);
}

/// Logs and metrics, in every protocol.
pub(crate) fn clients_read_logs_and_metrics(python: &str) {
    check("local_logs.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// The calls of boto3 and the commands of curl that the console's pages show.
pub(crate) fn calls_that_the_console_shows_do_the_same_again(python: &str) {
    check("local_console.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// Users' own programs, and every way in which data gets to jobs and from them.
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

/// Clients that use the server as their proxy, with or without `AWS_ENDPOINT_URL`.
pub(crate) fn clients_use_a_local_sagemaker_by_a_proxy(python: &str) {
    for mode in ["proxy", "proxy-only"] {
        let script = script("python/local_proxy.py");
        let program = env!("CARGO_BIN_EXE_kokanee");
        let words = ["--mode", mode, "--", python, "-W", "ignore", &script, program, "data", mode];
        run_with_a_server(&[], &words);
    }
}

/// Buckets in another S3.
pub(crate) fn jobs_use_the_buckets_of_another_s3(python: &str) {
    check("local_other_s3.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "outer"]);
}

/// Automatic scaling.
pub(crate) fn clients_scale_endpoints(python: &str) {
    check("local_scaling.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// Tuning jobs.
pub(crate) fn boto3_and_the_sdk_tune(python: &str) {
    check("local_tuning.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// SDK v3's tuner.
pub(crate) fn sdk_v3_tunes(python: &str) {
    check("local_tuning_v3.py", python, &[]);
}

/// SDK v3.
pub(crate) fn sdk_v3_uses_a_local_sagemaker(python: &str) {
    check("local_sdk_v3.py", python, &[env!("CARGO_BIN_EXE_kokanee"), "data"]);
}

/// The AWS CLI.
pub(crate) fn the_aws_cli_uses_a_local_sagemaker(python: &str) {
    check("local_cli.py", python, &[]);
}

/// The guide's listings of k-means.
pub(crate) fn listings_of_the_guide_run_on_a_local_sagemaker(python: &str) {
    check("local_guide.py", python, &[]);
}

/// The calls of AWS's notebooks of seq2seq, and of SDK v2's estimators.
pub(crate) fn notebooks_run_on_a_local_sagemaker(python: &str) {
    check("local_notebooks.py", python, &[]);
}

/// AWS's SDK for JavaScript.
pub(crate) fn the_sdk_for_javascript_uses_a_local_sagemaker(packages: &str) {
    beside_a_server(&[], &["node", &script("javascript/local.mjs"), packages]);
}

/// Runs a Python script beside a new server.
fn check(name: &str, python: &str, arguments: &[&str]) {
    check_with(&[], name, python, arguments);
}

/// The same with further environment variables.
fn check_with(variables: &[(&str, &str)], name: &str, python: &str, arguments: &[&str]) {
    let script = script(&format!("python/{name}"));
    beside_a_server(variables, &[&[python, "-W", "ignore", &script], arguments].concat());
}

/// The path of a script.
fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// Runs a command, which must succeed, beside a new server.
fn beside_a_server(variables: &[(&str, &str)], words: &[&str]) {
    run_with_a_server(variables, &[&["--"], words].concat());
}

/// The same, with options before the command.
fn run_with_a_server(variables: &[(&str, &str)], words: &[&str]) {
    let work = Workplace::new();
    let options = ["local", "run", "--data", "data", "--jobs", "1", "--region", "us-west-2"];
    let line = [options.as_slice(), words].concat();
    let mut command = work.command(&line);
    // No container tool is found, whether this machine has one or not.
    command.env("DOCKER_HOST", "unix:///nowhere.sock").env("CONTAINER_HOST", "unix:///nowhere.sock");
    // The user's AWS settings on this machine must not matter.
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env_remove("AWS_PROFILE");
    // Nor must a proxy that the machine needs for the network.
    for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    let said = said(command).well();
    assert!(said.stdout.contains("all as expected"), "{said:#?}");
}
