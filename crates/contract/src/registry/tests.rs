use std::collections::BTreeMap;

use regex::Regex;

use super::*;
use crate::channels::{Distribution, InputMode};

#[test]
fn algorithms_are_found_by_the_names_of_their_images() {
    for contract in ALGORITHMS {
        assert_eq!(algorithm(contract.name).map(|found| found.title), Some(contract.title));
    }
    assert!(algorithm("K-Means").is_none());
    let check = |name: &str, text: &str| {
        let error = expect_algorithm(name).unwrap_err().to_string();
        assert_eq!(error, format!("there is no algorithm \"{text}"));
    };
    check("k-means", "k-means\": expected one of seq2seq, kmeans; did you mean `kmeans`?");
    check("zz\n", "zz\\n\": expected one of seq2seq, kmeans");
}

#[test]
fn names_are_those_of_images_and_come_once() {
    let mut names: Vec<&str> = ALGORITHMS.iter().map(|contract| contract.name).collect();
    assert_eq!(names[0], "seq2seq", "the default comes first");
    assert!(names.iter().all(|name| {
        name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ALGORITHMS.len());
}

#[test]
fn every_contract_is_sound() {
    for contract in ALGORITHMS {
        let name = contract.name;
        assert!(contract.summary.ends_with('.') && !contract.summary.contains('\n'), "{name}");
        assert!(!contract.accepts.is_empty() && !contract.answers.is_empty(), "{name}");
        assert!(contract.channels.iter().any(|channel| channel.required), "{name}");
        for channel in contract.channels {
            assert!(
                channel.content_types.contains(&channel.default_content_type),
                "{name}: {}",
                channel.name
            );
            assert!(channel.modes.contains(&InputMode::File), "{name}: {}", channel.name);
            assert!(
                channel.distributions.contains(&Distribution::FullyReplicated),
                "{name}: {}",
                channel.name
            );
            let takes_all = InputMode::ALL.iter().all(|mode| channel.modes.contains(mode));
            assert_eq!(takes_all, channel.mode_reason.is_empty(), "{name}: {}", channel.name);
            assert_eq!(contract.channel(channel.name).map(|found| found.doc), Some(channel.doc));
        }
        for metric in contract.metrics {
            assert!(metric.name.contains(':'), "{name}: {}", metric.name);
            assert_eq!(Regex::new(metric.regex).unwrap().captures_len(), 2, "{name}: {}", metric.name);
            assert_eq!(contract.metric(metric.name), Some(metric), "{name}: {} comes twice", metric.name);
        }
        for spec in contract.hyperparameters {
            assert_eq!(contract.hyperparameter(spec.name).map(|found| found.doc), Some(spec.doc));
        }
    }
}

#[test]
fn requests_are_checked_without_their_type() {
    let given = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let kmeans = algorithm("kmeans").unwrap();
    assert_eq!((kmeans.check)(&given(&[("k", "2")])), Ok(Vec::new()));
    assert_eq!((kmeans.check)(&given(&[("k", "2"), ("_kvstore", "x")])).unwrap().len(), 1);
    assert!((kmeans.check)(&given(&[])).is_err());
    assert_eq!((algorithm("seq2seq").unwrap().check)(&given(&[])), Ok(Vec::new()));
}
