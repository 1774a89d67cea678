//! The form that sends a request to an endpoint, and the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kokanee_contract::{AlgorithmContract, MediaType};
use kokanee_pages::human;
use kokanee_pages::parts::{card, code, note, problem};
use maud::{Markup, html};

use super::answer;
use super::exchange::Exchange;
use super::python;
use super::visit::{Visit, link};
use crate::api::Image;

/// A sample body for a type that an algorithm reads.
fn sample(media: MediaType, reads_rows: bool) -> &'static str {
    match (media, reads_rows) {
        (MediaType::Json, false) => {
            "{\"instances\": [{\"data\": \"a b c\", \"configuration\": {\"attention_matrix\": \"true\", \"nbest\": 3}}]}"
        }
        (MediaType::Json, true) => "{\"instances\": [{\"features\": [0.5, 1.0]}]}",
        (MediaType::JsonLines, false) => "{\"source\": \"a b c\"}",
        (MediaType::JsonLines, true) => "{\"features\": [0.5, 1.0]}",
        (MediaType::RecordIo, false) => "4 5 6",
        (MediaType::Text, _) => "a b c",
        (MediaType::Libsvm, _) => "0 1:0.5 2:1.0",
        _ => "0.5,1.0",
    }
}

/// The form, followed by the last exchange.
pub(super) fn form(visit: &Visit, endpoint: &str, image: &str, exchange: Option<&Exchange>) -> Markup {
    let contract = match Image::parse(image) {
        Ok(Image::BuiltIn(contract)) => Some(contract),
        _ => None,
    };
    let action = link(&visit.state.region, &visit.region, &["endpoints", endpoint], &[]);
    let asked = visit.parameter("content_type");
    let chosen = exchange.map(|exchange| exchange.content_type.as_str()).or(asked);
    let reads_rows = contract.is_some_and(reads_rows);
    let first = contract.and_then(|contract| contract.accepts.first().copied()).unwrap_or(MediaType::Csv);
    let media = chosen.and_then(MediaType::of_name).unwrap_or(first);
    let typed = exchange.map_or(sample(media, reads_rows), |exchange| &exchange.typed);
    html! {
        section.card #ask {
            h2 { "Invoke" }
            @if let Some(contract) = contract {
                p.note {
                    "Examples:"
                    @for media in contract.accepts {
                        " " a href=(action.clone() + "?content_type=" + &super::visit::encode(media.name()) + "#ask") { (media.name()) }
                    }
                }
            }
            form method="post" enctype="multipart/form-data" action=(action.clone() + "#ask") {
                div.tools {
                    (types("Content type", "content_type", contract.map(|contract| contract.accepts), chosen.unwrap_or(media.name()), false))
                    (types("Accept", "accept", contract.map(|contract| contract.answers), exchange.map_or("", |exchange| &exchange.accept), true))
                }
                div.field {
                    label for="body" {
                        "Body"
                        @if media == MediaType::RecordIo { " (one line of numbers per record; the console encodes them)" }
                    }
                    textarea #body name="body" rows="6" spellcheck="false" { (typed) }
                }
                div.field {
                    label for="file" { "File (sent unchanged, instead of the body)" }
                    input #file type="file" name="file";
                }
                button.main { "Invoke" }
            }
            @if let Some(exchange) = exchange { (shown(visit, endpoint, exchange)) }
        }
    }
}

/// Whether an algorithm reads rows of numbers instead of text.
fn reads_rows(contract: &AlgorithmContract) -> bool {
    contract.accepts.contains(&MediaType::Csv)
}

/// A choice of types; a text field for users' own images.
fn types(label: &str, name: &str, media: Option<&[MediaType]>, chosen: &str, may_be_empty: bool) -> Markup {
    html! {
        label { (label)
            @match media {
                Some(media) => select name=(name) {
                    @if may_be_empty { option value="" { "default" } }
                    @for media in media { option selected[MediaType::of_name(chosen) == Some(*media)] { (media.name()) } }
                },
                None => input name=(name) value=(chosen) placeholder="text/csv";,
            }
        }
    }
}

