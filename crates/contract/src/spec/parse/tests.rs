use std::ops::Bound::Included;

use super::*;
use crate::algorithms::kmeans::InitMethod;
use crate::spec::{Field, Group};

const METHOD: Kind = InitMethod::KIND;
const COUNT: Kind = Kind::integer(1, 100);
const SHARE: Kind = Kind::double(Included(0.0), Included(1.0));
const SWITCH: Kind = Kind::Boolean;
const COUNTS: Kind = Kind::List { item: &COUNT, least: 0, most: 3, distinct: false };

fn row(kind: Kind) -> Spec {
    Spec::required(Group("Test"), kind)
}

fn words(words: &[&'static str]) -> Value {
    Value::List(words.iter().map(|&word| Value::Word(word)).collect())
}

/// Checks that the text is parsed into this value, or refused with a hint that contains this part.
#[track_caller]
fn check(kind: Kind, text: &str, expected: Result<Value, &str>) {
    match (parse(&row(kind), text), expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, Some(expected), "{text}"),
        (Err(found), Err(expected)) => {
            let found = found.into_hint();
            assert!(found.contains(expected), "{text}: {found} lacks {expected}");
        }
        (found, expected) => panic!("{text}: found {found:?}, expected {expected:?}"),
    }
}

#[test]
fn words_have_their_other_spellings() {
    check(METHOD, "kmeans++", Ok(Value::Word("kmeans++")));
    check(METHOD, "k-means++", Ok(Value::Word("kmeans++")));
    check(METHOD, "\"random\"", Ok(Value::Word("random")));
    check(METHOD, "randm", Err("did you mean `random`?"));
    assert_eq!(InitMethod::from_value(Some(&Value::Word("kmeans++"))).to_text().as_deref(), Some("kmeans++"));
}

#[test]
fn switches_are_written_in_every_way() {
    for (text, truth) in [("true", true), ("True", true), ("1", true), ("\"False\"", false), ("0", false)] {
        check(SWITCH, text, Ok(Value::Boolean(truth)));
    }
    check(SWITCH, "2", Err(""));
    check(SWITCH, "yes", Err(""));
}

