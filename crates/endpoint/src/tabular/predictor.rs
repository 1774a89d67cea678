//! The interface between an algorithm and the adapter: rows in, columns out.

use kokanee_formats::rows::Rows;
use thiserror::Error;

/// A model that answers rows of numbers.
///
/// A row's answer depends on the row alone, bit for bit: rows of a request are answered in blocks of any size, by several threads.
pub trait Predictor: Send + Sync + 'static {
    /// Features of a row.
    fn width(&self) -> usize;

    /// The member of a JSON answer that holds one object per row, such as "predictions".
    fn container(&self) -> &'static str {
        "predictions"
    }

    /// The columns of an answer, in their order.
    ///
    /// # Errors
    /// When the options ask for something that the model does not have.
    fn keys(&self, options: &AnswerOptions) -> Result<Vec<Key>, PredictError>;

    /// Answers at least one row of [`width`](Self::width) features: for each of [`keys`](Self::keys) its values, row after row.
    ///
    /// # Errors
    /// When a row has no answer.
    fn predict(&self, rows: &Rows, options: &AnswerOptions) -> Result<Columns, PredictError>;
}

/// A column of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Values per row; `None` for a single number.
    pub vector: Option<usize>,
}

impl Key {
    /// A column of one number per row.
    pub const fn number(name: &'static str) -> Self {
        Self { name, vector: None }
    }

    /// A column of `length` numbers per row, an array in JSON.
    pub const fn vector(name: &'static str, length: usize) -> Self {
        Self { name, vector: Some(length) }
    }

    /// Values per row.
    pub fn values(&self) -> usize {
        self.vector.unwrap_or(1)
    }
}

/// The values of all rows for each key, row after row: `[rows, values]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns(pub Vec<Vec<f32>>);

/// The options that a request sets for its answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnswerOptions {
    /// The parameters of the answer's type in `Accept`, such as `verbose=true`: names in lower case, and values.
    pub parameters: Vec<(String, String)>,
    /// The member `configuration` of a JSON body.
    pub configuration: Option<serde_json::Value>,
}

impl AnswerOptions {
    /// The value of a parameter of `Accept`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// The reason why rows were not answered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PredictError {
    /// The options cannot be met; contains what was expected.
    #[error("{0}")]
    Options(String),
    /// A row cannot be answered.
    #[error("{problem}")]
    Row {
        /// Its index among the given rows.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A fault of the algorithm.
    #[error("{0}")]
    Internal(String),
}
