//! The transforms around plain products, beside the definition of a convolution and of its gradients.

use std::ops::Range;

use super::*;
use crate::cpu::gemm::stored_numbers;

/// Multiples of 1/32 in [-1, 1): sums of three of them still are bf16 numbers.
fn numbers(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| (((i + seed) * 2_654_435_761) % 65_521 % 64) as f32 / 32.0 - 1.0).collect()
}

/// `A B'`, of `a` m x k and `b` n x k.
fn product(a: &[f32], b: &[f32], [m, n, k]: [usize; 3]) -> Vec<f32> {
    let dot =
        |i: usize, j: usize| (0..k).map(|l| f64::from(a[i * k + l]) * f64::from(b[j * k + l])).sum::<f64>();
    (0..m * n).map(|at| dot(at / n, at % n) as f32).collect()
}

/// `x` m x n as n x m.
fn transposed(x: &[f32], m: usize, n: usize) -> Vec<f32> {
    (0..m * n).map(|at| x[at % m * n + at / m]).collect()
}

fn refs(x: &[Vec<f32>; PRODUCTS]) -> [&[f32]; PRODUCTS] {
    x.each_ref().map(Vec::as_slice)
}

/// Room that nothing may be read from, for operands of `count` rows, stored for products in `precision`.
fn room(precision: Precision, count: usize, widths: [usize; PRODUCTS]) -> [Vec<f32>; PRODUCTS] {
    widths.map(|width| vec![f32::NAN; count * precision.stored(width)])
}

/// The numbers of operands of `count` rows.
fn numbers_of(
    precision: Precision,
    stored: &[Vec<f32>; PRODUCTS],
    count: usize,
    widths: [usize; PRODUCTS],
) -> [Vec<f32>; PRODUCTS] {
    std::array::from_fn(|i| stored_numbers(precision, &stored[i], count, widths[i]))
}

struct Case {
    window: Window,
    spans: Vec<Range<u32>>,
    units: usize,
    outputs: usize,
}

/// A convolution and its gradients, in this order: y, dx, d_weight.
type Results = [Vec<f32>; 3];

