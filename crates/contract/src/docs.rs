//! Documentation generated from the tables: the pages in `docs/algorithms/` and the help text of `kokanee train`.

use std::fmt::Write as _;

use crate::algorithm_contract::{AlgorithmContract, Hosts};
use crate::channels::ChannelSpec;
use crate::media::MediaType;
use crate::spec::{DefaultValue, Group, Kind, Origin, Spec, TuningRange, TuningValues};

/// The page `docs/algorithms/<name>.md`, in Markdown.
pub fn page(contract: &AlgorithmContract) -> String {
    let mut page = format!(
        "# {}\n\n<!-- Generated from crates/contract/src/algorithms/{}/; KOKANEE_BLESS=1 cargo test -p kokanee-contract writes it \
         anew. -->\n\nImage name: `{}`. {}\n",
        contract.title, contract.name, contract.name, contract.summary
    );
    write_channels(&mut page, contract);
    page.push_str("\n## Hyperparameters\n\n");
    page.push_str(INTRODUCTION);
    page.push_str(contract.remarks);
    for group in contract.groups {
        write_group(&mut page, contract, *group);
    }
    page.push_str("\n### Accepted without effect\n\n");
    for (name, reason) in contract.service_hyperparameters {
        let _ = writeln!(page, "- `{name}`: {reason}.");
    }
    write_metrics(&mut page, contract);
    let names =
        |media: &[MediaType]| media.iter().map(|media| format!("`{media}`")).collect::<Vec<_>>().join(", ");
    let _ = write!(
        page,
        "\n## Requests and answers\n\n- Requests: {}.\n- Answers: {}.\n",
        names(contract.accepts),
        names(contract.answers)
    );
    page
}

const INTRODUCTION: &str = "\
Names, defaults and tuning ranges are those of SageMaker's algorithm. Rows marked *(extension)* exist in Kokanee only, and
their defaults leave SageMaker's behaviour as it is.

Values arrive as strings, in SageMaker's JSON file or as `--set name=value`. JSON numbers and booleans are taken as well, and
so is one layer of quotation marks inside the string (`\"\\\"64\\\"\"`). Booleans may also be written `True`, `False`, `1` and `0`,
whole numbers `64.0` or `1e3`, and lists as JSON, as Python prints them, or with commas only. Where the default is *not set*,
`none` and `null` say the same. Every fault is reported at once, and nothing is ignored in silence, except for the names under
*Accepted without effect*. A value that is valid but whose behaviour is not built yet is refused.
";

fn write_channels(page: &mut String, contract: &AlgorithmContract) {
    page.push_str(
        "\n## Input channels\n\n| channel | needed | content types | input modes | distribution | what it holds |\n\
         |---|---|---|---|---|---|\n",
    );
    for channel in contract.channels {
        let ChannelSpec {
            name,
            required,
            content_types,
            default_content_type,
            modes,
            distributions,
            doc,
            ..
        } = *channel;
        let types: Vec<String> = content_types
            .iter()
            .map(|media| {
                format!("`{media}`{}", if *media == default_content_type { " (default)" } else { "" })
            })
            .collect();
        let modes: Vec<&str> = modes.iter().map(|mode| mode.as_str()).collect();
        let distributions: Vec<&str> = distributions.iter().map(|way| way.as_str()).collect();
        let _ = writeln!(
            page,
            "| `{name}` | {} | {} | {} | {} | {} |",
            if required { "yes" } else { "no" },
            types.join(", "),
            modes.join(", "),
            distributions.join(", "),
            cell(doc)
        );
    }
    page.push_str(match contract.hosts {
        Hosts::One => "\nTraining runs on one machine; a job with more is refused.\n",
        Hosts::Many => "\nA training job may have any number of machines.\n",
    });
}

fn write_group(page: &mut String, contract: &AlgorithmContract, group: Group) {
    let _ = write!(
        page,
        "\n### {}\n\n| name | valid values | default | recommended for tuning | what it does |\n|---|---|---|---|---|\n",
        group.0
    );
    for spec in rows(contract, group) {
        let mark = if spec.origin == Origin::Extension { " *(extension)*" } else { "" };
        let _ = writeln!(
            page,
            "| `{}`{mark} | {} | {} | {} | {} |",
            spec.name,
            cell(&valid(spec)),
            cell(&default(spec)),
            cell(&tuning(spec).unwrap_or_else(|| "–".to_owned())),
            cell(spec.doc),
        );
    }
}

fn write_metrics(page: &mut String, contract: &AlgorithmContract) {
    page.push_str("\n## Metrics\n\n| name | better | regular expression for the log |\n|---|---|---|\n");
    for metric in contract.metrics {
        let direction = metric.direction.map_or("–", |direction| direction.as_str());
        let _ = writeln!(page, "| `{}` | {direction} | `{}` |", metric.name, cell(metric.regex));
    }
}

/// The table for a terminal `width` columns wide, for `kokanee train --help`.
pub fn help_text(contract: &AlgorithmContract, width: usize) -> String {
    let width = width.clamp(40, 160);
    let mut text = String::from("Hyperparameters, as name=default:\n");
    for group in contract.groups {
        let _ = writeln!(text, "\n{}", group.0);
        for spec in rows(contract, *group) {
            let mark = if spec.origin == Origin::Extension { " (extension)" } else { "" };
            let default = match spec.default {
                DefaultValue::Text(text) => text.to_owned(),
                DefaultValue::SameAs(name) => format!("<{name}>"),
                DefaultValue::Unset => "<not set>".to_owned(),
                DefaultValue::Required => "<required>".to_owned(),
            };
            let _ = writeln!(text, "  {}={default}{mark}", spec.name);
            let tuning = tuning(spec).map(|range| format!(" Tuning: {range}.")).unwrap_or_default();
            wrap(&mut text, &format!("{} Valid: {}.{tuning}", spec.doc, valid(spec)), "      ", width);
        }
    }
    text
}

/// The rows of a group: SageMaker's first, then Kokanee's.
fn rows(contract: &AlgorithmContract, group: Group) -> impl Iterator<Item = &'static Spec> {
    let specs = contract.hyperparameters;
    let of = move |origin| specs.iter().filter(move |spec| spec.group == group && spec.origin == origin);
    of(Origin::SageMaker).chain(of(Origin::Extension))
}

fn valid(spec: &Spec) -> String {
    match spec.kind {
        Kind::Choice { names, .. } => names.join(", "),
        Kind::Boolean => "true, false".to_owned(),
        _ => spec.kind.describe(),
    }
}

fn default(spec: &Spec) -> String {
    match spec.default {
        DefaultValue::Text(text) => text.to_owned(),
        DefaultValue::Required => "**required**".to_owned(),
        DefaultValue::SameAs(name) => format!("*not set*: as `{name}`"),
        DefaultValue::Unset => "*not set*".to_owned(),
    }
}

fn tuning(spec: &Spec) -> Option<String> {
    let describe = |range: &TuningRange| {
        let values = match range.values {
            TuningValues::Integer(min, max) => format!("integer, {min} to {max}"),
            TuningValues::Continuous(min, max) => format!("continuous, {min} to {max}"),
            TuningValues::Categorical(values) => format!("categorical: {}", values.join(", ")),
        };
        range.when.map_or(values.clone(), |(_, value)| format!("{values} with {value}"))
    };
    (!spec.tuning.is_empty()).then(|| spec.tuning.iter().map(describe).collect::<Vec<_>>().join("; "))
}

/// Escapes text so that it cannot end a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn wrap(out: &mut String, text: &str, indent: &str, width: usize) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests;
