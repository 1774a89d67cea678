use super::*;
use kokanee_pages::Scale;

fn draw(target: &[&str], source: &[&str], rows: &[&[f32]], color: ColorMode, width: usize) -> String {
    let weights: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
    heatmap(&Attention::new(target, source, &weights, Scale::One).unwrap(), color, width)
}

fn check(target: &[&str], source: &[&str], rows: &[&[f32]], width: usize, expected: &[&str]) {
    let drawn = draw(target, source, rows, ColorMode::Plain, width);
    assert_eq!(drawn.lines().collect::<Vec<_>>(), expected, "\n{drawn}");
    assert!(drawn.ends_with('\n'));
    // With colours, the picture is the same: only blocks and escapes may differ.
    let colored = draw(target, source, rows, ColorMode::Ansi256, width);
    assert_eq!(colored.lines().count(), expected.len());
    for (line, plain) in colored.lines().zip(expected).take(expected.len() - 1) {
        assert_eq!(label::width(&without_escapes(line)), label::width(plain), "{line:?}");
    }
}

fn without_escapes(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').expect("a colour escape ends with m").1);
    }
    out
}

#[test]
fn short_source_tokens_stand_above_their_columns() {
    check(
        &["K", "AA1", "R"],
        &["c", "a", "r"],
        &[&[1.0, 0.0, 0.0], &[0.25, 0.5, 0.25], &[0.05, 0.2, 0.75]],
        80,
        &["     c a r", "  K │██    │", "AA1 │░░▒▒░░│", "  R │  ░░▓▓│", "    0  ░▒▓█ 1"],
    );
}

#[test]
fn long_source_tokens_are_written_downwards() {
    check(
        &["ein", "Hund"],
        &["a", "dog", "."],
        &[&[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0]],
        80,
        &["      a   dog .", " ein │████        │", "Hund │    ████    │", "     0  ░▒▓█ 1"],
    );
    check(
        &["x"],
        &["a", "four"],
        &[&[0.0, 1.0]],
        80,
        &["     f", "     o", "     u", "   a r", "x │  ██│", "  0  ░▒▓█ 1"],
    );
}

#[test]
fn wide_and_hostile_tokens_keep_the_columns_straight() {
    check(
        &["日本", "\x1b[2J"],
        &["猫", "e\u{301}"],
        &[&[1.0, 0.0], &[f32::NAN, 1.0]],
        80,
        &["      猫 e\u{301}", "日本 │███   │", "␛[2J │???███│", "     0  ░▒▓█ 1"],
    );
}

#[test]
fn a_wide_matrix_is_cut_into_parts() {
    let row: &[f32] = &[1.0, 0.0, 0.0, 1.0, 0.5];
    check(
        &["t"],
        &["a", "b", "c", "d", "e"],
        &[row],
        8,
        &["   a b", "t │██  │", "", "   c d", "t │  ██│", "", "   e", "t │▒▒│", "  0  ░▒▓█ 1"],
    );
    // A terminal too narrow for anything still gets one column at a time.
    assert_eq!(draw(&["t"], &["a", "b"], &[&[1.0, 0.0]], ColorMode::Plain, 0).lines().count(), 6);
}

#[test]
fn colours_change_only_where_the_weight_does() {
    let drawn = draw(&["t"], &["a", "b", "c"], &[&[0.0, 0.0, 1.0]], ColorMode::Ansi256, 80);
    let row = drawn.lines().nth(1).unwrap();
    assert_eq!(row, "t │\x1b[38;5;17m████\x1b[38;5;227m██\x1b[0m│");
}

#[test]
fn nothing_to_draw_is_said() {
    assert_eq!(draw(&[], &[], &[], ColorMode::Plain, 80), "(nothing to draw: no token on one side)\n");
    assert_eq!(draw(&["a"], &[], &[&[]], ColorMode::Plain, 80), "(nothing to draw: no token on one side)\n");
}

#[test]
fn very_long_tokens_are_cut() {
    let long = "Donaudampfschifffahrtsgesellschaft";
    let drawn = draw(&[long], &[long], &[&[1.0]], ColorMode::Plain, 80);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines.len(), MOST_HEADER_LINES + 2);
    assert!(lines[MOST_HEADER_LINES].starts_with("Donaudampfschifffah… │██│"), "{drawn}");
    assert!(lines[MOST_HEADER_LINES - 1].ends_with('⋮'), "{drawn}");
}
