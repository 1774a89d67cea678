//! Only the crate of the kernels may contain `unsafe`.
//!
//! The lint `unsafe_code = "forbid"` ensures this for compiled code; this rule also checks code behind a `cfg` that is off on this machine.

use super::Finding;
use super::rust_source::RustSource;

const ALLOWED: &str = "crates/kernels/";

pub(super) fn check(sources: &[(&str, RustSource)]) -> Vec<Finding> {
    let message =
        "`unsafe` outside crates/kernels: write it safely, or move it into a kernel with a safe face";
    sources
        .iter()
        .filter(|(path, _)| !path.starts_with(ALLOWED))
        .flat_map(|(path, source)| {
            source.lines_with("unsafe").into_iter().map(|line| Finding::fault(path, line, message))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(path: &str, source: &str, lines: &[usize]) {
        let found = check(&[(path, RustSource::parse(source))]);
        assert_eq!(found.iter().map(|finding| finding.line).collect::<Vec<_>>(), lines);
    }

    #[test]
    fn only_kernels_may() {
        check_one("crates/kernels/src/cpu/isa.rs", "unsafe fn f() {}", &[]);
        check_one("algorithms/seq2seq/nn/src/lib.rs", "fn f() {\n    unsafe { g() }\n}", &[2]);
        check_one("xtask/src/main.rs", "#[cfg(windows)]\nunsafe impl Send for A {}", &[2]);
        check_one("crates/kernels_extra/src/lib.rs", "unsafe fn f() {}", &[1]);
    }

    #[test]
    fn speaking_of_it_is_no_fault() {
        check_one(
            "algorithms/seq2seq/nn/src/lib.rs",
            "// unsafe\n#![forbid(unsafe_code)]\nconst A: &str = \"unsafe\";",
            &[],
        );
    }
}
