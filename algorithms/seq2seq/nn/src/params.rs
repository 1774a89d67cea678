//! Parameters and their names, exactly as in Sockeye 1.18's files.

use std::collections::HashMap;
use std::sync::Arc;

use kokanee_tensor::{Shape, Tensor};

/// A named weight or bias.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The name in files.
    pub name: String,
    /// The values.
    pub value: Arc<Tensor>,
}

/// All parameters of a model, in the order in which its layers were built.
#[derive(Clone, Debug, Default)]
pub struct Parameters {
    entries: Vec<Parameter>,
}

impl Parameters {
    /// All of them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.entries.iter()
    }

    /// All of them, in order, mutable.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Parameter> {
        self.entries.iter_mut()
    }

    /// The parameter with this number.
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.entries[id.0]
    }

    /// The values of a parameter, mutable: they are copied first if somebody else holds them.
    pub(crate) fn values_mut(&mut self, id: ParameterId) -> &mut Tensor {
        Arc::make_mut(&mut self.entries[id.0].value)
    }

    /// Number of parameters (tensors).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of values in all tensors.
    pub fn size(&self) -> usize {
        self.entries.iter().map(|p| p.value.data().len()).sum()
    }

    /// Takes the values of `named`, whose names and shapes must be exactly those of the model.
    ///
    /// # Errors
    /// Names every parameter that is missing, unexpected or misshapen, at once; then nothing is changed.
    pub fn load(&mut self, named: HashMap<String, Tensor>) -> Result<(), ParameterMismatch> {
        let declared = self.entries.iter().map(|p| (p.name.clone(), p.value.shape().clone())).collect();
        *self = Builder { declared }.with_values(named)?;
        Ok(())
    }
}

/// Parameter values that do not fit a model.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ParameterMismatch {
    /// Names that the model has and the values lack.
    pub missing: Vec<String>,
    /// Names that the model does not have.
    pub unexpected: Vec<String>,
    /// Names with both shapes.
    pub misshapen: Vec<String>,
}

impl ParameterMismatch {
    fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

impl std::fmt::Display for ParameterMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts =
            [("missing", &self.missing), ("unexpected", &self.unexpected), ("wrong", &self.misshapen)];
        let texts: Vec<String> = parts
            .iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what}: {}", names.join(", ")))
            .collect();
        write!(f, "{}", texts.join("; "))
    }
}

impl std::error::Error for ParameterMismatch {}

/// The number of a parameter in its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterId(pub(crate) usize);

/// Collects the names and shapes of parameters while layers are built. Values come last, so that a configuration that asks for more
/// than its files hold costs nothing.
#[derive(Default)]
pub(crate) struct Builder {
    declared: Vec<(String, Shape)>,
}

