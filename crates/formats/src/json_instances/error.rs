//! What can be wrong with instances in JSON.

use std::fmt;

use thiserror::Error;

use super::MAX_CONFIGURATION_BYTES;
use crate::numeric::NumericFault;
use crate::rows::Limits;

/// A request that is not what it should be.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{place}{fault}")]
pub struct JsonError {
    /// Where.
    pub place: JsonPlace,
    /// What is wrong there.
    pub fault: JsonFault,
}

/// A place in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonPlace {
    /// The body as a whole, or the one line that there is.
    Alone,
    /// An element of the body's `instances`, from 0.
    Instance(usize),
    /// A line of the body, from 1.
    Line(u64),
}

/// What stands before a fault: `instances[3].`, `line 3: `, or nothing.
impl fmt::Display for JsonPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => Ok(()),
            Self::Instance(number) => write!(f, "instances[{number}]."),
            Self::Line(number) => write!(f, "line {number}: "),
        }
    }
}

/// What is wrong with a request or one of its instances.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum JsonFault {
    /// The text is not JSON.
    #[error("not valid JSON at line {line}, column {column}: {problem}")]
    Syntax {
        /// Line of the text, from 1.
        line: usize,
        /// Byte in the line, from 1.
        column: usize,
        /// The parser's words.
        problem: String,
    },
    /// A body without instances.
    #[error(
        "the member \"instances\" is missing; expected {{\"instances\": [{{\"features\": [1.5, …]}}, …]}}, or one instance per line as \
         application/jsonlines"
    )]
    NoInstances,
    /// An instance without a row.
    #[error("features is missing; expected {{\"features\": [1.5, …]}} or {{\"data\": {{\"features\": …}}}}")]
    NoFeatures,
    /// A member that comes twice.
    #[error("{member} comes twice")]
    Twice {
        /// Which.
        member: &'static str,
    },
    /// Something of another kind than is expected.
    #[error("{field}{} is {got}; expected {expected}", index(*.position))]
    Kind {
        /// The member.
        field: &'static str,
        /// Which element of it, from 0; none for the member itself.
        position: Option<usize>,
        /// What it is.
        got: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A number beyond single precision.
    #[error("{field}[{position}] is {got}, which does not fit 32-bit floats")]
    TooLarge {
        /// The member.
        field: &'static str,
        /// Which element of it, from 0.
        position: usize,
        /// The number.
        got: String,
    },
    /// Another number of features than the model has.
    #[error("features has {got} values, the model takes {width}")]
    Width {
        /// Features of the instance.
        got: usize,
        /// Features of the model.
        width: usize,
    },
    /// Keys, values and shape that are no row.
    #[error(transparent)]
    Row(#[from] NumericFault),
    /// Too long a configuration.
    #[error(
        "configuration has {bytes} bytes, with those before it; expected at most {MAX_CONFIGURATION_BYTES}"
    )]
    Configuration {
        /// Its length.
        bytes: usize,
    },
    /// More instances, or more values, than a request may have.
    #[error("the request is larger than {limits} at once; divide it")]
    TooMany {
        /// What it may have.
        limits: Limits,
    },
}

fn index(position: Option<usize>) -> String {
    position.map_or_else(String::new, |position| format!("[{position}]"))
}
