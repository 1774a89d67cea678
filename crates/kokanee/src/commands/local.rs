//! `kokanee local`: runs a SageMaker, with the services around it, on this machine.

mod client;
mod images;
mod keys;
mod other_s3;
mod private_file;
mod resources;
mod server_args;
mod workers;

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use kokanee_control::environment::{self, Environment, Mode, Shell, url};
use kokanee_control::objects::RemoteSettings;
use kokanee_control::server::{DEFAULT_PORT, LocalServer, Settings};
use kokanee_control::signature::Keys;
use kokanee_http::Ended;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use self::client::Client;
use self::keys::KeyArgs;
use self::other_s3::OtherS3Args;
use self::private_file::PrivateFile;
use self::server_args::ServerArgs;
use self::workers::Workers;
use super::serve::ready_file::ReadyFile;
use super::serve::{LogForm, signals, start_log};
use crate::exit::CommandLineError;
use crate::output_file::print;

/// The account that everything belongs to; no real account has this number.
const ACCOUNT: &str = "000000000000";
/// The region if neither the command line nor the environment names one.
const REGION: &str = "us-east-1";
/// The file in the data folder that contains the server's address.
const READY_FILE: &str = "server.json";
/// Number of threads for connections; calls that wait for the disk use others.
const CONNECTION_THREADS: usize = 2;
/// Time to wait at the end for calls that use the disk, so that the database is closed properly.
const CLOSING: Duration = Duration::from_secs(5);
/// Time within which a running server must accept a connection.
const REACH: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  kokanee local
  eval \"$(kokanee local env)\"
      in another terminal: boto3, the SageMaker SDKs and the AWS CLI there talk to it
  kokanee local env --shell fish | source
  kokanee local run -- python notebook.py
      start a server for one command
  kokanee local console
      print the URL of the console: jobs, endpoints, buckets
  kokanee local run --mode proxy-only -- python old.py
      for clients that do not support AWS_ENDPOINT_URL: they use HTTPS_PROXY
  kokanee local ps
  kokanee local logs NAME --follow
  kokanee local stop NAME
      list, follow and stop jobs without boto3
  kokanee local image add my-algo:1 --train \"python train.py\"
      run your own program for the image my-algo:1 of any registry
  kokanee local --data sagemaker --port 0
      use a data folder of its own and any free port
  kokanee local --s3 http://minio.lan:9000
      use the buckets of another S3, with its keys in AWS_ACCESS_KEY_ID and
      AWS_SECRET_ACCESS_KEY
  kokanee local --host 0.0.0.0
      serve other machines, too: requests must be signed with the keys in
      KOKANEE_ACCESS_KEY and KOKANEE_SECRET_KEY

Without keys, the server listens on this machine only and accepts any credentials. Ctrl-C ends it.";

/// Options of `kokanee local`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LocalArgs {
    #[command(subcommand)]
    command: Option<LocalCommand>,
    /// Data folder [default: kokanee in your user data folder, such as ~/.local/share/kokanee]
    #[arg(long, value_name = "FOLDER", global = true)]
    data: Option<PathBuf>,
    /// Region of clients that name none [default: AWS_REGION, AWS_DEFAULT_REGION, else us-east-1]
    #[arg(long, value_name = "NAME", global = true, value_parser = region)]
    region: Option<String>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Log format, on stderr [default: text]
    #[arg(long, value_enum)]
    log: Option<LogForm>,
}

