//! The protocols on the shared port: from an HTTP request to a call, and back.
//!
//! | protocol | services | recognised by |
//! |---|---|---|
//! | JSON 1.0, JSON 1.1 | SageMaker, Logs, Auto Scaling, CloudWatch | the header `X-Amz-Target` |
//! | query | STS, IAM, CloudWatch of older clients | a form with `Action` and `Version` to `/` |
//! | CBOR | CloudWatch of SDKs for Go and PHP | the header `smithy-protocol`, and `/service/NAME/operation/OPERATION` |
//! | REST | SageMaker Runtime | `/endpoints/NAME/invocations` |
//! | REST | S3 | everything else |

mod call;
mod cbor;
mod content_encoding;
mod error;
mod guard;
mod json;
mod place;
mod protocols;
mod query;
mod request_id;
mod scope;
mod signatures;
mod time;
mod xml;

pub use call::{Call, Protocol};
pub(crate) use content_encoding::decoded;
pub use error::ApiError;
pub use guard::Guard;
pub use place::{Place, place};
pub use request_id::request_id;
pub use scope::Scope;
pub(crate) use signatures::refused as signature_refused;
pub(crate) use xml::escaped;

#[cfg(test)]
mod tests;
