//! Errors of an algorithm, and who must act on them.

use std::error::Error;
use std::fmt;

/// The party that must act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The user: the input, the hyperparameters, files, the disk.
    User,
    /// Us.
    Kokanee,
}

/// The reason why training failed or a model cannot be used.
#[derive(Debug)]
pub struct AlgorithmError {
    /// Who must act.
    pub blame: Blame,
    source: Box<dyn Error + Send + Sync>,
}

impl AlgorithmError {
    /// An error that the user can fix.
    pub fn user(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { blame: Blame::User, source: error.into() }
    }

    /// An error that only the maintainers can fix.
    pub fn ours(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { blame: Blame::Kokanee, source: error.into() }
    }
}

impl fmt::Display for AlgorithmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for AlgorithmError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // This error's message already is the inner error's message.
        self.source.source()
    }
}
