//! Requests to a backend without HTTP, for batch transform.

use std::sync::Arc;

use futures_util::StreamExt as _;
use kokanee_http::{Code, Counted, Counters, Rope, ServeError};

use crate::backend::{Backend, Body, Call, Reply};
use crate::negotiation::{answer_type, body_type};

/// Answers a body for callers outside an asynchronous runtime, all or nothing. Several may call in parallel.
///
/// # Errors
/// When the request is wrong or was not answered; 500 when the system cannot create a runtime to wait in.
pub fn invoke_blocking(
    backend: &Arc<dyn Backend>,
    content_type: Option<&str>,
    accept: Option<&str>,
    body: &[u8],
) -> Result<Vec<u8>, ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime =
        runtime.map_err(|error| ServeError::new(Code::Internal, format!("cannot wait: {error}")))?;
    runtime.block_on(invoke(backend, content_type, accept, body))
}

async fn invoke(
    backend: &Arc<dyn Backend>,
    content_type: Option<&str>,
    accept: Option<&str>,
    body: &[u8],
) -> Result<Vec<u8>, ServeError> {
    let from = body_type(content_type, backend.accepts())?;
    let from = from.unwrap_or_else(|| backend.default_type(body).into());
    let to = answer_type(accept, &**backend, from.media)?;
    let mut whole = Counted { bytes: Rope::default(), share: backend.budget().share() };
    whole.push(body).await?;
    let counters = Arc::<Counters>::default();
    let call = Call { from, to, body: Body::Whole(whole), deadline: None, counters };
    match Arc::clone(backend).invoke(call).await? {
        Reply::Whole(answer) => Ok(answer.bytes.into_vec()),
        Reply::Pieces(mut pieces) => {
            let mut answer = Vec::new();
            while let Some(piece) = pieces.next().await {
                answer.extend_from_slice(&piece?.bytes);
            }
            Ok(answer)
        }
    }
}
