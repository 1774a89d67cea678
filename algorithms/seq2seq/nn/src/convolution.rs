//! The parts that convolutional encoders and decoders share: vectors of positions, and layers.

use kokanee_contract::algorithms::seq2seq::CnnActivationType;
use kokanee_kernels::conv::{Activation, Window};
use kokanee_tensor::ops::{self, Filters};
use kokanee_tensor::{Rows, Var};

use crate::config::CnnConfig;
use crate::graph::Graph;
use crate::params::{Builder, ParameterId, convolution_names};

/// Parameters of a stack of convolutions (Gehring et al. 2017, as in Sockeye: no scaling, no gradient scaling).
pub(crate) struct Convolutions {
    /// Positions x E.
    positions: ParameterId,
    /// H x E, no bias.
    input: ParameterId,
    /// Filters (C x H x width) and bias (C) of each layer; C = 2H for glu, else H.
    layers: Vec<(ParameterId, ParameterId)>,
    pub(crate) window: Window,
    pub(crate) activation: Activation,
    pub(crate) units: usize,
}

/// The side that a stack is for; it decides names, and whether the stack may look ahead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Encoder,
    Decoder,
}

impl Convolutions {
    pub(crate) fn new(
        builder: &mut Builder,
        config: &CnnConfig,
        side: Side,
        embedding: usize,
        [positions, input]: [&str; 2],
    ) -> Convolutions {
        let activation = match config.activation {
            CnnActivationType::Glu => Activation::Glu,
            CnnActivationType::Relu => Activation::Relu,
            CnnActivationType::Softrelu => Activation::SoftRelu,
            CnnActivationType::Sigmoid => Activation::Sigmoid,
            CnnActivationType::Tanh => Activation::Tanh,
        };
        let outputs = config.hidden * activation.fan_in();
        let positions = builder.add(positions, [config.positions, embedding]);
        let input = builder.add(input, [config.hidden, embedding]);
        let layers = (0..config.layers)
            .map(|layer| {
                let [weight, bias] = convolution_names(side == Side::Decoder, layer);
                let shape = [outputs, config.hidden, config.kernel_width];
                (builder.add(weight, shape), builder.add(bias, [outputs]))
            })
            .collect();
        let window = match side {
            Side::Encoder => Window::centred(config.kernel_width),
            Side::Decoder => Window::causal(config.kernel_width),
        };
        Convolutions { positions, input, layers, window, activation, units: config.hidden }
    }

    /// Inputs of the first layer R x H: embedded words R x E plus the vectors of their positions, projected.
    pub(crate) fn input(&self, graph: &Graph<'_>, embedded: Var, positions: Rows) -> Var {
        let positions = ops::embedding(graph.tape, &graph.table(self.positions), positions);
        let x = ops::add(graph.tape, embedded, &positions);
        ops::linear(graph.tape, &x, &graph.weight(self.input), &[])
    }

    /// Number of layers.
    pub(crate) fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The filters of every layer, laid out for products.
    pub(crate) fn filters(&self, graph: &Graph<'_>) -> Vec<Filters> {
        self.layers.iter().map(|&(weight, bias)| graph.filters(weight, bias, self.window)).collect()
    }
}
