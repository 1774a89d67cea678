//! Limits on the waiting time for clients and on their number.

use std::time::Duration;

/// Half of the usual limit of open files per process.
const DEFAULT_MAX_CONNECTIONS: usize = 512;

/// Bounds of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The time limits for clients.
    pub patience: Patience,
    /// Maximum number of simultaneous connections. Each may hold a head and its share of the memory for bodies.
    pub max_connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { patience: Patience::default(), max_connections: DEFAULT_MAX_CONNECTIONS }
    }
}

/// Time limits for clients. A client that misses a limit is dropped, so that it does not occupy resources that others could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the complete head of a request, and for the next request on a connection.
    pub head: Duration,
    /// For further bytes of a body.
    pub body_idle: Duration,
    /// For a complete body, however steadily it arrives, unless bodies may have any length.
    pub body: Duration,
    /// For the client to accept some bytes of a response.
    pub write: Duration,
    /// For all running requests, when the server is told to stop.
    pub drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(20),
            body_idle: Duration::from_secs(30),
            body: Duration::from_secs(60),
            write: Duration::from_secs(30),
            // SageMaker sends SIGKILL 30 seconds after SIGTERM.
            drain: Duration::from_secs(30),
        }
    }
}
