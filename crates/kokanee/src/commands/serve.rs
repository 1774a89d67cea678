//! `kokanee serve`: serves the model over HTTP, as SageMaker's inference container or for people.

pub(super) mod ready_file;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};
use kokanee_contract::Layout;
use kokanee_endpoint::{Endpoint, LoadError, ServerSettings};
use kokanee_http::{Ended, Server};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::filter::LevelFilter;

use self::ready_file::ReadyFile;
use super::model::{AnswerOptions, load};
use super::search_options::SearchOptions;
use crate::algorithms::ALGORITHMS;

/// The archive's name in SageMaker's model folder, if it was not unpacked.
const ARCHIVE: &str = "model.tar.gz";
/// Number of threads for connections, in addition to those that compute.
const CONNECTION_THREADS: usize = 2;

const EXAMPLES: &str = "\
Examples:
  kokanee serve --model model.tar.gz --precision int8 --port 9000
  kokanee serve
      as a SageMaker container: /opt/ml/model on 0.0.0.0:8080
  kokanee serve --prefix job
      the same, with job/ in place of /opt/ml
  kokanee serve --model model
      http://127.0.0.1:8080/ is a page to try it
  kokanee serve --model model --port 0 --ready-file ready.json
      for another program: the file appears when requests are answered, with address, port and pid
  curl -s localhost:8080/invocations -H 'Content-Type: application/json' \\
      -d '{\"instances\": [{\"data\": \"ein hund läuft\"}]}'

The server listens at once; GET /ping answers 200 when the model is loaded. Ctrl-C or SIGTERM finishes pending \
requests, for at most 30 seconds; a second signal exits at once. SAGEMAKER_MAX_PAYLOAD_IN_MB, SAGEMAKER_BATCH, \
SAGEMAKER_BATCH_STRATEGY and SAGEMAKER_MAX_CONCURRENT_TRANSFORMS are honoured; options override them.";

/// Options of `kokanee serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// Model folder or model.tar.gz [default: /opt/ml/model, as in a SageMaker container]
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// Serve as a SageMaker container, with this folder in place of /opt/ml
    #[arg(long, value_name = "FOLDER", conflicts_with = "model")]
    prefix: Option<PathBuf>,
    /// Address to listen on, or a name of this machine such as localhost [default: 127.0.0.1 with --model, 0.0.0.0 as a container]
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Port to listen on, 0 for any free one; the log and --ready-file name it
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Write address, port and process id to this file, as JSON, once the server answers requests; the file is removed at the end
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Prefix of the paths: with /mt, requests go to /mt/invocations
    #[arg(long, value_name = "/PATH", value_parser = url_prefix, default_value = "", hide_default_value = true)]
    url_prefix: String,
    /// Maximum size of a request body in units of 1,048,576 bytes; 0 for no limit [default: SAGEMAKER_MAX_PAYLOAD_IN_MB, else 6, or 64 for rows of numbers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=100))]
    max_payload_mb: Option<u64>,
    /// Maximum number of waiting sentences; more are refused with 429 (seq2seq)
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    queue: u32,
    /// Log format, on stderr
    #[arg(long, value_enum, default_value_t = LogForm::Text)]
    log: LogForm,
    /// Also log sources and targets
    #[arg(long)]
    log_text: bool,
    #[command(flatten)]
    search: SearchOptions,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogForm {
    /// Human-readable lines
    Text,
    /// One JSON object per line
    Json,
}

/// Runs the command.
///
/// # Errors
/// Errors of the model, the environment, or the address to listen on.
pub(crate) fn run(args: &ServeArgs) -> Result<()> {
    start_log(args.log)?;
    let model = args.model()?;
    args.ready_file.as_deref().map(ReadyFile::check).transpose()?;
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let mut settings =
        ServerSettings::from_environment(variable).context("the environment cannot be used")?;
    settings.max_payload_mb = args.max_payload_mb.or(settings.max_payload_mb);
    settings.url_prefix.clone_from(&args.url_prefix);
    settings.log_text = args.log_text;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONNECTION_THREADS)
        .thread_name("kokanee-http")
        .enable_all()
        .build()
        .context("the system refused to start threads")?;
    let ended = runtime.block_on(args.serve(model, settings));
    // Remaining work (a model being loaded, abandoned connections) must not delay the end.
    runtime.shutdown_background();
    match ended? {
        Ended::Drained => tracing::info!("ended"),
        Ended::Abandoned(connections) => {
            tracing::warn!(connections, "ended; not all requests were answered in 30 s")
        }
        Ended::Forced(connections) => {
            bail!("stopped by a second signal, with {connections} open connections")
        }
    }
    Ok(())
}

