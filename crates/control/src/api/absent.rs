//! Operations without a handler: SageMaker's List operations return empty lists, all others are refused.

use serde_json::json;

use super::Answer;
use crate::operations::Service;
use crate::wire::ApiError;

/// Answers an operation that has no handler.
pub(super) fn answer(service: Service, operation: &str) -> Answer {
    let model = service.model();
    let only_list = match model.operations.get(operation) {
        Some(row) if operation.starts_with("List") => model.only_list(row),
        // An empty list must be true. Other services may have resources that a missing List operation would show.
        _ if service != Service::SageMaker => None,
        _ => model.empty.get(operation).map(String::as_str),
    };
    if let Some(list) = only_list {
        return Ok(json!({list: []}));
    }
    let is_known = model.operations.contains_key(operation) || model.others.contains(operation);
    let message = if is_known {
        format!(
            "{} has no {operation} on your own machine: the local SageMaker does not offer it",
            service.name()
        )
    } else {
        format!("{} has no operation \"{}\"", service.name(), operation.escape_debug())
    };
    Err(ApiError::new("UnknownOperationException", message))
}
