//! Tests of every operation against its naive definition in `f64`, and of its gradients against finite differences of that
//! definition.
//!
//! A case is one row of the table in [`cases`]: shapes, the operation, and the simplest formula for it.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::conv::{Activation, Window};
use kokanee_kernels::cross_entropy::LossGradient;
use kokanee_kernels::{Precision, Team};
use kokanee_tensor::{Gradient, Rows, Tape, Tensor, Var, ops};

type Matrix = Vec<Vec<f64>>;
type Forward = Box<dyn Fn(&Tape, &[Var]) -> Vec<Var>>;
type Reference = Box<dyn Fn(&[Matrix]) -> Vec<Matrix>>;

struct Case {
    name: &'static str,
    inputs: Vec<Vec<usize>>,
    forward: Forward,
    reference: Reference,
}

fn case(
    name: &'static str,
    inputs: &[impl AsRef<[usize]>],
    forward: impl Fn(&Tape, &[Var]) -> Vec<Var> + 'static,
    reference: impl Fn(&[Matrix]) -> Vec<Matrix> + 'static,
) -> Case {
    Case {
        name,
        inputs: inputs.iter().map(|shape| shape.as_ref().to_vec()).collect(),
        forward: Box::new(forward),
        reference: Box::new(reference),
    }
}

fn rows(values: &[u32]) -> Rows {
    values.into()
}

fn matmul_t(x: &Matrix, w: &Matrix) -> Matrix {
    x.iter().map(|x| w.iter().map(|w| x.iter().zip(w).map(|(a, b)| a * b).sum()).collect()).collect()
}

fn add_row(x: &Matrix, b: &[f64]) -> Matrix {
    x.iter().map(|x| x.iter().zip(b).map(|(x, b)| x + b).collect()).collect()
}

fn map(x: &Matrix, f: impl Fn(f64) -> f64 + Copy) -> Matrix {
    x.iter().map(|x| x.iter().copied().map(f).collect()).collect()
}

fn pick(x: &Matrix, rows: &[u32]) -> Matrix {
    rows.iter().map(|&r| x[r as usize].clone()).collect()
}

fn columns(x: &Matrix, range: Range<usize>) -> Matrix {
    x.iter().map(|x| x[range.clone()].to_vec()).collect()
}