/// What can be done besides serving.
#[derive(Debug, Subcommand)]
enum LocalCommand {
    /// Print the environment variables with which clients find the running server
    Env {
        /// Shell to print for
        #[arg(long, value_enum, default_value_t = ShellName::Bash)]
        shell: ShellName,
        /// How clients find the server
        #[arg(long, value_enum, default_value_t = ModeName::DataPath)]
        mode: ModeName,
    },
    /// Run a command against the running server, or against a server started for it
    Run {
        /// How clients find the server
        #[arg(long, value_enum, default_value_t = ModeName::DataPath)]
        mode: ModeName,
        #[command(flatten)]
        server: ServerArgs,
        /// Command to run, with its arguments
        #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Print the URL of the running server's console, with its token if the server has keys
    Console,
    /// List running jobs and endpoints
    Ps {
        /// Also list jobs that have ended, endpoint configurations, and models
        #[arg(long, short)]
        all: bool,
    },
    /// Print the log of a job or endpoint
    Logs {
        /// Name of the job or endpoint
        name: String,
        /// Keep printing new lines until the job ends
        #[arg(long, short)]
        follow: bool,
    },
    /// Stop jobs as StopTrainingJob does: each keeps the model trained so far
    Stop {
        /// Names of the jobs
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove ended jobs with their logs, endpoints with their configurations, and models; objects stay in their buckets
    Rm {
        /// Names of jobs, endpoints or models
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove training jobs that ended long ago, with their logs; objects stay in their buckets
    Gc {
        /// Minimum time since a job's end: 30d, 12h, 45m
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = time)]
        older_than: Duration,
        /// Print what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Register your own programs under image names, for jobs and endpoints
    Image {
        #[command(subcommand)]
        what: images::ImageCommand,
    },
}

/// A shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShellName {
    /// bash, zsh and other POSIX shells
    Bash,
    /// fish
    Fish,
    /// PowerShell
    Powershell,
    /// Lines NAME="value" for a .env file
    Dotenv,
}

/// A way for clients to find the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeName {
    /// AWS_ENDPOINT_URL, and a rule for STS in AWS_DATA_PATH
    DataPath,
    /// AWS_ENDPOINT_URL, and HTTPS_PROXY for calls that ignore it, such as STS in the SageMaker SDKs
    Proxy,
    /// HTTPS_PROXY alone, for clients that do not support AWS_ENDPOINT_URL
    ProxyOnly,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::DataPath => Self::DataPath,
            ModeName::Proxy => Self::Proxy,
            ModeName::ProxyOnly => Self::ProxyOnly,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When the port or the data folder is not available, or no server runs that `env` could refer to.
pub(crate) fn run(args: &LocalArgs) -> Result<()> {
    args.check()?;
    let data = args.data()?;
    match &args.command {
        None => args.serve(&data),
        Some(LocalCommand::Env { shell, mode }) => {
            let address = server_of(&data)?;
            let shell = match shell {
                ShellName::Bash => Shell::Posix,
                ShellName::Fish => Shell::Fish,
                ShellName::Powershell => Shell::PowerShell,
                ShellName::Dotenv => Shell::Dotenv,
            };
            let access = args.access_of_server(&data)?;
            print(&args.environment(address, &data, &access, (*mode).into())?.lines(shell))
        }
        Some(LocalCommand::Console) => {
            let address = server_of(&data)?;
            let token = args.keys.of_server(&data)?.map(|keys| format!("?token={}", keys.console_token()));
            print(&format!("{}{}\n", console_url(address), token.unwrap_or_default()))
        }
        Some(LocalCommand::Run { mode, server, command }) => {
            args.run_command(&data, (*mode).into(), &server.or(&args.server), command)
        }
        Some(LocalCommand::Ps { all }) => resources::ps(&args.client(&data)?, *all),
        Some(LocalCommand::Logs { name, follow }) => resources::logs(&args.client(&data)?, name, *follow),
        Some(LocalCommand::Stop { names }) => resources::stop(&args.client(&data)?, names),
        Some(LocalCommand::Rm { names }) => resources::remove(&args.client(&data)?, names),
        Some(LocalCommand::Gc { older_than, dry_run }) => {
            resources::collect(&args.client(&data)?, *older_than, *dry_run)
        }
        Some(LocalCommand::Image { what }) => images::run(&data, what),
    }
}

/// The data that clients need besides the address of a server.
#[derive(Clone, Debug, Default)]
struct Access {
    /// The keys with which requests to it must be signed.
    keys: Option<Keys>,
    /// The place of its buckets, if that is another S3.
    other_s3: Option<RemoteSettings>,
}

impl LocalArgs {
    /// Refuses options of a server for a command that starts none.
    fn check(&self) -> Result<()> {
        let starts_none = !matches!(self.command, None | Some(LocalCommand::Run { .. }));
        let of_server = self.server.given().filter(|_| starts_none);
        let of_log = self.log.and(Some("--log")).filter(|_| self.command.is_some());
        let message = match (of_server, of_log) {
            (Some(option), _) => format!(
                "{option} is an option of `kokanee local` and `kokanee local run`, which start a server"
            ),
            (None, Some(option)) => format!("{option} is an option of `kokanee local` without a command"),
            (None, None) => return Ok(()),
        };
        Err(CommandLineError(message).into())
    }

