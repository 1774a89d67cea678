//! Tests of the options of a request.

use std::collections::BTreeMap;

use kokanee_contract::algorithms::seq2seq::special_ids::UNK;

use super::*;

fn answers(model: &Model, requests: &[Request]) -> Vec<Translation> {
    let team = Arc::new(Team::new(1));
    let mut decoding = Decoding::new(model, &lengths(), &team, Format::F32);
    decoding.admit(requests.iter().cloned().enumerate().map(|(i, r)| (i as Ticket, r)));
    let mut found = BTreeMap::new();
    while !decoding.is_idle() {
        found.extend(decoding.step());
    }
    found.into_values().collect()
}

/// Applies each change to greedy and beam searches: `look` gets the answer without and with the change.
fn check(change: impl Fn(&mut Request, &Hypothesis), look: impl Fn(&Request, &Hypothesis, &Hypothesis)) {
    let mut stream = Stream::new(8, "sources");
    for seed in 1..=4 {
        let model = model(seed);
        for beam in [1, 4] {
            let search = Search { nbest: 1, ..search(BeamSearchRule::Sockeye1_12, beam) };
            let request = |length| Request::new(source(&mut stream, length), search.clone());
            let mut requests: Vec<Request> = (1..=9).map(request).collect();
            let free = answers(&model, &requests);
            for (request, free) in requests.iter_mut().zip(&free) {
                change(request, &free.hypotheses[0]);
            }
            let changed = answers(&model, &requests);
            for ((request, free), changed) in requests.iter().zip(&free).zip(&changed) {
                look(request, &free.hypotheses[0], &changed.hypotheses[0]);
            }
        }
    }
}

#[test]
fn a_forced_prefix_costs_what_saying_it_freely_costs() {
    check(
        |request, free| {
            // An untrained model may emit `<s>`, which no prefix holds.
            request.prefix = free.words.iter().copied().take_while(|&word| word != BOS).take(3).collect();
        },
        // A greedy search emits the same words at the same cost; a beam can only find something as good.
        |request, free, forced| {
            assert!(forced.words.starts_with(&request.prefix));
            if request.search.beam_size == 1 {
                assert_eq!(forced, free);
            }
        },
    );
    check(
        |request, _| request.prefix = vec![9, 4, 11, 7],
        |request, _, forced| {
            assert!(forced.words.starts_with(&request.prefix));
            assert!(forced.scored_tokens >= 4 && forced.attention.len() == forced.scored_tokens);
        },
    );
}

#[test]
fn a_forced_prefix_of_other_words_has_their_naive_cost() {
    let (model, team) = (model(3), Arc::new(Team::new(1)));
    let source = [5, 9, 12, 6];
    let prefix = vec![4, 8, 5];
    let search = Search { beam_size: 1, ..search(BeamSearchRule::Sockeye1_12, 1) };
    let request =
        Request { prefix: prefix.clone(), max_length: Some(3), ..Request::new(source.to_vec(), search) };
    let found = &answers(&model, &[request])[0].hypotheses[0];
    let cost = |at: usize| costs(&model, &team, &source, &prefix[..at])[prefix[at] as usize];
    let want = (0..prefix.len()).map(cost).sum::<f64>() / prefix.len() as f64;
    assert_eq!(found.words, prefix);
    assert!((found.score - want).abs() < 1e-4, "{} {want}", found.score);
}

#[test]
fn a_forbidden_unknown_word_is_not_said() {
    use std::cell::Cell;
    let said = Cell::new(0);
    check(
        |request, _| request.forbid_unk = true,
        |_, free, without| {
            let count = |h: &Hypothesis| h.words.iter().filter(|&&w| w == UNK).count();
            said.set(said.get() + count(free));
            assert_eq!(count(without), 0);
            if count(free) == 0 && free.score == without.score {
                assert_eq!(free.words, without.words);
            }
        },
    );
    assert!(said.get() > 0, "the models never say it anyway");
}

#[test]
fn answers_are_no_longer_than_allowed() {
    check(
        |request, _| request.max_length = Some(2),
        |request, free, short| {
            assert!(short.words.len() <= 2);
            if request.search.beam_size == 1 {
                assert_eq!(short.words, free.words[..free.words.len().min(2)]);
            }
        },
    );
}

#[test]
fn a_shortlist_of_all_words_changes_nothing_and_a_short_one_is_kept() {
    check(
        |request, _| request.shortlist = Some((0..VOCABULARY as u32).rev().collect()),
        |_, free, listed| assert_eq!(listed, free),
    );
    check(
        |request, _| (request.shortlist, request.prefix) = (Some([9, 4, 9].into()), vec![7]),
        |_, _, listed| {
            assert!(listed.words[0] == 7 && listed.words[1..].iter().all(|word| [4, 7, 9].contains(word)));
        },
    );
}

