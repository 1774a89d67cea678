//! The whole model: embeddings, encoder, decoder, output layer.

use std::collections::HashMap;
use std::sync::Arc;

use kokanee_kernels::cross_entropy::{LossGradient, TokenLoss};
use kokanee_kernels::{Precision, Team, gather};
use kokanee_tensor::{Gradient, Shape, Tape, Tensor, Var, ops};

use crate::batch::{Batch, Sequences};
use crate::config::{ConfigError, ModelConfig};
use crate::decoder::Decoder;
use crate::encoder::{Encoded, Encoder};
use crate::graph::Graph;
use crate::init::Initialisation;
use crate::params::{self, Builder, ParameterId, ParameterMismatch, Parameters};

/// An encoder-decoder model with its parameters.
pub struct Model {
    config: ModelConfig,
    parameters: Parameters,
    pub(crate) layers: Arc<Layers>,
}

/// The parameters of each layer.
pub(crate) struct Layers {
    pub(crate) source_embedding: ParameterId,
    pub(crate) target_embedding: ParameterId,
    /// Dropout rates of embedded words, source and target.
    embedding_dropout: [f32; 2],
    encoder: Encoder,
    pub(crate) decoder: Decoder,
    pub(crate) output_weight: ParameterId,
    pub(crate) output_bias: ParameterId,
}

/// The source or target side of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The input.
    Source,
    /// The output.
    Target,
}

/// An error in building a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The parameters do not fit.
    #[error(transparent)]
    Parameters(#[from] ParameterMismatch),
}

/// The loss of a batch, and its gradients.
pub struct BatchLoss {
    /// The loss of each target token in token order, `</s>` included.
    pub tokens: Vec<TokenLoss>,
    /// Gradient of the mean loss per token for each parameter in order, if asked for; none for a parameter without one.
    pub gradients: Vec<Option<Gradient>>,
}

impl BatchLoss {
    /// Sum of the tokens' negative log-probabilities.
    pub fn nll_sum(&self) -> f64 {
        self.tokens.iter().map(|t| f64::from(t.nll)).sum()
    }
}

impl Model {
    /// A model with freshly drawn parameters.
    ///
    /// # Errors
    /// When the configuration cannot be built.
    pub fn new(config: ModelConfig, init: &Initialisation, team: &Team) -> Result<Model, ConfigError> {
        let mut model = Model::zeros(config)?;
        init.apply(&mut model.parameters, team);
        Ok(model)
    }

    /// A model with zeros as parameters, to be initialised.
    ///
    /// # Errors
    /// When the configuration cannot be built.
    pub fn zeros(config: ModelConfig) -> Result<Model, ConfigError> {
        let (layers, builder) = Model::build(&config)?;
        Ok(Model { config, parameters: builder.zeros(), layers })
    }

    /// A model with these parameters, whose names and shapes must match exactly. Takes no memory besides them.
    ///
    /// # Errors
    /// When the configuration cannot be built, and with every parameter that is missing, unexpected or misshapen, at once.
    pub fn with_parameters(config: ModelConfig, named: HashMap<String, Tensor>) -> Result<Model, ModelError> {
        let (layers, builder) = Model::build(&config)?;
        Ok(Model { config, parameters: builder.with_values(named)?, layers })
    }

    /// The names and shapes of the parameters of a model with this configuration, in order. Takes no memory.
    ///
    /// # Errors
    /// When the configuration cannot be built.
    pub fn shapes(config: &ModelConfig) -> Result<Vec<(String, Shape)>, ConfigError> {
        Ok(Model::build(config)?.1.declared())
    }