impl ServeArgs {
    async fn serve(&self, model: PathBuf, settings: ServerSettings) -> Result<Ended> {
        let stop = signals()?;
        let default = if self.model.is_some() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let server = match &self.host {
            None => Server::bind(default.into(), self.port).await?,
            Some(host) => listen(host, self.port).await?,
        };
        tracing::info!(address = %server.address(), model = %model.display(), "listening");
        let options = {
            let settings = settings.clone();
            AnswerOptions {
                search: self.search.clone(),
                queue: self.queue as usize,
                log_text: self.log_text,
                memory_bytes: Box::new(move |body_bytes| settings.memory_bytes(body_bytes)),
            }
        };
        let load = move || load(&model, &options, |note| tracing::warn!("{note}")).map_err(LoadError::from);
        let (address, mut written) = (server.address(), None);
        let ready = || {
            written = self.ready_file.as_deref().map(|path| ReadyFile::write(path, address)).transpose()?;
            Ok(())
        };
        let endpoint = Endpoint { settings, metrics: kokanee_endpoint::metrics(), load, ready };
        let ended = endpoint.run(server, stop).await;
        drop(written);
        Ok(ended?)
    }

    /// The path of the model.
    fn model(&self) -> Result<PathBuf> {
        if let Some(model) = &self.model {
            return Ok(model.clone());
        }
        let layout = self.prefix.as_ref().map_or_else(Layout::opt_ml, Layout::under);
        let folder = layout.model();
        ensure!(
            folder.is_dir(),
            "there is no folder {}; outside of a SageMaker container, name a model with --model",
            folder.display()
        );
        let archive = folder.join(ARCHIVE);
        // Training leaves the archive beside its unpacked files.
        let is_unpacked = ALGORITHMS.iter().any(|algorithm| algorithm.recognises(&folder));
        Ok(if !is_unpacked && archive.exists() { archive } else { folder })
    }
}

/// Listens on an address, or on the first available address of a name: IPv4 before IPv6, like the default.
async fn listen(host: &str, port: u16) -> Result<Server> {
    let help = "give a name of this machine, such as localhost, or an address, such as 127.0.0.1 or ::1";
    let resolved = tokio::net::lookup_host((host, port)).await;
    let resolved = resolved.with_context(|| format!("--host {host:?} cannot be resolved; {help}"))?;
    let mut addresses: Vec<IpAddr> = resolved.map(|address: SocketAddr| address.ip()).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    let mut refused = None;
    for address in addresses {
        match Server::bind(address, port).await {
            Ok(server) => return Ok(server),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    match refused {
        Some(error) => Err(error).with_context(|| format!("--host {host}")),
        None => bail!("--host {host:?} has no address; {help}"),
    }
}

/// Counts SIGTERM and SIGINT.
pub(super) fn signals() -> Result<watch::Receiver<u32>> {
    let (count, receiver) = watch::channel(0);
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            count.send_modify(|count| *count += 1);
        }
    });
    Ok(receiver)
}

pub(super) fn start_log(form: LogForm) -> Result<()> {
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(LevelFilter::INFO)
        .with_target(false);
    let started = match form {
        LogForm::Text => log.with_ansi(false).try_init(),
        LogForm::Json => log.json().flatten_event(true).try_init(),
    };
    // Another log can only exist by a fault of ours; its text says so.
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))?;
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tracing::error!(reason = info.to_string().replace('\n', " "), "a bug in Kokanee");
        earlier(info);
    }));
    Ok(())
}

fn url_prefix(text: &str) -> Result<String, String> {
    let sound = |character: char| character.is_ascii_alphanumeric() || "-._~/".contains(character);
    let is_path =
        text.starts_with('/') && !text.ends_with('/') && !text.contains("//") && text.chars().all(sound);
    if text.is_empty() || is_path {
        Ok(text.to_owned())
    } else {
        Err("expected a path such as /mt: a slash first, none last, of letters, digits, -._~ and /"
            .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_prefix_is_a_plain_path() {
        let check = |text: &str, sound| assert_eq!(url_prefix(text).is_ok(), sound, "{text}");
        check("/mt", true);
        check("/a/b-1", true);
        check("", true);
        check("mt", false);
        check("/", false);
        check("/mt/", false);
        check("/a//b", false);
        check("/{x}", false);
    }
}