    /// The access to a server that is to be started.
    fn access(&self, args: &ServerArgs) -> Result<Access> {
        let keys = self.keys.given()?;
        let other_s3 = args.other_s3.given(self.region(), keys.as_ref())?;
        Ok(Access { keys, other_s3 })
    }

    /// The access to the server that runs on a data folder.
    fn access_of_server(&self, data: &Path) -> Result<Access> {
        let keys = self.keys.of_server(data)?;
        Ok(Access { keys, other_s3: OtherS3Args::of_server(data, self.region())? })
    }

    fn serve(&self, data: &Path) -> Result<()> {
        start_log(self.log.unwrap_or(LogForm::Text))?;
        let runtime = runtime()?;
        let ended = runtime.block_on(async {
            let stop = signals()?;
            let access = self.access(&self.server)?;
            let server = self.bind(data, &self.server, DEFAULT_PORT, &access).await?;
            let ready = self.announce(&server, data, &access)?;
            print(&self.greeting(&server, data, &access))?;
            let workers = self.workers(&server, data, &self.server, &access)?;
            let told = stop.clone();
            let work = async move {
                workers.run(told).await;
                anyhow::Ok(())
            };
            let ended = server.run(work, stop).await;
            drop(ready);
            ended
        });
        runtime.shutdown_timeout(CLOSING);
        match ended? {
            Ended::Drained => tracing::info!("ended"),
            Ended::Abandoned(connections) | Ended::Forced(connections) => {
                tracing::warn!(connections, "ended; not all requests were answered")
            }
        }
        Ok(())
    }

    fn run_command(&self, data: &Path, mode: Mode, args: &ServerArgs, command: &[OsString]) -> Result<()> {
        let runtime = runtime()?;
        let status = match running(data) {
            Some(address) => {
                let environment = self.environment(address, data, &self.access_of_server(data)?, mode)?;
                runtime.block_on(child(command, &environment))?
            }
            None => runtime.block_on(async {
                let access = self.access(args)?;
                let server = self.bind(data, args, 0, &access).await?;
                let environment = self.environment(server.address(), data, &access, mode)?;
                let ready = self.announce(&server, data, &access)?;
                let workers = self.workers(&server, data, args, &access)?;
                let (end, ending) = watch::channel(0);
                let running = tokio::spawn(workers.run(ending));
                let mut status = None;
                let work = async {
                    status = Some(child(command, &environment).await?);
                    // Jobs and instances must not outlive the server.
                    end.send_replace(1);
                    running.await.context("the runner of jobs failed")?;
                    anyhow::Ok(())
                };
                // Connections that the command left open must not delay the end.
                let (stop, stopped) = watch::channel(2);
                server.run(work, stopped).await?;
                drop((ready, stop));
                status.context("the command did not run")
            })?,
        };
        runtime.shutdown_timeout(CLOSING);
        if status.success() {
            return Ok(());
        }
        std::process::exit(exit_code(status))
    }

