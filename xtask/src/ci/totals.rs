//! The sum of all results that `cargo test` reports, over all its test binaries.

use std::fmt;

/// The numbers of passed, failed and ignored tests so far.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    /// The skipped tests, with their reasons where given.
    pub(super) skipped_tests: Vec<String>,
    /// Whether a test binary has printed `running N tests` and not yet its result.
    is_open: bool,
}

impl Totals {
    /// Processes one line of output.
    pub(super) fn read_line(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(summary) = line.strip_prefix("test result: ") {
            self.passed += count(summary, "passed");
            self.failed += count(summary, "failed");
            self.skipped += count(summary, "ignored");
            self.is_open = false;
        } else if is_start(line) {
            self.close();
            self.is_open = true;
        } else if let Some(test) = skipped(line) {
            self.skipped_tests.push(test);
        }
    }

    /// Ends a binary. Without a result it was aborted or killed, which counts as a failed test.
    pub(super) fn close(&mut self) {
        self.failed += u64::from(self.is_open);
        self.is_open = false;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The test of `test NAME ... ignored`, of `test NAME ... ignored, REASON`, and of `test [REASON] NAME ... ignored`, the form for tests
/// that found no external program (`kokanee_testkit::outside`).
fn skipped(line: &str) -> Option<String> {
    let (test, reason) = line.strip_prefix("test ")?.rsplit_once(" ... ignored")?;
    let (before, test) = match test.strip_prefix('[').and_then(|rest| rest.rsplit_once("] ")) {
        Some((reason, test)) => (reason, test),
        None => ("", test),
    };
    let reason = reason.strip_prefix(", ").unwrap_or(before);
    Some(if reason.is_empty() {
        test.trim_end().to_owned()
    } else {
        format!("{}: {reason}", test.trim_end())
    })
}

/// `running 12 tests`
fn is_start(line: &str) -> bool {
    line.strip_prefix("running ")
        .and_then(|rest| rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test")))
        .is_some_and(|number| number.parse::<u64>().is_ok())
}

/// The number before `word` in `ok. 3 passed; 0 failed; 1 ignored; …`.
fn count(summary: &str, word: &str) -> u64 {
    let mut before = None;
    for token in summary.split([' ', ';', '.']) {
        if token == word {
            return before.unwrap_or(0);
        }
        before = token.parse().ok();
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, want: &str) {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.read_line(line));
        totals.close();
        assert_eq!(totals.to_string(), want);
    }

    #[test]
    fn results_of_all_binaries_are_summed() {
        let output = "
running 3 tests
test a ... ok
test b ... FAILED
test c ... ignored

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.09s

running 1 test
test d ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 12.50s
";
        check(output, "2 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn skipped_tests_are_named_with_their_reasons() {
        let mut totals = Totals::default();
        for line in [
            "test a::b ... ignored",
            "test c - d (line 3) ... ignored",
            "test e ... ignored, needs a network",
            "test [zsh: not found (os error [2]); install it] f   ... ignored",
            "test g ... ok",
            "testing ... ignored",
        ] {
            totals.read_line(line);
        }
        assert_eq!(
            totals.skipped_tests,
            ["a::b", "c - d (line 3)", "e: needs a network", "f: zsh: not found (os error [2]); install it",]
        );
    }

    #[test]
    fn a_binary_that_dies_counts_as_a_failed_test() {
        let result = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        check(
            &format!("running 2 tests\ntest a ... ok\nrunning 1 test\n{result}"),
            "1 passed, 1 failed, 0 skipped",
        );
        check(&format!("running 1 test\n{result}\nrunning 7 tests\n"), "1 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn nothing_run_is_nothing_passed() {
        check("error: could not compile `kokanee`\nrunning late tests\n", "0 passed, 0 failed, 0 skipped");
    }
}
