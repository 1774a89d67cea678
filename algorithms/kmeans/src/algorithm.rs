//! K-means as one of Kokanee's algorithms.

use std::path::Path;
use std::sync::Arc;

use kokanee_algorithm::{Algorithm, AlgorithmError, Console, LoadOptions, OpenedModel, Report, TrainingJob};
use kokanee_contract::AlgorithmContract;
use kokanee_contract::algorithms::kmeans::CONTRACT;
use kokanee_endpoint::{Backend, Tabular};
use kokanee_kernels::Team;

use crate::artifact::Artifact;
use crate::clusters::Clusters;
use crate::{describe, train};

/// SageMaker's k-means.
#[derive(Clone, Copy, Debug)]
pub struct KMeans;

impl Algorithm for KMeans {
    fn contract(&self) -> &'static AlgorithmContract {
        &CONTRACT
    }

    fn train(&self, job: &TrainingJob, console: &dyn Console) -> Result<(), AlgorithmError> {
        train::run(job, console)
    }

    fn recognises(&self, folder: &Path) -> bool {
        Artifact::read(folder).is_ok()
    }

    fn load(&self, model: &OpenedModel, options: &LoadOptions) -> Result<Arc<dyn Backend>, AlgorithmError> {
        options.expect_none(CONTRACT.name).map_err(AlgorithmError::user)?;
        let artifact = Artifact::read(model.folder()).map_err(AlgorithmError::user)?;
        let team = start_team(options.threads)?;
        Ok(Arc::new(Tabular::new(Clusters::new(&artifact.model, team))))
    }

    fn describe(&self, model: &OpenedModel, head: usize) -> Result<Report, AlgorithmError> {
        let artifact = Artifact::read(model.folder()).map_err(AlgorithmError::user)?;
        Ok(describe::describe(model.shown(), &artifact, head))
    }
}

/// The threads to compute with; 0 for as many as the machine has cores.
pub(crate) fn start_team(threads: usize) -> Result<Arc<Team>, AlgorithmError> {
    let team = if threads == 0 { Team::of_machine() } else { Team::start(threads) };
    team.map(Arc::new).map_err(AlgorithmError::user)
}
