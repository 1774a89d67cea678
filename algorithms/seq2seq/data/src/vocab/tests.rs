use proptest::prelude::*;

use super::*;

fn build(counts: &[(&str, u64)], num_words: usize, min_count: u64) -> Vec<String> {
    let vocabulary = Vocabulary::build(counts.iter().copied(), VocabularyLimits { num_words, min_count });
    (0..vocabulary.len() as u32).filter_map(|id| vocabulary.word(id).map(str::to_owned)).collect()
}

fn tiny() -> Vocabulary {
    Vocabulary::build([("der", 3), ("hund", 2)], VocabularyLimits::default())
}

#[test]
fn words_rank_by_count_then_by_code_points_both_descending() {
    // U+FF41 sorts below U+1D41A by code point, though not by UTF-16 units.
    let counts = [("b", 2), ("a", 2), ("z", 9), ("\u{ff41}", 2), ("\u{1d41a}", 2), ("Z", 2), ("rare", 1)];
    let expected = ["<pad>", "<unk>", "<s>", "</s>", "z", "\u{1d41a}", "\u{ff41}", "b", "a", "Z"];
    assert_eq!(build(&counts, 50, 2), expected);
    assert_eq!(build(&counts, 3, 2), expected[..7], "special symbols do not count");
    assert_eq!(build(&[("<s>", 9), ("<pad>", 9), ("x", 1)], 9, 1), ["<pad>", "<unk>", "<s>", "</s>", "x"]);
}

#[test]
fn json_is_that_of_python_with_indent_4() {
    let vocabulary = Vocabulary::build([("grüße", 3), ("\"\\/\u{7f}\u{1}", 2)], VocabularyLimits::default());
    let expected = "{\n    \"<pad>\": 0,\n    \"<unk>\": 1,\n    \"<s>\": 2,\n    \"</s>\": 3,\n    \"grüße\": 4,\n    \
                    \"\\\"\\\\/\u{7f}\\u0001\": 5\n}";
    assert_eq!(vocabulary.to_json(), expected);
}

#[test]
fn lines_become_ids_and_ids_lines() {
    let vocabulary = tiny();
    assert_eq!(vocabulary.encode(" der  böse\thund\u{a0}der\n"), [4, 1, 5, 4]);
    assert_eq!(
        vocabulary.encode("<s> der </s> <pad> <unk>"),
        [1, 4, 1, 1, 1],
        "symbols in text are no symbols"
    );
    assert_eq!(vocabulary.decode(&[2, 4, 1, 5, 99, 3, 0]), "der <unk> hund <unk>");
    assert_eq!((vocabulary.id("<s>"), vocabulary.get("katze"), vocabulary.id("katze")), (2, None, 1));
    assert_eq!((vocabulary.word(5), vocabulary.word(6)), (Some("hund"), None));
}

#[test]
fn any_layout_and_order_is_read() {
    let text = "\u{feff}{\"der\":4, \"</s>\":3,\n \"<s>\":2,\"<unk>\" :1,\"<pad>\":0, \"hund\":\t5}\n";
    assert_eq!(Vocabulary::from_json_str(text, "v.json").expect("reads"), tiny());
}

#[test]
fn a_file_is_written_and_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vocab.src.json");
    std::fs::write(&path, "old").expect("writes");
    assert_eq!(tiny().write(&path).expect("writes"), tiny().to_json().len() as u64);
    assert_eq!(Vocabulary::read(&path).expect("reads"), tiny());
    assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 1, "no temporary file stays");
    let error = Vocabulary::read(&folder.path().join("none.json")).expect_err("must be refused");
    assert!(error.to_string().contains("none.json: cannot read the vocabulary: "), "{error}");
    std::fs::write(&path, b"{\"\xff\": 0}").expect("writes");
    let error = Vocabulary::read(&path).expect_err("must be refused");
    assert!(error.to_string().ends_with("byte 2 is not UTF-8; save the file as UTF-8"), "{error}");
}

