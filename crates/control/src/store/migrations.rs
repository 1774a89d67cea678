//! Brings a database up to date, step by step.

use rusqlite::{Connection, TransactionBehavior};

/// Applies the steps that a database lacks; its version is the number of applied steps. Returns the version and the latest known one; a
/// later database is left unchanged.
pub(super) fn run(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<(u32, u32)> {
    let known = u32::try_from(steps.len()).unwrap_or(u32::MAX);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for step in steps.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    if found < known {
        transaction.pragma_update(None, "user_version", known)?;
    }
    transaction.commit()?;
    Ok((found, known))
}
