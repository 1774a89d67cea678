//! The hyperparameters as data: what each is called, what it may be, what it is by default.
//!
//! [`TABLE`] is the one place where a hyperparameter is declared. Parsing and validation ([`crate::resolve`]), the
//! typed [`Hyperparameters`], the help text and the generated page ([`crate::docs`]) all follow
//! from it. Names, valid values, defaults and tuning ranges are those of the Amazon SageMaker developer guide, sections
//! "Sequence to Sequence Hyperparameters" and "Tuning a Sequence to Sequence Model".

pub mod choices;
pub(crate) mod table;
pub(crate) mod value;

use std::ops::Bound;

pub use crate::config_file::{parse_hyperparameters as parse_json, read_hyperparameters as read_json};
pub use table::{Hyperparameters, TABLE};

/// One hyperparameter. Made only in [`TABLE`].
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The name, as SageMaker spells it.
    pub name: &'static str,
    /// Other spellings that are accepted.
    pub aliases: &'static [&'static str],
    /// The heading it stands under in help and documentation.
    pub group: Group,
    /// Type and valid values.
    pub kind: Kind,
    /// What holds when it is not given.
    pub default: DefaultValue,
    /// What its absence means in a file of a version that did not have it, or had another default; the default where it is none.
    pub absent_means: Option<&'static str>,
    /// Whether the answers of a trained model depend on it.
    pub decides_answers: bool,
    /// The ranges that the guide recommends for automatic tuning; empty if it is not tunable.
    pub tuning: &'static [TuningRange],
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// Whose it is.
    pub origin: Origin,
}

/// The headings of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// From sequences to batches.
    Data,
    /// What encoder and decoder have in common.
    Architecture,
    /// Recurrent encoders and decoders.
    Recurrent,
    /// Convolutional encoders and decoders.
    Convolutional,
    /// First values of the weights.
    Initialisation,
    /// From gradients to updates.
    Optimisation,
    /// When to look, and when to stop.
    Stopping,
    /// What is measured, and how sentences are decoded.
    Evaluation,
    /// The machine rather than the model.
    Run,
}

impl Group {
    /// Every group, in the order of the documentation.
    pub const ALL: &'static [Self] = &[
        Self::Data,
        Self::Architecture,
        Self::Recurrent,
        Self::Convolutional,
        Self::Initialisation,
        Self::Optimisation,
        Self::Stopping,
        Self::Evaluation,
        Self::Run,
    ];

    /// The heading.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Data => "Data and batches",
            Self::Architecture => "Architecture",
            Self::Recurrent => "Recurrent networks",
            Self::Convolutional => "Convolutional networks",
            Self::Initialisation => "Initialisation",
            Self::Optimisation => "Optimisation",
            Self::Stopping => "Checkpoints and stopping",
            Self::Evaluation => "Metrics and decoding",
            Self::Run => "Run",
        }
    }
}

/// Type and valid values of a hyperparameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number from `min` to `max`, both included.
    Integer {
        /// Least value.
        min: i128,
        /// Greatest value.
        max: i128,
        /// Whether only even or only odd numbers are valid.
        parity: Parity,
        /// What -1 stands for, where it is valid beside the range.
        minus_one: Option<&'static str>,
    },
    /// A finite real number.
    Float {
        /// Lower bound.
        low: Bound<f64>,
        /// Upper bound.
        high: Bound<f64>,
        /// The number format that it is used in, in which the bounds hold too.
        used_in: FloatFormat,
        /// Why the bounds are narrower than one might expect; may be empty.
        reason: &'static str,
    },
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The path of a file.
    Path,
}

/// The number format in which a real number is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatFormat {
    /// 32 bits: what the engine computes in.
    Single,
    /// 64 bits: what scores are computed in.
    Double,
}

/// Which whole numbers of a range are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// All.
    Any,
    /// Even ones.
    Even,
    /// Odd ones.
    Odd,
}

/// What holds when a hyperparameter is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// This value, written as a user would.
    Text(&'static str),
    /// The value of this other hyperparameter.
    SameAs(&'static str),
    /// Nothing: it plays no part.
    Unset,
}

/// A range recommended for automatic tuning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TuningRange {
    /// The values to search.
    pub values: TuningValues,
    /// The range holds only where this hyperparameter has this value.
    pub when: Option<(&'static str, &'static str)>,
}

/// The values of a tuning range, by SageMaker's parameter types.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TuningValues {
    /// `IntegerParameterRange`: least and greatest value, both included.
    Integer(i64, i64),
    /// `ContinuousParameterRange`: least and greatest value, both included.
    Continuous(f64, f64),
    /// `CategoricalParameterRange`.
    Categorical(&'static [&'static str]),
}

/// Whose hyperparameter it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the SageMaker guide.
    SageMaker,
    /// Ours.
    Extension,
}

/// Names that are accepted and have no effect, each with the reason.
pub const PASS_THROUGH: &[(&str, &str)] = &[(
    "_tuning_objective_metric",
    "SageMaker's tuner adds it to tell the algorithm which metric it optimizes; Kokanee logs every metric anyway",
)];

/// The hyperparameter with this name or alias.
pub fn spec(name: &str) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.name == name || spec.aliases.contains(&name))
}

