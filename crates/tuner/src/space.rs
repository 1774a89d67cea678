//! The space of configurations: named dimensions, with values as numbers in [0, 1] and as SageMaker's strings.

mod dimension;
mod scale;

use std::collections::HashSet;

pub use self::dimension::{Dimension, Range, Value};
pub use self::scale::Scale;

/// The dimensions to tune, each with a unique name and a valid range.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    dimensions: Vec<Dimension>,
}

/// A fault of a space.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpaceError {
    /// The space has no dimensions.
    #[error("there is no hyperparameter to tune: name at least one range")]
    Empty,
    /// Two dimensions share a name.
    #[error("hyperparameter {name}: it has two ranges; leave one of them out")]
    Twice {
        /// The name.
        name: String,
    },
    /// A range is not valid.
    #[error("hyperparameter {name}: {fault}")]
    Range {
        /// The dimension.
        name: String,
        /// What is wrong, and what was expected.
        fault: String,
    },
}

/// The error for a configuration that does not belong to the space.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// The number of values differs from the number of dimensions.
    #[error("a configuration has {found} values, and the space has {expected} dimensions")]
    Count {
        /// Number of given values.
        found: usize,
        /// Number of dimensions of the space.
        expected: usize,
    },
    /// A dimension has no value.
    #[error("hyperparameter {name}: it has a range and no value")]
    Missing {
        /// The dimension.
        name: String,
    },
    /// A value is outside its range.
    #[error("hyperparameter {name}: {value} is not {expected}")]
    Outside {
        /// The dimension.
        name: String,
        /// The value as given.
        value: String,
        /// The values that the range allows.
        expected: String,
    },
}

impl Space {
    /// A space of these dimensions.
    ///
    /// # Errors
    ///
    /// The first dimension whose name occurs twice or whose range is not valid: bounds that are not finite or in the wrong order, a
    /// logarithmic scale that reaches 0, a reverse-logarithmic one outside [0, 1), no category or one that occurs twice.
    pub fn new(dimensions: Vec<Dimension>) -> Result<Self, SpaceError> {
        if dimensions.is_empty() {
            return Err(SpaceError::Empty);
        }
        let mut names = HashSet::new();
        for dimension in &dimensions {
            let name = || dimension.name().to_owned();
            dimension.check().map_err(|fault| SpaceError::Range { name: name(), fault })?;
            if !names.insert(dimension.name()) {
                return Err(SpaceError::Twice { name: name() });
            }
        }
        Ok(Self { dimensions })
    }

    /// The dimensions, in the order of every configuration's values.
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// Checks that the values are one configuration of this space.
    ///
    /// # Errors
    ///
    /// A wrong number of values, or the first value that its dimension does not allow.
    pub fn check(&self, values: &[Value]) -> Result<(), ValueError> {
        if values.len() != self.dimensions.len() {
            return Err(ValueError::Count { found: values.len(), expected: self.dimensions.len() });
        }
        self.dimensions.iter().zip(values).try_for_each(|(dimension, value)| {
            if dimension.allows(*value) { Ok(()) } else { Err(dimension.outside(dimension.print(*value))) }
        })
    }

    /// Parses the configuration from a job's strings; `text` finds the string of a name.
    ///
    /// # Errors
    ///
    /// The first dimension whose string is missing, is not a number, or lies outside the range.
    pub fn parse<'a>(&self, text: impl Fn(&str) -> Option<&'a str>) -> Result<Vec<Value>, ValueError> {
        let one = |dimension: &Dimension| {
            let name = dimension.name();
            let text = text(name).ok_or_else(|| ValueError::Missing { name: name.to_owned() })?;
            dimension.parse(text).ok_or_else(|| dimension.outside(text.to_owned()))
        };
        self.dimensions.iter().map(one).collect()
    }

    /// Names and strings of a configuration, as SageMaker passes them to a job: integers plain, other numbers in the shortest form that
    /// reads back as the same `f64`.
    pub fn print(&self, values: &[Value]) -> Vec<(&str, String)> {
        self.dimensions.iter().zip(values).map(|(d, value)| (d.name(), d.print(*value))).collect()
    }

    /// The number of configurations; `None` if a dimension is continuous, or the number exceeds a `u64`.
    pub fn size(&self) -> Option<u64> {
        self.dimensions.iter().try_fold(1u64, |size, dimension| size.checked_mul(dimension.size()?))
    }

    /// The configuration at a point of the unit cube, one coordinate in [0, 1] per dimension.
    pub(crate) fn decode(&self, point: &[f64]) -> Vec<Value> {
        self.dimensions.iter().zip(point).map(|(dimension, unit)| dimension.decode(*unit)).collect()
    }

    /// The point of a valid configuration: the middle of all points that decode to an integer or category.
    pub(crate) fn encode(&self, values: &[Value]) -> Vec<f64> {
        self.dimensions.iter().zip(values).map(|(dimension, value)| dimension.encode(*value)).collect()
    }

    /// The point of the configuration that `point` decodes to.
    pub(crate) fn snap(&self, point: &[f64]) -> Vec<f64> {
        self.encode(&self.decode(point))
    }
}

#[cfg(test)]
pub(crate) mod tests;
