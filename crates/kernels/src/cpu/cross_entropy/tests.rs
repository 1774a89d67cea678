use std::sync::Mutex;

use super::super::gemm::stored_numbers;
use super::*;

/// Numbers from -1 to 1 that look random.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0).collect()
}

struct Case {
    rows: usize,
    depth: usize,
    vocabulary: usize,
    /// Factor of the hidden vectors: determines how far logits are apart.
    spread: f32,
    smoothing: f32,
}

/// Checks that losses and gradients are those of the definition, in f64 from the logits of the same precision.
#[track_caller]
fn check(case: &Case) {
    let &Case { rows, depth, vocabulary, spread, smoothing } = case;
    let hidden: Vec<f32> = numbers(rows * depth, 1).into_iter().map(|x| x * spread).collect();
    let (weight, bias) = (numbers(vocabulary * depth, 2), numbers(vocabulary, 3));
    let labels: Vec<u32> = (0..rows).map(|row| (row * 31 % vocabulary) as u32).collect();
    let layer = OutputLayer { hidden: &hidden, weight: &weight, bias: &bias };
    let gradient = LossGradient { scale: 0.5, smoothing };
    for precision in [Precision::F32, Precision::Bf16] {
        // Computed by the same kernel: another may add up a logit in another order.
        let (a, b) = (Mat::new(&hidden, rows, depth), Mat::new(&weight, vocabulary, depth).t());
        let logits = Mutex::new(vec![0.0; rows * vocabulary]);
        gemm_into(&Team::new(1), precision, a, b, &|mut piece: Piece<'_>| {
            let cols = piece.cols.clone();
            for (row, sums) in piece.by_rows() {
                let start = row * vocabulary;
                logits.lock().unwrap()[start + cols.start..start + cols.end].copy_from_slice(sums);
            }
        });
        let logits = logits.into_inner().unwrap();
        let mut results = Vec::new();
        for threads in [1, 2, 3] {
            let team = Team::new(threads);
            let mut tokens = vec![TokenLoss::default(); rows];
            losses(&team, precision, layer, &labels, &mut tokens);
            let alone = std::mem::replace(&mut tokens, vec![TokenLoss::default(); rows]);
            let mut got = vec![f32::NAN; rows * precision.stored(vocabulary)];
            let (mut factors, mut d_bias) = (vec![0.0; rows], vec![1.0; vocabulary]);
            let to = LogitGradients { rows: &mut got, factors: &mut factors };
            gradients(&team, precision, layer, &labels, gradient, &mut tokens, to, &mut d_bias);
            assert_eq!(tokens, alone, "{precision:?}");
            let got = stored_numbers(precision, &got, rows, vocabulary);
            results.push((tokens, got, factors, d_bias));
        }
        assert!(results.iter().all(|result| *result == results[0]), "as many threads as there are");
        let (tokens, got, factors, d_bias) = &results[0];
        let mut sums = vec![1.0; vocabulary];
        for row in 0..rows {
            let of_row = row * vocabulary..(row + 1) * vocabulary;
            let logits: Vec<f32> = logits[of_row.clone()].iter().zip(&bias).map(|(x, b)| x + b).collect();
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let exps = logits.iter().map(|&x| f64::from(x - largest).exp());
            let sum: f64 = exps.clone().sum();
            let label = labels[row] as usize;
            let context = format!("{precision:?}, {vocabulary} words, row {row}");
            let nll = sum.ln() + f64::from(largest) - f64::from(logits[label]);
            let bound = 1e-5 + 1e-6 * nll;
            assert!(
                (f64::from(tokens[row].nll) - nll).abs() < bound,
                "{context}: {:?}, not {nll}",
                tokens[row]
            );
            let best = logits.iter().position(|&x| x == largest);
            assert_eq!(tokens[row].correct, best == Some(label), "{context}");
            for (word, exp) in exps.enumerate() {
                let others = f64::from(smoothing) / (vocabulary.max(2) - 1) as f64;
                let target = if word == label { 1.0 - f64::from(smoothing) } else { others };
                let p = exp / sum;
                let want = 0.5 * (p - target);
                let value = f64::from(got[row * vocabulary + word] * factors[row]);
                let bound = match precision {
                    // The kernel for other shapes may add up a logit in another order.
                    Precision::F32 => 1e-6 * (2.0 + f64::from(largest.abs())),
                    // Numbers are rounded once, and once more where something was subtracted.
                    Precision::Bf16 => 0.5 * (p + target) / 128.0 + 1e-6,
                };
                assert!((value - want).abs() <= bound, "{context}, word {word}: {value}, not {want}");
                sums[word] += got[row * vocabulary + word] * factors[row];
            }
        }
        for (word, (got, want)) in d_bias.iter().zip(&sums).enumerate() {
            assert!((got - want).abs() < 1e-5 * rows as f32, "{precision:?}, bias {word}: {got}, not {want}");
        }
    }
}

#[test]
fn losses_and_gradients_equal_their_definition() {
    for (rows, depth, vocabulary) in
        [(7, 5, 1), (7, 5, 2), (7, 5, 37), (3, 16, 300), (40, 8, 65), (13, 600, 129), (2, 3, 1000)]
    {
        for smoothing in [0.0, 0.1] {
            let smoothing = if vocabulary > 1 { smoothing } else { 0.0 };
            check(&Case { rows, depth, vocabulary, spread: 1.0, smoothing });
        }
    }
}

#[test]
fn labels_that_are_next_to_impossible_have_their_loss() {
    check(&Case { rows: 12, depth: 40, vocabulary: 200, spread: 40.0, smoothing: 0.0 });
}

#[test]
fn the_first_of_equals_is_the_best() {
    let team = Team::new(2);
    let (vocabulary, equal) = (700, [3, 64, 500]);
    let mut bias = vec![0.0; vocabulary];
    equal.iter().for_each(|&word| bias[word] = 2.0);
    let weight = vec![0.0; vocabulary];
    let labels = equal.map(|word| word as u32);
    let mut tokens = [TokenLoss::default(); 3];
    let layer = OutputLayer { hidden: &[1.0; 3], weight: &weight, bias: &bias };
    losses(&team, Precision::F32, layer, &labels, &mut tokens);
    assert_eq!(tokens.map(|token| token.correct), [true, false, false]);
}

#[test]
fn no_number_and_no_row_do_not_panic() {
    let team = Team::new(2);
    let (weight, bias) = ([f32::NAN, f32::INFINITY, 1.0], [0.0; 3]);
    let layer = OutputLayer { hidden: &[1.0], weight: &weight, bias: &bias };
    let mut tokens = [TokenLoss::default()];
    losses(&team, Precision::F32, layer, &[2], &mut tokens);
    assert!(!tokens[0].nll.is_finite());
    losses(&team, Precision::F32, OutputLayer { hidden: &[], ..layer }, &[], &mut []);
}