    async fn bind(
        &self,
        data: &Path,
        args: &ServerArgs,
        default_port: u16,
        access: &Access,
    ) -> Result<LocalServer> {
        let host = args.host();
        ensure!(
            host.is_loopback() || access.keys.is_some(),
            "--host {host}: other machines may reach this address, so requests must be signed: set KOKANEE_ACCESS_KEY and \
             KOKANEE_SECRET_KEY, or listen on 127.0.0.1"
        );
        let settings = Settings {
            host,
            port: args.port.unwrap_or(default_port),
            data: data.to_owned(),
            account: ACCOUNT.to_owned(),
            region: self.region(),
            allowed_hosts: args.allow_host.clone(),
            keys: access.keys.clone().map(Arc::new),
            other_s3: access.other_s3.clone(),
            network_proxy: ["https_proxy", "HTTPS_PROXY"].into_iter().find_map(variable).map(|name| {
                (name, ["no_proxy", "NO_PROXY"].into_iter().find_map(variable).unwrap_or_default())
            }),
        };
        Ok(LocalServer::bind(settings).await?)
    }

    fn workers(
        &self,
        server: &LocalServer,
        data: &Path,
        args: &ServerArgs,
        access: &Access,
    ) -> Result<Workers> {
        // Programs use this server instead of AWS.
        let environment = self.environment(server.address(), data, access, Mode::DataPath)?;
        Workers::new(server, data, &environment, args.jobs.map(usize::from), args.keep_jobs)
    }

    /// The message once the server listens. A printed secret would end up in logs.
    fn greeting(&self, server: &LocalServer, data: &Path, access: &Access) -> String {
        let mut text = format!(
            "Local SageMaker on {}, data in {}\nConsole: {}\n\nIn your client's terminal:\n  eval \"$({})\"\n",
            url(server.address()),
            data.display(),
            console_url(server.address()),
            self.env_command(data)
        );
        if let Some(other) = &access.other_s3 {
            text += &format!("\nBuckets are in the S3 at {}.\n", other.url);
        }
        if let Some(keys) = &access.keys {
            text += &format!(
                "\nRequests must be signed: AWS_ACCESS_KEY_ID={} and your secret key.\n",
                keys.access()
            );
            text += "The console requires a token: `kokanee local console` prints its URL with the token.\n";
        }
        if !server.address().ip().is_loopback() {
            text += &format!(
                "On other machines: AWS_ENDPOINT_URL=http://<address of this machine>:{}\n",
                server.address().port()
            );
        }
        text
    }

    /// Writes the files that clients read to find the server.
    fn announce(
        &self,
        server: &LocalServer,
        data: &Path,
        access: &Access,
    ) -> Result<(PrivateFile, PrivateFile, ReadyFile)> {
        self.environment(server.address(), data, access, Mode::DataPath)?.write_files()?;
        let keys = keys::write(data, access.keys.as_ref())?;
        let other_s3 = other_s3::write(data, access.other_s3.as_ref())?;
        Ok((keys, other_s3, ReadyFile::write(&data.join(READY_FILE), server.address())?))
    }

    fn environment(
        &self,
        address: SocketAddr,
        data: &Path,
        access: &Access,
        mode: Mode,
    ) -> Result<Environment> {
        let server = environment::Server {
            address,
            data,
            region: &self.region(),
            keys: access.keys.as_ref(),
            other_s3: access.other_s3.as_ref(),
        };
        if mode == Mode::DataPath {
            return Ok(Environment::new(server, variable));
        }
        let environment = Environment::with_proxy(server, mode == Mode::ProxyOnly, variable)?;
        if environment.certificates.as_ref().is_some_and(|bundle| bundle.others == 0) {
            eprintln!(
                "note: this machine has no root certificates, so that these clients will trust no host but AWS's names here. Install them \
                 (Debian: ca-certificates), or name a file of them in SSL_CERT_FILE",
            );
        }
        Ok(environment)
    }

