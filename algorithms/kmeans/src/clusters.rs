//! Answers to requests: the cluster of each row.

use std::sync::Arc;

use kokanee_endpoint::tabular::{AnswerOptions, Columns, Key, PredictError, Predictor as Answers};
use kokanee_formats::rows::Rows;
use kokanee_kernels::Team;

use crate::fault::Fault;
use crate::model::{Model, Predictor};

/// The keys of an answer, in the real container's order.
const KEYS: [Key; 2] = [Key::number("closest_cluster"), Key::number("distance_to_cluster")];

/// A model that answers requests.
pub(crate) struct Clusters {
    predictor: Predictor,
    width: usize,
    team: Arc<Team>,
}

impl Clusters {
    pub(crate) fn new(model: &Model, team: Arc<Team>) -> Self {
        Self { predictor: model.predictor(&team), width: model.width(), team }
    }
}

impl Answers for Clusters {
    fn width(&self) -> usize {
        self.width
    }

    fn keys(&self, _: &AnswerOptions) -> Result<Vec<Key>, PredictError> {
        Ok(KEYS.to_vec())
    }

    fn predict(&self, rows: &Rows, _: &AnswerOptions) -> Result<Columns, PredictError> {
        let answers = self.predictor.answer(&self.team, rows).map_err(|fault| match fault {
            Fault::Overflow { row, column } => PredictError::Row {
                index: row - 1,
                problem: format!("squares overflow 32-bit floats; feature {column} is too large"),
            },
            other => PredictError::Internal(other.to_string()),
        })?;
        // There are fewer than 2^24 clusters, so their numbers are exact.
        let (clusters, distances) =
            answers.iter().map(|answer| (answer.closest_cluster as f32, answer.distance_to_cluster)).unzip();
        Ok(Columns(vec![clusters, distances]))
    }
}
