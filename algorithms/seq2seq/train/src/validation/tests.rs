use std::cell::Cell;

use kokanee_seq2seq_nn::ModelConfig;
use kokanee_seq2seq_nn::init::Initialisation;

use super::*;
use crate::trainer::tests::{data, hyperparameters};

const LENGTHS: LengthStatistics = LengthStatistics {
    ratio_mean: 1.2,
    ratio_std: 0.2,
    longest_source: 8,
    longest_target: 8,
    bucket_width: 10,
};

fn model(h: &Hyperparameters, team: &Team) -> Model {
    let config = ModelConfig::new(h, 9, 9).unwrap();
    Model::new(config, &Initialisation::from(h), team).unwrap()
}

#[test]
fn every_pair_counts_once_and_alone() {
    let h = hyperparameters(&[]);
    let team = Arc::new(Team::new(2));
    let model = model(&h, &team);
    let corpus = data(3).train;
    let (mut nll, mut correct, mut tokens) = (0.0, 0, 0);
    for pair in 0..corpus.len() {
        let batch = model.batch([(corpus.source(pair), corpus.target(pair))]);
        for token in model.loss(&team, &batch).tokens {
            nll += f64::from(token.nll);
            correct += u64::from(token.correct);
            tokens += 1;
        }
    }
    let validation = Validation::new(corpus, &h, LENGTHS);
    let measures = validation.measure(&model, &team, Extent::Full, &|| true).unwrap().unwrap();
    assert_eq!(measures.target_tokens, tokens);
    assert_eq!(measures.accuracy, Some(correct as f64 / tokens as f64));
    assert_eq!(measures.bleu, None);
    let want = (nll / tokens as f64).exp();
    let got = measures.perplexity.unwrap();
    assert!((got / want - 1.0).abs() < 1e-6, "{got} for {want}");
}

/// Checks how many of 30 pairs are decoded, and whether measuring them gives a BLEU.
#[track_caller]
fn check_sample(set: &[(&str, &str)], pairs: usize) {
    let h = hyperparameters(set);
    let team = Arc::new(Team::new(1));
    let validation = Validation::new(data(3).train, &h, LENGTHS);
    assert_eq!(validation.decoded_pairs(), pairs, "{set:?}");
    let model = model(&h, &team);
    let measure = |extent| validation.measure(&model, &team, extent, &|| true).unwrap().unwrap();
    assert_eq!(measure(Extent::Full).bleu.is_some(), pairs > 0, "{set:?}");
    assert_eq!(measure(Extent::WithoutBleu).bleu, None);
}

#[test]
fn bleu_is_measured_as_asked() {
    check_sample(&[], 0);
    check_sample(&[("bleu_sample_size", "4")], 4);
    check_sample(&[("bleu_sample_size", "400")], 30);
    check_sample(&[("bleu_sample_size", "-1")], 30);
    check_sample(&[("optimized_metric", "bleu")], 30);
    check_sample(&[("optimized_metric", "bleu"), ("bleu_sample_size", "7")], 7);
}

#[test]
fn measuring_ends_when_there_is_no_time() {
    let h = hyperparameters(&[("bleu_sample_size", "-1")]);
    let team = Arc::new(Team::new(1));
    let validation = Validation::new(data(3).train, &h, LENGTHS);
    let model = model(&h, &team);
    // One check before the only batch, and one before the only group of sentences to decode.
    for (yes, done) in [(0u32, false), (1, false), (2, true)] {
        let left = Cell::new(yes);
        let go_on = || {
            let more = left.get() > 0;
            left.set(left.get().saturating_sub(1));
            more
        };
        let measured = validation.measure(&model, &team, Extent::Full, &go_on).unwrap();
        assert_eq!(measured.is_some(), done, "after {yes} times yes");
    }
}

#[test]
fn a_diverged_model_has_no_perplexity() {
    let mut sums = TokenSums::default();
    assert_eq!(sums.measures(), Measures::default());
    sums.add(&[TokenLoss { nll: 0.5, correct: true }, TokenLoss { nll: 100.0, correct: false }]);
    // The probability of the second is floored at 1e-10.
    let want = ((0.5 + 10.0 * 10f64.ln()) / 2.0).exp();
    assert!((sums.measures().perplexity.unwrap() / want - 1.0).abs() < 1e-12);
    sums.add(&[TokenLoss { nll: f32::NAN, correct: false }]);
    assert_eq!(sums.measures().perplexity, None);
    assert_eq!(sums.measures().accuracy, Some(1.0 / 3.0));
}
