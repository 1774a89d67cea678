//! The page at `/`: a sentence, its answers, and their attention.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use kokanee_endpoint::{Escaped, Shown, Visit, ended, error_note};
use kokanee_http::{Counters, ServeError, Share};
use kokanee_pages::svg::heat_map;
use kokanee_pages::{Attention, Scale};

use crate::batcher::EngineFault;
use crate::codec::{
    Answered, Configuration, Form as BodyForm, Input, Instance, MAX_BEAM_SIZE, Place, Placed,
};
use crate::service::{Service, decoder_failed, too_late};

/// The longest source whose attention is drawn.
const MAX_DRAWN_TOKENS: usize = 256;
/// The largest heat map, in cells: it takes some megabytes of HTML.
const MAX_CELLS: usize = 1 << 15;
/// Number of hypotheses shown by default.
const DEFAULT_NBEST: usize = 3;

const STYLE: &str = ".scores td:first-child{text-align:right}";

/// Returns the page, with an answer if there is a question.
pub(crate) async fn show(service: Arc<Service>, visit: Visit) -> Shown {
    let mut form = Form { text: String::new(), nbest: DEFAULT_NBEST };
    let Visit { home, form: sent, deadline, counters } = visit;
    let translated = async {
        let Some(sent) = sent else { return Ok((String::new(), None)) };
        let body = sent?;
        form.read(&body.bytes.into_vec())?;
        let asked = Asked { form: &form, deadline, counters: &counters };
        asked.translate(&service, body.share).await.map(|(result, share)| (result, Some(share)))
    };
    let (result, share, error) = match translated.await {
        Ok((result, share)) => (result, share, None),
        Err(error) => (error_note(&error), None, Some(error)),
    };
    Shown { html: form.with(&home, &result), style: STYLE, error, share }
}

/// The content of the form.
struct Form {
    text: String,
    nbest: usize,
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

    /// The form, with the answer below it.
    fn with(&self, home: &str, result: &str) -> String {
        format!(
            "<form method=\"post\" action=\"{home}\"><label for=\"text\">Sentence, with spaces between its \
             tokens</label><textarea id=\"text\" name=\"text\" rows=\"3\" autofocus>{text}</textarea><p><label>Hypotheses <input \
             type=\"number\" name=\"nbest\" min=\"1\" max=\"{MAX_BEAM_SIZE}\" value=\"{nbest}\"></label> <button>Translate</button></p>\
             </form>{result}",
            home = Escaped(home),
            text = Escaped(&self.text),
            nbest = self.nbest,
        )
    }
}

/// The input of the form, and its limits.
struct Asked<'a> {
    form: &'a Form,
    deadline: Duration,
    counters: &'a Counters,
}

impl Asked<'_> {
    /// Returns the part of the page for an answer, with its share of the memory.
    async fn translate(
        &self,
        service: &Arc<Service>,
        mut share: Share,
    ) -> Result<(String, Share), ServeError> {
        let form = self.form;
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
        let answered = self.ask(service, placed, &mut share).await?;
        let result = result(&source, &answered);
        // Once here and once in the page.
        share.resize(2 * result.len()).await?;
        Ok((result, share))
    }

    /// Answers one sentence in the same way as all others.
    async fn ask(
        &self,
        service: &Arc<Service>,
        placed: Placed,
        share: &mut Share,
    ) -> Result<Answered, ServeError> {
        let mut prepared = service.prepare(&placed, BodyForm::Json)?;
        let request = service.request_of(&mut prepared);
        let answer = async {
            share.grow(prepared.bytes).await?;
            match service.submit(request, true).await?.await {
                Ok(Ok(translation)) => Ok(translation),
                Ok(Err(EngineFault)) => Err(decoder_failed()),
                Err(_) => Err(ended()),
            }
        };
        let limit = self.deadline;
        let translation =
            tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(too_late(limit, 1)))?;
        Ok(service.answered(prepared, translation, self.counters))
    }
}

fn result(source: &[String], answered: &Answered) -> String {
    let mut html = String::from(
        "<h2>Translations</h2><table class=\"scores\"><thead><tr><th>score</th><th>target</th></tr></thead><tbody>",
    );
    for hypothesis in &answered.hypotheses {
        let text = hypothesis.text();
        let shown = if text.is_empty() { "(empty)" } else { &text };
        let _ = write!(html, "<tr><td>{:.4}</td><td>{}</td></tr>", hypothesis.score, Escaped(shown));
    }
    html.push_str("</tbody></table><p class=\"note\">Score: mean negative log-probability of a word (with the default length penalty); lower is better.</p>");
    let Some(best) = answered.hypotheses.first().filter(|best| !best.tokens.is_empty()) else { return html };
    html.push_str("<h2>Attention</h2>");
    if source.len() > MAX_DRAWN_TOKENS || source.len() * best.tokens.len() > MAX_CELLS {
        html.push_str("<p class=\"note\">The sentence is too long to draw here; request attention_matrix from POST /invocations.</p>");
        return html;
    }
    let weights = best.matrix.dense();
    let Ok(attention) = Attention::new(&best.tokens, source, &weights, Scale::One) else { return html };
    let picture = heat_map::draw(&attention, "Attention of the best hypothesis").inline();
    let _ = write!(html, "<div class=\"wide\">{}</div><p class=\"note\">Rows sum to 1.</p>", picture.0);
    html
}
