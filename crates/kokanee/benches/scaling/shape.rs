//! The measured model, and the number of its multiply-adds: the formula of docs/performance.md.

use std::collections::BTreeMap;

use kokanee_contract::algorithms::seq2seq::Hyperparameters;
use kokanee_kernels::Team;
use kokanee_seq2seq_nn::init::Initialisation;
use kokanee_seq2seq_nn::{Model, ModelConfig};

/// Gates of an LSTM cell.
const GATES: usize = 4;
/// The gradient of each of a product's two operands is a product, as large as the original.
pub(crate) const FORWARD_AND_BACKWARD: f64 = 3.0;

/// A recurrent model: LSTM cells, mlp attention with the same number of units, and the same number of layers in encoder and
/// decoder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) hidden: usize,
    pub(crate) embedding: usize,
    pub(crate) layers: usize,
    pub(crate) source_vocabulary: usize,
    pub(crate) target_vocabulary: usize,
}

/// The shape that every curve varies in one respect.
pub(crate) const BASE: Shape =
    Shape { hidden: 512, embedding: 512, layers: 1, source_vocabulary: 10_000, target_vocabulary: 10_000 };
/// Tokens of a base sentence on each side, `</s>` not counted.
pub(crate) const BASE_LENGTH: usize = 20;
/// Sentences of a base batch.
pub(crate) const BASE_BATCH: usize = 64;

impl Shape {
    /// Multiply-adds for one source token: the layers, and its key for the attention.
    pub(crate) fn for_source_token(&self) -> f64 {
        let (h, e) = (self.hidden, self.embedding);
        // The first layer consists of two with half of the units.
        let first = 2 * GATES * (h / 2) * (e + h / 2);
        let upper = (self.layers - 1) * GATES * h * 2 * h;
        (first + upper + h * h) as f64
    }

    /// Multiply-adds for one target token that attends to `source` tokens: the first layer, whose input includes the attentional
    /// vector, the layers above, whose input includes the context, the attention's query, scores and context, the attentional
    /// vector, the output layer.
    pub(crate) fn for_target_token(&self, source: usize) -> f64 {
        let (h, e) = (self.hidden, self.embedding);
        let first = GATES * h * (e + h + h);
        let upper = (self.layers - 1) * GATES * h * 3 * h;
        let attention = h * h + source * 2 * h;
        (first + upper + attention + 2 * h * h + h * self.target_vocabulary) as f64
    }

    /// Values of the matrices that a step of decoding multiplies by.
    pub(crate) fn step_weights(&self) -> f64 {
        self.for_target_token(0)
    }

    /// The number of all parameters: weights, embeddings, first states of the decoder; biases are left out.
    fn parameters(&self) -> f64 {
        let embeddings = self.embedding * (self.source_vocabulary + self.target_vocabulary);
        embeddings as f64 + self.dense_parameters()
    }

    /// The number of parameters that every update changes: all but embeddings, of which it changes the rows of its batch.
    pub(crate) fn dense_parameters(&self) -> f64 {
        let first_states = 2 * self.layers * self.hidden * self.hidden;
        first_states as f64 + self.for_source_token() + self.for_target_token(0)
    }

    /// The hyperparameters, with further settings.
    ///
    /// # Errors
    /// When they are refused, for example because a precision is not supported.
    pub(crate) fn hyperparameters(
        &self,
        longest: usize,
        further: &[(&str, String)],
    ) -> Result<Hyperparameters, String> {
        let own = [
            ("rnn_num_hidden", self.hidden),
            ("num_embed_source", self.embedding),
            ("num_embed_target", self.embedding),
            ("num_layers_encoder", self.layers),
            ("num_layers_decoder", self.layers),
            ("max_seq_len_source", longest + 1),
            ("max_seq_len_target", longest + 1),
        ];
        let own = own.iter().map(|(name, value)| (*name, value.to_string()));
        let set: BTreeMap<String, String> =
            own.chain(further.iter().cloned()).map(|(name, value)| (name.to_owned(), value)).collect();
        Hyperparameters::resolve(&set).map_err(|error| error.to_string())
    }

    /// A model with initial parameters.
    pub(crate) fn model(&self, h: &Hyperparameters, team: &Team) -> Model {
        let config = ModelConfig::new(h, self.source_vocabulary, self.target_vocabulary);
        let config = config.expect("a recurrent model can be built");
        let model =
            Model::new(config, &Initialisation::from(h), team).expect("a recurrent model can be built");
        let (counted, real) = (self.parameters(), model.parameters().size() as f64);
        // Biases and the vector of the scores are a thousandth; a larger difference would mean that the formula is not for this
        // model.
        assert!((counted / real - 1.0).abs() < 0.005, "the formula counts {counted} parameters of {real}");
        model
    }
}

/// Checks that the formula gives the figures published for the workload on Multi30k: 92.7 and 229.8 million operations per target
/// token.
pub(crate) fn check_against_published_counts() {
    for (hidden, published) in [(512, 92.7e6), (1024, 229.8e6)] {
        let shape = Shape { hidden, source_vocabulary: 10_214, target_vocabulary: 18_726, ..BASE };
        let forward = shape.for_target_token(14) + shape.for_source_token() * 14.02 / 13.44;
        let counted = 2.0 * FORWARD_AND_BACKWARD * forward;
        assert!((counted / published - 1.0).abs() < 0.01, "hidden {hidden}: {counted} for {published}");
    }
}