    fn build(config: &ModelConfig) -> Result<(Arc<Layers>, Builder), ConfigError> {
        config.check()?;
        let mut builder = Builder::default();
        let target = [config.target_vocabulary, config.target_embedding];
        let (source_embedding, target_embedding) = if config.ties_source_and_target() {
            let shared = builder.add(params::SHARED_EMBEDDING, target);
            (shared, shared)
        } else {
            let source = [config.source_vocabulary, config.source_embedding];
            (builder.add(params::SOURCE_EMBEDDING, source), builder.add(params::TARGET_EMBEDDING, target))
        };
        let encoder = Encoder::new(&mut builder, config);
        let decoder = Decoder::new(&mut builder, config);
        let output_weight = if config.ties_target_and_output() {
            target_embedding
        } else {
            builder.add(params::OUTPUT_WEIGHT, [config.target_vocabulary, config.decoder_width()])
        };
        let output_bias = builder.add(params::OUTPUT_BIAS, [config.target_vocabulary]);
        let dropout = config.dropout;
        let layers = Layers {
            source_embedding,
            target_embedding,
            embedding_dropout: [dropout.source_embedding as f32, dropout.target_embedding as f32],
            encoder,
            decoder,
            output_weight,
            output_bias,
        };
        Ok((Arc::new(layers), builder))
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The parameters, for loading and for updates.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// Sets rows of an embedding to pretrained vectors: row `ids[i]` becomes the i-th of `vectors`, which are as wide as the
    /// embedding.
    pub fn set_word_vectors(&mut self, side: Side, ids: &[u32], vectors: &[f32]) {
        let id = match side {
            Side::Source => self.layers.source_embedding,
            Side::Target => self.layers.target_embedding,
        };
        let table = self.parameters.values_mut(id);
        let width = table.cols();
        gather::scatter_rows(&Team::new(1), table.data_mut(), vectors, width, ids);
    }

    /// Creates a batch of (source, target) pairs for this model.
    pub fn batch<'a>(&self, pairs: impl IntoIterator<Item = (&'a [u32], &'a [u32])>) -> Batch {
        Batch::new(pairs, self.config.source_with_eos)
    }

    /// The numbers of the parameters of which `batch` reads only some rows, with those rows in any order: the embeddings, except
    /// one that is also the output layer's weight. A number may occur twice.
    pub fn rows_read<'b>(&self, batch: &'b Batch) -> Vec<(usize, &'b [u32])> {
        let layers = &self.layers;
        let sides = [(layers.source_embedding, &batch.source), (layers.target_embedding, &batch.target)];
        let tables = sides.into_iter().filter(|(table, _)| *table != layers.output_weight);
        tables.map(|(table, words)| (table.0, words.words())).collect()
    }

    /// The loss of a batch.
    pub fn loss(&self, team: &Arc<Team>, batch: &Batch) -> BatchLoss {
        let tape = Tape::forgetting(Arc::clone(team));
        let (loss, _) = self.record_loss(&tape, batch);
        BatchLoss { tokens: loss.tokens, gradients: Vec::new() }
    }

    /// The loss of a batch and the gradients of its mean per target token, with products in `precision`. `dropout_seed` determines
    /// the masks if the configuration has dropout.
    pub fn loss_and_gradients(
        &self,
        team: &Arc<Team>,
        precision: Precision,
        batch: &Batch,
        dropout_seed: u64,
    ) -> BatchLoss {
        let tape = Tape::training(Arc::clone(team), dropout_seed).in_precision(precision);
        let (loss, parameters) = self.record_loss(&tape, batch);
        let mut gradients = tape.backward(&loss.loss);
        let gradients = parameters.iter().map(|var| gradients.take_parameter(var)).collect();
        BatchLoss { tokens: loss.tokens, gradients }
    }

    fn record_loss(&self, tape: &Tape, batch: &Batch) -> (ops::CrossEntropy, Vec<Var>) {
        let graph = Graph::new(tape, &self.parameters);
        let layers = &self.layers;
        let encoded = layers.encode(&graph, &batch.source);
        let embedded = layers.embed_target(&graph, &batch.target);
        let hidden = layers.decoder.decode(&graph, &encoded, &batch.target, embedded);
        let loss = ops::cross_entropy(
            tape,
            &hidden,
            graph.var(layers.output_weight),
            graph.var(layers.output_bias),
            &batch.labels,
            LossGradient {
                scale: 1.0 / batch.labels.len().max(1) as f32,
                smoothing: self.config.label_smoothing as f32,
            },
        );
        (loss, graph.into_vars())
    }
}

impl Layers {
    /// Encodes sources.
    pub(crate) fn encode(&self, graph: &Graph<'_>, source: &Sequences) -> Encoded {
        let embedded = ops::embedding(graph.tape, &graph.table(self.source_embedding), source.ids());
        let embedded = ops::dropout(graph.tape, embedded, self.embedding_dropout[0]);
        self.encoder.encode(graph, source, embedded)
    }

    /// Embedded target words, T x E.
    pub(crate) fn embed_target(&self, graph: &Graph<'_>, target: &Sequences) -> Var {
        let embedded = ops::embedding(graph.tape, &graph.table(self.target_embedding), target.ids());
        ops::dropout(graph.tape, embedded, self.embedding_dropout[1])
    }
}
