//! What can be wrong with hyperparameters, said so that the person who set them can put it right.

use std::fmt;

/// Everything that is wrong with a set of hyperparameters, never only the first thing.
///
/// Under [`Conventions::Sockeye`] the first line of the text names every hyperparameter concerned, so that it survives
/// SageMaker's cut of a failure description to [`FAILURE_LIMIT_CHARS`](crate::container::failure::FAILURE_LIMIT_CHARS); the lines
/// after it explain one fault each. Under [`Conventions::Toolkit`] the text begins with the words of the real containers for the
/// first fault, which programs look for, and the names of all others follow in the second line.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// What is wrong; at least one.
    pub faults: Vec<Fault>,
    /// How the text begins.
    pub conventions: Conventions,
}

/// How faults in a job are worded, and what counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conventions {
    /// Those of sequence-to-sequence, whose real texts are not public: our own words, with all names in the first line. A channel
    /// that is not known plays no part.
    Sockeye,
    /// Those of the containers that share SageMaker's toolkit: texts begin with its words. A channel that is not known is a fault,
    /// and the tuning objective must be a metric of the algorithm.
    Toolkit,
}

/// One thing that is wrong with one hyperparameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The name as it was given (which for [`FaultKind::Unknown`] is no name of the table).
    pub name: String,
    /// The value as it was given, or the default where the fault lies in leaving it out.
    pub value: String,
    /// What is wrong.
    pub kind: FaultKind,
    /// How it is worded.
    pub conventions: Conventions,
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
        /// The set of valid values in the words of SageMaker's containers, where the value is one of the right type outside it.
        outside: Option<String>,
    },
    /// It must be given, and was not.
    Missing {
        /// What would be valid.
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

/// Words as Python prints a list of them: `['random', 'kmeans++']`.
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
