use kokanee_kernels::Team;
use kokanee_seq2seq_nn::init::Initialisation;
use kokanee_seq2seq_nn::{Model, ModelConfig};
use kokanee_tensor::RowGradient;
use kokanee_testkit::{Rng, assert_close};

use super::*;

fn hyperparameters() -> Hyperparameters {
    Hyperparameters {
        rnn_num_hidden: 4,
        num_embed_source: 3,
        num_embed_target: 3,
        ..Hyperparameters::default()
    }
}

fn parameters(h: &Hyperparameters, team: &Team) -> Parameters {
    let config = ModelConfig::new(h, 7, 9).unwrap();
    Model::new(config, &Initialisation::from(h), team).unwrap().parameters().clone()
}

/// A gradient for each parameter: none for the last, dense for the others; for the first, an embedding of 7 words, of different
/// rows in every update, and once dense and once none.
fn gradients(parameters: &Parameters, rng: &mut Rng, update: u64) -> Vec<Option<Gradient>> {
    let last = parameters.len() - 1;
    let rows: &[u32] = [&[1, 2, 5][..], &[2], &[0, 1, 2, 3, 4, 5, 6], &[], &[6]][update as usize % 5];
    let gradient = |(index, parameter): (usize, &kokanee_seq2seq_nn::Parameter)| {
        let shape = parameter.value.shape().clone();
        let mut drawn = |len| rng.uniform_vec(len, -3.0, 3.0);
        match index {
            0 if update == 8 => None,
            0 if update != 6 => Some(Gradient::Rows(RowGradient {
                rows: rows.to_vec(),
                values: Tensor::from_vec([rows.len(), shape.cols()], drawn(rows.len() * shape.cols())),
                shape,
            })),
            index if index == last => None,
            _ => Some(Gradient::Dense(Tensor::from_vec(shape.clone(), drawn(shape.size())))),
        }
    };
    parameters.iter().enumerate().map(gradient).collect()
}

/// A rule of section 8 in f64, one number at a time: weight and two states, gradient, decay, clip, number of the update, rate.
type Rule = fn(&mut [f64; 3], f64, f64, &dyn Fn(f64) -> f64, i32, f64);

fn adam([w, m, v]: &mut [f64; 3], gradient: f64, decay: f64, clip: &dyn Fn(f64) -> f64, t: i32, rate: f64) {
    let g = clip(gradient + decay * *w);
    *m = 0.9 * *m + 0.1 * g;
    *v = 0.999 * *v + 0.001 * g * g;
    *w -= rate * (1.0 - 0.999f64.powi(t)).sqrt() / (1.0 - 0.9f64.powi(t)) * *m / (v.sqrt() + 1e-8);
}

fn sgd([w, _, _]: &mut [f64; 3], gradient: f64, decay: f64, clip: &dyn Fn(f64) -> f64, _: i32, rate: f64) {
    *w = (1.0 - rate * decay) * *w - rate * clip(gradient);
}

/// With a momentum of 0.75.
fn momentum(
    [w, b, _]: &mut [f64; 3],
    gradient: f64,
    decay: f64,
    clip: &dyn Fn(f64) -> f64,
    _: i32,
    rate: f64,
) {
    *b = 0.75 * *b - rate * decay * *w - rate * clip(gradient);
    *w += *b;
}

fn rmsprop(
    [w, n, _]: &mut [f64; 3],
    gradient: f64,
    decay: f64,
    clip: &dyn Fn(f64) -> f64,
    _: i32,
    rate: f64,
) {
    let g = clip(gradient + decay * *w);
    *n = 0.9 * *n + 0.1 * g * g;
    *w -= rate * g / (*n + 1e-8).sqrt();
}

const RULES: [(OptimizerType, Option<f64>, Rule); 5] = [
    (OptimizerType::Adam, None, adam),
    (OptimizerType::Sgd, None, sgd),
    (OptimizerType::Sgd, Some(0.0), sgd),
    (OptimizerType::Sgd, Some(0.75), momentum),
    (OptimizerType::Rmsprop, None, rmsprop),
];

/// Checks that every optimizer follows its formula, with the settings of `change`.
#[track_caller]
fn check(change: fn(&mut Hyperparameters)) {
    for (optimizer_type, momentum, rule) in RULES {
        let mut h = Hyperparameters { optimizer_type, momentum, ..hyperparameters() };
        change(&mut h);
        check_rule(&h, rule);
    }
}

