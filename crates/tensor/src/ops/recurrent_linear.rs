//! Products inside a recurrence: small ones, forward and backward, at every step, and one large one for each weight at the end.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use kokanee_kernels::packed::{self, MOST_TERMS, PackedMatrix};
use kokanee_kernels::{Mat, Precision, Team, gather};

use super::linear::{Columns, Weight, add_weight_gradient};
use crate::{Rows, Tape, Tensor, Var};

/// A weight that is used at every step of a loop.
///
/// It is laid out once for the products of all steps, forward and backward, and it gathers what the steps contribute (inputs, and
/// gradients of outputs), so that the weight's gradient is one product over all steps. Create it before the loop starts: its own
/// backward step must come after those of the loop.
pub struct RecurrentWeight {
    packed: Arc<PackedMatrix>,
    /// Present if gradients are recorded.
    recorded: Option<Recorded>,
}

/// The weight itself, and the data of the backward pass.
#[derive(Clone)]
struct Recorded {
    weight: Columns,
    backwards: Arc<Backwards>,
}

/// The data of a weight for the backward pass.
#[derive(Default)]
struct Backwards {
    /// The transposed weight, laid out by the first backward step.
    transposed: OnceLock<PackedMatrix>,
    steps: Mutex<Vec<Step>>,
}

struct Step {
    x: Arc<Tensor>,
    dy: Arc<Tensor>,
}

impl RecurrentWeight {
    /// Lays `weight` out, if it is not laid out yet.
    pub fn new(tape: &Tape, weight: Weight) -> RecurrentWeight {
        let weight = match weight {
            Weight::Packed(packed) => {
                assert!(!tape.is_recording(), "gradients go through weights as they are");
                return RecurrentWeight { packed, recorded: None };
            }
            Weight::Columns(weight) => weight,
        };
        let packed = Arc::new(PackedMatrix::pack(tape.team(), tape.precision().into(), weight.mat()));
        if !tape.is_recording() {
            return RecurrentWeight { packed, recorded: None };
        }
        let (inputs, outputs) = (packed.inputs(), packed.outputs());
        let backwards = Arc::<Backwards>::default();
        if weight.var.wants_gradient() {
            let (backwards, weight) = (Arc::clone(&backwards), weight.clone());
            tape.record(move |gradients| {
                let steps = std::mem::take(&mut *backwards.steps());
                if steps.is_empty() {
                    return;
                }
                let rows = |of: fn(&Step) -> &Tensor| -> Vec<&[f32]> {
                    steps.iter().flat_map(|step| of(step).data().chunks_exact(of(step).cols())).collect()
                };
                let (dy, x) = (rows(|step| &step.dy), rows(|step| &step.x));
                add_weight_gradient(gradients, &weight, Mat::of_rows(&dy, outputs), Mat::of_rows(&x, inputs));
            });
        }
        RecurrentWeight { packed, recorded: Some(Recorded { weight, backwards }) }
    }
}

impl RecurrentWeight {
    fn recorded(&self) -> &Recorded {
        self.recorded.as_ref().expect("a weight is laid out on the tape of its loop")
    }
}

impl Backwards {
    fn transposed(&self, team: &Team, precision: Precision, weight: &Columns) -> &PackedMatrix {
        self.transposed.get_or_init(|| PackedMatrix::pack(team, precision.into(), weight.mat().t()))
    }

    fn steps(&self) -> MutexGuard<'_, Vec<Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Computes `addend[rows] + sum over the terms of x W'`: B x N from inputs B x K; `rows` names the addend's row of each of the B
/// rows.
///
/// Backward, from dy: `dx = dy W` for each term; row `rows[i]` of the addend's gradient gets `dy_i`; the weights' gradients are
/// computed at the end of the loop.
pub fn recurrent_linear(
    tape: &Tape,
    addend: Option<(&Var, &Rows)>,
    terms: &[(&Var, &RecurrentWeight)],
) -> Var {
    let (count, outputs) = match (addend, terms) {
        (Some((addend, rows)), _) => (rows.len(), addend.value().cols()),
        (None, [(x, weight), ..]) => (x.value().rows(), weight.packed.outputs()),
        (None, []) => panic!("a sum needs something to add"),
    };
    let mut y = Tensor::scratch([count, outputs]);
    let mut beta = 0.0;
    if let Some((addend, rows)) = addend {
        gather::gather_rows(tape.team(), y.data_mut(), addend.value().data(), outputs, rows);
        beta = 1.0;
    }
    if let Some((_, first)) = terms.first() {
        assert!(terms.len() <= MOST_TERMS, "{} terms of a recurrent product", terms.len());
        let mut products = [(&*first.packed, &[][..]); MOST_TERMS];
        for (product, (x, weight)) in products.iter_mut().zip(terms) {
            *product = (&*weight.packed, x.value().data());
        }
        packed::multiply_sum(tape.team(), &products[..terms.len()], y.data_mut(), beta);
    }
    if !tape.is_recording() {
        return tape.constant(y);
    }
    let inputs = terms.iter().flat_map(|(x, w)| [x.slot(), w.recorded().weight.var.slot()]);
    let y = tape.result(y, addend.iter().map(|(addend, _)| addend.slot()).chain(inputs));
    if y.wants_gradient() {
        let dy = y.slot();
        let addend =
            addend.map(|(addend, rows)| (addend.slot(), addend.value().shape().clone(), Arc::clone(rows)));
        let terms: Vec<_> = terms.iter().map(|(x, w)| ((*x).clone(), w.recorded().clone())).collect();
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            if let Some((addend, shape, rows)) = &addend {
                gradients.accumulate_part(*addend, shape, |team, sum| {
                    gather::scatter_add_rows(team, sum.data_mut(), d.data(), outputs, rows);
                });
            }
            let d = Arc::new(d);
            let (team, precision) = (gradients.team(), gradients.precision());
            let mut sums: Vec<(usize, Tensor, f32)> = Vec::with_capacity(terms.len());
            for (number, (x, _)) in terms.iter().enumerate() {
                let sum = gradients.take_sum(x, x.value().shape());
                sums.extend(sum.map(|(sum, beta)| (number, sum, beta)));
            }
            let products = sums.iter_mut().map(|(number, sum, beta)| {
                let (_, Recorded { weight, backwards }) = &terms[*number];
                (backwards.transposed(&team, precision, weight), sum.data_mut(), *beta)
            });
            packed::multiply_each(&team, d.data(), &mut products.collect::<Vec<_>>());
            sums.into_iter().for_each(|(number, sum, _)| gradients.add(&terms[number].0, sum));
            for (x, Recorded { weight, backwards }) in &terms {
                if weight.var.wants_gradient() {
                    backwards.steps().push(Step { x: x.shared(), dy: Arc::clone(&d) });
                }
            }
        });
    }
    y
}
