//! The schema of the database as a sequence of steps. A released step is never changed.

use std::path::Path;

use crate::store::{Store, StoreError};
use crate::{hosting, logs, metrics, scaling, training, transform, tuning};

/// The steps. The schema's version is the number of steps that have been applied.
const STEPS: &[&str] = &[
    // 1. Tags.
    "CREATE TABLE tags (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        arn TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        UNIQUE (arn, key)
    ) STRICT;",
    // 2. Training jobs.
    training::SCHEMA,
    // 3. Transform jobs.
    transform::SCHEMA,
    // 4. Models, endpoint configurations and endpoints.
    hosting::SCHEMA,
    // 5. Log groups and streams.
    logs::SCHEMA,
    // 6. Metrics.
    metrics::SCHEMA,
    // 7. Targets, policies and activities of automatic scaling.
    scaling::SCHEMA,
    // 8. Tuning jobs and their children.
    tuning::SCHEMA,
];

impl Store {
    /// Opens the database of a data folder. Both are created if they are missing, and the database is brought up to date.
    ///
    /// # Errors
    /// If another server uses the folder, if it cannot be written, or if a later release wrote it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, STEPS)
    }
}
