//! Refused signatures, in the words of services other than S3.

use super::error::ApiError;
use super::place::Place;
use crate::signature::{Refusal, Why};

/// A refusal in the words of a service's protocol.
pub(crate) fn refused(place: Place, refusal: Refusal) -> ApiError {
    let Refusal { why, message, .. } = refusal;
    let (message, in_query, status_in_query, elsewhere) = match why {
        Why::Missing => (message, "MissingAuthenticationToken", 403, "MissingAuthenticationTokenException"),
        Why::Header | Why::Parameters => {
            (message, "IncompleteSignature", 400, "IncompleteSignatureException")
        }
        Why::UnknownKey => {
            let message = "The security token included in the request is invalid.".to_owned();
            (message, "InvalidClientTokenId", 403, "UnrecognizedClientException")
        }
        Why::Mismatch => {
            let message = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
                           and signing method. Consult the service documentation for details.";
            (message.to_owned(), "SignatureDoesNotMatch", 403, "InvalidSignatureException")
        }
        Why::Skewed | Why::Expired => (
            format!("Signature expired: {message}"),
            "SignatureDoesNotMatch",
            403,
            "InvalidSignatureException",
        ),
        Why::Unusable => (message, "SignatureDoesNotMatch", 403, "InvalidSignatureException"),
    };
    match place {
        Place::Query => ApiError::new(in_query, message).status(status_in_query),
        Place::Runtime | Place::Own | Place::Telemetry | Place::Console => {
            ApiError::new(elsewhere, message).status(403)
        }
        Place::Json | Place::Cbor | Place::S3 => ApiError::new(elsewhere, message),
    }
}
