//! Checks responses against the table: everything that a client's library requires must be there.

use serde_json::Value;

use super::model::{Kind, Model};

/// The faults of a response: missing required members, values of other types, unknown words. SDK v3 raises an error in exactly these cases.
pub fn faults_of_answer(model: &Model, shape: &str, answer: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    look(model, shape, answer, "", &mut faults);
    faults
}

fn look(model: &Model, name: &str, value: &Value, at: &str, faults: &mut Vec<String>) {
    let shape = model.shape(name);
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            for required in shape.required.iter().filter(|required| !members.contains_key(*required)) {
                faults.push(format!("{at}.{required} is missing"));
            }
            for (member, member_shape) in shape.members() {
                if let Some(value) = members.get(member) {
                    look(model, member_shape, value, &format!("{at}.{member}"), faults);
                }
            }
        }
        (Kind::List, Value::Array(members)) => {
            for (index, member) in members.iter().enumerate() {
                look(model, &shape.member, member, &format!("{at}[{index}]"), faults);
            }
        }
        (Kind::Map, Value::Object(members)) => {
            for (key, member) in members {
                look(model, &shape.value, member, &format!("{at}.{key}"), faults);
            }
        }
        (Kind::String, Value::String(text)) => {
            if !shape.r#enum.is_empty() && !shape.r#enum.contains(text) {
                faults.push(format!("{at} has the unknown word {text}"));
            }
        }
        (Kind::Integer | Kind::Long, Value::Number(number)) if !number.is_f64() => {}
        (Kind::Float | Kind::Double | Kind::Timestamp, Value::Number(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Blob, Value::String(_)) => {}
        (kind, value) => faults.push(format!("{at} should be {kind:?}, and is {value}")),
    }
}
