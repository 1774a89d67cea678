//! Failed requests to endpoints, in SageMaker Runtime's form.

use axum::body::Body;
use axum::http::header;
use axum::response::Response;
use serde_json::{Value, json};

use crate::hosting::log_group;
use crate::wire::{ApiError, request_id};

/// The reason why a request to an endpoint is not answered by its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request is invalid, or cannot be served now.
    Api(ApiError),
    /// The model answered with an error, or did not answer.
    Model(ModelError),
}

/// `ModelError`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModelError {
    /// The status of the model's response; 0 if there was none.
    pub(super) status: u16,
    /// The body of the model's response, or a text instead of it.
    pub(super) message: String,
    /// The endpoint.
    pub(super) endpoint: String,
    /// Region, account and partition of the endpoint.
    pub(super) region: String,
    pub(super) account: String,
    pub(super) partition: &'static str,
}

impl Refusal {
    /// `ValidationError`, the runtime's name for an invalid request.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::Api(ApiError::new("ValidationError", message))
    }

    /// `ServiceUnavailable`, which clients retry.
    pub(super) fn unavailable(message: impl Into<String>) -> Self {
        Self::Api(ApiError::new("ServiceUnavailable", message).status(503))
    }

    /// The response.
    pub(super) fn response(&self) -> Response {
        match self {
            Self::Api(error) => {
                respond(error.status, &error.code, &json!({"Code": error.code, "Message": error.message}))
            }
            Self::Model(error) => respond(424, "ModelError", &error.body()),
        }
    }
}

impl ModelError {
    fn is_clients(&self) -> bool {
        (400..500).contains(&self.status)
    }

    fn body(&self) -> Value {
        let Self { status, message, endpoint, region, account, partition } = self;
        let side = if self.is_clients() { "client" } else { "server" };
        let group = log_group(endpoint);
        let text = format!(
            "Received {side} error ({status}) from model with message \"{message}\". See https://{region}.console.aws.amazon.com/\
             cloudwatch/home?region={region}#logEventViewer:group={group} in account {account} for more information."
        );
        json!({
            "ErrorCode": if self.is_clients() { "CLIENT_ERROR_FROM_MODEL" } else { "SERVER_ERROR_FROM_MODEL" },
            "LogStreamArn": format!("arn:{partition}:logs:{region}:{account}:log-group:{group}"),
            "Message": text,
            "OriginalMessage": message,
            "OriginalStatusCode": status,
        })
    }
}

fn respond(status: u16, code: &str, body: &Value) -> Response {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-amzn-errortype", code)
        .header("x-amzn-requestid", request_id())
        .body(Body::from(body.to_string()))
        .expect("the parts of the head are valid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_models_are_told_as_on_aws() {
        let error = ModelError {
            status: 400,
            message: "unable to evaluate payload provided".into(),
            endpoint: "Ep".into(),
            region: "us-west-2".into(),
            account: "000000000000".into(),
            partition: "aws",
        };
        let body = error.body();
        assert_eq!(
            body["Message"],
            "Received client error (400) from model with message \"unable to evaluate payload provided\". See \
             https://us-west-2.console.aws.amazon.com/cloudwatch/home?region=us-west-2#logEventViewer:group=/aws/sagemaker/Endpoints/Ep \
             in account 000000000000 for more information."
        );
        assert_eq!(body["ErrorCode"], "CLIENT_ERROR_FROM_MODEL");
        assert_eq!(
            body["LogStreamArn"],
            "arn:aws:logs:us-west-2:000000000000:log-group:/aws/sagemaker/Endpoints/Ep"
        );
        let body = ModelError { status: 0, ..error }.body();
        assert!(body["Message"].as_str().unwrap().starts_with("Received server error (0) from model"));
        assert_eq!(body["ErrorCode"], "SERVER_ERROR_FROM_MODEL");
    }
}
