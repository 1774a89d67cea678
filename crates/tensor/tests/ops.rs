//! Every operation against its naive definition in `f64`, and its gradients against finite differences of that definition.
//!
//! A case is one row of the table in [`cases`]: shapes, the operation, and the plainest formula that says the same.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::Team;
use kokanee_tensor::{Gradient, Rows, Tape, Tensor, Var, ops};

type Matrix = Vec<Vec<f64>>;
type Forward = Box<dyn Fn(&Tape, &[Var]) -> Vec<Var>>;
type Reference = Box<dyn Fn(&[Matrix]) -> Vec<Matrix>>;

struct Case {
    name: &'static str,
    inputs: Vec<[usize; 2]>,
    forward: Forward,
    reference: Reference,
}

fn case(
    name: &'static str,
    inputs: &[[usize; 2]],
    forward: impl Fn(&Tape, &[Var]) -> Vec<Var> + 'static,
    reference: impl Fn(&[Matrix]) -> Vec<Matrix> + 'static,
) -> Case {
    Case { name, inputs: inputs.to_vec(), forward: Box::new(forward), reference: Box::new(reference) }
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

fn cases() -> Vec<Case> {
    let ids = [2u32, 0, 2, 4];
    let spans: Arc<[Range<u32>]> = [4..7, 0..3, 3..4].into();
    let spans_reference = Arc::clone(&spans);
    vec![
        case("tanh", &[[3, 17]], |t, x| vec![ops::tanh(t, x[0].clone())], |x| vec![map(&x[0], f64::tanh)]),
        case(
            "embedding",
            &[[5, 19]],
            move |t, x| vec![ops::embedding(t, &x[0], rows(&ids))],
            move |x| vec![pick(&x[0], &ids)],
        ),
        case(
            "embedding used twice",
            &[[5, 3]],
            move |t, x| {
                vec![ops::embedding(t, &x[0], rows(&ids)), ops::embedding(t, &x[0], rows(&[1, 2, 1]))]
            },
            move |x| vec![pick(&x[0], &ids), pick(&x[0], &[1, 2, 1])],
        ),
        case(
            "embedding that is an output layer too",
            &[[5, 3], [2, 3]],
            move |t, x| {
                let looked_up = ops::embedding(t, &x[0], rows(&ids));
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
                let (h, c) = ops::lstm_cell(t, x[0].clone(), &x[1]);
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
            |t, x| vec![ops::lstm_cell(t, x[0].clone(), &x[1]).0],
            |x| vec![lstm(&x[0], &x[1]).0],
        ),
        case(
            "mlp_attention",
            &[[7, 18], [3, 18], [1, 18], [7, 5]],
            move |t, x| vec![ops::mlp_attention(t, &spans, &x[0], &x[1], &x[2], &x[3]).context],
            move |x| vec![attend(&spans_reference, &x[0], &x[1], &x[2], &x[3])],
        ),
        case(
            "cross_entropy",
            &[[4, 6], [23, 6], [1, 23]],
            |t, x| vec![ops::cross_entropy(t, &x[0], &x[1], &x[2], &[22, 3, 3, 0], 0.25).loss],
            |x| vec![vec![vec![0.25 * cross_entropy(&x[0], &x[1], &x[2][0], &[22, 3, 3, 0])]]],
        ),
    ]
}

fn flat(x: &[Matrix]) -> Vec<f64> {
    x.iter().flatten().flatten().copied().collect()
}

/// The factors that make one number of the outputs.
fn factor(i: usize) -> f64 {
    ((i * 37 + 11) % 23) as f64 / 11.5 - 1.0
}

fn check(case: &Case, team: &Arc<Team>) -> Result<(), String> {
    let mut random = kokanee_testkit::Rng::new(case.name.len() as u64);
    let inputs: Vec<Vec<f32>> =
        case.inputs.iter().map(|[r, c]| (0..r * c).map(|_| random.uniform(-1.0, 1.0)).collect()).collect();
    let matrices = |inputs: &[Vec<f64>]| -> Vec<Matrix> {
        inputs
            .iter()
            .zip(&case.inputs)
            .map(|(x, [_, c])| x.chunks(*c).map(<[f64]>::to_vec).collect())
            .collect()
    };
    let mut exact: Vec<Vec<f64>> = inputs.iter().map(|x| x.iter().map(|&x| f64::from(x)).collect()).collect();
    let objective = |x: &[Vec<f64>]| -> f64 {
        flat(&(case.reference)(&matrices(x))).iter().enumerate().map(|(i, y)| factor(i) * y).sum()
    };

    for recording in [false, true] {
        let tape =
            if recording { Tape::recording(Arc::clone(team)) } else { Tape::forgetting(Arc::clone(team)) };
        let vars: Vec<Var> = inputs
            .iter()
            .zip(&case.inputs)
            .map(|(x, shape)| tape.parameter(Arc::new(Tensor::from_vec(*shape, x.clone()))))
            .collect();
        let outputs = (case.forward)(&tape, &vars);
        let want = flat(&(case.reference)(&matrices(&exact)));
        let got: Vec<f64> = outputs.iter().flat_map(|y| y.value().data()).map(|&y| f64::from(y)).collect();
        assert_eq!(got.len(), want.len(), "{}: sizes", case.name);
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            if g.is_nan() || (g - w).abs() > 1e-5 {
                return Err(format!("{}: output {i} is {g}, its definition says {w}", case.name));
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
                if got.is_nan() || (got - want).abs() > 2e-5 * (1.0 + want.abs()) {
                    return Err(format!(
                        "{}: gradient of input {n} at {i} is {got}, differences say {want}",
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
