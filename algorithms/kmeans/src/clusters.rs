//! Answers to requests: the cluster of each row.

use std::sync::Arc;

use kokanee_endpoint::tabular::{AnswerOptions, Columns, PredictError, Predictor as Answers};
use kokanee_formats::rows::Rows;
use kokanee_kernels::Team;

use crate::model::{Model, Predictor};

const CLOSEST_CLUSTER: &str = "closest_cluster";
const DISTANCE_TO_CLUSTER: &str = "distance_to_cluster";

/// A model that answers.
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

    fn container(&self) -> &'static str {
        "predictions"
    }

    fn predict(&self, rows: &Rows, _: &AnswerOptions) -> Result<Columns, PredictError> {
        let answers = self.predictor.answer(&self.team, rows).map_err(|fault| PredictError::of_row(fault.row(), fault))?;
        let (clusters, distances) = answers
            .iter()
            // Below 2^24, so the number is exact.
            .map(|answer| (answer.closest_cluster as f32, answer.distance_to_cluster))
            .unzip();
        Ok(Columns::default().numbers(CLOSEST_CLUSTER, clusters).numbers(DISTANCE_TO_CLUSTER, distances))
    }
}
