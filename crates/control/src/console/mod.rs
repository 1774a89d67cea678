//! The console: pages for people, at `/console`.
//!
//! | file | content |
//! |---|---|
//! | `overview` | the first page |
//! | `jobs`, `training_job`, `tuning_job`, `transform_job`, `compare` | jobs of all kinds |
//! | `endpoints`, `endpoint` | endpoints |
//! | `exchange`, `ask`, `answer` | requests that visitors send to endpoints |
//! | `buckets`, `preview` | objects |
//! | `content`, `curves`, `log_view`, `python`, `form` | parts that several pages show or read |
//! | `visit` | what a request asks for, and the addresses of pages |
//! | `received` | forms as they arrive |
//! | `passed_on` | requests to SageMaker Runtime and S3 |
//! | `access` | who may see the console |
//!
//! Pages read through the same functions as the API, page by page in SQL. Changes are POST requests from a page of the same origin;
//! requests to endpoints and objects go through the routers of those services.

mod access;
mod answer;
mod ask;
mod buckets;
mod compare;
mod content;
mod curves;
mod endpoint;
mod endpoints;
mod exchange;
mod form;
mod jobs;
mod log_view;
mod overview;
mod passed_on;
mod preview;
mod python;
mod received;
#[cfg(test)]
mod tests;
mod training_job;
mod transform_job;
mod tuning_job;
mod visit;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use kokanee_http::{Incoming, MemoryBudget, Patience};
use kokanee_pages::page::{Page, SCRIPT, STYLE, Site};
use kokanee_pages::parts::problem;
use maud::html;

use self::access::{Access, is_same_origin};
use self::exchange::Exchange;
use self::form::Form;
use self::received::Received;
use self::visit::{PATH, Problem, Shown, State, Visit, link};
use crate::api::Control;
use crate::hosting::Routes;
use crate::runtime::Counts;
use crate::s3::{self, Query};
use crate::signature::Keys;

/// Browsers load and run only what the server itself sends, whatever names, logs and objects contain.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action \
                      'self'; base-uri 'none'; frame-ancestors 'none'";
const STYLE_PATH: &str = "/console/style.css";
const SCRIPT_PATH: &str = "/console/script.js";

/// The settings and parts of a console.
pub struct Settings {
    /// The resources that pages show.
    pub control: Arc<Control>,
    /// The objects, and an S3 router over them that must not require signatures; none if buckets are in another S3.
    pub buckets: Option<(Arc<s3::Store>, Router)>,
    /// The instances of endpoints.
    pub routes: Arc<Routes>,
    /// The counts of requests to endpoints.
    pub counts: Arc<Counts>,
    /// SageMaker Runtime; it must not require signatures.
    pub runtime: Router,
    /// The address that the server listens on.
    pub address: SocketAddr,
    /// The region whose resources are shown first.
    pub region: String,
    /// The memory budget for bodies.
    pub memory: Arc<MemoryBudget>,
    /// The timeouts for clients.
    pub patience: Patience,
    /// The keys of the server. If there are keys, the console requires the token.
    pub keys: Option<Arc<Keys>>,
}

/// The console.
pub struct Console {
    state: Arc<State>,
    runtime: Router,
    s3: Option<Router>,
    memory: Arc<MemoryBudget>,
    patience: Patience,
    keys: Option<Arc<Keys>>,
    access: Access,
}

/// The handler of a path and a method.
#[derive(Clone, Copy)]
enum Handler {
    /// A page.
    Show(fn(&Visit) -> Shown),
    /// A change; it returns the address of the page to show next.
    Change(fn(&Visit, &Form) -> Result<String, Problem>),
    /// A request to an endpoint.
    Invoke,
    /// The bytes of an object.
    Download,
    /// A new object.
    Upload,
}

