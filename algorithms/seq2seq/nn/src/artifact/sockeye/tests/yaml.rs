//! Tests of YAML as data: the subset that PyYAML writes, tags that name Python things, aliases, limits.

use proptest::prelude::*;

use super::super::yaml::{Content, Node, parse};
use super::*;

#[track_caller]
fn check(text: &str, expected: Result<&str, &str>) {
    match (parse(text), expected) {
        (Ok(node), Ok(expected)) => assert_eq!(node.to_text(), expected),
        (Err(message), Err(expected)) => {
            assert!(message.contains(expected), "`{message}` should contain `{expected}`");
        }
        (got, expected) => panic!("{text:?} gives {got:?}, expected {expected:?}"),
    }
}

#[test]
fn what_pyyaml_writes_is_read() {
    check("a: 1\nb:\n- x\n- y\n", Ok("a: 1\nb:\n- x\n- y\n"));
    check("!A\nb: !B\n  c: []\n  d: {}\n", Ok("!A\nb: !B\n  c: []\n  d: {}\n"));
    check(
        "a:\n- &id001 !!python/tuple\n  - 1\n  - null\n- *id001\n",
        Ok("a:\n- !!python/tuple\n  - 1\n  - null\n- !!python/tuple\n  - 1\n  - null\n"),
    );
    check("{b: 2, a: [1, 2]}", Ok("a:\n- 1\n- 2\nb: 2\n"));
    check("a: 'it''s: x'\n", Ok("a: 'it''s: x'\n"));
    check("- - 1\n  - 2\n", Ok("-\n  - 1\n  - 2\n"));
    // PyYAML breaks long lines.
    check("a: one\n  two\n", Ok("a: one two\n"));
}

#[test]
fn tags_are_words_and_nothing_else() {
    let text = "!!python/object/apply:os.system\nargs: ['touch /tmp/owned']\n";
    let node = parse(text).unwrap();
    assert_eq!(node.tag.as_deref(), Some("!!python/object/apply:os.system"));
    assert_eq!(node.kind(), Some("system"));
    let node = parse("!!python/object:sockeye.model.ModelConfig\na: 1\n").unwrap();
    assert_eq!(node.kind(), Some("ModelConfig"));
    assert!(matches!(node.content, Content::Map(_)));
}

#[test]
fn bombs_and_loops_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", ")));
    }
    check(&bomb, Err("more than 65536 values"));
    check(&"[".repeat(100), Err("more than 64 levels"));
    check(&"[".repeat(100_000), Err("not YAML"));
    check("a: &a [*a]\n", Err("an alias of something that is not complete yet"));
    check("a: *nothing\n", Err("not YAML"));
    check("? [1]\n: 2\n", Err("a key that is not a word"));
    check(&"x".repeat(2 << 20), Err("it has 2097152 bytes"));
}

fn read_anything(text: &str) {
    if let Ok(node) = parse(text) {
        // Text that was read can be written and read again.
        let again: Node = parse(&node.to_text()).unwrap_or(Node::plain(""));
        let report = RefCell::default();
        read_config::read(&again, &Adopted::default(), &report);
        read_config::read(&node, &Adopted::default(), &report);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        read_anything(&text);
    }

    #[test]
    fn no_text_of_yaml_signs_makes_it_panic(text in "[-a:!&*{}\\[\\]'\"|>%#?, \n\t@`~0.]{0,60}") {
        read_anything(&text);
    }

    #[test]
    fn no_changed_configuration_makes_it_panic(
        at in any::<prop::sample::Index>(),
        length in 0usize..30,
        put in "[-a:!&*{}\\[\\]'\" \n0]{0,6}",
    ) {
        const TEXT: &str = "!ModelConfig\nconfig_decoder: !RecurrentDecoderConfig\n  attention_config: !AttentionConfig\n    \
            type: mlp\n  rnn_config: !RNNConfig\n    cell_type: lstm\n    num_hidden: 16\nconfig_data:\n  buckets:\n  - &id001 \
            !!python/tuple\n    - null\n    - null\n  - *id001\nconfig_encoder: !ConvolutionalEncoderConfig\n  num_layers: 3\n";
        let start = at.index(TEXT.len());
        let end = (start + length).min(TEXT.len());
        read_anything(&format!("{}{put}{}", &TEXT[..start], &TEXT[end..]));
    }
}
