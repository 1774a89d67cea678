use super::*;
use crate::{Dimension, Goal, Outcome, Scale, WarmStart};
use proptest::prelude::{Just, ProptestConfig, prop_assert_eq, prop_oneof, proptest};

fn mixed() -> Space {
    Space::new(vec![
        Dimension::continuous("rate", 1e-4, 1e-1, Scale::Auto),
        Dimension::integer("layers", 1, 3, Scale::Auto),
        Dimension::categorical("kind", ["a", "b"]),
    ])
    .unwrap()
}

/// A space of four configurations.
fn tiny() -> Space {
    Space::new(vec![
        Dimension::categorical("kind", ["a", "b"]),
        Dimension::integer("layers", 1, 2, Scale::Auto),
    ])
    .unwrap()
}

fn options(strategy: Strategy) -> Options {
    Options::bayesian(Goal::Minimize).with_strategy(strategy)
}

#[track_caller]
fn configuration(suggestion: Result<Suggestion, SuggestError>) -> Vec<Value> {
    match suggestion {
        Ok(Suggestion::Configuration(values)) => values,
        other => panic!("{other:?}"),
    }
}

/// A loss with its least value at rate 1e-2, two layers, kind b.
fn loss(values: &[Value]) -> f64 {
    match values {
        [Value::Real(rate), Value::Integer(layers), Value::Category(kind)] => {
            (rate.log10() + 2.0).powi(2) + (layers - 2).pow(2) as f64 + if *kind == 1 { 0.0 } else { 0.5 }
        }
        other => panic!("{other:?}"),
    }
}

fn run(
    space: &Space,
    options: &Options,
    seed: u64,
    n: usize,
    outcome: impl Fn(&[Value]) -> Outcome,
) -> Vec<Trial> {
    let mut trials = Vec::new();
    for _ in 0..n {
        let values = configuration(suggest(space, &trials, options, seed));
        let outcome = outcome(&values);
        trials.push(Trial::new(values, outcome));
    }
    trials
}

fn best(trials: &[Trial]) -> f64 {
    trials.iter().filter_map(Trial::value).fold(f64::INFINITY, f64::min)
}

#[test]
fn every_strategy_goes_through_a_small_space_once_and_says_so() {
    for strategy in [Strategy::Bayesian, Strategy::Random, Strategy::Grid, Strategy::Hyperband] {
        for outcome in [Outcome::Finished(1.0), Outcome::Failed, Outcome::Running, Outcome::Stopped(None)] {
            let trials = run(&tiny(), &options(strategy), 5, 4, |_| outcome);
            for (place, trial) in trials.iter().enumerate() {
                assert!(trials[..place].iter().all(|other| other.values != trial.values), "{trials:?}");
            }
            let end = suggest(&tiny(), &trials, &options(strategy), 5);
            assert_eq!(end, Ok(Suggestion::Exhausted { configurations: 4 }));
        }
    }
}

#[test]
fn a_grid_goes_through_its_lists_in_order() {
    let trials = run(&tiny(), &options(Strategy::Grid), 0, 4, |_| Outcome::Running);
    let space = tiny();
    let order: Vec<_> = trials.iter().map(|trial| space.print(&trial.values)).collect();
    let text: Vec<String> = order.iter().map(|pairs| format!("{}{}", pairs[0].1, pairs[1].1)).collect();
    assert_eq!(text, ["a1", "a2", "b1", "b2"]);
    let error = suggest(&mixed(), &[], &options(Strategy::Grid), 0).unwrap_err().to_string();
    assert!(error.starts_with("hyperparameter rate: grid search needs values to go through"), "{error}");
    let huge = (0..3).map(|i| Dimension::integer(format!("x{i}"), 0, 1 << 40, Scale::Linear)).collect();
    let error = suggest(&Space::new(huge).unwrap(), &[], &options(Strategy::Grid), 0);
    assert_eq!(error, Err(SuggestError::HugeGrid));
}

#[test]
fn history_and_seed_decide_and_different_seeds_differ() {
    for strategy in [Strategy::Bayesian, Strategy::Random, Strategy::Hyperband] {
        let outcome = |values: &[Value]| Outcome::Finished(loss(values));
        let trials = run(&mixed(), &options(strategy), 1, 8, outcome);
        assert_eq!(trials, run(&mixed(), &options(strategy), 1, 8, outcome));
        let other = run(&mixed(), &options(strategy), 2, 8, outcome);
        assert!(trials[0].values != other[0].values);
    }
}

#[test]
fn bayesian_finds_what_random_search_does_not() {
    let outcome = |values: &[Value]| Outcome::Finished(loss(values));
    for seed in 0..3 {
        let bayesian = best(&run(&mixed(), &options(Strategy::Bayesian), seed, 20, outcome));
        let random = best(&run(&mixed(), &options(Strategy::Random), seed, 20, outcome));
        assert!(bayesian < 1e-3 && bayesian < random, "seed {seed}: {bayesian} and {random}");
    }
}

#[test]
fn maximisation_is_minimisation_of_the_negative() {
    let low = run(&mixed(), &options(Strategy::Bayesian), 3, 9, |v| Outcome::Finished(loss(v)));
    let maximize = Options { goal: Goal::Maximize, ..options(Strategy::Bayesian) };
    let high = run(&mixed(), &maximize, 3, 9, |v| Outcome::Finished(-loss(v)));
    let values = |trials: &[Trial]| trials.iter().map(|trial| trial.values.clone()).collect::<Vec<_>>();
    assert_eq!(values(&low), values(&high));
}