#[test]
fn lists_are_read_in_every_spelling() {
    let kind = Kind::some_of(&METHOD, 2);
    for text in [
        r#"["random", "kmeans++"]"#,
        "['random','kmeans++']",
        r#"[\"random\", \"kmeans++\"]"#,
        r#""[\"random\", \"kmeans++\"]""#,
        r#""random", "kmeans++""#,
        "random, k-means++",
    ] {
        check(kind, text, Ok(words(&["random", "kmeans++"])));
    }
    check(kind, "random", Ok(words(&["random"])));
    check(kind, "[]", Err("it has 0 values"));
    check(kind, "random,kmeans++,random", Err("it has 3 values"));
    check(kind, "kmeans++,k-means++", Err("`k-means++` comes twice in it"));
    check(kind, "randm", Err("`randm` is not valid in it: did you mean `random`?"));
    check(kind, "[random", Err("only one of the two brackets"));
    check(kind, "", Err("the value is empty"));

    let number = |number| Value::Integer(number);
    check(COUNTS, "[10, 20]", Ok(Value::List(vec![number(10), number(20)])));
    check(COUNTS, "3, 3,1", Ok(Value::List(vec![number(3), number(3), number(1)])));
    check(COUNTS, "[]", Ok(Value::List(Vec::new())));
    check(COUNTS, "1,2,3,4", Err("it has 4 values"));
    check(COUNTS, "[1, 101]", Err("`101` is not valid in it"));
    assert_eq!(vec![10_usize, 20].to_text().as_deref(), Some("[10, 20]"));
    assert_eq!(
        vec![InitMethod::Random, InitMethod::KmeansPlusPlus].to_text().as_deref(),
        Some(r#"["random", "kmeans++"]"#)
    );
}

#[test]
fn a_word_may_stand_in_a_values_place() {
    use crate::spec::AutoOr;

    let kind = Kind::or_auto(&COUNT);
    check(kind, "auto", Ok(Value::Word("auto")));
    check(kind, "7", Ok(Value::Integer(7)));
    check(kind, "101", Err(""));
    check(kind, "atuo", Err("did you mean `auto`?"));
    for (value, text) in [(AutoOr::Auto, "auto"), (AutoOr::Value(7_usize), "7")] {
        assert_eq!(value.to_text().as_deref(), Some(text));
        assert_eq!(AutoOr::from_value(parse(&row(kind), text).unwrap().as_ref()), value);
    }
    const WORDS: &[&str] = &["auto", "ignore", ""];
    let kind = Kind::OrWord { value: &COUNTS, words: WORDS };
    check(kind, "", Ok(Value::Word("")));
    check(kind, "ignore", Ok(Value::Word("ignore")));
    check(kind, "[4]", Ok(Value::List(vec![Value::Integer(4)])));
    check(Kind::or_auto(&SWITCH), "True", Ok(Value::Boolean(true)));
    check(Kind::or_auto(&SHARE), "auto", Ok(Value::Word("auto")));
}

#[test]
fn text_is_taken_as_it_is_written() {
    for (text, want) in
        [("2H", "2H"), (" 2H ", "2H"), ("\"2H\"", "2H"), (r#""\"q\"""#, "\"q\""), ("none", "none")]
    {
        check(Kind::Text, text, Ok(Value::Text(want.to_owned())));
        let written = want.to_owned().to_text().unwrap();
        check(Kind::Text, &written, Ok(Value::Text(want.to_owned())));
    }
}

#[test]
fn what_is_required_cannot_be_unset() {
    assert_eq!(parse(&row(COUNT), "none"), Err(Refusal::Unreadable(String::new())));
    check(COUNT, "", Err("the value is empty"));
    let optional = Spec::optional(Group("Test"), COUNT, DefaultValue::Unset);
    assert_eq!(parse(&optional, "none"), Ok(None));
}

#[test]
fn refusals_tell_what_is_no_value_from_what_is_outside() {
    let is_outside = |kind, text| matches!(parse(&row(kind), text).unwrap_err(), Refusal::Outside(_));
    assert!(is_outside(COUNT, "0") && is_outside(SHARE, "1.5") && is_outside(SHARE, "nan"));
    assert!(is_outside(METHOD, "x") && is_outside(Kind::some_of(&METHOD, 2), "[]"));
    assert!(!is_outside(COUNT, "8.5") && !is_outside(SHARE, "x") && !is_outside(SWITCH, "x"));
}

#[test]
fn kinds_describe_themselves() {
    let check = |kind: Kind, description: &str, interval: &str| {
        assert_eq!((&*kind.describe(), &*kind.interval()), (description, interval));
    };
    check(COUNT, "an integer from 1 to 100", "[1, 100]");
    check(SHARE, "a number in [0, 1]", "[0, 1]");
    check(METHOD, "one of random, kmeans++", "['random', 'kmeans++']");
    check(
        Kind::some_of(&METHOD, 2),
        "a list that is not empty of random, kmeans++, each at most once",
        "['random', 'kmeans++']",
    );
    check(
        COUNTS,
        "a list of values that are each an integer from 1 to 100, with at most 3 values",
        "[1, 100]",
    );
    check(Kind::or_auto(&COUNT), "an integer from 1 to 100, or `auto`", "[1, 100] or ['auto']");
    check(
        Kind::OrWord { value: &COUNT, words: &["ignore", ""] },
        "an integer from 1 to 100, or one of `ignore`, the empty text",
        "[1, 100] or ['ignore', '']",
    );
    let positive = Kind::double(std::ops::Bound::Excluded(0.0), std::ops::Bound::Unbounded);
    check(positive, "a finite number > 0", "(0, +inf)");
    check(Kind::Text, "a text", "");
}
