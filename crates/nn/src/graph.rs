//! A model's parameters on a tape.

use kokanee_tensor::{Tape, Var};

use crate::params::{ParameterId, Parameters};

/// Where layers compute: the tape, and the variable of each parameter.
pub(crate) struct Graph<'t> {
    pub(crate) tape: &'t Tape,
    parameters: Vec<Var>,
}

impl<'t> Graph<'t> {
    pub(crate) fn new(tape: &'t Tape, parameters: &Parameters) -> Self {
        Graph { tape, parameters: parameters.iter().map(|p| tape.parameter(p.value.clone())).collect() }
    }

    /// As a decoder computes in `f32`: weights are laid out for products.
    #[cfg(test)]
    pub(crate) fn packed(tape: &'t Tape, parameters: &Parameters) -> Self {
        use kokanee_kernels::packed::Format;
        let packed = |value| Var::packed_weight(value, Format::F32);
        Graph { tape, parameters: parameters.iter().map(|p| packed(p.value.clone())).collect() }
    }

    /// Where a decoder computes with parameters that it keeps.
    pub(crate) fn of_vars(tape: &'t Tape, parameters: &[Var]) -> Self {
        Graph { tape, parameters: parameters.to_vec() }
    }

    pub(crate) fn var(&self, id: ParameterId) -> &Var {
        &self.parameters[id.0]
    }

    /// All parameters in order.
    pub(crate) fn into_vars(self) -> Vec<Var> {
        self.parameters
    }
}