#[test]
fn running_trials_keep_others_away() {
    let mut trials = run(&mixed(), &options(Strategy::Bayesian), 4, 10, |v| Outcome::Finished(loss(v)));
    let mut rates: Vec<f64> = Vec::new();
    for _ in 0..4 {
        let values = configuration(suggest(&mixed(), &trials, &options(Strategy::Bayesian), 4));
        rates.push(mixed().encode(&values)[0] + f64::from(u8::from(values[2] == Value::Category(0))));
        trials.push(Trial::new(values, Outcome::Running));
    }
    rates.sort_by(f64::total_cmp);
    assert!(rates.windows(2).all(|pair| pair[1] - pair[0] > 1e-5), "{rates:?}");
}

#[test]
fn where_trials_fail_no_more_are_sent() {
    // The better half of the space fails: a model of losses alone would suggest it every time.
    let outcome = |values: &[Value]| match values[2] {
        Value::Category(1) => Outcome::Failed,
        _ => Outcome::Finished(loss(values)),
    };
    let trials = run(&mixed(), &options(Strategy::Bayesian), 6, 30, outcome);
    let failed = trials[10..].iter().filter(|trial| trial.outcome == Outcome::Failed).count();
    assert!(failed <= 4, "{failed} of the last 20 failed");
    assert!(best(&trials) < 0.51, "{}", best(&trials));
}

#[test]
fn values_of_any_size_and_none_are_lived_with() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1e-300, 0.0, 1.0, 1.0, 1.0];
    let mut trials: Vec<Trial> = Vec::new();
    for value in odd.into_iter().chain(odd) {
        let values = configuration(suggest(&mixed(), &trials, &options(Strategy::Bayesian), 8));
        trials.push(Trial::new(values, Outcome::Finished(value)));
    }
    // All trials failed, or all values are equal.
    for value in [f64::NAN, 2.0] {
        run(&mixed(), &options(Strategy::Bayesian), 9, 12, |_| Outcome::Finished(value));
    }
    run(&mixed(), &options(Strategy::Bayesian), 9, 12, |_| Outcome::Running);
}

#[test]
fn trials_of_another_space_are_refused_or_left_out() {
    let outside = vec![Value::Real(5.0), Value::Integer(1), Value::Category(0)];
    let own = Trial::new(outside.clone(), Outcome::Finished(1.0));
    let error = suggest(&mixed(), std::slice::from_ref(&own), &options(Strategy::Random), 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "trial 0 of the history: hyperparameter rate: 5 is not a number from 0.0001 to 0.1"
    );
    let parent = Trial { source: Source::Parent(0), ..own };
    let with = suggest(&mixed(), &[parent], &options(Strategy::Bayesian), 0);
    assert_eq!(with, suggest(&mixed(), &[], &options(Strategy::Bayesian), 0));
}

/// A parent's trials, with losses that are `scale` times this tuning's plus `offset`.
fn parents(scale: f64, offset: f64) -> Vec<Trial> {
    let trials =
        run(&mixed(), &options(Strategy::Random), 77, 25, |v| Outcome::Finished(scale * loss(v) + offset));
    trials.into_iter().map(|trial| Trial { source: Source::Parent(0), ..trial }).collect()
}

#[test]
fn parents_of_either_kind_of_warm_start_save_trials() {
    for (warm_start, scale, offset) in
        [(WarmStart::IdenticalDataAndAlgorithm, 1.0, 0.0), (WarmStart::TransferLearning, 40.0, 1e4)]
    {
        let options = Options { warm_start, ..options(Strategy::Bayesian) };
        let mut trials = parents(scale, offset);
        for _ in 0..4 {
            let values = configuration(suggest(&mixed(), &trials, &options, 1));
            let loss = loss(&values);
            trials.push(Trial::new(values, Outcome::Finished(loss)));
        }
        assert!(best(&trials[25..]) < 0.05, "{warm_start:?}: {:?}", &trials[25..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn suggestions_are_of_the_space_and_new(
        dimensions in (crate::space::tests::dimension("a"), crate::space::tests::dimension("b"), crate::space::tests::dimension("c")),
        strategy in prop_oneof![Just(Strategy::Bayesian), Just(Strategy::Random)],
        seed in 0..u64::MAX,
    ) {
        let space = Space::new(vec![dimensions.0, dimensions.1, dimensions.2]).unwrap();
        let mut trials: Vec<Trial> = Vec::new();
        for place in 0..9 {
            let suggestion = suggest(&space, &trials, &options(strategy), seed).unwrap();
            prop_assert_eq!(&suggestion, &suggest(&space, &trials, &options(strategy), seed).unwrap());
            let Suggestion::Configuration(values) = suggestion else {
                prop_assert_eq!(space.size(), Some(trials.len() as u64));
                return Ok(());
            };
            prop_assert_eq!(space.check(&values), Ok(()));
            if space.size().is_some() {
                proptest::prop_assert!(trials.iter().all(|trial| trial.values != values));
            }
            let outcome = match place % 4 {
                0 => Outcome::Failed,
                1 => Outcome::Running,
                _ => Outcome::Finished(space.encode(&values).iter().sum()),
            };
            trials.push(Trial::new(values, outcome));
        }
    }
}
