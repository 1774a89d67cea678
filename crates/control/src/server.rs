//! All services on one port.

mod elsewhere;
mod entry;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kokanee_formats::FileError;
use kokanee_http::{
    BindError, Bounds, Ended, MemoryBudget, Metrics, Patience, Route, ServeError, Server, Shell, Site,
};
use serde_json::json;
use thiserror::Error;
use tokio::sync::watch;

use self::elsewhere::elsewhere;
use self::entry::Entry;
use crate::api::Control;
use crate::console::{self, Console};
use crate::hosting::Routes;
use crate::objects::{ObjectStore, Remote, RemoteSettings};
use crate::proxy::{self, Authority, Proxy, Upstream};
use crate::runtime::{Counts, Runtime};
use crate::s3;
use crate::signature::Keys;
use crate::store::{Store, StoreError};
use crate::wire::Guard;

/// The default port. It is SAGE on the keys of a telephone. It collides with no registered service, no mock of AWS (4566, 5000) and no port
/// that systems give to outgoing connections (32768 and above).
pub const DEFAULT_PORT: u16 = 7243;
/// The memory for all bodies together: 64 uploads with a buffer each fit beside calls.
const MEMORY_BYTES: usize = 128 << 20;
/// The time between two looks for minutes whose metrics can be published.
const PUBLISH: Duration = Duration::from_secs(5);
/// The folder of S3 in the data folder.
const S3_FOLDER: &str = "s3";

/// The settings of a local SageMaker.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port; 0 for any free one.
    pub port: u16,
    /// The folder for all data that are kept.
    pub data: PathBuf,
    /// The account of all resources: 12 digits.
    pub account: String,
    /// The region of requests that name no region.
    pub region: String,
    /// Names of this machine, in addition to localhost, that requests may use.
    pub allowed_hosts: Vec<String>,
    /// The keys that requests must be signed with. Without keys, anybody who reaches the address is served.
    pub keys: Option<Arc<Keys>>,
    /// The proxy that this machine needs for the network, as in `HTTPS_PROXY`, and the hosts that do not need it, as in `NO_PROXY`.
    /// Requests that are passed on for clients use it.
    pub network_proxy: Option<(String, String)>,
    /// Another S3 for the input and output of jobs, instead of that in the data folder.
    pub other_s3: Option<RemoteSettings>,
}

/// An error that prevents a server from starting.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address is not available.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The data folder cannot be created.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The objects cannot be used.
    #[error(transparent)]
    Objects(#[from] s3::OpenError),
    /// The other S3 has no address.
    #[error("--s3 {url}: {reason}")]
    OtherS3 {
        /// The address that was given.
        url: String,
        /// The problem with it.
        reason: String,
    },
}

/// Creates the data folder, if there is none, for its owner only: it contains objects, logs, and the environment of programs. An existing
/// folder keeps its permissions.
fn make_private(folder: &Path, has_keys: bool) -> Result<(), FileError> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(FileError::io(folder, "create the folder"))?;
    if has_keys && std::fs::metadata(folder).is_ok_and(|found| found.mode() & 0o077 != 0) {
        tracing::warn!(folder = %folder.display(), "other users of this machine can look into the data folder; `chmod 700` ends that");
    }
    Ok(())
}

/// A server that listens but does not serve yet.
pub struct LocalServer {
    server: Server,
    settings: Settings,
    control: Arc<Control>,
    buckets: Buckets,
    routes: Arc<Routes>,
}

/// The location of buckets.
enum Buckets {
    Here(Arc<s3::Store>),
    Elsewhere(Arc<Remote>),
}

impl Buckets {
    fn open(settings: &Settings) -> Result<Self, StartError> {
        let Some(other) = &settings.other_s3 else {
            return Ok(Self::Here(Arc::new(s3::Store::open(&settings.data.join(S3_FOLDER))?)));
        };
        let refused = |reason| StartError::OtherS3 { url: other.url.clone(), reason };
        Ok(Self::Elsewhere(Arc::new(Remote::new(other.clone()).map_err(refused)?)))
    }

    fn objects(&self) -> Arc<dyn ObjectStore> {
        match self {
            Self::Here(store) => Arc::clone(store) as _,
            Self::Elsewhere(remote) => Arc::clone(remote) as _,
        }
    }
}

impl LocalServer {
    /// Listens, and opens the data folder.
    ///
    /// # Errors
    /// If the address is not available, or the folder is in use.
    pub async fn bind(settings: Settings) -> Result<Self, StartError> {
        let server = Server::bind(settings.host, settings.port).await?;
        make_private(&settings.data, settings.keys.is_some())?;
        let store = Arc::new(Store::open(&settings.data)?);
        let buckets = Buckets::open(&settings)?;
        let control = Control::new(store, buckets.objects(), settings.account.clone());
        let control = Arc::new(control.with_keys(settings.keys.clone()));
        Ok(Self { server, settings, control, buckets, routes: Arc::default() })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The resources, for a runner for instance.
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// The routes of requests to endpoints; a fleet keeps them up to date.
    pub fn routes(&self) -> &Arc<Routes> {
        &self.routes
    }

    /// The store for the input and output of jobs.
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        self.buckets.objects()
    }

