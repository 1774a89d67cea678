//! Tests that a row's bits do not depend on what other rows there are, where it stands, or how many threads work. A server's
//! promise that an answer does not depend on its neighbours rests on this, and on the same property of products (`gemm::packed`).

use std::ops::Range;

use super::conv::{Activation, Window};
use super::softmax::WordCost;
use super::threads::Team;
use super::{attention, conv, elementwise, rnn_cell, softmax};

const ROWS: usize = 23;
/// Not a multiple of any register, so that rows begin everywhere in a register and leave a remainder.
const UNITS: usize = 37;

fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 2_654_435_761) % 1999) as f32 / 400.0 - 2.5).collect()
}

/// Checks `kernel(team, rows)`, which returns the same number of values for each row: they must equal those that it returns for the
/// row alone.
fn check(name: &str, kernel: impl Fn(&Team, Range<usize>) -> Vec<f32>) {
    let one = Team::new(1);
    let alone: Vec<Vec<f32>> = (0..ROWS).map(|row| kernel(&one, row..row + 1)).collect();
    for threads in [1, 2, 3] {
        let team = Team::new(threads);
        for rows in [0..ROWS, 1..ROWS, 4..9, 11..ROWS] {
            let want: Vec<u32> = alone[rows.clone()].iter().flatten().map(|x| x.to_bits()).collect();
            let got: Vec<u32> = kernel(&team, rows.clone()).iter().map(|x| x.to_bits()).collect();
            assert!(!got.is_empty() && got == want, "{name}: rows {rows:?} by {threads} threads differ");
        }
    }
}

/// The sentence of each row, of 1 to 40 tokens.
fn sentences() -> Vec<Range<u32>> {
    let mut start = 0;
    let span = |row: usize| {
        let end = start + 1 + (row as u32 * 17) % 40;
        let span = start..end;
        start = end;
        span
    };
    (0..ROWS).map(span).collect()
}

/// The sentences of some rows alone, and the part of `values` (`width` per token) that belongs to their tokens.
fn part(rows: &Range<usize>, values: &[f32], width: usize) -> (Vec<Range<u32>>, Vec<f32>) {
    let all = sentences();
    let (start, end) = (all[rows.start].start, all[rows.end - 1].end);
    let spans = all[rows.clone()].iter().map(|s| s.start - start..s.end - start).collect();
    (spans, values[start as usize * width..end as usize * width].to_vec())
}

fn tokens() -> usize {
    sentences()[ROWS - 1].end as usize
}

#[test]
fn attention_of_a_row_does_not_depend_on_others() {
    let (keys, queries, v) = (numbers(tokens() * UNITS), numbers(ROWS * UNITS), numbers(UNITS));
    for mlp in [true, false] {
        check(if mlp { "mlp attention" } else { "dot attention" }, |team, rows| {
            let (spans, keys) = part(&rows, &keys, UNITS);
            let queries = &queries[rows.start * UNITS..rows.end * UNITS];
            let mut p = vec![0.0; attention::offsets(&spans)[spans.len()]];
            if mlp {
                attention::mlp_probabilities(team, &spans, &keys, queries, &v, &mut p);
            } else {
                attention::dot_probabilities(team, &spans, UNITS, &keys, queries, &mut p);
            }
            let mut contexts = vec![0.0; spans.len() * UNITS];
            attention::contexts(team, &spans, UNITS, &p, &keys, &mut contexts);
            let mut means = vec![0.0; spans.len() * UNITS];
            attention::means(team, &spans, UNITS, &keys, &mut means);
            // The values of each row, one row after the other.
            let offsets = attention::offsets(&spans);
            let row = |r: usize| {
                let wide = r * UNITS..(r + 1) * UNITS;
                [&p[offsets[r]..offsets[r + 1]], &contexts[wide.clone()], &means[wide]].concat()
            };
            (0..spans.len()).flat_map(row).collect()
        });
    }
}

#[test]
fn best_words_of_a_row_do_not_depend_on_others() {
    for (vocabulary, k) in [(601, 5), (48, 12), (7, 3)] {
        let (logits, bias) = (numbers(ROWS * vocabulary), numbers(vocabulary));
        check("best words", |team, rows| {
            let mut best = vec![WordCost { word: 0, cost: 0.0 }; rows.len() * k];
            let mut logits = logits[rows.start * vocabulary..rows.end * vocabulary].to_vec();
            softmax::best_words(team, &mut logits, &bias, k, &mut best);
            best.iter().flat_map(|b| [b.word as f32, b.cost]).collect()
        });
    }
}

#[test]
fn cells_and_activations_of_a_row_do_not_depend_on_others() {
    // Wide enough for the rows to be shared between threads.
    let units = 1037;
    let (gates, hidden) = (numbers(ROWS * 4 * units), numbers(ROWS * 3 * units));
    let (state, mask) = (numbers(ROWS * units), numbers(ROWS * units));
    let of = |x: &[f32], rows: &Range<usize>, width: usize| x[rows.start * width..rows.end * width].to_vec();
    let pairs = |a: Vec<f32>, b: Vec<f32>| -> Vec<f32> {
        a.chunks(units).zip(b.chunks(units)).flat_map(|(a, b)| [a, b].concat()).collect()
    };
    check("lstm", |team, rows| {
        let (mut gates, mask) = (of(&gates, &rows, 4 * units), of(&mask, &rows, units));
        let (mut c, mut h) = (vec![0.0; rows.len() * units], vec![0.0; rows.len() * units]);
        let before = of(&state, &rows, units);
        rnn_cell::lstm_forward(team, units, &mut gates, Some(&mask), &before, &mut c, &mut h);
        pairs(c, h)
    });
    check("gru", |team, rows| {
        let mut input = of(&gates, &rows, 3 * units);
        let mut h = vec![0.0; rows.len() * units];
        let before = of(&state, &rows, units);
        rnn_cell::gru_forward(team, units, &mut input, &of(&hidden, &rows, 3 * units), &before, &mut h);
        h
    });
    check("tanh", |team, rows| {
        let mut y = of(&state, &rows, units);
        elementwise::tanh(team, &mut y);
        y
    });
    use Activation::*;
    for activation in [Glu, Relu, SoftRelu, Sigmoid, Tanh] {
        let wide = units * activation.fan_in();
        check(&format!("{activation:?}"), |team, rows| {
            let mut y = vec![0.0; rows.len() * units];
            conv::activate(team, activation, units, &of(&gates, &rows, wide), &mut y);
            y
        });
    }
}

#[test]
fn windows_of_a_sentence_do_not_depend_on_others() {
    let x = numbers(tokens() * UNITS);
    for window in [Window::centred(3), Window::causal(3)] {
        check("windows", |team, rows| {
            let (spans, x) = part(&rows, &x, UNITS);
            let mut windows = vec![f32::NAN; x.len() * window.width];
            conv::windows(team, &spans, window, UNITS, &x, &mut windows);
            windows
        });
    }
}
