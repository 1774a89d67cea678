//! K-means as one of Kokanee's algorithms.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kokanee_algorithm::{Algorithm, AlgorithmError, Console, LoadOptions, OpenedModel, Report, TrainingJob};
use kokanee_contract::AlgorithmContract;
use kokanee_contract::algorithms::kmeans::CONTRACT;
use kokanee_endpoint::Backend;
use kokanee_endpoint::tabular::{DEFAULT_TABULAR_BODY_BYTES, Tabular};

use crate::artifact::Artifact;
use crate::clusters::Clusters;
use crate::team::start_team;
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

    fn load(&self, model: &Path, options: &LoadOptions<'_>) -> Result<Arc<dyn Backend>, AlgorithmError> {
        options.expect_no_settings(CONTRACT.name).map_err(AlgorithmError::user)?;
        let opened = open(model)?;
        let artifact = Artifact::read(opened.folder()).map_err(AlgorithmError::user)?;
        let clusters = Clusters::new(&artifact.model, start_team(options.threads)?);
        Ok(Arc::new(Tabular::new(clusters, (options.memory_bytes)(DEFAULT_TABULAR_BODY_BYTES))))
    }

    fn files(&self, model: &Path) -> Result<Vec<PathBuf>, AlgorithmError> {
        if !model.is_dir() {
            return Ok(vec![model.to_owned()]);
        }
        let opened = open(model)?;
        let artifact = Artifact::read(opened.folder()).map_err(AlgorithmError::user)?;
        Ok(vec![opened.folder().join(artifact.file)])
    }

    fn describe(&self, model: &Path, head: usize) -> Result<Report, AlgorithmError> {
        let opened = open(model)?;
        let artifact = Artifact::read(opened.folder()).map_err(AlgorithmError::user)?;
        Ok(describe::describe(opened.shown(), &artifact, head))
    }
}

fn open(model: &Path) -> Result<OpenedModel, AlgorithmError> {
    // Errors of the folder are reported when the model is read.
    OpenedModel::open(model, |folder| Artifact::read(folder).is_ok()).map_err(AlgorithmError::user)
}