fn shown(visit: &Visit, endpoint: &str, exchange: &Exchange) -> Markup {
    let Some(answer) = &exchange.answer else { return html! {} };
    html! {
        h3 #answer {
            "Response: " (answer.status) ", " (format!("{:.1}", answer.took_ms)) " ms"
            @if !answer.variant.is_empty() { ", variant " (answer.variant) }
        }
        @if let Some(file) = &exchange.file {
            (note(&format!("Sent the file {file} ({}). To send it again, choose it again.", human::bytes(exchange.body.len() as u64))))
        }
        @if answer.status >= 400 {
            (problem(answer::beginning(answer).unwrap_or("The error response is not text.")))
        } @else {
            (answer::show(exchange, answer))
        }
        details {
            summary { "The same with curl and boto3" }
            (card("curl", &code("curl command", &curl(visit, endpoint, exchange))))
            (card("boto3", &code("boto3 call", &boto3(endpoint, exchange))))
        }
    }
}

/// Writes a word for a shell, quoted if necessary.
fn word(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "@%+=:,./-_".contains(character);
    if text.chars().all(is_plain) { text.to_owned() } else { quoted(text) }
}

/// Writes a file name for curl, which takes `-` alone as its standard input.
fn path(file: &str) -> String {
    if file == "-" { "./-".to_owned() } else { file.to_owned() }
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn curl(visit: &Visit, endpoint: &str, exchange: &Exchange) -> String {
    let url = crate::environment::url(visit.state.address);
    let mut command = String::new();
    // curl would take a text that begins with @ as the name of a file.
    let data = match (&exchange.file, std::str::from_utf8(&exchange.body)) {
        (Some(file), _) => format!("--data-binary {}", word(&format!("@{}", path(file)))),
        (None, Ok(text)) => format!("--data-raw {}", quoted(text)),
        (None, Err(_)) => {
            command += &format!("echo {} | base64 -d |\n", BASE64.encode(&exchange.body));
            "--data-binary @-".to_owned()
        }
    };
    command += "curl -sS";
    if visit.state.control.has_keys() {
        command += &format!(" --aws-sigv4 aws:amz:{}:sagemaker", visit.region);
        command += " --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\"";
    }
    command += &format!(" {}", quoted(&format!("{url}/endpoints/{endpoint}/invocations")));
    command += &format!(" \\\n    -H {}", quoted(&format!("Content-Type: {}", exchange.content_type)));
    if !exchange.accept.is_empty() {
        command += &format!(" \\\n    -H {}", quoted(&format!("Accept: {}", exchange.accept)));
    }
    command + " \\\n    " + &data
}

fn boto3(endpoint: &str, exchange: &Exchange) -> String {
    let (body, import) = match (&exchange.file, std::str::from_utf8(&exchange.body)) {
        (Some(file), _) => (format!("open({}, \"rb\")", python::text(file)), ""),
        (None, Ok(text)) => (format!("{}.encode()", python::text(text)), ""),
        (None, Err(_)) => {
            (format!("base64.b64decode(\"{}\")", BASE64.encode(&exchange.body)), "import base64\n")
        }
    };
    let accept = match &*exchange.accept {
        "" => String::new(),
        accept => format!("    Accept={},\n", python::text(accept)),
    };
    format!(
        "{import}import boto3\n\nresponse = boto3.client(\"sagemaker-runtime\").invoke_endpoint(\n    EndpointName={},\n    \
         ContentType={},\n{accept}    Body={body},\n)\nprint(response[\"Body\"].read())",
        python::text(endpoint),
        python::text(&exchange.content_type)
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_was_sent_is_quoted_for_shell_and_python() {
        let exchange = Exchange {
            content_type: "text/csv".to_owned(),
            accept: String::new(),
            typed: String::new(),
            file: None,
            body: Bytes::from_static(b"it's \"x\""),
            answer: None,
        };
        assert!(boto3("e", &exchange).contains("Body=\"it's \\\"x\\\"\".encode()"));
        assert_eq!(quoted("it's"), r"'it'\''s'");
        let exchange = Exchange { body: Bytes::from_static(&[0xff, 0]), ..exchange };
        assert!(boto3("e", &exchange).contains("base64.b64decode(\"/wA=\")"));
        let exchange = Exchange { file: Some("my \"rows\".rec".to_owned()), ..exchange };
        assert!(boto3("e", &exchange).contains("Body=open(\"my \\\"rows\\\".rec\", \"rb\")"));
        assert_eq!(
            ["@rows.rec", "@my rows.rec", "@it's"].map(word),
            ["@rows.rec", "'@my rows.rec'", r"'@it'\''s'"]
        );
    }
}