/// Methods, paths and their handlers; a star matches any part.
const ROUTES: &[(Method, &[&str], Handler)] = &[
    (Method::GET, &[], Handler::Show(overview::show)),
    (Method::GET, &["jobs"], Handler::Show(jobs::show)),
    (Method::GET, &["jobs", "compare"], Handler::Show(compare::show)),
    (Method::GET, &["jobs", "training", "*"], Handler::Show(training_job::show)),
    (Method::POST, &["jobs", "training", "*", "stop"], Handler::Change(training_job::stop)),
    (Method::GET, &["jobs", "tuning", "*"], Handler::Show(tuning_job::show)),
    (Method::POST, &["jobs", "tuning", "*", "stop"], Handler::Change(tuning_job::stop)),
    (Method::GET, &["jobs", "transform", "*"], Handler::Show(transform_job::show)),
    (Method::POST, &["jobs", "transform", "*", "stop"], Handler::Change(transform_job::stop)),
    (Method::GET, &["endpoints"], Handler::Show(endpoints::show)),
    (Method::GET, &["endpoints", "*"], Handler::Show(|visit| endpoint::show(visit, None))),
    (Method::POST, &["endpoints", "*"], Handler::Invoke),
    (Method::GET, &["buckets"], Handler::Show(buckets::all)),
    (Method::GET, &["buckets", "*"], Handler::Show(buckets::folder)),
    (Method::GET, &["buckets", "*", "object"], Handler::Show(buckets::object)),
    (Method::GET, &["buckets", "*", "download"], Handler::Download),
    (Method::POST, &["buckets", "*", "upload"], Handler::Upload),
];

impl Console {
    /// A console.
    pub fn new(settings: Settings) -> Self {
        let Settings { control, buckets, routes, counts, runtime, address, region, memory, patience, keys } =
            settings;
        let (objects, s3) = buckets.unzip();
        let state = Arc::new(State { control, objects, routes, counts, address, region });
        Self { state, runtime, s3, memory, patience, keys, access: Access::new(address.port()) }
    }

    /// Answers a request for `/console` or an address below it.
    pub async fn answer(&self, head: Parts, body: Body) -> Response {
        match head.uri.path() {
            STYLE_PATH => return asset("text/css; charset=utf-8", STYLE),
            SCRIPT_PATH => return asset("text/javascript; charset=utf-8", SCRIPT),
            _ => {}
        }
        let is_change = head.method == Method::POST;
        if is_change && !is_same_origin(&head) {
            Incoming::new(body, self.patience).discard().await;
            let message = "Only pages of this console may change something.";
            return self.refusal(&Problem::new(StatusCode::FORBIDDEN, message));
        }
        if let Some(keys) = self.keys.clone() {
            if head.uri.path() == "/console/sign-in" && is_change {
                return self.sign_in(&keys, body).await;
            }
            if let Some(response) = self.turned_away(&keys, &head) {
                Incoming::new(body, self.patience).discard().await;
                return response;
            }
        }
        match self.visit(&head) {
            Ok((handler, visit)) => {
                let answered = self.handle(handler, visit, &head, body).await;
                answered.unwrap_or_else(|problem| self.refusal(&problem))
            }
            Err(problem) => {
                Incoming::new(body, self.patience).discard().await;
                self.refusal(&problem)
            }
        }
    }

    /// Finds the handler of a request.
    fn visit(&self, head: &Parts) -> Result<(Handler, Visit), Problem> {
        let unreadable = || Problem::bad("The address is not percent-encoded UTF-8.");
        let rest = head.uri.path().strip_prefix(PATH).unwrap_or_default();
        let parts = rest.split('/').filter(|part| !part.is_empty());
        let decoded = parts.map(|part| percent_encoding::percent_decode_str(part).decode_utf8());
        let decoded = decoded.collect::<Result<Vec<_>, _>>().map_err(|_| unreadable())?;
        let mut parts: Vec<String> = decoded.into_iter().map(String::from).collect();
        let region = match parts.first().and_then(|part| part.strip_prefix('@')) {
            Some(region) => {
                let region = region.to_owned();
                parts.remove(0);
                region
            }
            None => self.state.region.clone(),
        };
        let query = Query::parse(head.uri.query().unwrap_or_default()).map_err(|_| unreadable())?;
        let fits = |pattern: &[&str]| {
            pattern.len() == parts.len()
                && pattern.iter().zip(&parts).all(|(known, part)| *known == "*" || known == part)
        };
        let mut known = ROUTES.iter().filter(|(_, pattern, _)| fits(pattern)).peekable();
        if known.peek().is_none() {
            return Err(Problem::not_found("No such page."));
        }
        let method = if head.method == Method::HEAD { &Method::GET } else { &head.method };
        let Some((_, pattern, handler)) = known.find(|(known, ..)| known == method) else {
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This page does not take this method."));
        };
        let names =
            parts.iter().zip(*pattern).filter(|(_, known)| **known == "*").map(|(part, _)| part.clone());
        let names = names.collect();
        Ok((*handler, Visit { state: Arc::clone(&self.state), region, names, query }))
    }

