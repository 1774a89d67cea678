//! An error of an algorithm, with who must act.

use std::error::Error;
use std::fmt;

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The user: the input, the hyperparameters, files, the disk.
    User,
    /// Us.
    Kokanee,
}

/// Why a training failed, or a model cannot be used.
#[derive(Debug)]
pub struct AlgorithmError {
    /// Who must act.
    pub blame: Blame,
    source: Box<dyn Error + Send + Sync>,
}

impl AlgorithmError {
    /// What a user can mend.
    pub fn user(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { blame: Blame::User, source: error.into() }
    }

    /// What only we can mend.
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
        // This error says what the inner one says.
        self.source.source()
    }
}
