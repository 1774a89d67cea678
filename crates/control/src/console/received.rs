//! Reads forms as they arrive. Their memory counts in the budget, and clients that stop sending time out.

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use kokanee_http::{Code, Incoming, ServeError, Share};

use super::Console;
use super::form::{Form, IncomingForm, SentFile};
use super::visit::Problem;
use crate::runtime::MOST_BODY_BYTES;

/// The largest form without a file.
const MOST_FORM_BYTES: usize = 1 << 20;

/// A form with a file, and the memory that they occupy.
pub(super) struct Received {
    pub(super) form: Form,
    pub(super) file: Option<SentFile>,
    pub(super) share: Share,
}

impl Console {
    /// Reads a form without a file.
    pub(super) async fn form(&self, body: Body) -> Result<Form, Problem> {
        let read = Incoming::new(body, self.patience).whole(MOST_FORM_BYTES, self.memory.share()).await;
        let body = read.map_err(of_shell)?;
        Form::read(&body.bytes.into_vec()).ok_or_else(|| Problem::bad("The form is not valid."))
    }

    /// Reads a form with the body of a request to an endpoint, which has the size limit of InvokeEndpoint.
    pub(super) async fn form_with_file(&self, head: &Parts, body: Body) -> Result<Received, Problem> {
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut body = Incoming::new(body, self.patience);
        let mut share = self.memory.share();
        let read = async {
            let mut form = IncomingForm::new(content_type.unwrap_or_default(), MOST_BODY_BYTES)?;
            let arrival = share.arrival();
            while let Some(bytes) = body.next_of(&arrival).await.map_err(of_shell)? {
                // The bytes are held twice: as they arrived, and as a field or a part of the file.
                share.grow(2 * bytes.len()).await.map_err(of_shell)?;
                arrival.received(bytes.len(), share.bytes());
                form.push(&bytes)?;
            }
            form.finish()
        };
        let patience = self.patience.body;
        let read = tokio::time::timeout(patience, read).await.unwrap_or_else(|_| {
            let message = format!("the form did not arrive within {patience:?}");
            Err(of_shell(ServeError::new(Code::RequestTimeout, message)))
        });
        match read {
            Ok((form, file)) => Ok(Received { form, file, share }),
            Err(problem) => {
                // A browser that is still sending would not read the reason for the refusal.
                body.discard().await;
                Err(problem)
            }
        }
    }
}

/// Turns an error of the HTTP layer about a body into a problem.
pub(super) fn of_shell(error: ServeError) -> Problem {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Problem::new(status, error.message)
}