    async fn handle(
        &self,
        handler: Handler,
        visit: Visit,
        head: &Parts,
        body: Body,
    ) -> Result<Response, Problem> {
        match handler {
            Handler::Show(show) => {
                let page = waiting(move || show(&visit)).await?;
                Ok(self.page(StatusCode::OK, &page))
            }
            Handler::Change(change) => {
                let form = self.form(body).await?;
                Ok(redirect(&waiting(move || change(&visit, &form)).await?))
            }
            Handler::Invoke => {
                // The share must live until the page has been built from these parts.
                let Received { form, file, mut share } = self.form_with_file(head, body).await?;
                let mut exchange = Exchange::of(&form, file)?;
                exchange.answer = Some(self.invoke(&visit, &exchange, &mut share).await?);
                let page = waiting(move || endpoint::show(&visit, Some(&exchange))).await?;
                Ok(self.page(StatusCode::OK, &page))
            }
            Handler::Download => self.download(&visit).await,
            Handler::Upload => self.upload(&visit, head, body).await,
        }
    }

    /// Exchanges the token in a form for a cookie.
    async fn sign_in(&self, keys: &Keys, body: Body) -> Response {
        match self.form(body).await {
            Ok(form) if keys.is_console_token(form.text("token").trim()) => self.signed_in(keys, PATH),
            Ok(_) => self.sign_in_page("Wrong token."),
            Err(problem) => self.refusal(&problem),
        }
    }

    /// The response for a browser that has not signed in; none if it has.
    fn turned_away(&self, keys: &Keys, head: &Parts) -> Option<Response> {
        if self.access.is_signed_in(keys, &head.headers) {
            return None;
        }
        let query = Query::parse(head.uri.query().unwrap_or_default()).unwrap_or_default();
        let is_known = query.get("token").is_some_and(|token| keys.is_console_token(token));
        if is_known && head.method == Method::GET {
            // The redirect removes the token from the address.
            return Some(self.signed_in(keys, head.uri.path()));
        }
        Some(self.sign_in_page(if query.has("token") { "Wrong token." } else { "" }))
    }

    fn signed_in(&self, keys: &Keys, place: &str) -> Response {
        let mut response = redirect(place);
        if let Ok(cookie) = HeaderValue::from_str(&self.access.cookie(keys)) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }

    fn sign_in_page(&self, fault: &str) -> Response {
        let body = html! {
            h1 { "Sign in" }
            @if !fault.is_empty() { (problem(fault)) }
            section.card {
                p { "Requests to this server must be signed. " span.mono { "kokanee local console" } " prints the address of this page with its token, where the server runs." }
                form.tools method="post" action="/console/sign-in" {
                    label { "Token" input type="password" name="token" autocomplete="off" required; }
                    button.main { "Sign in" }
                }
            }
        };
        self.page(StatusCode::UNAUTHORIZED, &Page { title: "Sign in".to_owned(), body, ..Page::default() })
    }

    fn refusal(&self, refused: &Problem) -> Response {
        let reason = refused.status.canonical_reason().unwrap_or("Error");
        let body = html! {
            h1 { (reason) }
            (problem(&refused.message))
            p { a.button href=(PATH) { "Back to the overview" } }
        };
        self.page(refused.status, &Page { title: reason.to_owned(), body, ..Page::default() })
    }

    fn page(&self, status: StatusCode, page: &Page) -> Response {
        let base = page.section.strip_prefix(PATH).and_then(|rest| rest.strip_prefix("/@"));
        let region =
            base.map_or(self.state.region.as_str(), |rest| rest.split('/').next().unwrap_or_default());
        let section = |path: &[&str]| link(&self.state.region, region, path, &[]);
        let (home, jobs, endpoints, buckets) =
            (section(&[]), section(&["jobs"]), section(&["endpoints"]), section(&["buckets"]));
        let site = Site {
            name: "Kokanee",
            home: &home,
            style: STYLE_PATH,
            script: SCRIPT_PATH,
            sections: &[
                (&home, "Overview"),
                (&jobs, "Jobs"),
                (&endpoints, "Endpoints"),
                (&buckets, "Buckets"),
            ],
        };
        let mut response = asset("text/html; charset=utf-8", site.page(page).into_string());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "same-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Runs work that blocks on the disk on a thread where blocking is allowed.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    // The panic hook has already reported a panic.
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| {
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "A bug in Kokanee; please report it."))
    })
}

fn asset(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn redirect(place: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}