    fn client(&self, data: &Path) -> Result<Client> {
        Client::new(server_of(data)?, self.region(), self.keys.of_server(data)?)
    }

    fn region(&self) -> String {
        let of_environment = || ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(variable);
        let named = self.region.clone().or_else(|| of_environment().filter(|name| region(name).is_ok()));
        named.unwrap_or_else(|| REGION.to_owned())
    }

    /// The data folder as an absolute path: clients run elsewhere.
    fn data(&self) -> Result<PathBuf> {
        let folder = match &self.data {
            Some(folder) => folder.clone(),
            None => default_data().context("there is no home folder: name a --data folder")?,
        };
        std::path::absolute(&folder).with_context(|| format!("--data {} cannot be used", folder.display()))
    }

    fn env_command(&self, data: &Path) -> String {
        let folder = data.display().to_string();
        match &self.data {
            None => "kokanee local env".to_owned(),
            Some(_) => format!("kokanee local env --data '{}'", folder.replace('\'', r"'\''")),
        }
    }
}

/// The URL of the console.
fn console_url(address: SocketAddr) -> String {
    format!("{}/console", url(address))
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONNECTION_THREADS)
        .thread_name("kokanee-local")
        .enable_all()
        .build()
        .context("the system refused to start threads")
}

/// The address of the server of a data folder.
fn server_of(data: &Path) -> Result<SocketAddr> {
    running(data).with_context(|| {
        format!(
            "no local SageMaker runs on {}: start one with `kokanee local`, or name its --data folder",
            data.display()
        )
    })
}

/// The address of the server of a data folder; none if no server runs.
fn running(data: &Path) -> Option<SocketAddr> {
    let text = fs::read_to_string(data.join(READY_FILE)).ok()?;
    let content: serde_json::Value = serde_json::from_str(&text).ok()?;
    let address: SocketAddr = content["address"].as_str()?.parse().ok()?;
    // A server that was killed leaves its file behind.
    TcpStream::connect_timeout(&address, REACH).ok().map(|_| address)
}

/// Runs a command to its end. Ctrl-C is left to the command: the terminal sends it the signal too.
async fn child(command: &[OsString], environment: &Environment) -> Result<ExitStatus> {
    let (program, arguments) = command.split_first().context("no command is given")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let variables = environment.variables.iter().map(|(name, value)| (*name, value));
    let mut line = tokio::process::Command::new(program);
    for name in &environment.unwanted {
        line.env_remove(name);
    }
    let spawned = line.args(arguments).envs(variables).kill_on_drop(true).spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("there is no program {}", program.display())
        }
        spawned => spawned.with_context(|| format!("{} cannot be started", program.display()))?,
    };
    loop {
        tokio::select! {
            status = child.wait() => return status.context("the command is lost"),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => child.start_kill().context("the command cannot be ended")?,
        }
    }
}

/// The exit code of a command, as shells report it.
fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

fn default_data() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let folder = if cfg!(target_os = "macos") {
        home()?.join("Library/Application Support")
    } else {
        let named = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        named.filter(|folder| folder.is_absolute()).or_else(|| Some(home()?.join(".local/share")))?
    };
    Some(folder.join("kokanee"))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn region(text: &str) -> Result<String, String> {
    let is_name = text.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if is_name && text.split('-').count() >= 3 && text.len() <= 40 {
        Ok(text.to_owned())
    } else {
        Err("expected the name of a region such as us-east-1".to_owned())
    }
}

/// Parses `30d`, `12h`, `45m`, `10s`.
fn time(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let parsed = units.iter().find_map(|&(unit, seconds)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(seconds).map(Duration::from_secs)
    });
    parsed.ok_or_else(|| "expected a number with d, h, m or s, such as 30d".to_owned())
}
