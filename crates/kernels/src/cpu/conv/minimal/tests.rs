//! Tests of the transforms, around plain products, against the definition of a convolution and of its gradients.

use std::ops::Range;

use super::filtering::plus;
use super::store::ZEROS;
use super::*;
use crate::cpu::gemm::stored_numbers;

/// Multiples of 1/32 in [-1, 1).
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

/// Returns room whose content must not be read, for operands stored for products in `precision`.
fn room(precision: Precision, counts: [usize; PRODUCTS], widths: [usize; PRODUCTS]) -> [Vec<f32>; PRODUCTS] {
    std::array::from_fn(|i| vec![f32::NAN; counts[i] * precision.stored(widths[i])])
}

/// Returns the numbers of operands.
fn numbers_of(
    precision: Precision,
    stored: &[Vec<f32>; PRODUCTS],
    counts: [usize; PRODUCTS],
    widths: [usize; PRODUCTS],
) -> [Vec<f32>; PRODUCTS] {
    std::array::from_fn(|i| stored_numbers(precision, &stored[i], counts[i], widths[i]))
}

fn filterings(width: usize) -> [Filtering; 3] {
    [Filtering::pairs(width), Filtering::fours(width), Filtering::fewest(width)]
}

struct Case {
    window: Window,
    spans: Vec<Range<u32>>,
    units: usize,
    outputs: usize,
}

/// The results of a convolution and its gradients, in this order: y, dx, d_weight.
type Results = [Vec<f32>; 3];

impl Case {
    fn tokens(&self) -> usize {
        self.spans.last().map_or(0, |span| span.end as usize)
    }

    fn operands(&self) -> [Vec<f32>; 4] {
        let (tokens, weight) = (self.tokens(), self.outputs * self.units * self.window.width);
        [tokens * self.units, weight, self.outputs, tokens * self.outputs].map(|len| numbers(len, len))
    }

    /// Computes every product of an output, an input and a tap in the definition.
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

    /// Computes the results by minimal filtering, with operands stored for products in `precision`; the products themselves are
    /// exact. Returns the operands too.
    fn minimal(
        &self,
        team: &Team,
        precision: Precision,
        filtering: Filtering,
    ) -> (Results, [[Vec<f32>; PRODUCTS]; 3]) {
        let &Case { window, ref spans, units, outputs: wide } = self;
        let [x, weight, bias, dy] = self.operands();
        let counts = filtering.rows(spans);
        let widths = filtering.terms().map(|terms| terms * units);
        let (used, filter_counts) = (widths.map(|width| if width == 0 { 0 } else { wide }), [wide; PRODUCTS]);

        let mut g = room(precision, filter_counts, widths);
        filters(team, precision, filtering, units, &weight, g.each_mut().map(|g| &mut g[..]));
        let mut d = room(precision, counts, widths);
        inputs(team, precision, filtering, spans, window, units, &x, d.each_mut().map(|d| &mut d[..]));
        let g = numbers_of(precision, &g, filter_counts, widths);
        let d = numbers_of(precision, &d, counts, widths);
        let products: [Vec<f32>; PRODUCTS] =
            std::array::from_fn(|i| product(&d[i], &g[i], [counts[i], used[i], widths[i]]));
        let mut y = vec![f32::NAN; dy.len()];
        outputs(team, filtering, spans, &bias, refs(&products), &mut y);

        let mut dm = room(precision, counts, used);
        outputs_backward(team, precision, filtering, spans, wide, &dy, dm.each_mut().map(|dm| &mut dm[..]));
        let dm = numbers_of(precision, &dm, counts, used);
        let dg: [Vec<f32>; PRODUCTS] = std::array::from_fn(|i| {
            let (dm, d) = (transposed(&dm[i], counts[i], used[i]), transposed(&d[i], counts[i], widths[i]));
            product(&dm, &d, [used[i], widths[i], counts[i]])
        });
        let mut d_weight = vec![f32::NAN; weight.len()];
        filters_backward(team, filtering, units, refs(&dg), &mut d_weight);
        let dd: [Vec<f32>; PRODUCTS] = std::array::from_fn(|i| {
            product(&dm[i], &transposed(&g[i], used[i], widths[i]), [counts[i], widths[i], used[i]])
        });
        let mut dx = vec![f32::NAN; x.len()];
        inputs_backward(team, filtering, spans, window, units, refs(&dd), 0.0, &mut dx);
        let mut twice = dx.clone();
        inputs_backward(team, filtering, spans, window, units, refs(&dd), 1.0, &mut twice);
        let is_twice =
            |(twice, once): (&f32, &f32)| (twice - 2.0 * once).abs() <= 1e-5 * (10.0 + twice.abs());
        assert!(twice.iter().zip(&dx).all(is_twice), "{filtering:?} over {spans:?}: dx is added to");
        ([y, dx, d_weight], [g, d, dm])
    }

    fn check(&self) {
        let want = self.plain();
        for filtering in filterings(self.window.width) {
            let (results, operands) = self.minimal(&Team::new(1), Precision::F32, filtering);
            for ((name, got), want) in ["outputs", "dx", "d_weight"].iter().zip(&results).zip(&want) {
                assert_eq!(got.len(), want.len());
                for (at, (got, want)) in got.iter().zip(want).enumerate() {
                    let tolerance = 1e-5 * (10.0 + want.abs());
                    let place =
                        || format!("{filtering:?} {name} of {:?} over {:?} at {at}", self.window, self.spans);
                    assert!((got - want).abs() <= tolerance, "{}: {got}, not {want}", place());
                }
            }
            self.check_threads(Precision::F32, filtering);
            if self.units.is_multiple_of(2) || self.window.width <= 3 {
                self.check_rounded(filtering, &operands);
                self.check_threads(Precision::Bf16, filtering);
            }
        }
    }

