//! What a tuning job does next: a function of what is known of it and its children, and of the time.

use crate::jobs::Status;
use crate::tuning::{Child, Closing, Definition, Outcome, TuningState, best};

/// So many trainings that end without a value, and none with one, end a tuning job, as on AWS.
const MOST_FAILURES: usize = 5;
/// Results before a tuning job can converge.
const LEAST_RESULTS: usize = 20;
/// So many results in a row must have gained next to nothing, or half of all.
const LEAST_CONVERGED: usize = 10;
/// Next to nothing: this part of the distance between the quartiles of all results.
const NEGLIGIBLE: f64 = 0.01;

/// What is to be done. After it, the next step is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing, for now.
    Wait,
    /// Tells these children to stop, by their places.
    Stop(Vec<usize>),
    /// Creates no more children.
    Close(Closing),
    /// Creates a child of a definition.
    Create {
        /// The definition's place.
        definition: usize,
        /// The place of the child whose values it tries again.
        retries: Option<usize>,
    },
    /// Ends.
    Finish(Outcome),
}

/// The next step of a tuning job that has not ended.
pub(super) fn next(state: &TuningState, children: &[Child], now_ms: i64) -> Step {
    let at_work = children.iter().filter(|child| !child.has_ended()).count();
    let is_stopping = state.status == Status::Stopping;
    if is_stopping || state.closing.is_some_and(|(why, _)| why.stops_trainings()) {
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

/// A child to create, where one is missing.
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

/// How often the values of a child were tried before it.
fn tries_before(children: &[Child], child: &Child) -> usize {
    let before = |child: &Child| children.iter().find(|other| Some(other.number) == child.retries);
    std::iter::successors(before(child), |child| before(child)).count()
}

/// A reason to create no more children.
fn closing(state: &TuningState, children: &[Child], now_ms: i64) -> Option<Closing> {
    let limits = &state.limits;
    let is_over = |seconds: u64| {
        now_ms.saturating_sub(state.created_ms)
            >= i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000)
    };
    if limits.max_runtime_s.is_some_and(is_over) {
        return Some(Closing::Runtime);
    }
    let failures = children.iter().filter(|child| has_no_value(child)).count();
    let Some(best) = best(&state.definitions, children) else {
        return (failures >= MOST_FAILURES).then_some(Closing::NoSuccess);
    };
    let goal = state.definitions.first()?.goal();
    let value = best.result()?;
    if limits.target.is_some_and(|target| !goal.prefers(target, value)) {
        return Some(Closing::Target);
    }
    if limits.most_not_improving.is_some_and(|most| state.not_improving >= most) {
        return Some(Closing::NotImproving);
    }
    (limits.ends_on_convergence && has_converged(state, children)).then_some(Closing::Converged)
}

/// It ended without a value through its own fault.
fn has_no_value(child: &Child) -> bool {
    child.objective_status() == "Failed" && child.status != Status::Stopped && !child.is_retryable()
}

/// Whether the latest half of the results, and at least ten, gained next to nothing. AWS does not say how it detects convergence.
fn has_converged(state: &TuningState, children: &[Child]) -> bool {
    let Some(goal) = state.definitions.first().map(Definition::goal) else { return false };
    let mut results: Vec<(Option<i64>, u32, f64)> =
        children.iter().filter_map(|child| Some((child.ended_ms, child.number, child.result()?))).collect();
    results.sort_by_key(|(ended_ms, number, _)| (*ended_ms, *number));
    let mut values: Vec<f64> = results.into_iter().map(|(.., value)| value).collect();
    if values.len() < LEAST_RESULTS {
        return false;
    }
    let best = |values: &[f64]| {
        values.iter().copied().reduce(|best, value| if goal.prefers(value, best) { value } else { best })
    };
    let before = values.len() - LEAST_CONVERGED.max(values.len() / 2);
    let (Some(then), Some(now)) = (best(&values[..before]), best(&values)) else { return false };
    values.sort_by(f64::total_cmp);
    let quartile = |part: usize| values[(values.len() - 1) * part / 4];
    (now - then).abs() <= NEGLIGIBLE * (quartile(3) - quartile(1))
}

/// How a tuning job ends whose children have all ended.
fn end(children: &[Child]) -> Outcome {
    if children.iter().any(|child| child.result().is_some()) {
        return Outcome::Completed;
    }
    let tries = children.len().min(MOST_FAILURES);
    // AWS's words, both.
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
