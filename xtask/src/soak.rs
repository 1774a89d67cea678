//! `cargo xtask soak <name> [count]`: runs tests of the gate longer than the gate has time for.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};

use crate::workspace::{Workspace, cargo, command_line, run as run_command};

/// A test of `crates/kokanee/tests/cli/` that reads its count from a variable.
struct Soak {
    name: &'static str,
    test: &'static str,
    variable: &'static str,
    /// The default count.
    default: u64,
    what: &'static str,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "kills",
        test: "local_kills::kills_lose_nothing",
        variable: "KOKANEE_KILLS",
        default: 5000,
        what: "kills -9 of `kokanee local` at work: nothing acknowledged is lost; 200 a minute",
    },
    Soak {
        name: "load",
        test: "local_load::six_clients_at_once_see_no_error_and_memory_stays_flat",
        variable: "KOKANEE_JOBS",
        default: 1000,
        what: "jobs by six clients, beside an endpoint that changes under load: no error, flat memory; 400 a minute",
    },
    Soak {
        name: "tuning",
        test: "tuning_kills::kills_change_nothing_in_the_history_of_a_tuning_job",
        variable: "KOKANEE_TUNING_KILLS",
        default: 800,
        what: "kills -9 during a tuning job: the same history, no training lost or done twice; 100 a minute",
    },
];

/// Runs the test `args[0]` with `args[1]` as its count.
pub(crate) fn run(args: &[&str]) -> Result<ExitCode> {
    let (name, count) = match args {
        [] | ["help" | "--help" | "-h"] => {
            println!("{}", usage());
            return Ok(ExitCode::SUCCESS);
        }
        [name] => (name, None),
        [name, count] => (name, Some(count.parse().with_context(|| format!("{count:?} is not a number"))?)),
        _ => bail!("too many arguments\n\n{}", usage()),
    };
    let Some(soak) = SOAKS.iter().find(|soak| soak.name == *name) else {
        bail!("no soak is called {name:?}\n\n{}", usage());
    };
    let count: u64 = count.unwrap_or(soak.default);
    ensure!(count > 0, "the count must be above 0");
    let mut command = cargo(&Workspace::load()?.root);
    command.args([
        "test",
        "--package",
        "kokanee",
        "--test",
        "cli",
        "--",
        "--exact",
        soak.test,
        "--nocapture",
    ]);
    command.env(soak.variable, count.to_string());
    println!("{}={count} {}", soak.variable, command_line(&command));
    run_command(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

fn usage() -> String {
    let mut text = String::from("usage: cargo xtask soak <name> [count]\n\nsoaks:");
    for soak in SOAKS {
        text.push_str(&format!("\n  {:<6} {} {}", soak.name, soak.default, soak.what));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_understood_is_refused() {
        for (args, part) in [
            (&["kill"][..], "no soak is called \"kill\""),
            (&["kills", "many"], "\"many\" is not a number"),
            (&["kills", "0"], "above 0"),
            (&["kills", "1", "2"], "usage: cargo xtask soak"),
        ] {
            let error = format!("{:#}", run(args).expect_err("must be refused"));
            assert!(error.contains(part), "{args:?}: {error}");
        }
    }
}
