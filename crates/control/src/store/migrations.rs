//! The schema, as the steps that lead to it. A step that was released is never changed.

use rusqlite::{Connection, TransactionBehavior};

use crate::{hosting, logs, metrics};

/// The steps; the schema's version is how many were done.
const STEPS: &[&str] = &[
    // 1. Training jobs and tags. Names clash whatever their case. `request` is what was sent, `state` what came of it, both in
    //    JSON; the columns beside them are for lists. `claimed` is 1 as soon as a runner has the job.
    "CREATE TABLE training_jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        region TEXT NOT NULL,
        name TEXT NOT NULL COLLATE NOCASE,
        arn TEXT NOT NULL,
        algorithm TEXT,
        request TEXT NOT NULL,
        state TEXT NOT NULL,
        status TEXT NOT NULL,
        secondary TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        modified_ms INTEGER NOT NULL,
        ended_ms INTEGER,
        claimed INTEGER NOT NULL DEFAULT 0,
        UNIQUE (region, name)
    ) STRICT;
    CREATE UNIQUE INDEX training_jobs_by_arn ON training_jobs (arn);
    CREATE INDEX training_jobs_by_creation ON training_jobs (region, created_ms, name);
    CREATE INDEX training_jobs_by_status ON training_jobs (region, status, name);
    CREATE INDEX training_jobs_at_work ON training_jobs (claimed, id) WHERE status IN ('InProgress', 'Stopping');
    CREATE TABLE tags (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        arn TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        UNIQUE (arn, key)
    ) STRICT;",
    // 2. Models, endpoint configurations and endpoints.
    hosting::SCHEMA,
    // 3. Log groups and streams.
    logs::SCHEMA,
    // 4. Metrics.
    metrics::SCHEMA,
];

/// Brings a database up to date. Returns its version and the latest that is known; one that is later is left alone.
pub(super) fn run(connection: &mut Connection) -> rusqlite::Result<(u32, u32)> {
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for step in STEPS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    if found < known {
        transaction.pragma_update(None, "user_version", known)?;
    }
    transaction.commit()?;
    Ok((found, known))
}
