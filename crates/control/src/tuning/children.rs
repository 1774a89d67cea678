//! The children of tuning jobs in the database.

use kokanee_tuner::Outcome;
use kokanee_tuner::closing::not_improving;
use rusqlite::{Connection, Transaction};

use super::child::Child;
use super::definition::Definition;
use super::jobs::{TuningJob, TuningJobs};
use super::state::{Counters, LEAST_GAIN};
use crate::jobs::{JobError, JobId, Status};
use crate::store::{StoreError, now_ms};
use crate::tags;
use crate::training::{NewTrainingJob, TrainingJob, TrainingJobs};

impl TuningJobs {
    /// The children of a job, in the order of their creation.
    ///
    /// # Errors
    /// If the database fails.
    pub fn children(&self, id: JobId) -> Result<Vec<Child>, JobError> {
        Ok(self.store.read(|transaction| select(transaction, id))?)
    }

    /// Creates a child together with its training job, which gets the tuning job's present tags. None if the tuning job is stopping or has
    /// ended meanwhile.
    ///
    /// # Errors
    /// If there is a training job of this name.
    pub(crate) fn create_child(
        &self,
        trainings: &TrainingJobs,
        id: JobId,
        child: Child,
        mut training: NewTrainingJob,
    ) -> Result<Option<TrainingJob>, JobError> {
        let mut created = None;
        self.change_with(id, |transaction, job: &mut TuningJob| {
            if job.state.status != Status::InProgress {
                return Ok(());
            }
            training.tags = tags::of(transaction, &job.arn)?;
            let training = TrainingJobs::insert(transaction, training)?;
            save(transaction, id, &child)?;
            let children = select(transaction, id)?;
            note(job, &children);
            created = Some(training);
            Ok(())
        })?;
        trainings.changed();
        Ok(created)
    }

    /// Records changes to children.
    pub(crate) fn update_children(&self, id: JobId, changed: &[Child]) -> Result<(), JobError> {
        self.change_with(id, |transaction, job| {
            for child in changed {
                save(transaction, id, child)?;
            }
            let children = select(transaction, id)?;
            note(job, &children);
            Ok(())
        })
    }
}

/// Updates the counts and the best result of a tuning job.
fn note(job: &mut TuningJob, children: &[Child]) {
    let state = &mut job.state;
    state.counters = count(children);
    let best = best(&state.definitions, children);
    state.best = best.and_then(Child::result);
    let goal = state.definitions.first().map(Definition::goal);
    state.not_improving = goal.map_or(0, |goal| not_improving(goal, &ended(children), LEAST_GAIN));
    state.modified_ms = state.modified_ms.max(now_ms());
}

fn count(children: &[Child]) -> Counters {
    let mut counters = Counters::default();
    for child in children {
        *match child.status {
            Status::InProgress | Status::Stopping => &mut counters.in_progress,
            Status::Completed => &mut counters.completed,
            Status::Stopped => &mut counters.stopped,
            Status::Failed if child.is_retryable() => &mut counters.retryable_error,
            Status::Failed => &mut counters.non_retryable_error,
        } += 1;
        *match child.objective_status() {
            "Pending" => &mut counters.pending,
            "Succeeded" => &mut counters.succeeded,
            _ => &mut counters.failed,
        } += 1;
    }
    counters
}

/// The child with the best result; the first of equal ones. Definitions share an objective, or that of the first one counts.
pub(crate) fn best<'a>(definitions: &[Definition], children: &'a [Child]) -> Option<&'a Child> {
    let goal = definitions.first()?.goal();
    let results = children.iter().filter_map(|child| Some((child, child.result()?)));
    results.min_by(|(_, a), (_, b)| goal.compare(*a, *b)).map(|(child, _)| child)
}

/// The outcomes of the children that have ended, in the order of their ends.
pub(crate) fn ended(children: &[Child]) -> Vec<Outcome> {
    let mut ended: Vec<&Child> = children.iter().filter(|child| child.has_ended()).collect();
    ended.sort_by_key(|child| (child.ended_ms, child.number));
    ended.into_iter().map(Child::outcome).collect()
}

fn save(connection: &Connection, id: JobId, child: &Child) -> Result<(), StoreError> {
    let content = serde_json::to_string(child).map_err(unreadable)?;
    let mut statement = connection.prepare_cached(
        "INSERT INTO tuning_children (tuning_id, number, content) VALUES (?1, ?2, ?3)
         ON CONFLICT (tuning_id, number) DO UPDATE SET content = excluded.content",
    )?;
    statement.execute((id.0, child.number, content))?;
    Ok(())
}

fn select(transaction: &Transaction<'_>, id: JobId) -> Result<Vec<Child>, StoreError> {
    let statement = "SELECT content FROM tuning_children WHERE tuning_id = ?1 ORDER BY number";
    let mut statement = transaction.prepare_cached(statement)?;
    let contents = statement.query_map([id.0], |row| row.get::<_, String>(0))?;
    contents.map(|content| serde_json::from_str(&content?).map_err(unreadable)).collect()
}

fn unreadable(source: serde_json::Error) -> StoreError {
    StoreError::Content { what: "child of a tuning job", source }
}