impl Spec {
    const fn from_origin(origin: Origin, group: Group, kind: Kind, default: DefaultValue) -> Self {
        Self {
            name: "",
            aliases: &[],
            group,
            kind,
            default,
            absent_means: None,
            decides_answers: false,
            tuning: &[],
            doc: "",
            origin,
        }
    }

    pub(crate) const fn sagemaker(group: Group, kind: Kind, default: &'static str) -> Self {
        Self::from_origin(Origin::SageMaker, group, kind, DefaultValue::Text(default))
    }

    pub(crate) const fn extension(group: Group, kind: Kind, default: &'static str) -> Self {
        Self::from_origin(Origin::Extension, group, kind, DefaultValue::Text(default))
    }

    pub(crate) const fn optional(group: Group, kind: Kind, default: DefaultValue) -> Self {
        Self::from_origin(Origin::SageMaker, group, kind, default)
    }

    pub(crate) const fn optional_extension(group: Group, kind: Kind) -> Self {
        Self::from_origin(Origin::Extension, group, kind, DefaultValue::Unset)
    }

    pub(crate) const fn tuned(self, tuning: &'static [TuningRange]) -> Self {
        Self { tuning, ..self }
    }

    /// For a row that is new, or whose default changes: what files without it mean.
    pub const fn meaning_when_absent(self, value: &'static str) -> Self {
        Self { absent_means: Some(value), ..self }
    }

    pub(crate) const fn deciding_answers(self) -> Self {
        Self { decides_answers: true, ..self }
    }

    pub(crate) const fn also_spelled(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    pub(crate) const fn documented(self, name: &'static str, doc: &'static str) -> Self {
        Self { name, doc: doc.trim_ascii(), ..self }
    }
}

impl TuningRange {
    pub(crate) const fn integer(min: i64, max: i64) -> Self {
        Self { values: TuningValues::Integer(min, max), when: None }
    }

    pub(crate) const fn continuous(min: f64, max: f64) -> Self {
        Self { values: TuningValues::Continuous(min, max), when: None }
    }

    pub(crate) const fn categorical(values: &'static [&'static str]) -> Self {
        Self { values: TuningValues::Categorical(values), when: None }
    }

    pub(crate) const fn when(self, name: &'static str, value: &'static str) -> Self {
        Self { when: Some((name, value)), ..self }
    }
}

impl Kind {
    pub(crate) const fn integer(min: i128, max: i128) -> Self {
        Self::Integer { min, max, parity: Parity::Any, minus_one: None }
    }

    pub(crate) const fn integer_or_minus_one(min: i128, max: i128, meaning: &'static str) -> Self {
        Self::Integer { min, max, parity: Parity::Any, minus_one: Some(meaning) }
    }

    pub(crate) const fn with_parity(min: i128, max: i128, parity: Parity) -> Self {
        Self::Integer { min, max, parity, minus_one: None }
    }

    /// A number that is used in single precision.
    pub(crate) const fn single(low: Bound<f64>, high: Bound<f64>, reason: &'static str) -> Self {
        Self::Float { low, high, used_in: FloatFormat::Single, reason }
    }

    /// A number that is used in double precision.
    pub(crate) const fn double(low: Bound<f64>, high: Bound<f64>) -> Self {
        Self::Float { low, high, used_in: FloatFormat::Double, reason: "" }
    }

    /// What is valid, as it fits after "expected": `an integer from 1 to 65536`.
    pub fn describe(&self) -> String {
        match *self {
            Self::Integer { min, max, parity, minus_one } => {
                let number = match parity {
                    Parity::Any => "an integer",
                    Parity::Even => "an even integer",
                    Parity::Odd => "an odd integer",
                };
                let range = format!("{number} from {min} to {}", large(max));
                minus_one.map_or(range.clone(), |meaning| format!("{range}, or -1 for {meaning}"))
            }
            Self::Float { low, high, .. } => match (low, high) {
                (Bound::Unbounded, Bound::Unbounded) => "a finite number".to_owned(),
                (low, Bound::Unbounded) => format!("a finite number {}", lower(low, ">", ">=")),
                (Bound::Unbounded, high) => format!("a finite number {}", lower(high, "<", "<=")),
                (low, high) => {
                    let open = if matches!(low, Bound::Excluded(_)) { '(' } else { '[' };
                    let close = if matches!(high, Bound::Excluded(_)) { ')' } else { ']' };
                    format!("a number in {open}{}, {}{close}", bare(low), bare(high))
                }
            },
            Self::Boolean => "true or false".to_owned(),
            Self::Path => "the path of a file".to_owned(),
            Self::Choice([one]) => (*one).to_owned(),
            Self::Choice(names) => format!("one of {}", names.join(", ")),
        }
    }
}

fn bare(bound: Bound<f64>) -> f64 {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => value,
        Bound::Unbounded => f64::INFINITY,
    }
}

fn lower(bound: Bound<f64>, open: &str, closed: &str) -> String {
    let sign = if matches!(bound, Bound::Excluded(_)) { open } else { closed };
    format!("{sign} {}", bare(bound))
}

/// A limit as a person would write it: the two that are long have a short form.
fn large(limit: i128) -> String {
    if limit == table::MOST_COUNTED {
        "10^12".to_owned()
    } else if limit == i128::from(u64::MAX) {
        "2^64-1".to_owned()
    } else {
        limit.to_string()
    }
}
