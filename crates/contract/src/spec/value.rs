//! Typed values of hyperparameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// A value of the type that its [`Kind`](super::Kind) says.
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

/// Typed values by the names of a table.
#[derive(Clone, Debug, Default)]
pub struct Values(pub(crate) BTreeMap<&'static str, Value>);
