//! Lists equal those of a sorted set of keys, however they are paged.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A list computed from its definition.
fn reference(keys: &BTreeSet<String>, prefix: &str, delimiter: &str, after: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix) && key.as_str() > after) {
        let end = key[prefix.len()..].find(delimiter).filter(|_| !delimiter.is_empty());
        let item = end.map_or(key.as_str(), |end| &key[..prefix.len() + end + delimiter.len()]);
        let is_listed = end.is_some() && (item == after || all.last().is_some_and(|last| last == item));
        if !is_listed {
            all.push(item.to_owned());
        }
    }
    all
}

fn pages(place: &Place, mut request: ListRequest) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let page = place.store.list("bucket", &request).unwrap();
        let mut items: Vec<String> = page.objects.iter().map(|(key, _)| key.clone()).collect();
        items.extend(page.prefixes);
        items.sort();
        assert!(items.len() <= request.limit);
        all.extend(items);
        match page.next {
            Some(next) => request.after = next,
            None => return all,
        }
    }
}

fn check(keys: &[&str]) {
    let place = Place::new();
    let set: BTreeSet<String> = keys.iter().map(|&key| key.to_owned()).collect();
    for key in &set {
        place.put(key, b"");
    }
    let long = "x".repeat(197);
    for prefix in ["", "a", "a/", "a/b", "a/b/", "/", "a//", "é", "zz", "x", &long] {
        for delimiter in ["", "/", "b", "//"] {
            for after in ["", "a", "a/", "a/b", "a-b", "b", &format!("{long}/")] {
                let want = reference(&set, prefix, delimiter, after);
                for limit in [1, 2, 1000] {
                    let request = ListRequest {
                        prefix: prefix.into(),
                        delimiter: delimiter.into(),
                        after: after.into(),
                        limit,
                    };
                    assert_eq!(pages(&place, request.clone()), want, "{request:?}");
                }
            }
        }
    }
}

#[test]
fn keys_are_listed_by_their_bytes_whatever_lies_in_folders() {
    let (long, longer) = ("x".repeat(197), "x".repeat(400));
    check(&[
        "a",
        "a-b",
        "a.b",
        "a/",
        "a/b",
        "a/b/c",
        "a/b!",
        "a0",
        "a//b",
        "/a",
        "b",
        "é/1",
        "é",
        "..",
        "../a",
        "A",
        "a\0",
        "a/b/..",
        &long,
        &longer,
        &format!("{long}/1"),
        &format!("{long}!"),
        &format!("{long}!/2"),
        &format!("{long}é/3"),
    ]);
    check(&[]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn random_keys_are_listed_as_a_set_would_be(keys in proptest::collection::btree_set("[ab/.%é-]{1,6}", 0..12)) {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        check(&keys);
    }
}

#[test]
fn a_folder_of_more_files_than_are_held_is_listed_whole() {
    let place = Place::new();
    let names: Vec<String> = (0..10_000).map(|number| format!("part-{number:05}")).collect();
    std::fs::create_dir(place.path("bucket/many")).unwrap();
    for name in &names {
        std::fs::write(place.path(&format!("bucket/many/{name}")), "").unwrap();
    }
    place.put("other/x", b"");
    let request =
        |delimiter: &str| ListRequest { delimiter: delimiter.into(), limit: 1000, ..ListRequest::default() };
    let found = pages(&place, request(""));
    assert!(found.iter().zip(&names).all(|(key, name)| *key == format!("many/{name}")));
    assert_eq!((found.len(), found.last().map(String::as_str)), (10_001, Some("other/x")));
    assert_eq!(pages(&place, request("/")), ["many/", "other/"]);
}
