//! The next step of a tuning job, as a function of its state, its children and the time.

use kokanee_tuner::closing::{Closing, MOST_FAILURES};

use crate::jobs::Status;
use crate::tuning::{Child, Outcome, TuningState, ended};

/// The next step. After it, the tuner asks again.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Do nothing for now.
    Wait,
    /// Stop these children, given by their indices.
    Stop(Vec<usize>),
    /// Stop creating children.
    Close(Closing),
    /// Create a child of a definition.
    Create {
        /// The index of the definition.
        definition: usize,
        /// The index of the child whose values it retries.
        retries: Option<usize>,
    },
    /// End the job.
    Finish(Outcome),
}

/// Returns the next step of a tuning job that has not ended.
pub(super) fn next(state: &TuningState, children: &[Child], now_ms: i64) -> Step {
    let at_work = children.iter().filter(|child| !child.has_ended()).count();
    let is_stopping = state.status == Status::Stopping;
    if is_stopping || state.closing.is_some_and(|(why, _)| why.stops_trials()) {
        let running = |child: &Child| child.status == Status::InProgress;
        let places: Vec<usize> = (0..children.len()).filter(|&place| running(&children[place])).collect();
        return match (places.is_empty(), at_work) {
            (false, _) => Step::Stop(places),
            (true, 0) if is_stopping => Step::Finish(Outcome::Stopped),
            (true, 0) => Step::Finish(end(children)),
            (true, _) => Step::Wait,
        };
    }
    if state.closing.is_none()
        && let Some(why) = closing(state, children, now_ms)
    {
        return Step::Close(why);
    }
    if state.closing.is_none()
        && at_work < state.limits.most_parallel as usize
        && let Some(step) = creation(state, children)
    {
        return step;
    }
    if at_work > 0 { Step::Wait } else { Step::Finish(end(children)) }
}

/// Returns the step that creates a child, if one is needed.
fn creation(state: &TuningState, children: &[Child]) -> Option<Step> {
    for (place, child) in children.iter().enumerate() {
        let is_retried = children.iter().any(|other| other.retries == Some(child.number));
        if child.is_retryable() && !is_retried {
            let most = state.definitions.get(child.definition)?.most_retries;
            if tries_before(children, child) < most as usize {
                return Some(Step::Create { definition: child.definition, retries: Some(place) });
            }
        }
    }
    let first_tries = children.iter().filter(|child| child.retries.is_none());
    let mut counts = vec![0_usize; state.definitions.len()];
    for child in first_tries {
        if let Some(count) = counts.get_mut(child.definition) {
            *count += 1;
        }
    }
    if counts.iter().sum::<usize>() >= state.limits.most_trainings as usize {
        return None;
    }
    // Definitions take turns.
    let definition = (0..counts.len()).min_by_key(|&definition| counts[definition])?;
    Some(Step::Create { definition, retries: None })
}

/// The number of tries of a child's values before it.
fn tries_before(children: &[Child], child: &Child) -> usize {
    let before = |child: &Child| children.iter().find(|other| Some(other.number) == child.retries);
    std::iter::successors(before(child), |child| before(child)).count()
}

/// The reason to create no more children, if there is one.
fn closing(state: &TuningState, children: &[Child], now_ms: i64) -> Option<Closing> {
    let goal = state.definitions.first()?.goal();
    let seconds = now_ms.saturating_sub(state.created_ms) as f64 / 1000.0;
    state.limits.criteria().met(goal, &ended(children), seconds)
}

/// The outcome of a tuning job whose children have all ended.
fn end(children: &[Child]) -> Outcome {
    if children.iter().any(|child| child.result().is_some()) {
        return Outcome::Completed;
    }
    let tries = children.len().min(MOST_FAILURES);
    // Both are AWS's words.
    let reason = if !children.is_empty() && children.iter().all(|child| child.status == Status::Completed) {
        format!(
            "No objective metrics found after running {tries} training jobs. Please ensure that the custom algorithm is emitting the \
             objective metric as defined by the regular expression provided."
        )
    } else {
        format!(
            "No training job succeeded after {tries} attempts. For additional details, please take a look at the training job failures \
             by listing training jobs for the hyperparameter tuning job."
        )
    };
    Outcome::Failed { reason }
}