impl Case {
    fn tokens(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end as usize)
    }

    fn operands(&self) -> [Vec<f32>; 4] {
        let (tokens, weight) = (self.tokens(), self.outputs * self.units * self.window.width);
        [tokens * self.units, weight, self.outputs, tokens * self.outputs].map(|len| numbers(len, len))
    }

    /// Every product of an output, an input and a tap that the definition has.
    fn plain(&self) -> Results {
        let (units, outputs, Window { width, before }) = (self.units, self.outputs, self.window);
        let [x, weight, bias, dy] = self.operands();
        let mut y: Vec<f64> = (0..dy.len()).map(|at| f64::from(bias[at % outputs])).collect();
        let (mut dx, mut d_weight) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
        for span in &self.spans {
            for (at, tap) in span.clone().flat_map(|at| (0..width).map(move |tap| (at as usize, tap))) {
                let Some(token) = (at + tap).checked_sub(before) else { continue };
                if !(span.start as usize..span.end as usize).contains(&token) {
                    continue;
                }
                for (output, unit) in
                    (0..outputs).flat_map(|output| (0..units).map(move |unit| (output, unit)))
                {
                    let (out, input) = (at * outputs + output, token * units + unit);
                    let filter = (output * units + unit) * width + tap;
                    y[out] += f64::from(x[input]) * f64::from(weight[filter]);
                    dx[input] += f64::from(dy[out]) * f64::from(weight[filter]);
                    d_weight[filter] += f64::from(dy[out]) * f64::from(x[input]);
                }
            }
        }
        [y, dx, d_weight].map(|x| x.into_iter().map(|x| x as f32).collect())
    }

    /// By minimal filtering, with operands stored for products in `precision`; the products themselves are exact.
    fn minimal(&self, team: &Team, precision: Precision) -> Results {
        let &Case { window, ref spans, units, outputs: wide } = self;
        let [x, weight, bias, dy] = self.operands();
        let (count, chunks) = (pairs(spans), Chunks::of(window.width));
        let widths = chunks.terms().map(|terms| terms * units);
        let used = widths.map(|width| if width == 0 { 0 } else { wide });

        let mut g = room(precision, wide, widths);
        filters(team, precision, window.width, units, &weight, g.each_mut().map(|g| &mut g[..]));
        let mut d = room(precision, count, widths);
        inputs(team, precision, spans, window, units, &x, d.each_mut().map(|d| &mut d[..]));
        let (g, d) = (numbers_of(precision, &g, wide, widths), numbers_of(precision, &d, count, widths));
        let products: [Vec<f32>; PRODUCTS] =
            std::array::from_fn(|i| product(&d[i], &g[i], [count, used[i], widths[i]]));
        let mut y = vec![f32::NAN; dy.len()];
        outputs(team, spans, &bias, refs(&products), &mut y);

        let mut dm = room(precision, count, used);
        outputs_backward(team, precision, spans, wide, &dy, dm.each_mut().map(|dm| &mut dm[..]));
        let dm = numbers_of(precision, &dm, count, used);
        let dg: [Vec<f32>; PRODUCTS] = std::array::from_fn(|i| {
            let (dm, d) = (transposed(&dm[i], count, used[i]), transposed(&d[i], count, widths[i]));
            product(&dm, &d, [used[i], widths[i], count])
        });
        let mut d_weight = vec![f32::NAN; weight.len()];
        filters_backward(team, window.width, units, refs(&dg), &mut d_weight);
        let dd: [Vec<f32>; PRODUCTS] = std::array::from_fn(|i| {
            product(&dm[i], &transposed(&g[i], wide, widths[i]), [count, widths[i], used[i]])
        });
        let mut dx = vec![f32::NAN; x.len()];
        inputs_backward(team, spans, window, units, refs(&dd), &mut dx);
        [y, dx, d_weight]
    }

    fn check(&self) {
        self.check_in(Precision::F32);
        if self.units.is_multiple_of(2) || self.window.width <= 3 {
            self.check_in(Precision::Bf16);
        }
    }

    fn check_in(&self, precision: Precision) {
        let want = self.plain();
        let [one, two, three] = [1, 2, 3].map(|threads| self.minimal(&Team::new(threads), precision));
        for ((name, got), want) in ["outputs", "dx", "d_weight"].iter().zip(&one).zip(&want) {
            assert_eq!(got.len(), want.len());
            for (at, (got, want)) in got.iter().zip(want).enumerate() {
                let tolerance = 1e-5 * (10.0 + want.abs());
                let place =
                    || format!("{precision:?} {name} of {:?} over {:?} at {at}", self.window, self.spans);
                assert!((got - want).abs() <= tolerance, "{}: {got}, not {want}", place());
            }
        }
        let bits =
            |results: &Results| -> Vec<u32> { results.iter().flatten().map(|x| x.to_bits()).collect() };
        assert!(bits(&one) == bits(&two) && bits(&one) == bits(&three), "{:?}: threads differ", self.window);
    }
}

fn sentences(lengths: &[u32]) -> Vec<Range<u32>> {
    let mut end = 0;
    let span = |length: &u32| {
        end += length;
        end - length..end
    };
    lengths.iter().map(span).collect()
}

#[test]
fn a_convolution_and_its_gradients_equal_their_definitions() {
    for width in 2..=7 {
        let centred = (width % 2 == 1).then(|| Window::centred(width));
        for window in [Window::causal(width)].into_iter().chain(centred) {
            for length in 1..=6 {
                Case { window, spans: sentences(&[length]), units: 3, outputs: 5 }.check();
            }
            let lengths = [&[3, 1, 6, 2, 5, 4], &[1, 1, 1, 1, 1, 7]];
            for (lengths, [units, outputs]) in lengths.into_iter().zip([[19, 34], [16, 7]]) {
                Case { window, spans: sentences(lengths), units, outputs }.check();
            }
        }
    }
    Case { window: Window::causal(5), spans: Vec::new(), units: 3, outputs: 4 }.check();
}

/// So many units that inputs beyond a sentence are read in parts.
#[test]
fn a_token_may_be_wider_than_the_zeros_at_hand() {
    let units = ZEROS.len() + 5;
    Case { window: Window::causal(5), spans: sentences(&[3, 2]), units, outputs: 1 }.check();
}

#[test]
fn filters_are_cut_into_as_few_chunks_as_there_can_be() {
    let cut = |width| Chunks::of(width).iter().map(|chunk| (chunk.tap, chunk.taps)).collect::<Vec<_>>();
    assert_eq!(cut(2), [(0, 2)]);
    assert_eq!(cut(3), [(0, 3)]);
    assert_eq!(cut(4), [(0, 2), (2, 2)]);
    assert_eq!(cut(5), [(0, 3), (3, 2)]);
    assert_eq!(cut(6), [(0, 3), (3, 3)]);
    assert_eq!(cut(7), [(0, 3), (3, 2), (5, 2)]);
}