impl Builder {
    /// Adds a parameter.
    pub(crate) fn add(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> ParameterId {
        let name = name.into();
        debug_assert!(self.declared.iter().all(|(other, _)| *other != name), "{name} is built twice");
        self.declared.push((name, shape.into()));
        ParameterId(self.declared.len() - 1)
    }

    /// Names and shapes of all of them, in order.
    pub(crate) fn declared(self) -> Vec<(String, Shape)> {
        self.declared
    }

    /// The parameters as zeros, to be initialised.
    pub(crate) fn zeros(self) -> Parameters {
        let zeros = |(name, shape)| Parameter { name, value: Arc::new(Tensor::lasting(shape)) };
        Parameters { entries: self.declared.into_iter().map(zeros).collect() }
    }

    /// The parameters with the values of `named`, whose names and shapes must be exactly those declared.
    ///
    /// # Errors
    /// Names every parameter that is missing, unexpected or misshapen, at once.
    pub(crate) fn with_values(
        self,
        mut named: HashMap<String, Tensor>,
    ) -> Result<Parameters, ParameterMismatch> {
        let mut mismatch = ParameterMismatch::default();
        let mut entries = Vec::with_capacity(self.declared.len());
        for (name, shape) in self.declared {
            match named.remove(&name) {
                None => mismatch.missing.push(name),
                Some(tensor) if *tensor.shape() != shape => {
                    mismatch.misshapen.push(format!("{name} is {} and should be {shape}", tensor.shape()));
                }
                Some(tensor) => entries.push(Parameter { name, value: Arc::new(tensor) }),
            }
        }
        mismatch.unexpected = named.into_keys().collect();
        mismatch.unexpected.sort_unstable();
        if mismatch.is_empty() { Ok(Parameters { entries }) } else { Err(mismatch) }
    }
}

/// Source embedding, V x E.
pub(crate) const SOURCE_EMBEDDING: &str = "source_embed_weight";
/// Target embedding, V x E.
pub(crate) const TARGET_EMBEDDING: &str = "target_embed_weight";
/// Embedding of both sides if they are tied, V x E.
pub(crate) const SHARED_EMBEDDING: &str = "source_target_embed_weight";
/// Vectors of source positions, positions x E; convolutional encoders only.
pub(crate) const SOURCE_POSITIONS: &str = "source_pos_embed_weight";
/// Vectors of target positions, positions x E; convolutional decoders only.
pub(crate) const TARGET_POSITIONS: &str = "target_pos_embed_weight";
/// Output layer, V x H.
pub(crate) const OUTPUT_WEIGHT: &str = "target_output_weight";
/// Output layer, V.
pub(crate) const OUTPUT_BIAS: &str = "target_output_bias";
/// Attentional layer, H x (H + H_enc).
pub(crate) const DECODER_HIDDEN_WEIGHT: &str = "decoder_rnn_hidden_weight";
/// Attentional layer, H.
pub(crate) const DECODER_HIDDEN_BIAS: &str = "decoder_rnn_hidden_bias";
/// mlp attention: encoder outputs to attention units, A x H_enc.
pub(crate) const MLP_KEYS: &str = "decoder_rnn_att_e2h_weight";
/// mlp attention: decoder state to attention units, A x H.
pub(crate) const MLP_QUERY: &str = "decoder_rnn_att_q2h_weight";
/// mlp attention: attention units to the score, 1 x A.
pub(crate) const MLP_SCORE: &str = "decoder_rnn_att_h2s_weight";
/// dot attention: encoder outputs to attention units, A x H_enc; only if the widths differ.
pub(crate) const DOT_KEYS: &str = "decoder_rnn_att_s2h_weight";
/// dot attention: decoder state to attention units, A x H; only if the widths differ.
pub(crate) const DOT_QUERY: &str = "decoder_rnn_att_t2h_weight";
/// bilinear attention, H x H_enc.
pub(crate) const BILINEAR: &str = "decoder_rnn_att_s2t_weight";
/// Embedding to the units of a convolutional encoder, H x E.
pub(crate) const ENCODER_CNN_INPUT: &str = "encoder_cnn_i2h_weight";
/// Embedding to the units of a convolutional decoder, H x E.
pub(crate) const DECODER_CNN_INPUT: &str = "decoder_cnn_i2h_weight";

/// Whether this parameter is a table, whose rows are looked up; nothing is multiplied by it unless it is also the output layer.
pub(crate) fn is_table(name: &str) -> bool {
    [SOURCE_EMBEDDING, TARGET_EMBEDDING, SHARED_EMBEDDING, SOURCE_POSITIONS, TARGET_POSITIONS].contains(&name)
}

/// Prefix of one direction of the bidirectional first encoder layer.
pub(crate) fn bidirectional_prefix(reverse: bool) -> &'static str {
    if reverse { "encoder_birnn_reverse_l0_" } else { "encoder_birnn_forward_l0_" }
}

/// Prefix of a layer above the bidirectional one, counted from 0 again.
pub(crate) fn encoder_layer_prefix(layer: usize) -> String {
    format!("encoder_rnn_l{layer}_")
}

/// Prefix of decoder layer `layer`, from 0.
pub(crate) fn decoder_layer_prefix(layer: usize) -> String {
    format!("decoder_rnn_l{layer}_")
}

/// The four parameters of a recurrent cell: inputs weight and bias, recurrent weight and bias.
pub(crate) fn cell_names(prefix: &str) -> [String; 4] {
    ["i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias"].map(|name| format!("{prefix}{name}"))
}

/// Weight and bias that compute initial decoder state number `state` from the encoder's outputs.
pub(crate) fn state_init_names(state: usize) -> [String; 2] {
    ["weight", "bias"].map(|name| format!("decoder_rnn_enc2decinit_{state}_{name}"))
}

/// Filters and bias of convolutional layer `layer`, from 0.
pub(crate) fn convolution_names(decoder: bool, layer: usize) -> [String; 2] {
    let side = if decoder { "decoder" } else { "encoder" };
    ["weight", "bias"].map(|name| format!("{side}_cnn_{layer}_conv_{name}"))
}

/// Whether Sockeye initialises this parameter as an orthogonal matrix.
pub(crate) fn is_recurrent_weight(name: &str) -> bool {
    name.contains("h2h") && is_weight(name)
}

/// Whether weight decay and the weight initialiser apply: everything but biases.
pub fn is_weight(name: &str) -> bool {
    name.ends_with("_weight")
}
