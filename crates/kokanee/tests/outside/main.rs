//! Tests that need other programs: documented commands in the shells that people use, and the page in a browser.

mod browser;
mod console;
mod documented;
mod local;
mod local_server;
mod sdk;
mod serving;
mod wheel;
#[allow(dead_code, reason = "the tests of the command line use the rest")]
#[path = "../cli/workplace.rs"]
mod workplace;

use std::process::{Command, ExitCode, Stdio};

use kokanee_testkit::outside::{self, OutsideTest};

fn main() -> ExitCode {
    let shells = ["bash", "zsh"].map(|shell| (shell, found(&[shell])));
    let browser = found(&["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]);
    let mut tests = vec![OutsideTest::new(
        "a_browser_types_a_sentence_and_sees_answers_and_attention",
        &browser,
        browser::types_a_sentence_and_sees_answers_and_attention,
    )];
    tests.push(OutsideTest::new(
        "console_people_watch_stop_compare_invoke_and_browse",
        &browser,
        console::people_watch_stop_compare_invoke_and_browse,
    ));
    tests.push(OutsideTest::new(
        "console_people_sign_in_where_there_are_keys",
        &browser,
        console::people_sign_in_where_there_are_keys,
    ));
    tests.push(OutsideTest::new(
        "serializers_and_deserializers_of_the_sdk_talk_to_the_server",
        &sdk::python(),
        sdk::serializers_and_deserializers_talk_to_the_server,
    ));
    tests.push(OutsideTest::new(
        "boto3_and_the_sdk_use_a_local_sagemaker",
        &sdk::python(),
        local::boto3_and_the_sdk_use_a_local_sagemaker,
    ));
    tests.push(OutsideTest::new(
        "clients_read_logs_and_metrics",
        &sdk::python(),
        local::clients_read_logs_and_metrics,
    ));
    tests.push(OutsideTest::new(
        "calls_that_the_console_shows_do_the_same_again",
        &sdk::python(),
        local::calls_that_the_console_shows_do_the_same_again,
    ));
    tests.push(OutsideTest::new(
        "own_programs_train_in_a_local_sagemaker",
        &sdk::python(),
        local::own_programs_train_in_a_local_sagemaker,
    ));
    tests.push(OutsideTest::new(
        "boto3_and_the_sdk_host_models",
        &sdk::python(),
        local::boto3_and_the_sdk_host_models,
    ));
    tests.push(OutsideTest::new(
        "boto3_and_the_sdk_transform",
        &sdk::python(),
        local::boto3_and_the_sdk_transform,
    ));
    tests.push(OutsideTest::new(
        "clients_with_keys_are_served_and_others_refused",
        &sdk::python(),
        local::clients_with_keys_are_served_and_others_refused,
    ));
    tests.push(OutsideTest::new(
        "clients_use_a_local_sagemaker_by_a_proxy",
        &sdk::python(),
        local::clients_use_a_local_sagemaker_by_a_proxy,
    ));
    tests.push(OutsideTest::new(
        "jobs_use_the_buckets_of_another_s3",
        &sdk::python(),
        local::jobs_use_the_buckets_of_another_s3,
    ));
    tests.push(OutsideTest::new("clients_scale_endpoints", &sdk::python(), local::clients_scale_endpoints));
    tests.push(OutsideTest::new("boto3_and_the_sdk_tune", &sdk::python(), local::boto3_and_the_sdk_tune));
    tests.push(OutsideTest::new(
        "notebooks_run_on_a_local_sagemaker",
        &sdk::python(),
        local::notebooks_run_on_a_local_sagemaker,
    ));
    tests.push(OutsideTest::new(
        "listings_of_the_guide_run_on_a_local_sagemaker",
        &sdk::python(),
        local::listings_of_the_guide_run_on_a_local_sagemaker,
    ));
    tests.push(OutsideTest::new(
        "the_aws_cli_uses_a_local_sagemaker",
        &sdk::python(),
        local::the_aws_cli_uses_a_local_sagemaker,
    ));
    tests.push(OutsideTest::new(
        "sdk_v3_uses_a_local_sagemaker",
        &sdk::python_of_v3(),
        local::sdk_v3_uses_a_local_sagemaker,
    ));
    tests.push(OutsideTest::new("sdk_v3_tunes", &sdk::python_of_v3(), local::sdk_v3_tunes));
    tests.push(OutsideTest::new(
        "the_sdk_for_javascript_uses_a_local_sagemaker",
        &sdk::javascript(),
        local::the_sdk_for_javascript_uses_a_local_sagemaker,
    ));
    tests.push(OutsideTest::new(
        "a_wheel_installs_into_an_empty_environment",
        &wheel::file(),
        wheel::installs_into_an_empty_environment,
    ));
    for (shell, program) in &shells {
        let names = documented::tests(shell);
        tests.extend(names.into_iter().map(|(name, run)| OutsideTest::new(name, program, run)));
    }
    outside::run(tests)
}

/// The first of these programs that can be started, or a message on what to install.
fn found(programs: &[&str]) -> Result<String, String> {
    let answers = |name: &&&str| {
        let mut command = Command::new(name);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let program = programs.iter().find(answers);
    program.map(|name| (*name).to_owned()).ok_or_else(|| format!("{} is not installed", programs[0]))
}
