use crate::workplace::{Workplace, model, pairs};

fn scores(source: &str, target: &str) -> Vec<f64> {
    let work = Workplace::new();
    work.write("s", source);
    work.write("t", target);
    let said = work.run(&format!("score --model {} --source s --target t --quiet", model())).well();
    said.lines().iter().map(|line| line.parse().unwrap_or_else(|_| panic!("{line}"))).collect()
}

#[test]
fn right_targets_are_likelier_than_wrong_ones() {
    let (source, target) = pairs(700, 3);
    let right = scores(&source, &target);
    assert_eq!(right.len(), 700);
    let mut wrong_target: Vec<&str> = target.lines().collect();
    wrong_target.rotate_left(1);
    let wrong = scores(&source, &(wrong_target.join("\n") + "\n"));
    assert!(right.iter().chain(&wrong).all(|score| *score <= 0.0));
    let better = right.iter().zip(&wrong).filter(|(right, wrong)| right > wrong).count();
    assert!(better > 650, "{better}");
    let mean = right.iter().sum::<f64>() / 700.0;
    assert!(mean > -1.0, "{mean}");
}

#[test]
fn a_score_does_not_depend_on_its_neighbours() {
    let together = scores("a b c\nd\ne f\n", "A B C\nD\nE F\n");
    for (index, (source, target)) in
        [("a b c\n", "A B C\n"), ("d\n", "D\n"), ("e f\n", "E F\n")].iter().enumerate()
    {
        assert!((scores(source, target)[0] - together[index]).abs() < 1e-5);
    }
}

#[test]
fn a_translation_scored_has_the_score_of_its_search() {
    let said =
        Workplace::new().run_with(&format!("translate --model {} --format json", model()), "a c e\n").well();
    let answer: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let target = answer["target"].as_str().unwrap();
    let tokens = target.split(' ').count() as f64 + 1.0;
    let expected = -answer["score"].as_f64().unwrap() * tokens;
    let found = scores("a c e\n", &format!("{target}\n"))[0];
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
}

#[test]
fn empty_lines_have_scores_too() {
    let found = scores("\n\na\n", "\nA\n\n");
    assert_eq!(found[..2], [0.0, f64::NEG_INFINITY]);
    assert!(found[2] < -1.0 && found[2].is_finite(), "{found:?}");
}

#[test]
fn unequal_texts_are_refused() {
    let work = Workplace::new();
    work.write("two", "a\nb\n");
    work.write("four", "A\nB\nC\nD\n");
    let run = |source: &str, target: &str| {
        work.run(&format!("score --model {} --source {source} --target {target}", model()))
    };
    run("two", "four").refused(&["two ends at line 2, but four goes on to line 4"]);
    run("four", "two").refused(&["two ends at line 2, but four goes on to line 4"]);
    run("two", "none").refused(&["cannot open none"]);
}
