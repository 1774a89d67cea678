//! The end of a container: its exit code and its failure file.
//!
//! Source: the guide's "How Amazon SageMaker Signals Algorithm Success and Failure".

use std::fmt;

use crate::spec::choice;

/// The characters at the beginning of the failure file that SageMaker shows as `FailureReason`; the essential part must be within.
pub const FAILURE_LIMIT_CHARS: usize = 1024;

choice! {
    /// The party that must act on a failure; the first word of `FailureReason`.
    FailureKind {
        /// The author of the job: data, hyperparameters, files.
        Client = "ClientError",
        /// The maintainers of the algorithm.
        Algorithm = "AlgorithmError",
        /// The operator of the machine: memory, disk.
        InternalServer = "InternalServerError",
    }
}

/// The content of a failure file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The party that must act.
    pub kind: FailureKind,
    /// What is wrong; the essential part comes first.
    pub message: String,
}

impl Failure {
    /// Reads a failure file; `None` if it does not begin with a [`FailureKind`], as with containers that users bring.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, message) = text.split_once(':')?;
        Some(Self { kind: FailureKind::from_name(kind.trim())?, message: message.trim().to_owned() })
    }
}

impl fmt::Display for Failure {
    /// The text of the failure file, without a line break at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// The part of a failure file that SageMaker shows as `FailureReason`: its first [`FAILURE_LIMIT_CHARS`] characters.
pub fn failure_reason(text: &str) -> &str {
    let text = text.trim_end();
    text.char_indices().nth(FAILURE_LIMIT_CHARS).map_or(text, |(end, _)| &text[..end])
}

/// The exit codes of the program. SageMaker only distinguishes 0 from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// Success.
    Done,
    /// An external fault: input, hyperparameters, files, the disk.
    Outside,
    /// An invalid command line.
    CommandLine,
    /// A bug in the program (`EX_SOFTWARE` of sysexits).
    OurFault,
}

impl ExitCode {
    /// Every code.
    pub const ALL: [Self; 4] = [Self::Done, Self::Outside, Self::CommandLine, Self::OurFault];

    /// The exit code as a number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Outside => 1,
            Self::CommandLine => 2,
            Self::OurFault => 70,
        }
    }

    /// The exit code with this number; `None` for numbers that the program does not use.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| i32::from(code.number()) == number)
    }

    /// The party that must act; `None` on success.
    pub const fn failure_kind(self) -> Option<FailureKind> {
        match self {
            Self::Done => None,
            Self::Outside | Self::CommandLine => Some(FailureKind::Client),
            Self::OurFault => Some(FailureKind::Algorithm),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_as_they_are_written() {
        for kind in FailureKind::ALL {
            let failure = Failure { kind: *kind, message: "channel train: holds no record".to_owned() };
            let text = format!("{failure}\n");
            assert!(text.starts_with(kind.as_str()), "{text}");
            assert_eq!(Failure::parse(&text), Some(failure));
        }
        assert_eq!(Failure::parse("Exception during training: out of luck"), None);
        assert_eq!(Failure::parse(""), None);
    }

    #[test]
    fn what_is_shown_ends_at_a_character() {
        assert_eq!(failure_reason("ClientError: x\n"), "ClientError: x");
        let long = "ü".repeat(FAILURE_LIMIT_CHARS + 1);
        assert_eq!(failure_reason(&long).chars().count(), FAILURE_LIMIT_CHARS);
        assert_eq!(failure_reason(&long[2..]), &long[2..]);
    }

    #[test]
    fn exit_codes_are_told_apart() {
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from_number(code.number().into()), Some(code));
            assert_eq!(code.failure_kind().is_none(), code.number() == 0);
        }
        assert_eq!(ExitCode::from_number(137), None);
    }
}
