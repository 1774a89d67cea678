//! Documentation written from the table: the page `docs/hyperparameters.md` and the help text of `kokanee train`.

use std::fmt::Write as _;

use crate::hyperparameters::{
    DefaultValue, Group, Kind, Origin, PASS_THROUGH, Spec, TABLE, TuningRange, TuningValues,
};

/// The page `docs/hyperparameters.md`, in Markdown.
pub fn hyperparameters_markdown() -> String {
    let mut page = String::from(INTRODUCTION);
    for group in Group::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n| name | valid values | default | recommended for tuning | what it does |\n|---|---|---|---|---|\n",
            group.title()
        );
        for spec in rows(*group) {
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
    page.push_str("\n## Accepted without effect\n\n");
    for (name, reason) in PASS_THROUGH {
        let _ = writeln!(page, "- `{name}`: {reason}.");
    }
    page
}

const INTRODUCTION: &str = r#"# Hyperparameters

<!-- Generated from crates/contract/src/hyperparameters/table.rs; KOKANEE_BLESS=1 cargo test -p kokanee-contract writes it anew. -->

Names, defaults and tuning ranges are those of SageMaker's sequence-to-sequence algorithm. Rows marked *(extension)* exist
in Kokanee only, and their defaults leave SageMaker's behaviour as it is.

Values arrive as strings, in SageMaker's JSON file or as `--set name=value`. JSON numbers and booleans are taken as well,
and so are one layer of quotation marks inside the string (`"\"64\""`), `True` and `False`, and whole numbers written
`64.0` or `1e3`. Where the default is *not set*, `none` and `null` say the same. Every fault is reported at once, and
nothing is ignored in silence, except for the names in the last section. A value that is valid but whose behaviour is not
built yet is refused.

Valid values are those of the guide, with these differences:

- Infinite and undefined numbers are refused, and sizes and counts have an upper limit.
- Limits hold for a number as it is used, which is in single precision but for the length penalty: `0.99999999` is refused where
  the limit is 1, and so is what single precision cannot tell from 0 (below 1.2e-38) or from infinity.
- Whole numbers count digit by digit, in any spelling: `64.00000000000000001` is none.
- A dropout probability of exactly 1 is refused: it would set everything to zero.
- `learning_rate` must be above 0, `weight_decay` at least 0, `momentum` in [0, 1), `plateau_reduce_lr_factor` in (0, 1].
- `clip_gradient` may not be 0, which would clip every gradient to nothing; a negative value clips nothing.
- `weight_init_scale` must be above 0 for `xavier` and may not be 0 for `uniform`.
- `cnn_kernel_width_encoder` must be odd, and neither kernel wider than 4096.
- `checkpoint_threshold` may be -1, as in Sockeye; `max_num_batches` may not be 0.

Rules between hyperparameters: `momentum` only with `sgd`; `min_num_epochs` not above `max_num_epochs`;
`rnn_residual_connections` only with more than one layer, and then `rnn_first_residual_layer` at least 2;
`rnn_recurrent_dropout` only with `lstm`; `rnn_num_hidden` equal to `cnn_num_hidden` where a recurrent encoder precedes
a convolutional decoder; with `weight_tying`, the sizes equal that share a matrix.

Which test shows what a hyperparameter does stands in [hyperparameter-tests.md](hyperparameter-tests.md).
"#;

/// The table for a terminal `width` columns wide, for `kokanee train --help`.
pub fn help_text(width: usize) -> String {
    let width = width.clamp(40, 160);
    let mut text = String::from("Hyperparameters, as name=default:\n");
    for group in Group::ALL {
        let _ = writeln!(text, "\n{}", group.title());
        for spec in rows(*group) {
            let mark = if spec.origin == Origin::Extension { " (extension)" } else { "" };
            let default = match spec.default {
                DefaultValue::Text(text) => text.to_owned(),
                DefaultValue::SameAs(name) => format!("<{name}>"),
                DefaultValue::Unset => "<not set>".to_owned(),
            };
            let _ = writeln!(text, "  {}={default}{mark}", spec.name);
            let tuning = tuning(spec).map(|range| format!(" Tuning: {range}.")).unwrap_or_default();
            wrap(&mut text, &format!("{} Valid: {}.{tuning}", spec.doc, valid(spec)), "      ", width);
        }
    }
    text
}

/// SageMaker's rows of a group first, then ours.
fn rows(group: Group) -> impl Iterator<Item = &'static Spec> {
    let of = move |origin| TABLE.iter().filter(move |spec| spec.group == group && spec.origin == origin);
    of(Origin::SageMaker).chain(of(Origin::Extension))
}

fn valid(spec: &Spec) -> String {
    match spec.kind {
        Kind::Choice(names) => names.join(", "),
        Kind::Boolean => "true, false".to_owned(),
        _ => spec.kind.describe(),
    }
}

fn default(spec: &Spec) -> String {
    match spec.default {
        DefaultValue::Text(text) => text.to_owned(),
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

/// Text that cannot end a table cell.
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
