//! S3 on a port of its own, in a folder that goes with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use kokanee_control::s3::{S3Site, Settings, Store, router};
use kokanee_control::signature::Keys;
use kokanee_http::{Bounds, Ended, MemoryBudget, Metrics, Patience, Server, Shell};
use tokio::sync::watch;

/// A budget in which 32 uploads find room at a time.
const MEMORY_BYTES: usize = 64 << 20;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) memory: Arc<MemoryBudget>,
    folder: PathBuf,
    stop: watch::Sender<u32>,
    thread: Option<JoinHandle<Ended>>,
}

impl Running {
    pub(crate) fn new(folder: &Path) -> Self {
        Self::with_keys(folder, None)
    }

    /// A server whose requests must be signed with these keys.
    pub(crate) fn with_keys(folder: &Path, keys: Option<Keys>) -> Self {
        let (stop, stopped) = watch::channel(0);
        let (tell, told) = mpsc::channel();
        let memory = MemoryBudget::new(MEMORY_BYTES);
        let shared = Arc::clone(&memory);
        let store = Arc::new(Store::open(folder).expect("the store opens"));
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let server = Server::bind(Ipv4Addr::LOCALHOST.into(), 0).await.expect("binds");
                tell.send(server.address()).expect("the test waits");
                let patience = Patience::default();
                let settings = Settings {
                    account: "123456789012".into(),
                    region: "us-west-2".into(),
                    patience,
                    keys: keys.map(Arc::new),
                };
                let shell = Shell {
                    router: router(store, settings, shared),
                    site: Arc::new(S3Site),
                    metrics: Arc::new(Metrics::new("a request")),
                    bounds: Bounds { patience, ..Bounds::default() },
                    tls: None,
                };
                let mut stop = stopped.clone();
                let work = async move {
                    let _ = stop.wait_for(|&count| count > 0).await;
                    Ok::<(), std::convert::Infallible>(())
                };
                let Ok(ended) = server.run(shell, work, stopped).await;
                ended
            })
        });
        let address = told.recv().expect("it listens");
        Self { address, memory, folder: folder.to_owned(), stop, thread: Some(thread) }
    }

    /// Every file in the folder, below it, without locks.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut all = Vec::new();
        collect(&self.folder, "", &mut all);
        all.retain(|name| !name.starts_with(".kokanee-l"));
        all.sort();
        all
    }
}

fn collect(folder: &Path, prefix: &str, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), all);
        } else {
            all.push(name);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(2);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
