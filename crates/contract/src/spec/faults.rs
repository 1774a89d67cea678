//! The faults of hyperparameters, worded so that the person who set them can fix them.

use std::fmt;

/// All faults of a set of hyperparameters, not only the first.
///
/// Under [`Conventions::Sockeye`] the first line of the text names every hyperparameter concerned, so that it survives SageMaker's
/// truncation of a failure description to [`FAILURE_LIMIT_CHARS`](crate::container::failure::FAILURE_LIMIT_CHARS); each later line explains
/// one fault. Under [`Conventions::Toolkit`] the text begins with the real containers' words for the first fault, which programs search
/// for, and the second line names all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// The faults; at least one.
    pub faults: Vec<Fault>,
    /// The style of the text.
    pub conventions: Conventions,
}

/// The conventions for faults of a job: their wording, and what counts as a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conventions {
    /// The conventions of sequence-to-sequence, whose real texts are not public: our own words, with all names in the first line. An
    /// unknown channel is ignored.
    Sockeye,
    /// The conventions of containers that share SageMaker's toolkit: texts begin with its words. An unknown channel is a fault, and the
    /// tuning objective must be a metric of the algorithm.
    Toolkit,
}

/// One fault of one hyperparameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The given name (for [`FaultKind::Unknown`] it is not in the table).
    pub name: String,
    /// The given value, or the default if the fault is that no value was given.
    pub value: String,
    /// What is wrong.
    pub kind: FaultKind,
    /// The style of its text.
    pub conventions: Conventions,
}

/// The kinds of faults of a hyperparameter.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// The name is not in the table.
    Unknown {
        /// The most similar known name.
        nearest: Option<&'static str>,
    },
    /// The value is not valid.
    Invalid {
        /// The valid values, for instance `an integer from 1 to 65536`.
        expected: String,
        /// The reason, or advice; may be empty.
        hint: String,
        /// The valid values in the words of SageMaker's containers, for a value of the right type outside them.
        outside: Option<String>,
    },
    /// A required value is missing.
    Missing {
        /// The valid values.
        expected: String,
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

/// Longest name or value quoted in a message, in characters; longer ones are truncated with an ellipsis.
const LONGEST_QUOTED_CHARS: usize = 60;
/// The maximum number of names in the first line.
const MOST_NAMES_LISTED: usize = 20;

/// `text` with control characters escaped, truncated to a length that fits a message.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(LONGEST_QUOTED_CHARS).collect();
    let ellipsis = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{ellipsis}", cut.escape_debug())
}

/// Words as a Python list: `['random', 'kmeans++']`.
pub(crate) fn python_list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("[{}]", quoted.join(", "))
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = (shown(&self.name), shown(&self.value));
        if self.conventions == Conventions::Toolkit
            && let FaultKind::Invalid { outside, .. } = &self.kind
        {
            match outside {
                Some(range) => write!(f, "Hyperparameter {name}: {value} is not in {range}; ")?,
                None => write!(f, "Hyperparameter {name}: could not parse value; ")?,
            }
        }
        match &self.kind {
            FaultKind::Unknown { nearest } => {
                write!(f, "Additional hyperparameters are not allowed ('{name}' was unexpected)")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None if self.conventions == Conventions::Toolkit => {
                        write!(f, "; `kokanee train --algorithm NAME --help` lists the known names")
                    }
                    None => write!(f, "; `kokanee train --help` lists the known names"),
                }
            }
            FaultKind::Missing { expected } => {
                write!(f, "Missing required hyperparameter: {name}; it has no default: expected {expected}")
            }
            FaultKind::Invalid { expected, hint, .. } => {
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
        let rest = match (self.conventions, self.faults.split_first()) {
            (Conventions::Toolkit, Some((first, rest))) => {
                write!(f, "{first}")?;
                if rest.is_empty() {
                    return Ok(());
                }
                writeln!(f)?;
                rest
            }
            _ => &self.faults,
        };
        let mut names: Vec<String> = rest.iter().map(|fault| shown(&fault.name)).collect();
        names.sort();
        names.dedup();
        let count = names.len();
        let unlisted = count.saturating_sub(MOST_NAMES_LISTED);
        names.truncate(MOST_NAMES_LISTED);
        let others = if rest.len() < self.faults.len() { " more" } else { "" };
        let plural = if count == 1 { "hyperparameter" } else { "hyperparameters" };
        write!(f, "{count}{others} {plural} cannot be used ({}", names.join(", "))?;
        if unlisted > 0 {
            write!(f, " and {unlisted} more")?;
        }
        write!(f, "):")?;
        rest.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Fault {}
impl std::error::Error for Faults {}
