use std::path::Path;

use super::*;

#[test]
fn the_page_in_the_repository_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/hyperparameters.md");
    let expected = hyperparameters_markdown();
    if std::env::var_os("KOKANEE_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    let first = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "docs/hyperparameters.md is out of step with the table (line {}); to write it anew: \
         KOKANEE_BLESS=1 cargo test -p kokanee-contract",
        first.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1
    );
}

#[test]
fn the_page_has_a_well_formed_row_for_every_hyperparameter() {
    let page = hyperparameters_markdown();
    for spec in TABLE {
        let start = format!("| `{}`", spec.name);
        let rows: Vec<&str> =
            page.lines().filter(|line| line.starts_with(&start) && line.contains(spec.doc)).collect();
        assert_eq!(rows.len(), 1, "{}", spec.name);
        assert_eq!(rows[0].matches(" | ").count(), 4, "{}", rows[0]);
        assert_eq!(rows[0].contains("*(extension)*"), spec.origin == Origin::Extension, "{}", spec.name);
        assert_eq!(rows[0].contains("**Not built yet:**"), spec.built != Built::All, "{}", spec.name);
    }
}

#[test]
fn the_help_text_fits_its_width_and_names_everything() {
    for width in [0, 60, 80, 120, usize::MAX] {
        let text = help_text(width);
        for spec in TABLE {
            assert!(text.contains(&format!("\n  {}=", spec.name)), "{} at {width}", spec.name);
        }
        let limit = width.clamp(40, 160);
        let too_long = text.lines().find(|line| line.starts_with("      ") && line.chars().count() > limit);
        assert_eq!(too_long, None, "at {width}");
    }
    assert!(help_text(80).contains(
        "\n  batch_size=64\n      Sentence pairs in one update. Valid: an integer from 1 to 65536."
    ));
}
