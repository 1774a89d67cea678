//! The tape: records operations, and replays them backwards. It does not know the list of operations.

use std::cell::RefCell;
use std::sync::Arc;

use kokanee_kernels::{Precision, Team, elementwise, gather};

use crate::{Shape, Tensor};

type Backward = Box<dyn FnOnce(&mut Gradients)>;

/// A tape, on which operations are computed and, when training, recorded.
pub struct Tape {
    team: Arc<Team>,
    precision: Precision,
    recording: bool,
    /// Seed of the dropout masks; without one nothing is dropped.
    dropout: Option<u64>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    steps: Vec<Backward>,
    slots: usize,
    dropouts: u64,
}

/// A value on a tape. Without a slot it is a constant: nothing flows back to it.
#[derive(Clone, Debug)]
pub struct Var {
    value: Arc<Tensor>,
    slot: Option<usize>,
}

impl Tape {
    /// A tape that records, without dropout.
    pub fn recording(team: Arc<Team>) -> Tape {
        Tape { team, precision: Precision::F32, recording: true, dropout: None, state: RefCell::default() }
    }

    /// A tape that records, for training: dropout draws its masks from `seed`.
    pub fn training(team: Arc<Team>, seed: u64) -> Tape {
        Tape {
            team,
            precision: Precision::F32,
            recording: true,
            dropout: Some(seed),
            state: RefCell::default(),
        }
    }

    /// A tape that does not record: the same operations, with nothing kept for gradients.
    pub fn forgetting(team: Arc<Team>) -> Tape {
        Tape { team, precision: Precision::F32, recording: false, dropout: None, state: RefCell::default() }
    }

    /// The same tape with matrix products in `precision`, in the backward pass too; everything else stays `f32`.
    pub fn in_precision(self, precision: Precision) -> Tape {
        Tape { precision, ..self }
    }

    /// The threads that compute operations.
    pub fn team(&self) -> &Team {
        &self.team
    }

    /// The rounding of products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether gradients can be asked for.
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    /// A value whose gradient is wanted.
    pub fn parameter(&self, value: Arc<Tensor>) -> Var {
        Var { value, slot: self.recording.then(|| self.next_slot()) }
    }

    /// A value whose gradient is not wanted.
    pub fn constant(&self, value: Tensor) -> Var {
        Var::constant(value)
    }

    /// The result of an operation on `inputs`. It gets a slot if one of them has one.
    pub fn result(&self, value: Tensor, inputs: impl IntoIterator<Item = Slot>) -> Var {
        let wanted = self.recording && inputs.into_iter().any(|slot| slot.0.is_some());
        Var { value: Arc::new(value), slot: wanted.then(|| self.next_slot()) }
    }

    /// Records how gradients flow through an operation. Steps are replayed last first.
    pub fn record(&self, backward: impl FnOnce(&mut Gradients) + 'static) {
        if self.recording {
            self.state.borrow_mut().steps.push(Box::new(backward));
        }
    }

    /// Gradients of `loss` (one element) for everything that was recorded.
    pub fn backward(self, loss: &Var) -> Gradients {
        assert_eq!(loss.value.data().len(), 1, "gradients are of one number");
        self.backward_from(vec![(loss.clone(), Tensor::from_vec([1], vec![1.0]))])
    }

    /// Gradients of `sum over the outputs of <output, factor>` for everything that was recorded.
    pub fn backward_from(self, outputs: Vec<(Var, Tensor)>) -> Gradients {
        let state = self.state.into_inner();
        let mut gradients = Gradients { team: self.team, precision: self.precision, slots: Vec::new() };
        gradients.slots.resize_with(state.slots, || None);
        for (output, factor) in outputs {
            gradients.add(&output, factor);
        }
        for step in state.steps.into_iter().rev() {
            step(&mut gradients);
        }
        gradients
    }

