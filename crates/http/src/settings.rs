//! How long clients are waited for, and how many there may be.

use std::time::Duration;

/// Half of the files that a process may commonly have open.
const DEFAULT_MAX_CONNECTIONS: usize = 512;

/// Bounds of a server's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long clients are waited for.
    pub patience: Patience,
    /// Connections at a time. Each may hold a head and its share of the memory for bodies.
    pub max_connections: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { patience: Patience::default(), max_connections: DEFAULT_MAX_CONNECTIONS }
    }
}

/// How long clients are waited for. A client that does not do its part in time is given up, so that it cannot keep what others
/// could use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the whole head of a request, and for the next request on a connection.
    pub head: Duration,
    /// For further bytes of a body.
    pub body_idle: Duration,
    /// For a whole body, however steadily it drips, unless bodies may have any length.
    pub body: Duration,
    /// For taking some of an answer.
    pub write: Duration,
    /// For all that was begun, when the server is told to stop.
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
