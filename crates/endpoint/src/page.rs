//! `GET /`: a page to try the model with, without scripts and without external resources. The backend provides its content.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse as _, Response};
use kokanee_http::{Counted, Incoming, Journal, Rope, ServeError, status};
use kokanee_pages::Escaped;
use kokanee_pages::page::STYLE;
use maud::{DOCTYPE, PreEscaped, html};

use crate::app::{App, Phase};
use crate::backend::{Shown, Visit};

/// The largest form.
const MAX_FORM_BYTES: usize = 1 << 16;
/// The page runs and loads nothing, whatever a model or a user may put into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Rules that the style sheet of all pages lacks.
const OWN_STYLE: &str = "main{max-width:60rem}main textarea{font:inherit}";

/// The page on a first visit.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(journal): Extension<Arc<Journal>>,
) -> Response {
    visit(&app, &journal, None).await
}

/// The page with an answer to the submitted form.
pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    Extension(journal): Extension<Arc<Journal>>,
    body: Body,
) -> Response {
    let form = async {
        let share = app.backend()?.budget().share();
        Incoming::new(body, app.settings.bounds.patience).whole(MAX_FORM_BYTES, share).await
    };
    let form = form.await;
    visit(&app, &journal, Some(form)).await
}

async fn visit(
    app: &App,
    journal: &Arc<Journal>,
    form: Option<Result<Counted<Rope>, ServeError>>,
) -> Response {
    let note = |text: &str| format!("<p class=\"note\">{text}</p>");
    let (state, shown) = match app.phase() {
        Phase::Loading => (note("The model is still loading."), refused(form)),
        Phase::Draining => (note("The server is shutting down."), refused(form)),
        Phase::Ready(backend) => {
            let home = match app.settings.url_prefix.as_str() {
                "" => "/".to_owned(),
                prefix => prefix.to_owned(),
            };
            let (deadline, counters) = (app.settings.deadline, Arc::clone(&journal.counters));
            let shown = match backend.page(Visit { home, form, deadline, counters }) {
                Some(shown) => shown.await,
                None => Shown {
                    html: note("Send requests to POST /invocations."),
                    style: "",
                    error: None,
                    share: None,
                },
            };
            (String::new(), shown)
        }
    };
    let Shown { html, style, error, share } = shown;
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { "Kokanee" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) (OWN_STYLE) (PreEscaped(style)) }
            }
            body { main { h1 { "Kokanee" } (PreEscaped(state)) (PreEscaped(html)) } }
        }
    };
    let html = html.into_string();
    let body = match share {
        Some(share) => Body::from(Bytes::from_owner(Counted { bytes: html.into_bytes(), share })),
        None => Body::from(html),
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ];
    let status = match &error {
        None => StatusCode::OK,
        Some(error) => {
            journal.failed(error);
            status(error.code)
        }
    };
    (status, headers, body).into_response()
}

/// The content of the page while there is no backend.
fn refused(form: Option<Result<Counted<Rope>, ServeError>>) -> Shown {
    let error = form.and_then(Result::err);
    let html = error.as_ref().map(error_note).unwrap_or_default();
    Shown { html, style: "", error, share: None }
}

/// An error as HTML for a page.
pub fn error_note(error: &ServeError) -> String {
    format!("<p class=\"problem\">{}</p>", Escaped(&error.message))
}