#[track_caller]
fn check_rule(h: &Hyperparameters, rule: Rule) {
    let team = Team::new(2);
    let mut parameters = parameters(h, &team);
    let mut optimizer = Optimizer::new(h, &parameters);
    assert_eq!(optimizer.state().len(), state_tensors(h), "what memory is estimated with");
    let mut expected: Vec<Vec<[f64; 3]>> = parameters
        .iter()
        .map(|p| p.value.data().iter().map(|&w| [f64::from(w), 0.0, 0.0]).collect())
        .collect();
    let clips = h.clip_gradient >= 0.0 && h.gradient_clipping_type == GradientClippingType::Abs;
    let limit = if clips { h.clip_gradient } else { f64::INFINITY };
    let mut rng = Rng::new(8);
    for update in 1..=12 {
        let gradients = gradients(&parameters, &mut rng, update);
        let learning_rate = 0.1 / update as f64;
        for ((parameter, gradient), expected) in parameters.iter().zip(&gradients).zip(&mut expected) {
            let dense = match gradient {
                Some(Gradient::Dense(tensor)) => tensor.clone(),
                Some(Gradient::Rows(rows)) => rows.to_dense(),
                None => Tensor::zeros(parameter.value.shape().clone()),
            };
            let decay = if parameter.name.ends_with("_weight") { h.weight_decay } else { 0.0 };
            for (number, &g) in expected.iter_mut().zip(dense.data()) {
                let clip = |x: f64| x.clamp(-limit, limit);
                rule(number, f64::from(g), decay, &clip, update as i32, learning_rate);
            }
        }
        optimizer.update(&team, &mut parameters, &gradients, Step { update, learning_rate }).unwrap();
    }
    optimizer.settle(&team, &mut parameters);
    for (index, (parameter, expected)) in parameters.iter().zip(&expected).enumerate() {
        let column = |c: usize| expected.iter().map(|number| number[c] as f32).collect::<Vec<_>>();
        let name = format!("{} of {}", parameter.name, h.optimizer_type);
        // The kernels' constants are f32, so that 1 - 0.999 is off by 5e-5, and a step by half of that.
        assert_close(parameter.value.data(), &column(0), 5e-5, 1e-5, &name);
        for (number, (kind, tensors)) in optimizer.state().into_iter().enumerate() {
            let state = format!("{kind} of {name}");
            assert_close(tensors[index].data(), &column(1 + number), 1e-4, 1e-6, &state);
        }
    }
}

#[test]
fn optimizers_equal_their_formulas() {
    check(|_| ());
    check(|h| h.clip_gradient = -1.0);
    check(|h| h.clip_gradient = 0.25);
    check(|h| h.weight_decay = 0.3);
    check(|h| {
        h.weight_decay = 5.0;
        h.clip_gradient = 0.5;
    });
    // With clipping by norm, the gradients come scaled; the optimizer clips nothing.
    check(|h| h.gradient_clipping_type = GradientClippingType::Norm);
    check(|h| h.gradient_clipping_type = GradientClippingType::None);
}

/// Rows may catch up after every update, when they are read, or at the end: the bits are the same, and rows that are read are up to
/// date.
#[test]
fn rows_that_catch_up_late_end_as_those_that_never_lag() {
    let team = Team::new(2);
    for (optimizer_type, momentum, _) in RULES {
        let h = Hyperparameters { optimizer_type, momentum, ..hyperparameters() };
        let start = parameters(&h, &team);
        let mut runs = [0, 1, 2].map(|_| (start.clone(), Optimizer::new(&h, &start)));
        let mut rng = Rng::new(8);
        for update in 1..=2 * LONGEST_HISTORY as u64 + 30 {
            let gradients = gradients(&start, &mut rng, update);
            let step = Step { update, learning_rate: 0.1 / (1.0 + 0.01 * update as f64) };
            for (parameters, optimizer) in &mut runs {
                optimizer.update(&team, parameters, &gradients, step).unwrap();
            }
            let [(whole, first), (read, second), _] = &mut runs;
            first.settle(&team, whole);
            let rows = [(update % 7) as u32, (update % 3) as u32];
            second.catch_up(&team, read, &[(0, &rows[..1]), (0, &rows)]);
            let tables = [&*whole, &*read].map(|parameters| parameters.iter().next().unwrap().value.clone());
            for row in rows {
                let [a, b] = [&tables[0], &tables[1]].map(|table| table.row(row as usize));
                assert_eq!(a, b, "{optimizer_type}, row {row} after update {update}");
            }
        }
        let ends = runs.map(|(mut parameters, mut optimizer)| {
            optimizer.settle(&team, &mut parameters);
            let tensors = parameters.iter().map(|p| &*p.value);
            let state = optimizer.state();
            let all = tensors.chain(state.iter().flat_map(|(_, tensors)| tensors.iter()));
            all.flat_map(|tensor| tensor.data().iter().map(|x| x.to_bits())).collect::<Vec<u32>>()
        });
        assert!(ends[0] == ends[1] && ends[0] == ends[2], "{optimizer_type}");
    }
}

#[test]
fn state_is_taken_over_by_name_or_refused() {
    let (h, team) = (hyperparameters(), Team::new(1));
    let mut parameters = parameters(&h, &team);
    let mut optimizer = Optimizer::new(&h, &parameters);
    let gradients = gradients(&parameters, &mut Rng::new(3), 1);
    optimizer.update(&team, &mut parameters, &gradients, Step { update: 1, learning_rate: 0.1 }).unwrap();
    let named = |kind: usize| -> HashMap<String, Tensor> {
        let tensors = optimizer.state()[kind].1.iter().cloned();
        parameters.iter().map(|p| p.name.clone()).zip(tensors).collect()
    };
    let mut other = Optimizer::new(&h, &parameters);
    for (index, (kind, tensors)) in optimizer.state().into_iter().enumerate() {
        other.load(kind, &parameters, named(index)).unwrap();
        for (a, b) in tensors.iter().zip(other.state()[index].1) {
            assert_eq!(a.data(), b.data());
        }
    }

    let mut fails = |kind: &str, change: fn(&mut HashMap<String, Tensor>), part: &str| {
        let mut tensors = named(0);
        change(&mut tensors);
        let error = other.load(kind, &parameters, tensors).unwrap_err();
        assert!(error.contains(part), "{error:?} lacks {part:?}");
    };
    fails("q", |_| (), "this optimizer keeps no `q`");
    fails("m", |t| drop(t.remove("target_output_bias")), "target_output_bias is missing");
    fails("m", |t| drop(t.insert("x".into(), Tensor::zeros([1]))), "x belongs to no parameter");
    fails(
        "m",
        |t| drop(t.insert("target_output_bias".into(), Tensor::zeros([3]))),
        "target_output_bias is (3) and should be (9)",
    );
}
