//! What can be wrong with hyperparameters, said so that the person who set them can put it right.

use std::fmt;

/// Everything that is wrong with a set of hyperparameters, never only the first thing.
///
/// The first line of the text names every hyperparameter concerned, so that it survives SageMaker's cut of a failure
/// description to [`crate::layout::FAILURE_LIMIT_CHARS`]; the lines after it explain one fault each.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults(pub Vec<Fault>);

/// One thing that is wrong with one hyperparameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The name as it was given (which for [`FaultKind::Unknown`] is no name of the table).
    pub name: String,
    /// The value as it was given, or the default where the fault lies in leaving it out.
    pub value: String,
    /// What is wrong.
    pub kind: FaultKind,
}

/// The ways a hyperparameter can be wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The name is in no table.
    Unknown {
        /// The known name that looks most like it.
        nearest: Option<&'static str>,
    },
    /// The value is outside what is valid.
    Invalid {
        /// What would be valid, for instance `an integer from 1 to 65536`.
        expected: String,
        /// Why, or what to do; may be empty.
        hint: String,
    },
    /// The value is valid, but contradicts the value of another hyperparameter.
    Conflict {
        /// The contradiction and how to resolve it.
        reason: String,
    },
    /// One hyperparameter was given under two spellings.
    GivenTwice {
        /// The other spelling.
        other: &'static str,
    },
}

/// Longest name or value quoted in a message, in characters; longer ones are cut, with an ellipsis.
const LONGEST_QUOTED_CHARS: usize = 60;
/// How many names the first line lists.
const MOST_NAMES_LISTED: usize = 20;

/// `text` with control characters escaped and cut to a length that fits a message.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST_QUOTED_CHARS).collect();
    let ellipsis = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{ellipsis}", cut.escape_debug())
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = (shown(&self.name), shown(&self.value));
        match &self.kind {
            FaultKind::Unknown { nearest } => {
                write!(f, "Additional hyperparameters are not allowed ('{name}' was unexpected)")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None => write!(f, "; `kokanee train --help` lists the known names"),
                }
            }
            FaultKind::Invalid { expected, hint } => {
                write!(f, "`{name}`=\"{value}\" is not valid: expected {expected}")?;
                if hint.is_empty() { Ok(()) } else { write!(f, "; {hint}") }
            }
            FaultKind::Conflict { reason } => write!(f, "`{name}`=\"{value}\" cannot be used: {reason}"),
            FaultKind::GivenTwice { other } => {
                write!(
                    f,
                    "`{name}`=\"{value}\" and `{other}` are two spellings of one hyperparameter: give only one"
                )
            }
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<String> = self.0.iter().map(|fault| shown(&fault.name)).collect();
        names.sort();
        names.dedup();
        let count = names.len();
        let more = count.saturating_sub(MOST_NAMES_LISTED);
        names.truncate(MOST_NAMES_LISTED);
        let plural = if count == 1 { "hyperparameter" } else { "hyperparameters" };
        write!(f, "{count} {plural} cannot be used ({}", names.join(", "))?;
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(f, "):")?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Fault {}
impl std::error::Error for Faults {}
