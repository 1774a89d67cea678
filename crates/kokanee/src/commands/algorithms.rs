//! `kokanee algorithms`: the list of algorithms, with their channels, formats and metrics.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use kokanee_contract::algorithm_contract::Hosts;
use kokanee_contract::channels::InputMode;
use kokanee_contract::{AlgorithmContract, MediaType};

use crate::algorithms::{ALGORITHMS, named};
use crate::output_file::print;
use crate::render::table::Table;

const EXAMPLES: &str = "\
Examples:
  kokanee algorithms
  kokanee algorithms kmeans
  kokanee train --algorithm kmeans --help
      the hyperparameters of an algorithm";

/// Options of `kokanee algorithms`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AlgorithmsArgs {
    /// Algorithm to describe [default: a list of all]
    name: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// When the algorithm does not exist.
pub(crate) fn run(args: &AlgorithmsArgs) -> Result<()> {
    match &args.name {
        Some(name) => print(&describe(named(Some(name))?.contract())),
        None => print(&list()),
    }
}

fn list() -> String {
    let mut table = Table::new().words("algorithm").words("what it does").words("channels").words("requests");
    for algorithm in ALGORITHMS {
        let contract = algorithm.contract();
        let channels: Vec<String> = contract
            .channels
            .iter()
            .map(
                |channel| {
                    if channel.required { channel.name.to_owned() } else { format!("[{}]", channel.name) }
                },
            )
            .collect();
        table.row([contract.name, contract.summary, &channels.join(" "), &names(contract.accepts)]);
    }
    format!("{table}\nchannels in brackets may be left out; `kokanee algorithms NAME` says more\n")
}

/// Channels, formats and metrics of one algorithm.
fn describe(contract: &AlgorithmContract) -> String {
    let mut text = format!("{} ({}): {}\n", contract.name, contract.title, contract.summary);
    let machines = match contract.hosts {
        Hosts::One => "one machine",
        Hosts::Many => "any number of machines, whose work this one does",
    };
    let _ = writeln!(text, "training on {machines}\n");
    let mut channels =
        Table::new().words("channel").words("").words("content types").words("modes").words("what it holds");
    for channel in contract.channels {
        let modes: Vec<&str> = channel.modes.iter().copied().map(InputMode::as_str).collect();
        let required = if channel.required { "required" } else { "optional" };
        channels.row([channel.name, required, &names(channel.content_types), &modes.join(", "), channel.doc]);
    }
    let mut metrics = Table::new().words("metric").words("better").words("pattern in the log");
    for metric in contract.metrics {
        let better = match metric.direction {
            Some(direction) => direction.as_str(),
            None => "",
        };
        metrics.row([metric.name, better, metric.regex]);
    }
    let _ = write!(
        text,
        "{channels}\n{metrics}\nrequests: {}\nanswers: {}\nhyperparameters: kokanee train --algorithm {} --help\n",
        names(contract.accepts),
        names(contract.answers),
        contract.name
    );
    text
}

fn names(types: &[MediaType]) -> String {
    types.iter().map(|media| media.name()).collect::<Vec<_>>().join(", ")
}