    /// The key of the next dropout's mask: a function of the seed and of the number of dropouts before.
    pub(crate) fn next_dropout_key(&self) -> Option<u64> {
        let seed = self.dropout?;
        let mut state = self.state.borrow_mut();
        state.dropouts += 1;
        Some(seed.wrapping_add(state.dropouts.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    fn next_slot(&self) -> usize {
        let mut state = self.state.borrow_mut();
        state.slots += 1;
        state.slots - 1
    }
}

impl Var {
    /// A value whose gradient is not wanted, on any tape.
    pub fn constant(value: Tensor) -> Var {
        Var::shares(Arc::new(value))
    }

    /// As [`Var::constant`], for a value that others hold too.
    pub fn shares(value: Arc<Tensor>) -> Var {
        Var { value, slot: None }
    }

    /// The value.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// The value, shared.
    pub fn shared(&self) -> Arc<Tensor> {
        Arc::clone(&self.value)
    }

    /// Whether a gradient flows to this value.
    pub fn wants_gradient(&self) -> bool {
        self.slot.is_some()
    }

    /// The name of this value's gradient, for steps that do not need the value itself.
    pub fn slot(&self) -> Slot {
        Slot(self.slot)
    }

    /// The value, mutable in place: it is copied first if somebody else holds it.
    pub fn value_mut(&mut self) -> &mut Tensor {
        assert!(self.slot.is_none(), "what gradients flow to is not changed");
        Arc::make_mut(&mut self.value)
    }

    /// The value, owned: without a copy if nobody else holds it.
    pub fn into_value(self) -> Tensor {
        Arc::try_unwrap(self.value).unwrap_or_else(|shared| (*shared).clone())
    }
}

/// The name of a gradient, without the value it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Slot(Option<usize>);

impl Slot {
    /// Whether a gradient flows there.
    pub fn is_wanted(self) -> bool {
        self.0.is_some()
    }
}

impl From<&Var> for Slot {
    fn from(var: &Var) -> Slot {
        Slot(var.slot)
    }
}

/// A gradient, dense or of some rows only.
#[derive(Debug)]
pub enum Gradient {
    /// One value for each element.
    Dense(Tensor),
    /// Zero outside some rows (embeddings).
    Rows(RowGradient),
}

/// A gradient that is zero outside the given rows.
#[derive(Debug)]
pub struct RowGradient {
    /// Ascending, each row once.
    pub rows: Vec<u32>,
    /// rows.len() x width.
    pub values: Tensor,
    /// Shape of the whole gradient.
    pub shape: Shape,
}

impl RowGradient {
    /// The same gradient with its zeros.
    pub fn to_dense(&self) -> Tensor {
        let mut dense = Tensor::zeros(self.shape.clone());
        let (values, width) = (self.values.data(), self.values.cols());
        gather::scatter_rows(&Team::new(1), dense.data_mut(), values, width, &self.rows);
        dense
    }
}

/// The gradients of a backward pass.
pub struct Gradients {
    team: Arc<Team>,
    precision: Precision,
    slots: Vec<Option<Gradient>>,
}

impl Gradients {
    /// The threads that compute gradients.
    pub fn team(&self) -> Arc<Team> {
        Arc::clone(&self.team)
    }

    /// The rounding of products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Takes the dense gradient of a value; `None` when nothing flowed to it.
    pub fn take(&mut self, of: impl Into<Slot>) -> Option<Tensor> {
        match self.slots[of.into().0?].take()? {
            Gradient::Dense(tensor) => Some(tensor),
            Gradient::Rows(rows) => Some(rows.to_dense()),
        }
    }

    /// Takes the gradient of a parameter in the form in which it is kept.
    pub fn take_parameter(&mut self, of: impl Into<Slot>) -> Option<Gradient> {
        self.slots[of.into().0?].take()
    }

    /// Adds a whole gradient.
    pub fn add(&mut self, to: impl Into<Slot>, gradient: Tensor) {
        let Some(slot) = to.into().0 else { return };
        match &mut self.slots[slot] {
            Some(Gradient::Dense(sum)) => {
                elementwise::add_assign(&self.team, sum.data_mut(), gradient.data());
            }
            Some(Gradient::Rows(rows)) => {
                let mut sum = gradient;
                let (values, width) = (rows.values.data(), rows.values.cols());
                gather::scatter_add_rows(&self.team, sum.data_mut(), values, width, &rows.rows);
                self.slots[slot] = Some(Gradient::Dense(sum));
            }
            empty @ None => *empty = Some(Gradient::Dense(gradient)),
        }
    }

    /// Adds to a gradient in place: `write(team, sum, beta)` must compute `sum = beta sum + ...` for all elements, where beta is 0
    /// for a new sum of arbitrary content and 1 afterwards.
    pub fn accumulate(
        &mut self,
        to: impl Into<Slot>,
        shape: &Shape,
        write: impl FnOnce(&Team, &mut Tensor, f32),
    ) {
        let to = to.into();
        let Some((mut sum, beta)) = self.take_sum(to, shape) else { return };
        write(&self.team, &mut sum, beta);
        self.add(to, sum);
    }

    /// Takes the sum so far, or a new one of arbitrary content, and beta: for operations that compute `sum = beta sum + ...` of
    /// several gradients at once, and then return each with [`Gradients::add`]. None if no gradient is wanted.
    pub fn take_sum(&mut self, of: impl Into<Slot>, shape: &Shape) -> Option<(Tensor, f32)> {
        let slot = of.into();
        slot.0?;
        Some(self.take(slot).map_or_else(|| (Tensor::scratch(shape.clone()), 0.0), |sum| (sum, 1.0)))
    }

    /// As [`Gradients::accumulate`], for operations that touch parts of the sum only: it starts as zeros.
    pub fn accumulate_part(
        &mut self,
        to: impl Into<Slot>,
        shape: &Shape,
        add: impl FnOnce(&Team, &mut Tensor),
    ) {
        self.accumulate(to, shape, |team, sum, beta| {
            if beta == 0.0 {
                elementwise::fill(team, sum.data_mut(), 0.0);
            }
            add(team, sum);
        });
    }

    /// Adds row `i` of `values` to row `rows[i]` of a gradient; rows may occur several times.
    pub fn add_rows(&mut self, to: impl Into<Slot>, shape: &Shape, rows: &[u32], values: &Tensor) {
        let Some(slot) = to.into().0 else { return };
        if let Some(Gradient::Dense(sum)) = &mut self.slots[slot] {
            gather::scatter_add_rows(&self.team, sum.data_mut(), values.data(), values.cols(), rows);
            return;
        }
        let mut sources: Vec<(u32, &[f32])> = (0..rows.len()).map(|i| (rows[i], values.row(i))).collect();
        let earlier = self.slots[slot].take();
        if let Some(Gradient::Rows(earlier)) = &earlier {
            sources.extend((0..earlier.rows.len()).map(|i| (earlier.rows[i], earlier.values.row(i))));
        }
        // A stable sort keeps the order of additions fixed.
        sources.sort_by_key(|(row, _)| *row);
        let runs: Vec<&[(u32, &[f32])]> = sources.chunk_by(|(a, _), (b, _)| a == b).collect();
        let unique = runs.iter().map(|run| run[0].0).collect();
        let width = values.cols();
        let mut sum = Tensor::scratch([runs.len(), width]);
        gather::sum_runs(&self.team, sum.data_mut(), width, &runs);
        self.slots[slot] =
            Some(Gradient::Rows(RowGradient { rows: unique, values: sum, shape: shape.clone() }));
    }
}
