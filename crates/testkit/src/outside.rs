//! A test harness for tests that need an external program, such as Python, a shell or a browser.
//!
//! Rust's own harness decides at compile time which tests are ignored: a test that finds out later that it cannot run can only pass or
//! fail. A test binary with `harness = false` and [`run`] as its `main` counts such tests as ignored and shows the reason. With `CI=true`
//! they fail, because a gate that skips tests proves nothing.

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// A test by its name, and the program it needs: `Err` says what is missing and how to get it.
pub struct OutsideTest {
    name: &'static str,
    run: Box<dyn FnOnce(&str) + Send>,
    program: Result<String, String>,
}

impl OutsideTest {
    /// A test that receives the program it needs.
    pub fn new(
        name: &'static str,
        program: &Result<String, String>,
        run: impl FnOnce(&str) + Send + 'static,
    ) -> Self {
        Self { name, run: Box::new(run), program: program.clone() }
    }

    fn into_trial(self, may_skip: bool) -> Trial {
        match fate(self.program, may_skip) {
            Fate::Runs(program) => Trial::test(self.name, move || {
                (self.run)(&program);
                Ok(())
            }),
            Fate::Ignored(missing) => {
                Trial::test(self.name, || Ok(())).with_ignored_flag(true).with_kind(missing)
            }
            Fate::Fails(missing) => Trial::test(self.name, move || Err(missing.into())),
        }
    }
}

/// The treatment of a test.
#[derive(Debug, PartialEq)]
enum Fate {
    /// It runs with its program.
    Runs(String),
    /// It counts as ignored, with what is missing.
    Ignored(String),
    /// It counts as failed, with what is missing.
    Fails(String),
}

/// A test without its program is ignored, or fails where skipping is not allowed.
fn fate(program: Result<String, String>, may_skip: bool) -> Fate {
    match program {
        Ok(program) => Fate::Runs(program),
        Err(missing) if may_skip => Fate::Ignored(missing),
        Err(missing) => Fate::Fails(format!("{missing}; CI=true allows no skipping")),
    }
}

/// Runs the tests as Rust's own harness does, with the same options.
pub fn run(tests: impl IntoIterator<Item = OutsideTest>) -> ExitCode {
    let may_skip = env::var_os("CI").is_none_or(|value| value != "true");
    let trials = tests.into_iter().map(|test| test.into_trial(may_skip)).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_without_its_program_is_ignored_and_fails_where_nothing_may_be_skipped() {
        let (there, missing) = (Ok("python3".to_owned()), Err("there is no Python".to_owned()));
        assert_eq!(fate(there.clone(), true), Fate::Runs("python3".to_owned()));
        assert_eq!(fate(there, false), Fate::Runs("python3".to_owned()));
        assert_eq!(fate(missing.clone(), true), Fate::Ignored("there is no Python".to_owned()));
        assert_eq!(
            fate(missing, false),
            Fate::Fails("there is no Python; CI=true allows no skipping".to_owned())
        );
    }

    #[test]
    fn the_harness_is_told_the_fate() {
        let trial = |may_skip| OutsideTest::new("a", &Err("no".to_owned()), |_| ()).into_trial(may_skip);
        assert!(trial(true).has_ignored_flag() && trial(true).kind() == "no");
        assert!(!trial(false).has_ignored_flag());
    }
}