    /// Serves until `work` ends, then finishes the requests in progress. If `stop` counts 2, it aborts them.
    ///
    /// # Errors
    /// The errors of `work`.
    pub async fn run<E>(
        self,
        work: impl Future<Output = Result<(), E>>,
        stop: watch::Receiver<u32>,
    ) -> Result<Ended, E> {
        let Self { server, settings, control, buckets, routes } = self;
        let memory = MemoryBudget::new(MEMORY_BYTES);
        let metrics = Arc::new(Metrics::new("a request to an endpoint"));
        let patience = Patience::default();
        let counts = Arc::new(Counts::default());
        let publishing = tokio::spawn(publish(Arc::clone(&counts), Arc::clone(&control)));
        let (known, unpublished) = (Arc::clone(&control), Arc::clone(&counts));
        let runtime = |keys| {
            let runtime = Runtime {
                routes: Arc::clone(&routes),
                endpoints: control.endpoints.clone(),
                counts: Arc::clone(&counts),
                account: settings.account.clone(),
                region: settings.region.clone(),
                memory: Arc::clone(&memory),
                patience,
                keys,
            };
            runtime.router()
        };
        let of_s3 = |store: &Arc<s3::Store>, keys| {
            let of_s3 = s3::Settings {
                account: settings.account.clone(),
                region: settings.region.clone(),
                patience,
                keys,
            };
            s3::router(Arc::clone(store), of_s3, Arc::clone(&memory))
        };
        let address = server.address();
        let (s3_for_clients, buckets) = match buckets {
            Buckets::Here(store) => {
                (of_s3(&store, settings.keys.clone()), Some((Arc::clone(&store), of_s3(&store, None))))
            }
            Buckets::Elsewhere(remote) => (elsewhere(remote.url().to_owned(), patience), None),
        };
        let runtime_for_clients = runtime(settings.keys.clone());
        // The console checks access in its own way.
        let console = Console::new(console::Settings {
            control: Arc::clone(&control),
            buckets,
            routes: Arc::clone(&routes),
            counts: Arc::clone(&counts),
            runtime: runtime(None),
            address,
            region: settings.region.clone(),
            memory: Arc::clone(&memory),
            patience,
            keys: settings.keys.clone(),
        });
        let proxy = Proxy {
            passes_on: address.ip().is_loopback(),
            upstream: settings.network_proxy.and_then(|(name, without)| upstream(&name, &without, address)),
        };
        let data = settings.data;
        let tls = proxy::server_config(move || Authority::open(&data));
        let tls = tls.inspect_err(|error| tracing::error!(%error, "there is no TLS")).ok();
        let entry = Entry {
            guard: Guard::new(address, settings.allowed_hosts),
            control: Arc::clone(&control),
            region: settings.region.clone(),
            s3: s3_for_clients,
            runtime: runtime_for_clients,
            console,
            memory,
            metrics: Arc::clone(&metrics),
            patience,
            keys: settings.keys,
            is_loopback: address.ip().is_loopback(),
            proxy,
        };
        let shell = Shell {
            router: entry.router(),
            site: Arc::new(LocalSite),
            metrics,
            bounds: Bounds { patience, ..Bounds::default() },
            tls,
        };
        let ended = server.run(shell, work, stop).await;
        publishing.abort();
        // The panic hook has already reported a panic.
        let _ = tokio::task::spawn_blocking(move || unpublished.publish(&known.metrics, true)).await;
        ended
    }
}

/// The proxy of the network, if there is one that is not this server.
fn upstream(name: &str, without: &str, own: SocketAddr) -> Option<Upstream> {
    Upstream::parse(name, without, own).unwrap_or_else(|reason| {
        tracing::warn!(reason, "HTTPS_PROXY is not used");
        None
    })
}

/// Publishes the counts of requests to endpoints, minute by minute.
async fn publish(counts: Arc<Counts>, control: Arc<Control>) {
    loop {
        tokio::time::sleep(PUBLISH).await;
        let (counts, control) = (Arc::clone(&counts), Arc::clone(&control));
        let _ = tokio::task::spawn_blocking(move || counts.publish(&control.metrics, false)).await;
    }
}

/// The properties of the server that its log uses.
struct LocalSite;

impl Site for LocalSite {
    fn route(&self, path: &str) -> Route {
        if path.is_empty() {
            Route::plain("connect")
        } else if path == "/" {
            Route::plain("api")
        } else if path.starts_with("/_kokanee/") {
            Route { is_quiet: true, ..Route::plain("own") }
        } else if path == "/console" || path.starts_with("/console/") {
            Route { is_quiet: true, ..Route::plain("console") }
        } else if path.starts_with("/endpoints/") {
            Route { is_timed: true, ..Route::plain("endpoint") }
        } else {
            Route::plain("s3")
        }
    }

    /// The client's protocol is not known here, but clients of every protocol check the status.
    fn envelope(&self, error: &ServeError) -> (&'static str, String) {
        let name = if error.code.status() == 503 { "ServiceUnavailable" } else { "InternalFailure" };
        ("application/json", json!({"__type": name, "message": error.message}).to_string())
    }
}