    /// Checks that the operands in bf16 are those in f32, rounded.
    fn check_rounded(&self, filtering: Filtering, operands: &[[Vec<f32>; PRODUCTS]; 3]) {
        let (_, stored) = self.minimal(&Team::new(1), Precision::Bf16, filtering);
        for (operand, stored) in operands.iter().flatten().zip(stored.iter().flatten()) {
            let mut words = vec![f32::NAN; Precision::Bf16.stored(operand.len())];
            Precision::Bf16.store(operand, &mut words);
            let rounded = stored_numbers(Precision::Bf16, &words, 1, operand.len());
            assert!(rounded == *stored, "{filtering:?} of {:?}", self.window);
        }
    }

    fn check_threads(&self, precision: Precision, filtering: Filtering) {
        let [one, two, three] = [1, 2, 3].map(|threads| {
            let (results, _) = self.minimal(&Team::new(threads), precision, filtering);
            results.iter().flatten().map(|x| x.to_bits()).collect::<Vec<u32>>()
        });
        assert!(one == two && one == three, "{filtering:?} of {:?}: threads differ", self.window);
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
            for length in 1..=10 {
                Case { window, spans: sentences(&[length]), units: 3, outputs: 5 }.check();
            }
            let lengths = [&[3, 1, 6, 2, 5, 4], &[1, 1, 13, 1, 1, 8]];
            for (lengths, [units, outputs]) in lengths.into_iter().zip([[19, 34], [16, 7]]) {
                Case { window, spans: sentences(lengths), units, outputs }.check();
            }
        }
    }
    Case { window: Window::causal(5), spans: Vec::new(), units: 3, outputs: 4 }.check();
}

/// There are so many units that inputs beyond a sentence are read in parts.
#[test]
fn a_token_may_be_wider_than_the_zeros_at_hand() {
    let units = ZEROS.len() + 5;
    Case { window: Window::causal(5), spans: sentences(&[3, 2]), units, outputs: 1 }.check();
}

/// Plain convolutions in bf16 lose 0.24% of a result's length.
#[test]
fn little_is_lost_to_rounded_operands() {
    let lengths: [&[u32]; 2] = [&[16; 6], &[5, 7, 14, 9, 2, 11]];
    for (width, bounds) in [(3, [0.005, 0.007, 0.007]), (5, [0.005, 0.007, 0.012])] {
        for (filtering, bound) in filterings(width).into_iter().zip(bounds) {
            for lengths in lengths {
                let spans = sentences(lengths);
                let case = Case { window: Window::centred(width), spans, units: 32, outputs: 32 };
                let (results, _) = case.minimal(&Team::new(1), Precision::Bf16, filtering);
                for (got, want) in results.iter().zip(&case.plain()) {
                    let off: f32 = got.iter().zip(want).map(|(got, want)| (got - want).powi(2)).sum();
                    let whole: f32 = want.iter().map(|want| want.powi(2)).sum();
                    let off = (off / whole).sqrt();
                    assert!(off <= bound, "{filtering:?} of {lengths:?}: {off}");
                }
            }
        }
    }
}

#[test]
fn pairs_read_of_filters_what_fours_read() {
    let team = Team::new(1);
    for width in 2..=7 {
        let case = Case { window: Window::causal(width), spans: sentences(&[1]), units: 6, outputs: 3 };
        let [_, weight, ..] = case.operands();
        let [pairs, fours] = [Filtering::pairs(width), Filtering::fours(width)].map(|filtering| {
            let mut g = room(Precision::Bf16, [3; PRODUCTS], filtering.terms().map(|terms| terms * 6));
            filters(&team, Precision::Bf16, filtering, 6, &weight, g.each_mut().map(|g| &mut g[..]));
            g
        });
        for (pair, four) in pairs.iter().zip(&fours).filter(|(pair, _)| !pair.is_empty()) {
            assert!(pair.iter().map(|x| x.to_bits()).eq(four.iter().map(|x| x.to_bits())), "{width} taps");
        }
    }
}

#[test]
fn filters_are_cut_into_as_few_chunks_as_there_can_be() {
    let cut =
        |filtering: Filtering| filtering.chunks().map(|chunk| (chunk.tap, chunk.taps)).collect::<Vec<_>>();
    let small: [&[_]; 6] = [
        &[(0, 2)],
        &[(0, 3)],
        &[(0, 2), (2, 2)],
        &[(0, 3), (3, 2)],
        &[(0, 3), (3, 3)],
        &[(0, 3), (3, 2), (5, 2)],
    ];
    for (width, small) in (2..).zip(small) {
        assert_eq!(cut(Filtering::pairs(width)), small);
        assert_eq!(cut(Filtering::fours(width)), small);
        let one = [(0, width)];
        assert_eq!(cut(Filtering::fewest(width)), if matches!(width, 4 | 5) { &one } else { small });
    }
}

#[test]
fn a_tile_is_made_at_as_many_points_as_its_product_has_coefficients() {
    for (filtering, most, taps) in
        [(Filtering::pairs(3), 2, 3), (Filtering::fours(3), 4, 3), (Filtering::fewest(5), 4, 5)]
    {
        for length in 1..=12u32 {
            let want = length + (taps - 1) * length.div_ceil(most);
            assert_eq!(filtering.rows(&sentences(&[length])).iter().sum::<usize>(), want as usize);
        }
        let lengths = [3, 1, 6, 2, 5, 4, 13];
        let each = lengths.map(|length| filtering.rows(&sentences(&[length])));
        assert_eq!(filtering.rows(&sentences(&lengths)), each.into_iter().fold([0; PRODUCTS], plus));
    }
}
