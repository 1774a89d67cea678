use std::path::Path;

use super::*;
use crate::algorithms::{kmeans, seq2seq};
use crate::registry::ALGORITHMS;

#[test]
fn the_pages_in_the_repository_are_up_to_date() {
    for algorithm in ALGORITHMS {
        let name = format!("docs/algorithms/{}.md", algorithm.name);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(&name);
        let expected = page(algorithm);
        if std::env::var_os("KOKANEE_BLESS").is_some_and(|value| value == "1") {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        let first = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
        assert!(
            found == expected,
            "{name} is out of step with the tables (line {}); to write it anew: KOKANEE_BLESS=1 cargo test -p kokanee-contract",
            first.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1
        );
    }
}

#[test]
fn a_page_has_a_well_formed_row_for_every_hyperparameter_channel_and_metric() {
    for algorithm in ALGORITHMS {
        let page = page(algorithm);
        let row = |name: &str, part: &str, cells: usize| {
            let start = format!("| `{name}`");
            let rows: Vec<&str> =
                page.lines().filter(|line| line.starts_with(&start) && line.contains(part)).collect();
            assert_eq!(rows.len(), 1, "{name}: {rows:?}");
            assert_eq!(rows[0].matches(" | ").count(), cells - 1, "{}", rows[0]);
            rows[0].to_owned()
        };
        for spec in algorithm.hyperparameters {
            let row = row(spec.name, spec.doc, 5);
            assert_eq!(row.contains("*(extension)*"), spec.origin == Origin::Extension, "{}", spec.name);
            assert_eq!(row.contains("**required**"), spec.default == DefaultValue::Required, "{}", spec.name);
        }
        for channel in algorithm.channels {
            row(channel.name, channel.doc, 6);
        }
        for metric in algorithm.metrics {
            row(metric.name, metric.regex, 3);
        }
    }
}

#[test]
fn the_help_text_fits_its_width_and_names_everything() {
    for (algorithm, width) in
        ALGORITHMS.iter().flat_map(|algorithm| [0, 60, 80, 120, usize::MAX].map(|width| (algorithm, width)))
    {
        let text = help_text(algorithm, width);
        for spec in algorithm.hyperparameters {
            assert!(text.contains(&format!("\n  {}=", spec.name)), "{} at {width}", spec.name);
        }
        let limit = width.clamp(40, 160);
        let too_long = text.lines().find(|line| line.starts_with("      ") && line.chars().count() > limit);
        assert_eq!(too_long, None, "at {width}");
    }
    assert!(help_text(&seq2seq::CONTRACT, 80).contains(
        "\n  batch_size=64\n      Sentence pairs in one update. Valid: an integer from 1 to 65536."
    ));
    assert!(help_text(&kmeans::CONTRACT, 80).contains("\n  k=<required>\n"));
}

/// The rows of `docs/hyperparameter-tests.md`: hyperparameter, file, test.
fn rows_of_tests(page: &str) -> Vec<[String; 3]> {
    let cells = |line: &str| -> Option<[String; 3]> {
        let cells: Vec<&str> = line.strip_prefix("| `")?.strip_suffix("` |")?.split("` | `").collect();
        Some(<[&str; 3]>::try_from(cells).ok()?.map(str::to_owned))
    };
    page.lines().filter_map(cells).collect()
}

/// The faults in an algorithm's rows; `text_of` gives the text of a file.
fn faults_of_tests(
    contract: &AlgorithmContract,
    rows: &[[String; 3]],
    text_of: &dyn Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for spec in contract.hyperparameters.iter().filter(|spec| rows.iter().all(|[name, ..]| name != spec.name))
    {
        faults.push(format!("{} has no row", spec.name));
    }
    for [name, file, test] in rows {
        if !contract.hyperparameters.iter().any(|spec| spec.name == name) {
            faults.push(format!("{name} is not a hyperparameter"));
            continue;
        }
        let Some(text) = text_of(file) else {
            faults.push(format!("{name}: there is no file {file}"));
            continue;
        };
        let spoken_of = text.contains(name.as_str());
        if !text.contains(&format!("#[test]\nfn {test}("))
            && !text.contains(&format!("#[test]\n    fn {test}("))
        {
            faults.push(format!("{name}: {file} has no test {test}"));
        } else if !spoken_of {
            faults.push(format!("{name}: {file} never speaks of it"));
        }
    }
    faults
}

#[test]
fn every_hyperparameter_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text_of = |file: &str| {
        let text = std::fs::read_to_string(root.join(file)).ok()?;
        Some(text.replace("\r\n", "\n"))
    };
    let page = text_of("docs/hyperparameter-tests.md").expect("the tables of tests");
    let rows_of = |contract: &AlgorithmContract| {
        let heading = format!("\n## `{}`\n", contract.name);
        let section = page.split_once(&heading).map_or("", |(_, rest)| rest);
        rows_of_tests(section.split("\n## ").next().unwrap_or_default())
    };
    for contract in ALGORITHMS {
        let faults = faults_of_tests(contract, &rows_of(contract), &text_of);
        assert!(faults.is_empty(), "docs/hyperparameter-tests.md, {}:\n{}", contract.name, faults.join("\n"));
    }

    let rows = rows_of(&seq2seq::CONTRACT);
    // Checks the check itself: each kind of fault is found.
    let broken = |change: fn(&mut Vec<[String; 3]>), part: &str| {
        let mut rows = rows.clone();
        change(&mut rows);
        let faults = faults_of_tests(&seq2seq::CONTRACT, &rows, &text_of);
        assert!(faults.iter().any(|fault| fault.contains(part)), "{faults:?} lacks {part:?}");
    };
    broken(|rows| drop(rows.remove(0)), "batch_size has no row");
    broken(|rows| rows[0][0].push('s'), "batch_sizes is not a hyperparameter");
    broken(|rows| rows[0][1] = "crates/gone.rs".to_owned(), "there is no file crates/gone.rs");
    broken(|rows| rows[0][2].truncate(5), "has no test batch");
    let elsewhere = |rows: &mut Vec<[String; 3]>| {
        (rows[0][1], rows[0][2]) = (
            "crates/contract/src/algorithms/seq2seq/special_ids.rs".to_owned(),
            "symbols_stand_at_their_ids".to_owned(),
        );
    };
    broken(elsewhere, "special_ids.rs never speaks of it");
}
