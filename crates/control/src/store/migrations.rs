//! Brings a database up to date, step by step.

use rusqlite::{Connection, TransactionBehavior};

/// Takes the steps that a database has not taken; its version is how many it has. Returns the version and the latest that is known; a
/// database that is later is left alone.
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
