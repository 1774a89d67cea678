//! Calls of boto3 that readers can copy.

use std::fmt::Write as _;

use kokanee_pages::parts::{card, code};
use maud::{Markup, html};
use serde_json::{Map, Value};

/// Writes a statement that calls an operation of SageMaker with these arguments. The name of the new resource is the given name followed by
/// the time.
pub(super) fn creation(
    operation: &str,
    name_member: &str,
    name: &str,
    arguments: &Map<String, Value>,
) -> String {
    // Names have at most 63 characters, all ASCII.
    let begin = name.get(..name.len().min(56)).unwrap_or(name).trim_end_matches('-');
    let mut text = format!(
        "import time\nimport boto3\n\nboto3.client(\"sagemaker\").{operation}(\n    {name_member}={} + time.strftime(\"-%H%M%S\"),\n",
        literal(&Value::from(begin), 1)
    );
    for (member, value) in arguments.iter().filter(|(member, _)| *member != name_member) {
        let _ = writeln!(text, "    {member}={},", literal(value, 1));
    }
    text + ")"
}

/// The part of a job's page with the call that creates it again.
pub(super) fn repeat(call: &str) -> Markup {
    card(
        "Repeat this job",
        &html! {
            p.note { "Creates the same job again, under a new name:" }
            (code("boto3 call", call))
        },
    )
}

/// Writes JSON as Python; values that do not fit on a line are indented by `depth`.
pub(super) fn literal(value: &Value, depth: usize) -> String {
    const WIDTH: usize = 90;
    let flat = flat(value);
    if depth * 4 + flat.len() <= WIDTH {
        return flat;
    }
    let (inner, outer) = ("    ".repeat(depth + 1), "    ".repeat(depth));
    match value {
        Value::Array(items) => {
            let lines = items.iter().map(|item| format!("{inner}{},\n", literal(item, depth + 1)));
            format!("[\n{}{outer}]", lines.collect::<String>())
        }
        Value::Object(members) => {
            let lines = members
                .iter()
                .map(|(name, item)| format!("{inner}{}: {},\n", text(name), literal(item, depth + 1)));
            format!("{{\n{}{outer}}}", lines.collect::<String>())
        }
        _ => flat,
    }
}

fn flat(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(string) => text(string),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(flat).collect())),
        Value::Object(members) => {
            let one = |(name, item): (&String, &Value)| format!("{}: {}", text(name), flat(item));
            format!("{{{}}}", joined(members.iter().map(one).collect()))
        }
    }
}

/// Every JSON string has the same meaning in Python.
pub(super) fn text(string: &str) -> String {
    Value::from(string).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let value = json!({"a": [true, null, 1.5], "b\"": "it's \\ \u{1f}ä"});
        assert_eq!(literal(&value, 0), r#"{"a": [True, None, 1.5], "b\"": "it's \\ \u001fä"}"#);
        let long = json!({"name": "x".repeat(60), "list": ["y".repeat(60)]});
        let text = literal(&long, 1);
        assert!(text.starts_with("{\n        \"list\": [") && text.ends_with("\n    }"), "{text}");
    }
}
