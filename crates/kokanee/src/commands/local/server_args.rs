//! Options of the commands that start a server.

use std::net::{IpAddr, Ipv4Addr};

use clap::Args;

use super::other_s3::OtherS3Args;

/// Options of a server that is to be started.
#[derive(Debug, Default, Args)]
pub(super) struct ServerArgs {
    /// Port to listen on, 0 for any free one [default: 7243; any free one with `run`]
    #[arg(long, value_name = "N")]
    pub(super) port: Option<u16>,
    /// Address to listen on; an address that other machines can reach, such as 0.0.0.0, requires keys [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) host: Option<IpAddr>,
    #[command(flatten)]
    pub(super) other_s3: OtherS3Args,
    /// Accept requests for this host name of the machine, besides localhost; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(super) allow_host: Vec<String>,
    /// Number of jobs to run in parallel; others wait in the order of their creation [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) jobs: Option<u16>,
    /// Leave jobs running when the server ends; the next server on the same data folder takes them up [default: stop them]
    #[arg(long)]
    pub(super) keep_jobs: bool,
}

impl ServerArgs {
    /// These options, and the others for those that are not given.
    pub(super) fn or(&self, other: &Self) -> Self {
        let (first, second) = (self, other);
        Self {
            port: first.port.or(second.port),
            host: first.host.or(second.host),
            other_s3: first.other_s3.or(&second.other_s3),
            allow_host: [first, second].iter().flat_map(|args| args.allow_host.clone()).collect(),
            jobs: first.jobs.or(second.jobs),
            keep_jobs: first.keep_jobs || second.keep_jobs,
        }
    }

    pub(super) fn host(&self) -> IpAddr {
        self.host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// The name of an option that is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        [
            ("--port", self.port.is_some()),
            ("--host", self.host.is_some()),
            ("--s3", self.other_s3.is_given()),
            ("--allow-host", !self.allow_host.is_empty()),
            ("--jobs", self.jobs.is_some()),
            ("--keep-jobs", self.keep_jobs),
        ]
        .into_iter()
        .find_map(|(name, is_given)| is_given.then_some(name))
    }
}
