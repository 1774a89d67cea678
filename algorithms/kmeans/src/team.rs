//! The threads of a job or a server.

use std::sync::Arc;

use kokanee_algorithm::AlgorithmError;
use kokanee_kernels::Team;

/// Starts threads to compute with; 0 stands for the number of the machine's cores.
///
/// # Errors
/// When the system refuses one.
pub(crate) fn start_team(threads: usize) -> Result<Arc<Team>, AlgorithmError> {
    let team = if threads == 0 { Team::of_machine() } else { Team::start(threads) };
    team.map(Arc::new).map_err(AlgorithmError::user)
}
