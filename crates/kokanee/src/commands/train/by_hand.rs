//! A training job with files named on the command line.

use std::path::Path;

use anyhow::Result;
use kokanee_algorithm::{Algorithm, JobFiles, TrainingJob};

use super::{TrainArgs, own_host, stop_on_signals, stop_when_input_ends};
use crate::exit::CommandLineError;

/// The packed model, in the folder of the model.
const ARCHIVE: &str = "model.tar.gz";

impl TrainArgs {
    /// The job for the options, with more hyperparameters.
    ///
    /// # Errors
    /// When the algorithm has no such channel or needs others, and faults of hyperparameters.
    pub(super) fn by_hand(
        &self,
        algorithm: &dyn Algorithm,
        output: &Path,
        hyperparameters: &[(String, String)],
    ) -> Result<TrainingJob> {
        let contract = algorithm.contract();
        if !algorithm.resumes() {
            for (option, is_given) in
                [("--resume", self.resume), ("--checkpoints", self.checkpoints.is_some())]
            {
                if is_given {
                    let problem = format!(
                        "{option} has no meaning for {}: it keeps no state to go on from",
                        contract.name
                    );
                    return Err(CommandLineError(problem).into());
                }
            }
        }
        let channels = self.job.channels(contract)?;
        let hyperparameters = self.job.raw_hyperparameters(hyperparameters)?;
        (contract.check)(&hyperparameters)?;
        let checkpoints = self.checkpoints.clone().unwrap_or_else(|| output.join("checkpoints"));
        let stop = stop_on_signals()?;
        if self.trial {
            stop_when_input_ends(&stop)?;
        }
        Ok(TrainingJob {
            hyperparameters,
            channels,
            files: JobFiles { model: output.to_owned(), checkpoints, archive: Some(output.join(ARCHIVE)) },
            resume: self.resume(algorithm),
            host: own_host(),
            hosts: 1,
            stop,
            notes: Vec::new(),
        })
    }
}
