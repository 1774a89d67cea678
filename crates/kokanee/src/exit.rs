//! The end of the program: exit codes, and messages on stderr.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; also when the reader of our output went away (`| head`) |
//! | 1 | something outside is wrong: input, hyperparameters, files, the disk; the message says what |
//! | 2 | the command line itself is wrong (clap's code) |
//! | 70 | a bug in Kokanee; please report it (`EX_SOFTWARE` of sysexits) |

use std::fmt;
use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Result;
use kokanee_algorithm::{AlgorithmError, Blame};
use kokanee_contract::container::failure::ExitCode as Code;
use kokanee_endpoint::ServerError;
use kokanee_seq2seq_train::TrainError;
use kokanee_transform::InvokeError;

/// A panic that reached the top: this must not happen for any input.
#[derive(Debug)]
pub(crate) struct InternalFault(String);

impl fmt::Display for InternalFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a bug in Kokanee: {}; please report it with the command and, if you can, its input",
            self.0
        )
    }
}

impl std::error::Error for InternalFault {}

/// Options that contradict each other or the algorithm, which the parser of the command line cannot detect.
#[derive(Debug)]
pub(crate) struct CommandLineError(pub(crate) String);

impl fmt::Display for CommandLineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; for more information, try '--help'", self.0)
    }
}

impl std::error::Error for CommandLineError {}

/// The message and the place of the first panic.
static SAID: Mutex<Option<String>> = Mutex::new(None);

/// The message of a panic that was caught elsewhere, if there was one.
pub(crate) fn said() -> Option<String> {
    SAID.lock().ok().and_then(|said| said.clone())
}

/// Runs `work`, turning a panic into an [`InternalFault`].
///
/// # Errors
/// Those of `work`, and the fault.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // The message and the place are known only to the hook. The first panic is the cause; others follow from it.
    panic::set_hook(Box::new(|info| {
        if let Ok(mut said) = SAID.lock() {
            said.get_or_insert_with(|| info.to_string().replace('\n', " "));
        }
    }));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let said = SAID.lock().ok().and_then(|mut said| said.take());
        Err(InternalFault(said.unwrap_or_else(|| "it stopped without a message".to_owned())).into())
    })
}

/// Reports the error, if there is one, and returns the exit code.
pub(crate) fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {}", describe(&error)));
            ExitCode::from(code(&error).number())
        }
    }
}

/// The error and its causes, each once: libraries often repeat a cause in their own words.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Prints a line on stderr; errors are ignored.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Whether only we can fix the error.
pub(crate) fn is_our_fault(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<InternalFault>()
            || cause.downcast_ref::<AlgorithmError>().is_some_and(|error| error.blame == Blame::Kokanee)
            || cause.downcast_ref::<TrainError>().is_some_and(|error| !error.is_user_error())
            || cause.downcast_ref::<InvokeError>().is_some_and(|error| error.is_internal)
            || matches!(cause.downcast_ref(), Some(ServerError::Broken(_) | ServerError::Loading))
    })
}

fn code(error: &anyhow::Error) -> Code {
    if error.is::<CommandLineError>() {
        Code::CommandLine
    } else if is_our_fault(error) {
        Code::OurFault
    } else {
        Code::Outside
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, anyhow};

    use super::*;

    #[track_caller]
    fn check(error: anyhow::Error, text: &str, expected: Code) {
        assert!(describe(&error).contains(text), "{} lacks {text:?}", describe(&error));
        assert_eq!(code(&error), expected);
    }

    #[test]
    fn causes_are_told_once() {
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Err::<(), _>(refused()).context("cannot write x").unwrap_err();
        check(error, "cannot write x: permission denied", Code::Outside);
        let error =
            Err::<(), _>(refused()).context("cannot write x: permission denied, try again").unwrap_err();
        assert_eq!(describe(&error), "cannot write x: permission denied, try again");
    }

    #[test]
    fn a_panic_is_our_fault_and_names_its_place() {
        let error = guarded::<()>(|| panic!("a {} thing", "bad")).unwrap_err();
        assert!(describe(&error).contains("a bad thing") && describe(&error).contains("exit.rs"));
        check(error, "please report it", Code::OurFault);
        check(anyhow!("x"), "x", Code::Outside);
    }

    #[test]
    fn a_server_that_broke_down_is_our_fault_and_one_without_a_model_is_not() {
        check(
            ServerError::Broken("it failed".to_owned()).into(),
            "it failed; the log says why",
            Code::OurFault,
        );
        check(anyhow::Error::from(ServerError::Loading).context("x"), "the log says why", Code::OurFault);
        check(ServerError::Load("no model".into()).into(), "no model", Code::Outside);
    }

    #[test]
    fn a_reader_that_leaves_is_no_error() {
        let gone = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert!(is_broken_pipe(&gone) && !is_broken_pipe(&anyhow!("cannot write")));
    }
}
