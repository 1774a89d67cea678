//! `GET /`: a page to try the model with, without scripts and without anything from elsewhere.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse as _, Response};

use crate::answered::Answered;
use crate::app::{App, Phase, status};
use crate::batcher::EngineFault;
use crate::codec::{Configuration, Input, Instance, MAX_BEAM_SIZE, MediaType, Place, Placed};
use crate::error::ServeError;
use crate::incoming::Incoming;
use crate::journal::Journal;
use crate::memory::{Counted, Share};
use crate::service::{Service, decoder_failed, ended, too_late};

/// The largest form.
const MAX_FORM_BYTES: usize = 1 << 16;
/// The longest source whose attention is drawn.
const MAX_DRAWN_TOKENS: usize = 256;
/// The largest heat map, in cells: some megabytes of HTML.
const MAX_CELLS: usize = 1 << 16;
/// Hypotheses shown unless asked otherwise.
const DEFAULT_NBEST: usize = 3;
/// The page runs nothing and loads nothing, whatever a model or a user may put into it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
textarea{width:100%;box-sizing:border-box;font:inherit}table{border-collapse:collapse;margin:.5rem 0}\
th,td{padding:.2rem .5rem;text-align:left;font-weight:normal}.scores td:first-child{text-align:right}\
.heat td{text-align:center;min-width:2.2rem;font-size:.8rem}.heat thead th{writing-mode:vertical-rl;transform:rotate(180deg);vertical-align:top}\
.heat tbody th{text-align:right}.error{border-left:.3rem solid #c0392b;padding-left:.8rem}.note{opacity:.75}.wide{overflow-x:auto}";

/// What the form holds.
struct Form {
    text: String,
    nbest: usize,
}

/// The empty page.
pub(crate) async fn show(State(app): State<Arc<App>>) -> Response {
    let form = Form { text: String::new(), nbest: DEFAULT_NBEST };
    respond(StatusCode::OK, page_of(&app, &form, ""))
}

/// The page with an answer.
pub(crate) async fn answer(
    State(app): State<Arc<App>>,
    Extension(journal): Extension<Arc<Journal>>,
    body: Body,
) -> Response {
    let mut form = Form { text: String::new(), nbest: DEFAULT_NBEST };
    let translated = async {
        let service = app.service()?;
        let body = Incoming::new(body, app.settings.patience).whole(MAX_FORM_BYTES, service.share()).await?;
        form.read(&body.bytes.into_vec())?;
        translate(&app, &service, &form, body.share, &journal).await
    };
    match translated.await {
        Ok((result, share)) => {
            let html = page_of(&app, &form, &result).into_bytes();
            respond(StatusCode::OK, Bytes::from_owner(Counted { bytes: html, share }))
        }
        Err(error) => {
            let note = format!("<p class=\"error\">{}</p>", Escaped(&error.message));
            let response = respond(status(error.code), page_of(&app, &form, &note));
            journal.failed(&error);
            response
        }
    }
}

impl Form {
    fn read(&mut self, body: &[u8]) -> Result<(), ServeError> {
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "text" => self.text = value.split_whitespace().collect::<Vec<_>>().join(" "),
                "nbest" => {
                    let number = value.trim().parse().ok().filter(|n| (1..=MAX_BEAM_SIZE).contains(n));
                    self.nbest = number.ok_or_else(|| {
                        ServeError::bad(format!("expected a number of answers from 1 to {MAX_BEAM_SIZE}"))
                    })?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the page shows of an answer, with its share of the memory.
async fn translate(
    app: &App,
    service: &Arc<Service>,
    form: &Form,
    mut share: Share,
    journal: &Journal,
) -> Result<(String, Share), ServeError> {
    if form.text.is_empty() {
        return Ok(("<p class=\"note\">Type a sentence first.</p>".to_owned(), share));
    }
    let input = Input::Text(form.text.clone());
    let source = service.words_of(&input);
    let configuration = Configuration {
        attention_matrix: source.len() <= MAX_DRAWN_TOKENS,
        nbest: Some(form.nbest),
        beam_size: (form.nbest > service.beam_size()).then_some(form.nbest),
        ..Configuration::default()
    };
    let placed = Placed { place: Place::Instance(0), instance: Instance { input, configuration } };
    let answered = ask(service, placed, &mut share, app, journal).await?;
    let result = result(&source, &answered);
    // Once here, once in the page.
    share.resize(2 * result.len()).await?;
    Ok((result, share))
}

/// One sentence, by the same way as all others.
async fn ask(
    service: &Arc<Service>,
    placed: Placed,
    share: &mut Share,
    app: &App,
    journal: &Journal,
) -> Result<Answered, ServeError> {
    let mut prepared = service.prepare(&placed, MediaType::Json)?;
    let request = service.request_of(&mut prepared);
    let answer = async {
        share.grow(prepared.bytes).await?;
        match service.submit(request, true).await?.await {
            Ok(Ok(translation)) => Ok(translation),
            Ok(Err(EngineFault)) => Err(decoder_failed()),
            Err(_) => Err(ended()),
        }
    };
    let limit = app.settings.deadline;
    let translation =
        tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(too_late(limit, 1)))?;
    Ok(service.answered(prepared, translation, &journal.tally))
}

fn result(source: &[String], answered: &Answered) -> String {
    let mut html = String::from(
        "<h2>Answers</h2><table class=\"scores\"><thead><tr><th>score</th><th>target</th></tr></thead><tbody>",
    );
    for hypothesis in &answered.hypotheses {
        let text = hypothesis.text();
        let shown = if text.is_empty() { "(nothing)" } else { &text };
        let _ = write!(html, "<tr><td>{:.4}</td><td>{}</td></tr>", hypothesis.score, Escaped(shown));
    }
    html.push_str("</tbody></table><p class=\"note\">Score: mean negative log-probability of a word (with the default length penalty); lower is better.</p>");
    let Some(best) = answered.hypotheses.first().filter(|best| !best.tokens.is_empty()) else { return html };
    html.push_str("<h2>Attention</h2>");
    if source.len() > MAX_DRAWN_TOKENS || source.len() * best.tokens.len() > MAX_CELLS {
        html.push_str("<p class=\"note\">The sentence is too long to be drawn here; ask POST /invocations for its attention_matrix.</p>");
        return html;
    }
    html.push_str("<div class=\"wide\"><table class=\"heat\"><thead><tr><td></td>");
    for token in source {
        let _ = write!(html, "<th scope=\"col\">{}</th>", Escaped(token));
    }
    html.push_str("</tr></thead><tbody>");
    for (token, row) in best.tokens.iter().zip(best.matrix.rows()) {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", Escaped(token));
        for weight in row.dense(source.len()) {
            let _ = write!(html, "{}", Cell(weight));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div><p class=\"note\">What each word of the best answer looked at: rows sum to 1.</p>");
    html
}

/// A cell of the heat map: from white to dark blue, with figures that can be read on it.
struct Cell(f32);

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = self.0.clamp(0.0, 1.0);
        let mix = |light: f32, dark: f32| (light + (dark - light) * weight) as u8;
        let (red, green, blue) = (mix(255.0, 8.0), mix(255.0, 48.0), mix(255.0, 107.0));
        let ink = if weight > 0.5 { "#fff" } else { "#000" };
        write!(f, "<td style=\"background:rgb({red},{green},{blue});color:{ink}\">{weight:.2}</td>")
    }
}

fn page_of(app: &App, form: &Form, result: &str) -> String {
    let home = match app.settings.url_prefix.as_str() {
        "" => "/",
        prefix => prefix,
    };
    let state = match app.phase() {
        Phase::Ready(_) => "",
        Phase::Loading => "<p class=\"note\">The model is still being loaded.</p>",
        Phase::Draining => "<p class=\"note\">The server is about to end.</p>",
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>Kokanee</title><style>{STYLE}</style></head><body>\
         <h1>Kokanee</h1>{state}<form method=\"post\" action=\"{home}\"><label for=\"text\">Sentence, tokens with blanks between \
         them</label><textarea id=\"text\" name=\"text\" rows=\"3\" autofocus>{text}</textarea><p><label>Answers <input \
         type=\"number\" name=\"nbest\" min=\"1\" max=\"{MAX_BEAM_SIZE}\" value=\"{nbest}\"></label> <button>Translate</button></p>\
         </form>{result}</body></html>\n",
        home = Escaped(home),
        text = Escaped(&form.text),
        nbest = form.nbest,
    )
}

fn respond(status: StatusCode, html: impl Into<Body>) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
    ];
    (status, headers, html.into()).into_response()
}

/// Text in HTML, in elements and in quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_sentence_becomes_markup() {
        let text = Escaped("<img src=x onerror='a()'>&\"").to_string();
        assert_eq!(text, "&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn cells_go_from_white_to_blue() {
        assert_eq!(Cell(0.0).to_string(), "<td style=\"background:rgb(255,255,255);color:#000\">0.00</td>");
        assert_eq!(Cell(1.0).to_string(), "<td style=\"background:rgb(8,48,107);color:#fff\">1.00</td>");
    }
}