#[test]
fn sockeye_files_are_read() {
    let path = kokanee_testkit::golden_folder().join("vocab.src.json");
    let vocabulary = Vocabulary::read(&path).expect("reads");
    // There is one word per line between the braces.
    let lines = std::fs::read_to_string(&path).expect("reads").lines().count();
    assert_eq!(vocabulary.len(), lines - 2);
    assert_eq!(vocabulary.word(3), Some("</s>"));
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let error = Vocabulary::from_json_str(text, "v.json").expect_err("must be refused");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn faulty_vocabularies_are_refused_with_word_and_line() {
    let with = |entries: &str| {
        format!("{{\n    \"<pad>\": 0,\n    \"<unk>\": 1,\n    \"<s>\": 2,\n    \"</s>\": 3,\n{entries}\n}}")
    };
    check_refused(
        &with("    \"der\": 4,\n    \"der\": 5"),
        "v.json:7: the word \"der\" stands there twice, with id 4 and again with id 5",
    );
    check_refused(
        &with("    \"der\": 4,\n    \"die\": 4"),
        "v.json:7: id 4 is given to \"die\", but \"der\" has it already; every word needs an id of its own",
    );
    check_refused(
        &with("    \"der\": 5,\n    \"die\": 7"),
        "v.json: no word has id 4, though there are 6 words and ids go up to \"die\" = 7; ids must run from 0 without \
         gaps",
    );
    for (value, shown) in [
        ("-1", "-1"),
        ("4.0", "4.0"),
        ("\"4\"", "the string \"4\""),
        ("null", "null"),
        ("true", "true"),
        ("2147483648", "2147483648"),
        (&format!("{:?}", "x".repeat(41)), &format!("the string {:?}…", "x".repeat(40))),
        ("[4]", "an array"),
        ("{\"a\": 4}", "an object"),
    ] {
        let expected =
            format!("v.json:6: the id of \"der\" is {shown}; expected a whole number from 0 to 2147483647");
        check_refused(&with(&format!("    \"der\": {value}")), &expected);
    }
    check_refused("{}", "v.json: the special symbol \"<pad>\" is missing; expected it with id 0");
    check_refused(
        "{\"<pad>\": 0, \"<unk>\": 1, \"<s>\": 2}",
        "v.json: the special symbol \"</s>\" is missing; expected it with id 3",
    );
    check_refused(
        "{\"<pad>\": 0, \"<unk>\": 1, \"<s>\": 3, \"</s>\": 2}",
        "v.json: the special symbol \"<s>\" has id 3; expected id 2",
    );
    let not_json = "expected a JSON object that gives every word an id, {\"<pad>\": 0, …}: ";
    check_refused("", &format!("v.json:1: {not_json}EOF while parsing a value at line 1 column 0"));
    check_refused(
        "[\"<pad>\"]",
        &format!(
            "v.json:1: {not_json}invalid type: sequence, expected an object of word to id at line 1 column 0"
        ),
    );
    check_refused(
        &(with("    \"der\": 4") + "\n{}"),
        &format!("v.json:8: {not_json}trailing characters at line 8 column 1"),
    );
    check_refused(&with("    \"der\" 4"), &format!("v.json:6: {not_json}expected `:` at line 6 column 11"));
}

proptest! {
    #[test]
    fn what_is_written_is_read(words in prop::collection::hash_set("\\PC{1,8}|[\\x00-\\x7f]{1,4}", 0..40)) {
        let counts = words.iter().zip(1..);
        let vocabulary = Vocabulary::build(counts, VocabularyLimits::default());
        let read = Vocabulary::from_json_str(&vocabulary.to_json(), "v.json").expect("reads");
        prop_assert_eq!(&read, &vocabulary);
        for word in &words {
            prop_assert_eq!(vocabulary.get(word).and_then(|id| vocabulary.word(id)), Some(word.as_str()));
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text: String) {
        let _ = Vocabulary::from_json_str(&text, "v.json");
    }

    #[test]
    fn arbitrary_objects_never_panic(
        words in prop::collection::vec(prop::sample::select(vec!["<pad>", "<unk>", "<s>", "</s>", "a", "b"]), 0..8),
        ids in prop::collection::vec(0..8_u32, 8),
    ) {
        let entries: Vec<_> = words.iter().zip(&ids).map(|(word, id)| format!("{word:?}: {id}")).collect();
        let _ = Vocabulary::from_json_str(&format!("{{{}}}", entries.join(",")), "v.json");
    }
}
