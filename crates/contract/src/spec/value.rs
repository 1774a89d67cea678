//! Typed values of hyperparameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A value of the type of its [`Kind`](super::Kind).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Word(&'static str),
    Path(PathBuf),
    Text(String),
    List(Vec<Value>),
}

/// Typed values by their names in a table.
#[derive(Clone, Debug, Default)]
pub struct Values(pub(crate) BTreeMap<&'static str, Value>);
