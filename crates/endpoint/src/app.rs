//! State shared by all requests: settings, metrics, and the server's phase.

use std::sync::{Arc, PoisonError, RwLock};

use kokanee_http::{Code, Columns, Metrics, Route, ServeError, Site};

use crate::backend::Backend;
use crate::config::ServerSettings;

/// State shared by all requests.
pub(crate) struct App {
    phase: RwLock<Phase>,
    pub(crate) settings: ServerSettings,
    pub(crate) metrics: Arc<Metrics>,
}

/// The phase of the server.
#[derive(Clone)]
pub(crate) enum Phase {
    /// The model is being loaded.
    Loading,
    /// Requests are answered.
    Ready(Arc<dyn Backend>),
    /// Running requests are finished, and new ones are refused.
    Draining,
}

impl App {
    pub(crate) fn new(settings: ServerSettings, metrics: Arc<Metrics>) -> Self {
        Self { phase: RwLock::new(Phase::Loading), settings, metrics }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        *self.phase.write().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The backend; an error while the server is loading or draining.
    pub(crate) fn backend(&self) -> Result<Arc<dyn Backend>, ServeError> {
        match self.phase() {
            Phase::Ready(backend) => Ok(backend),
            Phase::Loading => {
                let message = "the model is still loading; try again in a moment";
                Err(ServeError::new(Code::Unavailable, message).retry_after(2))
            }
            Phase::Draining => Err(ended()),
        }
    }
}

impl Site for App {
    fn route(&self, path: &str) -> Route {
        match path.strip_prefix(self.settings.url_prefix.as_str()) {
            Some("/invocations") => Route { has_type: true, is_timed: true, ..Route::plain("/invocations") },
            // A load balancer asks every few seconds, which would fill the log.
            Some("/ping") => Route { is_quiet: true, ..Route::plain("/ping") },
            Some("/execution-parameters") => Route::plain("/execution-parameters"),
            Some("/metrics") => Route::plain("/metrics"),
            Some("/" | "") => Route::plain("/"),
            _ => Route::plain("other"),
        }
    }

    fn columns(&self) -> &'static Columns {
        match self.phase() {
            Phase::Ready(backend) => backend.columns(),
            Phase::Loading | Phase::Draining => Columns::NONE,
        }
    }

    fn logs_text(&self) -> bool {
        self.settings.log_text
    }
}

/// The error for a request that the ending server can no longer answer.
pub fn ended() -> ServeError {
    ServeError::new(Code::Unavailable, "the server is shutting down; retry later or on another server")
        .retry_after(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_from_outside_do_not_become_labels() {
        let check = |path, prefix: &str, expected| {
            let settings = ServerSettings { url_prefix: prefix.to_owned(), ..ServerSettings::default() };
            let app = App::new(settings, Arc::new(Metrics::new("a request")));
            assert_eq!(app.route(path).name, expected, "{path}");
        };
        check("/invocations", "", "/invocations");
        check("/", "", "/");
        check("/invocations/x", "", "other");
        check("/ping", "/mt", "other");
        check("/mt/ping", "/mt", "/ping");
        check("/mt", "/mt", "/");
    }
}
