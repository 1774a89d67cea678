//! Hyperparameters as data: their names, valid values and defaults.
//!
//! Each algorithm declares its hyperparameters once, as rows of the macro `hyperparameters!` in `algorithms/<name>/table.rs`. A row is both
//! a field of the algorithm's struct and a [`Spec`]. Parsing and validation ([`crate::resolve()`]), help text and pages ([`crate::docs`]),
//! tuning ranges and the reading of stored models are derived from it.

mod choice;
mod faults;
mod field;
mod kind;
mod list;
mod nearest;
pub(crate) mod parse;
mod rows;
pub(crate) mod value;

pub(crate) use choice::choice;
pub use faults::{Conventions, Fault, FaultKind, Faults};
pub(crate) use faults::{python_list, shown};
pub use field::AutoOr;
pub(crate) use field::Field;
pub(crate) use kind::MOST_COUNTED;
pub use kind::{FloatFormat, Kind, Parity};
pub use nearest::nearest;
pub use rows::Rows;
pub(crate) use rows::hyperparameters;
pub use value::Values;

/// One hyperparameter. Created only in an algorithm's table.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The name, as SageMaker spells it.
    pub name: &'static str,
    /// Other spellings that are accepted.
    pub aliases: &'static [&'static str],
    /// Its heading in help and documentation.
    pub group: Group,
    /// Type and valid values.
    pub kind: Kind,
    /// The default.
    pub default: DefaultValue,
    /// The meaning of its absence in a file of a version that lacked it or had another default; the default if `None`.
    pub absent_means: Option<&'static str>,
    /// Whether the answers of a trained model depend on it.
    pub decides_answers: bool,
    /// The ranges that the guide recommends for automatic tuning; empty if it is not tunable.
    pub tuning: &'static [TuningRange],
    /// Its effect, in a sentence or two.
    pub doc: &'static str,
    /// Its origin: SageMaker or Kokanee.
    pub origin: Origin,
}

/// A heading of the documentation, by its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(pub &'static str);

/// The default of a hyperparameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// This value, written as a user would.
    Text(&'static str),
    /// The value of this other hyperparameter.
    SameAs(&'static str),
    /// No value: it has no effect, or follows from the data.
    Unset,
    /// No default: a value must be given.
    Required,
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

/// The origin of a hyperparameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Defined in the SageMaker guide.
    SageMaker,
    /// Added by Kokanee.
    Extension,
}

/// The row with this name or alias.
pub fn find(specs: &'static [Spec], name: &str) -> Option<&'static Spec> {
    specs.iter().find(|spec| spec.name == name || spec.aliases.contains(&name))
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

    pub(crate) const fn required(group: Group, kind: Kind) -> Self {
        Self::from_origin(Origin::SageMaker, group, kind, DefaultValue::Required)
    }

    pub(crate) const fn tuned(self, tuning: &'static [TuningRange]) -> Self {
        Self { tuning, ..self }
    }

    /// Sets what files without this row mean, for a row that is new or whose default changes.
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
