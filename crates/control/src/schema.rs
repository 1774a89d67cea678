//! The schema of the database, as the steps that lead to it. A step that was released is never changed.

use std::path::Path;

use crate::store::{Store, StoreError};
use crate::{hosting, logs, metrics, scaling, training, transform, tuning};

/// The steps; the schema's version is how many were done.
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
    /// Opens the database of a data folder; both are made where they are missing, and brought up to date.
    ///
    /// # Errors
    /// If another server uses the folder, if it cannot be written, or if a later release wrote it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_with(folder, STEPS)
    }
}