#[test]
fn a_shortlist_is_all_there_is_to_the_softmax() {
    let (model, team) = (model(2), Arc::new(Team::new(1)));
    let source = [8, 4, 15];
    let search = Search { beam_size: 1, ..search(BeamSearchRule::Sockeye1_12, 1) };
    let shortlist = Some([5, 6, 10].into());
    let request = Request { shortlist, ..Request::new(source.to_vec(), search) };
    let found = &answers(&model, &[request])[0].hypotheses[0];
    let mut total = 0.0;
    for at in 0..found.scored_tokens {
        let costs = costs(&model, &team, &source, &found.words[..at]);
        let sum: f64 = [EOS, 5, 6, 10].iter().map(|&word| (-costs[word as usize]).exp()).sum();
        let said = found.words.get(at).copied().unwrap_or(EOS);
        total += costs[said as usize] + sum.ln();
    }
    let want = total / found.scored_tokens as f64;
    assert!((found.score - want).abs() < 1e-4, "{} {want}", found.score);
}

#[test]
fn long_sources_take_conditions_too() {
    let mut stream = Stream::new(10, "long");
    let search = search(BeamSearchRule::Sockeye1_12, 3);
    let whole = Request::new(source(&mut stream, 25), search);
    let request = Request { prefix: vec![6, 11], max_length: Some(7), ..whole };
    let found = &answers(&model(4), &[request])[0].hypotheses;
    assert_eq!(found.len(), 1);
    assert!(found[0].words.starts_with(&[6, 11]) && found[0].words.len() <= 7);
    assert!(found[0].attention.len() == found[0].words.len());
}

#[test]
fn what_is_cancelled_frees_its_place_and_gives_no_answer() {
    let mut stream = Stream::new(9, "sources");
    let search = search(BeamSearchRule::Sockeye1_12, 3);
    // With three prescribed words, no request is answered before the third step.
    let mut request = |length| Request {
        prefix: vec![4, 5, 6],
        ..Request::new(source(&mut stream, length), search.clone())
    };
    let requests: Vec<Request> = (0..12).map(|i| request(9 + i % 3 * 9)).collect();
    let model = model(6);
    let want = answers(&model, &requests);
    let mut decoding =
        Decoding::new(&model, &lengths(), &Arc::new(Team::new(1)), Format::F32).with_window(30);
    decoding.admit(requests.into_iter().enumerate().map(|(i, r)| (i as Ticket, r)));
    decoding.cancel(11);
    decoding.cancel(99);
    assert!(decoding.step().is_empty() && decoding.step().is_empty());
    assert!(decoding.waiting() > 0, "some have not entered");
    let (rows, sentences) = (decoding.rows(), decoding.sentences());
    for ticket in [0, 2, 5] {
        decoding.cancel(ticket);
    }
    assert!(decoding.rows() < rows && decoding.sentences() == sentences - 3);
    let mut found = BTreeMap::new();
    while !decoding.is_idle() {
        found.extend(decoding.step());
    }
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 3, 4, 6, 7, 8, 9, 10]);
    for (ticket, translation) in found {
        assert_eq!(translation.hypotheses, want[ticket as usize].hypotheses);
    }
    assert_eq!((decoding.rows(), decoding.waiting()), (0, 0));
}

/// More tokens than are encoded at a time, in one source and in several.
#[test]
fn very_long_sources_enter_like_others() {
    let (model, team) = (model(5), Arc::new(Team::new(1)));
    let lengths = LengthStatistics { longest_source: 3000, ..lengths() };
    let mut stream = Stream::new(12, "sources");
    let search = search(BeamSearchRule::Sockeye1_12, 2);
    let mut request = |length| Request {
        prefix: vec![4, 5],
        max_length: Some(5),
        ..Request::new(source(&mut stream, length), search.clone())
    };
    let requests = [4, 2500, 3, 1200, 900, 3000, 5].map(&mut request);
    let mut decoding = Decoding::new(&model, &lengths, &team, Format::F32);
    decoding.admit((0..).zip(requests.iter().cloned()));
    assert!(decoding.step().is_empty() && decoding.waiting() == 0, "all enter at once");
    let mut together = BTreeMap::new();
    while !decoding.is_idle() {
        together.extend(decoding.step());
    }
    for (request, together) in requests.iter().zip(together.values()) {
        decoding.admit([(9, request.clone())]);
        let alone = std::iter::repeat_with(|| decoding.step()).find_map(|mut answers| answers.pop());
        assert_eq!(alone.unwrap().1.hypotheses, together.hypotheses);
    }
}

#[test]
fn requests_that_cannot_be_answered_are_refused() {
    let model = model(1);
    let check = |change: fn(&mut Request), expected: &str| {
        let mut request = Request::new(vec![4, 5], Search::default());
        change(&mut request);
        let said = request.check(model.config()).map_or_else(|e| e.to_string(), |()| "fine".to_owned());
        assert!(said.contains(expected), "`{said}` should contain `{expected}`");
    };
    check(|_| (), "fine");
    check(|r| r.source.push(20), "source word 2 has the id 20, but ids are less than 20");
    check(|r| r.prefix = vec![4, EOS], "prefix word 1 has the id 3, but words have ids less than 12");
    check(|r| r.prefix = vec![12], "prefix word 0 has the id 12, but words have ids less than 12");
    check(
        |r| (r.prefix, r.max_length) = (vec![4; 5], Some(4)),
        "the prefix has 5 words, but answers have at most 4",
    );
    check(|r| r.shortlist = Some([4, 12].into()), "the shortlist holds the id 12, but ids are less than 12");
    check(|r| r.search.beam_size = 0, "the beam size is 0");
    check(|r| r.max_length = Some(0), "0 words");
}
