//! Jobs at work. A harness of its own, because the engine calls this program as the process that keeps a task.

mod training;

use std::path::Path;
use std::process::ExitCode;

use kokanee_control::engine::run_shim;
use kokanee_testkit::outside::{self, OutsideTest};

/// Names a test, and runs it on a runtime of its own.
macro_rules! tests {
    ($($module:ident::$name:ident),* $(,)?) => {
        vec![$(OutsideTest::new(stringify!($name), &Ok(String::new()), |_| {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.expect("a runtime").block_on($module::$name());
        })),*]
    };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, folder] = arguments.as_slice()
        && command == "shim"
    {
        return match run_shim(Path::new(folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    outside::run(tests![
        training::a_job_that_is_stopped_keeps_what_it_left,
        training::a_job_whose_time_is_over_is_stopped,
        training::a_job_fails_with_what_its_program_says,
        training::a_job_that_an_earlier_server_left_is_taken_up,
        training::what_a_job_logs_is_counted_once_whichever_server_reads_it,
        training::a_job_that_an_earlier_server_fed_begins_again,
        training::a_job_that_died_with_the_machine_goes_on,
        training::ends_that_no_server_saw_are_noted,
        training::a_task_leaves_no_process,
    ])
}
