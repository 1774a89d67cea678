//! Application Auto Scaling: adds instances to busy variants of endpoints, and removes them from idle ones.
//!
//! | file | content |
//! |---|---|
//! | `variant` | the names of variants in requests |
//! | `policy` | target-tracking policies, parsed from requests |
//! | `decision` | the decision about the number of instances: pure arithmetic |
//! | `store` | targets in the database |
//! | `policies` | policies in the database |
//! | `activities` | activities in the database |
//! | `scaler` | the loop that measures, decides and requests instances from endpoints |
//! | `alarms` | policies as CloudWatch shows them |

mod activities;
mod alarms;
mod decision;
mod policies;
mod policy;
mod scaler;
mod store;
#[cfg(test)]
mod tests;
mod variant;

pub use activities::{Activity, Cause, History, NewActivity, Outcome};
pub use alarms::{Alarm, AlarmState};
pub use decision::{Decision, Measured, Pace, Situation, combine, decide, within};
pub use policies::{ListedPolicy, Policy};
pub use policy::TargetTracking;
pub use scaler::Scaler;
pub use store::{Query, Scaling, ScalingError, Suspended, Target, Targeted};
pub use variant::VariantId;

/// The tables. `config` and `suspended` are as in the request, in JSON. Activities outlive their targets.
pub(crate) const SCHEMA: &str = "CREATE TABLE scalable_targets (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        arn TEXT NOT NULL UNIQUE,
        region TEXT NOT NULL,
        endpoint TEXT NOT NULL COLLATE NOCASE,
        variant TEXT NOT NULL,
        least INTEGER NOT NULL,
        most INTEGER NOT NULL,
        role_arn TEXT NOT NULL,
        suspended TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        UNIQUE (region, endpoint, variant)
    ) STRICT;
    CREATE TABLE scaling_policies (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        target_id INTEGER NOT NULL REFERENCES scalable_targets (id) ON DELETE CASCADE,
        arn TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        config TEXT NOT NULL,
        alarm_high TEXT NOT NULL,
        alarm_low TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        UNIQUE (target_id, name)
    ) STRICT;
    CREATE TABLE scaling_activities (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        activity TEXT NOT NULL,
        region TEXT NOT NULL,
        endpoint TEXT NOT NULL COLLATE NOCASE,
        variant TEXT NOT NULL,
        direction TEXT NOT NULL,
        wanted INTEGER NOT NULL,
        cause TEXT NOT NULL,
        status TEXT NOT NULL,
        message TEXT,
        started_ms INTEGER NOT NULL,
        ended_ms INTEGER
    ) STRICT;
    CREATE INDEX scaling_activities_by_variant ON scaling_activities (region, endpoint, variant, id);";
