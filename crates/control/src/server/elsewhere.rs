//! Requests for S3 to a server whose objects are in another S3.

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use kokanee_http::{Incoming, Patience};

use crate::wire::{escaped, request_id};

/// Refuses all requests with the address of the other S3. A client would follow a redirection with a signature for this host, and the other
/// S3 would refuse it with a misleading text.
pub(super) fn elsewhere(url: String, patience: Patience) -> Router {
    Router::new().fallback(move |request: Request| {
        let url = escaped(&url).to_string();
        async move {
            // A client that is still sending would not read the response.
            Incoming::new(request.into_body(), patience).discard().await;
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidRequest</Code><Message>The buckets of this local SageMaker are \
                 in the S3 at {url}: set AWS_ENDPOINT_URL_S3 to it, as `kokanee local env` does.</Message><RequestId>{}</RequestId></Error>",
                request_id()
            );
            (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
        }
    })
}
