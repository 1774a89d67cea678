//! The schema, as the steps that lead to it. A step that was released is never changed.

use rusqlite::{Connection, TransactionBehavior};

use crate::{hosting, logs, metrics, training, transform};

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