fn plus(a: &Matrix, b: &Matrix) -> Matrix {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn lstm(z: &Matrix, c: &Matrix) -> (Matrix, Matrix) {
    let units = c[0].len();
    let new_c: Matrix = z
        .iter()
        .zip(c)
        .map(|(z, c)| {
            (0..units)
                .map(|u| sigmoid(z[units + u]) * c[u] + sigmoid(z[u]) * z[2 * units + u].tanh())
                .collect()
        })
        .collect();
    let h = z
        .iter()
        .zip(&new_c)
        .map(|(z, c)| (0..units).map(|u| sigmoid(z[3 * units + u]) * c[u].tanh()).collect())
        .collect();
    (h, new_c)
}

fn attend(spans: &[Range<u32>], keys: &Matrix, queries: &Matrix, v: &Matrix, values: &Matrix) -> Matrix {
    spans
        .iter()
        .zip(queries)
        .map(|(span, query)| {
            let scores: Vec<f64> = span
                .clone()
                .map(|s| {
                    let key = &keys[s as usize];
                    key.iter().zip(query).zip(&v[0]).map(|((k, q), v)| v * (k + q).tanh()).sum::<f64>().exp()
                })
                .collect();
            let total: f64 = scores.iter().sum();
            (0..values[0].len())
                .map(|w| {
                    span.clone().zip(&scores).map(|(s, score)| score / total * values[s as usize][w]).sum()
                })
                .collect()
        })
        .collect()
}

fn cross_entropy(hidden: &Matrix, w: &Matrix, b: &[f64], labels: &[u32]) -> f64 {
    add_row(&matmul_t(hidden, w), b)
        .iter()
        .zip(labels)
        .map(|(logits, &label)| logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits[label as usize])
        .sum()
}

fn gru(a: &Matrix, b: &Matrix, h: &Matrix) -> Matrix {
    let units = h[0].len();
    let step = |a: &[f64], b: &[f64], h: &[f64], u: usize| {
        let r = sigmoid(a[u] + b[u]);
        let z = sigmoid(a[units + u] + b[units + u]);
        let n = (a[2 * units + u] + r * b[2 * units + u]).tanh();
        (1.0 - z) * n + z * h[u]
    };
    (0..h.len()).map(|i| (0..units).map(|u| step(&a[i], &b[i], &h[i], u)).collect()).collect()
}

fn attend_dot(spans: &[Range<u32>], keys: &Matrix, queries: &Matrix, values: &Matrix) -> Matrix {
    let weigh = |span: &Range<u32>, query: &Vec<f64>| {
        let dot = |s: u32| keys[s as usize].iter().zip(query).map(|(k, q)| k * q).sum::<f64>().exp();
        let total: f64 = span.clone().map(dot).sum();
        let value = |w: usize| span.clone().map(|s| dot(s) / total * values[s as usize][w]).sum();
        (0..values[0].len()).map(value).collect()
    };
    spans.iter().zip(queries).map(|(span, query)| weigh(span, query)).collect()
}

/// Computes a convolution according to its definition: filters C x H x width flattened to one row each.
fn convolve(spans: &[Range<u32>], window: Window, x: &Matrix, filters: &Matrix, bias: &[f64]) -> Matrix {
    let units = x[0].len();
    let output = |span: &Range<u32>, at: u32, filter: &Vec<f64>| {
        let mut sum = 0.0;
        for position in 0..window.width {
            let seen = i64::from(at) + position as i64 - window.before as i64;
            if (i64::from(span.start)..i64::from(span.end)).contains(&seen) {
                for unit in 0..units {
                    sum += x[seen as usize][unit] * filter[unit * window.width + position];
                }
            }
        }
        sum
    };
    let token = |span: &Range<u32>, at: u32| {
        filters.iter().zip(bias).map(|(filter, b)| output(span, at, filter) + b).collect()
    };
    spans.iter().flat_map(|span| span.clone().map(|at| token(span, at)).collect::<Vec<_>>()).collect()
}

fn convolution_case(name: &'static str, window: Window) -> Case {
    let spans: Arc<[Range<u32>]> = [0..3, 3..4, 4..9].into();
    let reference = Arc::clone(&spans);
    case(
        name,
        &[vec![9, 3], vec![4, 3, window.width], vec![1, 4]],
        move |t, x| vec![ops::convolution(t, &spans, &x[0], &ops::Filters::new(&x[1], &x[2], window))],
        move |x| vec![convolve(&reference, window, &x[0], &x[1], &x[2][0])],
    )
}

fn activation_case(name: &'static str, kind: Activation, f: impl Fn(f64) -> f64 + Copy + 'static) -> Case {
    case(
        name,
        &[[3, 38]],
        move |t, x| vec![ops::activation(t, kind, x[0].clone())],
        move |x| match kind {
            Activation::Glu => {
                vec![x[0].iter().map(|x| (0..19).map(|i| x[i] * f(x[19 + i])).collect()).collect()]
            }
            _ => vec![map(&x[0], f)],
        },
    )
}

fn cases() -> Vec<Case> {
    let ids = [2u32, 0, 2, 4];
    let spans: Arc<[Range<u32>]> = [4..7, 0..3, 3..4].into();
    let spans_reference = Arc::clone(&spans);
    let [shared, shared_reference, dot, dot_reference, own, own_reference] =
        [(); 6].map(|()| -> Arc<[Range<u32>]> { [4..7, 4..7, 0..3, 3..4].into() });
    let means: Arc<[Range<u32>]> = [3..7, 0..2].into();
    vec![
        case("tanh", &[[3, 17]], |t, x| vec![ops::tanh(t, x[0].clone())], |x| vec![map(&x[0], f64::tanh)]),
        case(
            "embedding",
            &[[5, 19]],
            move |t, x| vec![ops::embedding(t, &ops::Table::Var(x[0].clone()), rows(&ids))],
            move |x| vec![pick(&x[0], &ids)],
        ),
        case(
            "embedding used twice",
            &[[5, 3]],
            move |t, x| {
                vec![
                    ops::embedding(t, &ops::Table::Var(x[0].clone()), rows(&ids)),
                    ops::embedding(t, &ops::Table::Var(x[0].clone()), rows(&[1, 2, 1])),
                ]
            },
            move |x| vec![pick(&x[0], &ids), pick(&x[0], &[1, 2, 1])],
        ),
        case(
            "embedding that is an output layer too",
            &[[5, 3], [2, 3]],
            move |t, x| {
                let looked_up = ops::embedding(t, &ops::Table::Var(x[0].clone()), rows(&ids));
                let product = ops::linear(t, &x[1], &ops::Weight::whole(&x[0]), &[]);
                vec![looked_up, product]
            },
            move |x| vec![pick(&x[0], &ids), matmul_t(&x[1], &x[0])],
        ),
        case(
            "gather_rows",
            &[[5, 3]],
            |t, x| vec![ops::gather_rows(t, &x[0], rows(&[4, 1, 1]))],
            |x| vec![pick(&x[0], &[4, 1, 1])],
        ),
        case(
            "first_rows",
            &[[5, 3]],
            |t, x| vec![ops::first_rows(t, &x[0], 2), ops::first_rows(t, &x[0], 5)],
            |x| vec![x[0][..2].to_vec(), x[0].clone()],
        ),
        case(
            "stack_rows",
            &[[2, 3], [1, 3], [2, 3]],
            |t, x| {
                let parts = vec![
                    (x[0].clone(), rows(&[3, 0])),
                    (x[1].clone(), rows(&[2])),
                    (x[2].clone(), rows(&[1, 4])),
                ];
                vec![ops::stack_rows(t, parts, 5)]
            },
            |x| {
                vec![vec![
                    x[0][1].clone(),
                    x[2][0].clone(),
                    x[1][0].clone(),
                    x[0][0].clone(),
                    x[2][1].clone(),
                ]]
            },
        ),
        case(
            "concat_columns",
            &[[3, 2], [3, 5]],
            |t, x| vec![ops::concat_columns(t, &x[0], &x[1])],
            |x| vec![x[0].iter().zip(&x[1]).map(|(a, b)| [a.clone(), b.clone()].concat()).collect()],
        ),
        case(
            "linear without bias",
            &[[4, 6], [7, 6]],
            |t, x| vec![ops::linear(t, &x[0], &ops::Weight::whole(&x[1]), &[])],
            |x| vec![matmul_t(&x[0], &x[1])],
        ),
        case(
            "linear with two biases",
            &[[4, 6], [7, 6], [1, 7], [1, 7]],
            |t, x| vec![ops::linear(t, &x[0], &ops::Weight::whole(&x[1]), &[&x[2], &x[3]])],
            |x| vec![add_row(&add_row(&matmul_t(&x[0], &x[1]), &x[2][0]), &x[3][0])],
        ),
        case(
            "linear with parts of a weight",
            &[[4, 2], [4, 5], [7, 7]],
            |t, x| {
                let left = ops::linear(t, &x[0], &ops::Weight::columns(&x[2], 0..2), &[]);
                let right = ops::linear(t, &x[1], &ops::Weight::columns(&x[2], 2..7), &[]);
                vec![left, right]
            },
            |x| vec![matmul_t(&x[0], &columns(&x[2], 0..2)), matmul_t(&x[1], &columns(&x[2], 2..7))],
        ),
        case(
            "recurrent_linear over two steps",
            &[[5, 4], [3, 4], [4, 9], [3, 5]],
            |t, x| {
                let recurrent = ops::RecurrentWeight::new(t, ops::Weight::columns(&x[2], 0..4));
                let feeding = ops::RecurrentWeight::new(t, ops::Weight::columns(&x[2], 4..9));
                let first = ops::recurrent_linear(
                    t,
                    Some((&x[0], &rows(&[4, 0, 2]))),
                    &[(&x[1], &recurrent), (&x[3], &feeding)],
                );
                let state = ops::first_rows(t, &first, 2);
                let second = ops::recurrent_linear(t, Some((&x[0], &rows(&[1, 3]))), &[(&state, &recurrent)]);
                vec![first, second]
            },
            |x| {
                let recurrent = columns(&x[2], 0..4);
                let first = plus(
                    &pick(&x[0], &[4, 0, 2]),
                    &plus(&matmul_t(&x[1], &recurrent), &matmul_t(&x[3], &columns(&x[2], 4..9))),
                );
                let second = plus(&pick(&x[0], &[1, 3]), &matmul_t(&first[..2].to_vec(), &recurrent));
                vec![first, second]
            },
        ),
        case(
            "lstm_cell",
            &[[3, 4 * 19], [3, 19]],
            |t, x| {
                let (h, c) = ops::lstm_cell(t, x[0].clone(), &x[1], 0.0);
                vec![h, c]
            },
            |x| {
                let (h, c) = lstm(&x[0], &x[1]);
                vec![h, c]
            },
        ),
        case(
            "lstm_cell whose c is not used",
            &[[2, 8], [2, 2]],
            |t, x| vec![ops::lstm_cell(t, x[0].clone(), &x[1], 0.0).0],
            |x| vec![lstm(&x[0], &x[1]).0],
        ),
        case(
            "mlp_attention",
            &[[7, 18], [3, 18], [1, 18], [7, 5]],
            move |t, x| vec![ops::mlp_attention(t, &spans, &x[0], &x[1], &x[2], &x[3]).context],
            move |x| vec![attend(&spans_reference, &x[0], &x[1], &x[2], &x[3])],
        ),
        case(
            "mlp_attention of several rows a sentence",
            &[[7, 18], [4, 18], [1, 18], [7, 5]],
            move |t, x| vec![ops::mlp_attention(t, &shared, &x[0], &x[1], &x[2], &x[3]).context],
            move |x| vec![attend(&shared_reference, &x[0], &x[1], &x[2], &x[3])],
        ),
        case(
            "dot_attention",
            &[[7, 18], [4, 18], [7, 5]],
            move |t, x| vec![ops::dot_attention(t, &dot, &x[0], &x[1], &x[2]).context],
            move |x| vec![attend_dot(&dot_reference, &x[0], &x[1], &x[2])],
        ),
        case(
            "dot_attention whose keys are its values",
            &[[7, 18], [4, 18]],
            move |t, x| vec![ops::dot_attention(t, &own, &x[0], &x[1], &x[0]).context],
            move |x| vec![attend_dot(&own_reference, &x[0], &x[1], &x[0])],
        ),
        case(
            "span_means",
            &[[7, 5]],
            move |t, x| vec![ops::span_means(t, &means, &x[0])],
            |x| {
                let mean = |rows: &[Vec<f64>]| -> Vec<f64> {
                    (0..5).map(|c| rows.iter().map(|r| r[c]).sum::<f64>() / rows.len() as f64).collect()
                };
                vec![vec![mean(&x[0][3..7]), mean(&x[0][0..2])]]
            },
        ),
        case(
            "add",
            &[[3, 5], [3, 5]],
            |t, x| vec![ops::add(t, x[0].clone(), &x[1]), ops::add(t, x[0].clone(), &x[0])],
            |x| vec![plus(&x[0], &x[1]), plus(&x[0], &x[0])],
        ),
        case(
            "gru_cell",
            &[[3, 3 * 19], [3, 3 * 19], [3, 19]],
            |t, x| vec![ops::gru_cell(t, x[0].clone(), x[1].clone(), &x[2])],
            |x| vec![gru(&x[0], &x[1], &x[2])],
        ),
        convolution_case("convolution with a centred window", Window::centred(3)),
        convolution_case("convolution with a window of one", Window::centred(1)),
        convolution_case("convolution with a causal window of two", Window::causal(2)),
        convolution_case("convolution with a causal window of four", Window::causal(4)),
        convolution_case("convolution with a causal window of five", Window::causal(5)),
        convolution_case("convolution with a window wider than sentences", Window::centred(7)),
        activation_case("glu", Activation::Glu, sigmoid),
        activation_case("relu", Activation::Relu, |x| x.max(0.0)),
        activation_case("softrelu", Activation::SoftRelu, |x| x.exp().ln_1p()),
        activation_case("sigmoid", Activation::Sigmoid, sigmoid),
        activation_case("activation tanh", Activation::Tanh, f64::tanh),
        case(
            "cross_entropy",
            &[[4, 6], [23, 6], [1, 23]],
            |t, x| {
                vec![
                    ops::cross_entropy(
                        t,
                        &x[0],
                        &x[1],
                        &x[2],
                        &[22, 3, 3, 0],
                        LossGradient { scale: 0.25, smoothing: 0.0 },
                    )
                    .loss,
                ]
            },
            |x| vec![vec![vec![0.25 * cross_entropy(&x[0], &x[1], &x[2][0], &[22, 3, 3, 0])]]],
        ),
    ]
}

fn flat(x: &[Matrix]) -> Vec<f64> {
    x.iter().flatten().flatten().copied().collect()
}

/// The factors that combine the outputs into one number.
fn factor(i: usize) -> f64 {
    ((i * 37 + 11) % 23) as f64 / 11.5 - 1.0
}

fn check(case: &Case, team: &Arc<Team>) -> Result<(), String> {
    let mut random = kokanee_testkit::Rng::new(case.name.len() as u64);
    let inputs: Vec<Vec<f32>> = case
        .inputs
        .iter()
        .map(|s| (0..s.iter().product()).map(|_| random.uniform(-1.0, 1.0)).collect())
        .collect();
    let matrices = |inputs: &[Vec<f64>]| -> Vec<Matrix> {
        inputs
            .iter()
            .zip(&case.inputs)
            .map(|(x, shape)| x.chunks(x.len() / shape[0]).map(<[f64]>::to_vec).collect())
            .collect()
    };
    let mut exact: Vec<Vec<f64>> = inputs.iter().map(|x| x.iter().map(|&x| f64::from(x)).collect()).collect();
    let objective = |x: &[Vec<f64>]| -> f64 {
        flat(&(case.reference)(&matrices(x))).iter().enumerate().map(|(i, y)| factor(i) * y).sum()
    };

    // With factors rounded to 8 bits, sums of some products of numbers up to 1 are off by one or two hundredths.
    let ways = [
        (false, Precision::F32, 1e-5, 2e-5),
        (true, Precision::F32, 1e-5, 2e-5),
        (true, Precision::Bf16, 0.03, 0.03),
    ];
    for (recording, precision, tolerance, gradient_tolerance) in ways {
        let tape =
            if recording { Tape::recording(Arc::clone(team)) } else { Tape::forgetting(Arc::clone(team)) };
        let tape = tape.in_precision(precision);
        let vars: Vec<Var> = inputs
            .iter()
            .zip(&case.inputs)
            .map(|(x, shape)| tape.parameter(Arc::new(Tensor::from_vec(shape.clone(), x.clone()))))
            .collect();
        let outputs = (case.forward)(&tape, &vars);
        let want = flat(&(case.reference)(&matrices(&exact)));
        let got: Vec<f64> = outputs.iter().flat_map(|y| y.value().data()).map(|&y| f64::from(y)).collect();
        assert_eq!(got.len(), want.len(), "{}: sizes", case.name);
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            if g.is_nan() || (g - w).abs() > tolerance {
                return Err(format!(
                    "{} in {precision:?}: output {i} is {g}, its definition says {w}",
                    case.name
                ));
            }
        }
        if !recording {
            continue;
        }
        let mut at = 0;
        let seeds = outputs
            .iter()
            .map(|y| {
                let values = (at..at + y.value().data().len()).map(|i| factor(i) as f32).collect();
                at += y.value().data().len();
                (y.clone(), Tensor::from_vec(y.value().shape().clone(), values))
            })
            .collect();
        drop(outputs);
        let mut gradients = tape.backward_from(seeds);
        for (n, var) in vars.iter().enumerate() {
            let gradient = match gradients.take_parameter(var) {
                Some(Gradient::Dense(dense)) => dense,
                Some(Gradient::Rows(rows)) => rows.to_dense(),
                None => return Err(format!("{}: no gradient for input {n}", case.name)),
            };
            for i in 0..inputs[n].len() {
                let step = 1e-5;
                let x = exact[n][i];
                exact[n][i] = x + step;
                let above = objective(&exact);
                exact[n][i] = x - step;
                let below = objective(&exact);
                exact[n][i] = x;
                let want = (above - below) / (2.0 * step);
                let got = f64::from(gradient.data()[i]);
                if got.is_nan() || (got - want).abs() > gradient_tolerance * (1.0 + want.abs()) {
                    return Err(format!(
                        "{} in {precision:?}: gradient of input {n} at {i} is {got}, differences say {want}",
                        case.name
                    ));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_operation_equals_its_definition_and_so_do_its_gradients() {
    let mut failures = Vec::new();
    for threads in [1, 2] {
        let team = Arc::new(Team::new(threads));
        failures.extend(cases().iter().filter_map(|case| check(case, &team).err()));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn dropout_keeps_its_mask_for_the_gradient_and_does_nothing_outside_training() {
    let team = Arc::new(Team::new(2));
    let x = || Arc::new(Tensor::from_vec([40, 50], vec![1.0; 2000]));
    for tape in [Tape::recording(Arc::clone(&team)), Tape::forgetting(Arc::clone(&team))] {
        let y = ops::dropout(&tape, tape.parameter(x()), 0.5);
        assert!(y.value().data().iter().all(|&y| y == 1.0));
    }
    let masks = |seed| {
        let tape = Tape::training(Arc::clone(&team), seed);
        let var = tape.parameter(x());
        let [first, second] = [(); 2].map(|()| ops::dropout(&tape, var.clone(), 0.25));
        let values = [&first, &second].map(|y| y.value().data().to_vec());
        let ones = Tensor::from_vec([40, 50], vec![1.0; 2000]);
        let gradient = tape.backward_from(vec![(first, ones)]).take(&var).unwrap();
        assert_eq!(gradient.data(), values[0]);
        values
    };
    let [first, second] = masks(1);
    assert_ne!(first, second);
    assert_eq!(masks(1), [first.clone(), second]);
    assert_ne!(masks(2)[0], first);
    assert!(first.iter().all(|&y| y == 0.0 || (y - 4.0 / 3.0).abs() < 1e-6));
}

#[test]
fn sequence_dropout_has_one_mask_a_sequence_through_a_loop() {
    let tape = Tape::training(Arc::new(Team::new(2)), 3);
    let key = ops::sequence_dropout_key(&tape, 0.5);
    let x = tape.parameter(Arc::new(Tensor::from_vec([3, 100], vec![1.0; 300])));
    let first = ops::sequence_dropout(&tape, &x, &rows(&[0, 1, 2]), key);
    let second = ops::sequence_dropout(&tape, &ops::first_rows(&tape, &x, 2), &rows(&[0, 1]), key);
    assert_eq!(first.value().row(0), second.value().row(0));
    assert_eq!(first.value().row(1), second.value().row(1));
    assert_ne!(first.value().row(0), first.value().row(1));
    let values = first.value().data().to_vec();
    let ones = Tensor::from_vec([3, 100], vec![1.0; 300]);
    assert_eq!(tape.backward_from(vec![(first, ones)]).take(&x).unwrap().data(), values);
}

/// With the mask fixed by the seed, the cell is an ordinary function, whose gradient can be checked by differences.
#[test]
fn the_gradient_of_a_cell_with_recurrent_dropout_is_that_of_its_mask() {
    let team = Arc::new(Team::new(1));
    let (rows, units) = (2, 19);
    let mut random = kokanee_testkit::Rng::new(4);
    let z: Vec<f32> = (0..rows * 4 * units).map(|_| random.uniform(-1.0, 1.0)).collect();
    let c = Arc::new(Tensor::from_vec([rows, units], vec![0.3; rows * units]));
    let run = |z: &[f32]| {
        let tape = Tape::training(Arc::clone(&team), 8);
        let z = tape.parameter(Arc::new(Tensor::from_vec([rows, 4 * units], z.to_vec())));
        let c = tape.constant((*c).clone());
        let (h, next) = ops::lstm_cell(&tape, z.clone(), &c, 0.5);
        (tape, z, h, next)
    };
    let objective = |z: &[f32]| -> f64 {
        let (_, _, h, next) = run(z);
        let all = h.value().data().iter().chain(next.value().data());
        all.enumerate().map(|(i, &y)| factor(i) * f64::from(y)).sum()
    };
    let (tape, var, h, next) = run(&z);
    let seed = |at: usize| {
        Tensor::from_vec([rows, units], (at..at + rows * units).map(|i| factor(i) as f32).collect())
    };
    let dropped =
        next.value().data().iter().zip(lstm_without_input(&z, units)).filter(|(a, b)| (**a - b).abs() < 1e-6);
    assert!((5..33).contains(&dropped.count()), "about half of the additions are left out");
    let gradient = tape.backward_from(vec![(h, seed(0)), (next, seed(rows * units))]).take(&var).unwrap();
    let want = kokanee_testkit::finite_difference(objective, &z, 1e-2);
    kokanee_testkit::assert_close(gradient.data(), &want, 1e-2, 2e-3, "gradient through recurrent dropout");
}

/// The new c where nothing is added: sigma(f) c with c = 0.3.
fn lstm_without_input(z: &[f32], units: usize) -> Vec<f32> {
    let keep = |z: &[f32]| z[units..2 * units].iter().map(|f| 0.3 / (1.0 + (-f).exp())).collect::<Vec<_>>();
    z.chunks(4 * units).flat_map(keep).collect()
}
