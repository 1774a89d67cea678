//! Errors of instances in JSON.

use std::fmt;

use thiserror::Error;

use super::MAX_CONFIGURATION_BYTES;
use crate::numeric::NumericFault;
use crate::rows::Limits;

/// An error in the instances of a request.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{place}{fault}")]
pub struct JsonError {
    /// The place of the fault.
    pub place: JsonPlace,
    /// The fault.
    pub fault: JsonFault,
}

/// A place in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonPlace {
    /// The body as a whole, or its only line.
    Alone,
    /// An element of the body's `instances`, from 0.
    Instance(usize),
    /// A line of the body, from 1.
    Line(u64),
}

/// Formats the prefix of a fault: `instances[3].`, `line 3: `, or nothing.
impl fmt::Display for JsonPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => Ok(()),
            Self::Instance(number) => write!(f, "instances[{number}]."),
            Self::Line(number) => write!(f, "line {number}: "),
        }
    }
}

/// A fault of a request or one of its instances.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum JsonFault {
    /// The text is not JSON.
    #[error("not valid JSON at line {line}, column {column}: {problem}")]
    Syntax {
        /// Line of the text, from 1.
        line: usize,
        /// Byte in the line, from 1.
        column: usize,
        /// The parser's message.
        problem: String,
    },
    /// The body has no member `instances`.
    #[error(
        "the member \"instances\" is missing; expected {{\"instances\": [{{\"features\": [1.5, …]}}, …]}}, or one instance per line as \
         application/jsonlines"
    )]
    NoInstances,
    /// An instance has no row.
    #[error("features is missing; expected {{\"features\": [1.5, …]}} or {{\"data\": {{\"features\": …}}}}")]
    NoFeatures,
    /// A member occurs twice.
    #[error("{member} comes twice")]
    Twice {
        /// The member.
        member: &'static str,
    },
    /// A value has another type than expected.
    #[error("{field}{} is {got}; expected {expected}", index(*.position))]
    Kind {
        /// The member.
        field: &'static str,
        /// The index of its element, from 0; `None` for the member itself.
        position: Option<usize>,
        /// The value found.
        got: String,
        /// The expected type.
        expected: &'static str,
    },
    /// A number outside the range of single precision.
    #[error("{field}[{position}] is {got}, which does not fit 32-bit floats")]
    TooLarge {
        /// The member.
        field: &'static str,
        /// The index of the element, from 0.
        position: usize,
        /// The number.
        got: String,
    },
    /// An instance has another number of features than the model.
    #[error("features has {got} values, the model takes {width}")]
    Width {
        /// Features of the instance.
        got: usize,
        /// Features of the model.
        width: usize,
    },
    /// Keys, values and shape that do not form a row.
    #[error(transparent)]
    Row(#[from] NumericFault),
    /// A configuration that is too long.
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
        /// The limits.
        limits: Limits,
    },
}

fn index(position: Option<usize>) -> String {
    position.map_or_else(String::new, |position| format!("[{position}]"))
}
