//! The hyperparameters of sequence-to-sequence. Each row is a field of [`Hyperparameters`] and an entry of its table at once.
//!
//! Names, valid values, defaults and tuning ranges are those of the Amazon SageMaker developer guide, sections "Sequence to
//! Sequence Hyperparameters" and "Tuning a Sequence to Sequence Model".
//!
//! To add a hyperparameter: add a row here (and, for a new set of words, an enum in `choices.rs`), then use the field.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::PathBuf;

use super::choices::{
    BeamSearchRule, CheckpointAveragingStrategy, CnnActivationType, GradientClippingType, InferencePrecision,
    LossType, LrSchedulerType, Metric, NetworkType, OptimizerType, OverlongSequences, Precision,
    RnnAttentionType, RnnCellType, RnnDecoderStateInit, TrainingMetric, WeightInitType, WeightTying,
    XavierFactorType,
};
use crate::resolve::resolve;
use crate::spec::{
    DefaultValue, Faults, Group, Kind, MOST_COUNTED, Parity, Spec, TuningRange, hyperparameters,
};

/// From sequences to batches.
const DATA: Group = Group("Data and batches");
/// What encoder and decoder have in common.
const ARCHITECTURE: Group = Group("Architecture");
/// Recurrent encoders and decoders.
const RECURRENT: Group = Group("Recurrent networks");
/// Convolutional encoders and decoders.
const CONVOLUTIONAL: Group = Group("Convolutional networks");
/// First values of the weights.
const INITIALISATION: Group = Group("Initialisation");
/// From gradients to updates.
const OPTIMISATION: Group = Group("Optimisation");
/// When to look, and when to stop.
const STOPPING: Group = Group("Checkpoints and stopping");
/// What is measured, and how sentences are decoded.
const EVALUATION: Group = Group("Metrics and decoding");
/// The machine rather than the model.
const RUN: Group = Group("Run");

/// Every group, in the order of the documentation.
pub(super) const GROUPS: &[Group] =
    &[DATA, ARCHITECTURE, RECURRENT, CONVOLUTIONAL, INITIALISATION, OPTIMISATION, STOPPING, EVALUATION, RUN];

/// Greatest width, length or count of sentences. The guide sets no bound; with this one a product of any three sizes
/// is at most 2^48, so no size computed from them can overflow.
const LARGEST_SIZE: i128 = 65_536;
/// Greatest number of layers; far above the 10 that the guide recommends at most.
const MOST_LAYERS: i128 = 64;

/// Greatest width of a convolution; a wider one would see more than any sentence has.
const WIDEST_KERNEL: i128 = 4_096;

/// Greatest number of checkpoints to average; each is a file as large as the model.
const MOST_AVERAGED: i128 = 100;

const SIZE: Kind = Kind::integer(1, LARGEST_SIZE);
const LAYERS: Kind = Kind::integer(1, MOST_LAYERS);
const COUNT: Kind = Kind::integer(1, MOST_COUNTED);
const POSITIVE: Kind = Kind::single(Excluded(0.0), Unbounded, "");
const DROPOUT: Kind = Kind::single(
    Included(0.0),
    Excluded(1.0),
    "the guide's range ends at 1, but a dropout probability of 1 would set everything to zero, and nothing could be \
     learned",
);
const HIDDEN_SIZES: &[TuningRange] = &[TuningRange::categorical(&["128", "256", "512", "1024", "2048"])];
const DROPOUT_TUNING: &[TuningRange] = &[TuningRange::continuous(0.0, 0.5)];

hyperparameters! {
    /// The hyperparameters of one training job: typed, in range, free of contradictions.
    ///
    /// Made by [`Hyperparameters::resolve`]; [`Default`] gives the defaults of the table. Lengths and sizes are counts of tokens
    /// or units, probabilities lie in [0, 1).
    Hyperparameters;

    /// Sentence pairs in one update.
    batch_size: usize = Spec::sagemaker(DATA, SIZE, "64")
        .tuned(&[TuningRange::categorical(&["16", "32", "64", "128", "256", "512", "1024", "2048"])]);

    /// Longest source sequence, in tokens; what happens to longer ones is said by `overlong_sequences`.
    max_seq_len_source: usize = Spec::sagemaker(DATA, SIZE, "100");

    /// Longest target sequence, in tokens and counting the `<s>` that is put in front, so that 100 leaves room for 99
    /// tokens, as in Sockeye 1.x.
    max_seq_len_target: usize = Spec::sagemaker(DATA, SIZE, "100");

    /// Whether batches are made of pairs of similar length; `false` pads every batch to both length limits.
    bucketing_enabled: bool = Spec::sagemaker(DATA, Kind::Boolean, "true");

    /// Step between bucket lengths on the longer side, in tokens; the step of the shorter side is scaled down by the
    /// mean length ratio of the training data.
    bucket_width: usize = Spec::sagemaker(DATA, SIZE, "10");

    /// What becomes of pairs above a length limit: `truncate` cuts them, as the guide says; `drop` leaves them out, as
    /// Sockeye does.
    overlong_sequences: OverlongSequences =
        Spec::extension(DATA, OverlongSequences::KIND, "truncate");

    /// Network of the encoder: recurrent with attention (Bahdanau et al.) or convolutional (Gehring et al.).
    encoder_type: NetworkType = Spec::sagemaker(ARCHITECTURE, NetworkType::KIND, "rnn");

    /// Network of the decoder: recurrent or convolutional.
    decoder_type: NetworkType = Spec::sagemaker(ARCHITECTURE, NetworkType::KIND, "rnn");

    /// Layers of the encoder; of a recurrent one, the first is bidirectional.
    num_layers_encoder: usize = Spec::sagemaker(ARCHITECTURE, LAYERS, "1")
        .tuned(&[TuningRange::integer(1, 10)]);

    /// Layers of the decoder.
    num_layers_decoder: usize = Spec::sagemaker(ARCHITECTURE, LAYERS, "1")
        .tuned(&[TuningRange::integer(1, 10)]);

    /// Width of the vectors that source tokens are looked up as.
    num_embed_source: usize = Spec::sagemaker(ARCHITECTURE, SIZE, "512")
        .tuned(&[TuningRange::integer(256, 512)]);

    /// Width of the vectors that target tokens are looked up as.
    num_embed_target: usize = Spec::sagemaker(ARCHITECTURE, SIZE, "512")
        .tuned(&[TuningRange::integer(256, 512)]);

    /// Dropout probability of the source embeddings, during training.
    embed_dropout_source: f64 = Spec::sagemaker(ARCHITECTURE, DROPOUT, "0")
        .tuned(DROPOUT_TUNING);

    /// Dropout probability of the target embeddings, during training.
    embed_dropout_target: f64 = Spec::sagemaker(ARCHITECTURE, DROPOUT, "0")
        .tuned(DROPOUT_TUNING);

    /// Which weights are one and the same: the output layer and the target embedding (`trg_softmax`), both embeddings
    /// (`src_trg`), or all three (`src_trg_softmax`). An output layer can only share where `num_embed_target` is the width
    /// of the decoder, and both embeddings only where they have the same width and one shared vocabulary.
    weight_tying: WeightTying = Spec::extension(ARCHITECTURE, WeightTying::KIND, "none");

    /// Cell of the recurrent layers.
    rnn_cell_type: RnnCellType = Spec::sagemaker(RECURRENT, RnnCellType::KIND, "lstm");

    /// Hidden units of every recurrent layer; even, because the two directions of the first encoder layer share them.
    rnn_num_hidden: usize =
        Spec::sagemaker(RECURRENT, Kind::with_parity(2, LARGEST_SIZE, Parity::Even), "1024")
        .tuned(HIDDEN_SIZES);

    /// How the decoder weighs source positions: `mlp` is "concat" and `bilinear` is "general" in Luong et al.; `fixed`
    /// always takes the last one.
    rnn_attention_type: RnnAttentionType =
        Spec::sagemaker(RECURRENT, RnnAttentionType::KIND, "mlp");

    /// Hidden units of `mlp` and `dot` attention; the other types have none.
    rnn_attention_num_hidden: Option<usize> =
        Spec::optional(RECURRENT, SIZE, DefaultValue::SameAs("rnn_num_hidden"));

    /// Whether decoder layers above the first see the attention's context, as in Google's NMT system; plays a part only
    /// with more than one decoder layer.
    rnn_attention_in_upper_layers: bool = Spec::sagemaker(RECURRENT, Kind::Boolean, "true");

    /// How the first decoder states follow from the encoder: from its `last` output, from the average (`avg`) of all,
    /// or not at all (`zero`).
    rnn_decoder_state_init: RnnDecoderStateInit =
        Spec::sagemaker(RECURRENT, RnnDecoderStateInit::KIND, "last");

    /// Whether stacked recurrent layers add their input to their output; needs more than one layer.
    rnn_residual_connections: bool = Spec::sagemaker(RECURRENT, Kind::Boolean, "false");

    /// First layer with a residual connection, counting from 1; plays a part only with `rnn_residual_connections`, and
    /// must then be at least 2.
    rnn_first_residual_layer: usize = Spec::sagemaker(RECURRENT, LAYERS, "2");

    /// Dropout probability of the decoder's hidden state joined with the attention's context, during training.
    rnn_decoder_hidden_dropout: f64 = Spec::sagemaker(RECURRENT, DROPOUT, "0")
        .tuned(DROPOUT_TUNING);

    /// Dropout probability of the inputs of every recurrent cell, during training. One mask holds for all steps of a
    /// sequence (Gal and Ghahramani 2016); Sockeye's `--rnn-dropout-inputs`.
    rnn_input_dropout: f64 =
        Spec::extension(RECURRENT, DROPOUT, "0");

    /// Dropout probability of the states that recurrent cells pass from step to step, during training. One mask holds
    /// for all steps of a sequence; Sockeye's `--rnn-dropout-states`.
    rnn_state_dropout: f64 =
        Spec::extension(RECURRENT, DROPOUT, "0");

    /// Dropout probability of what an lstm cell adds to its memory, during training (Semeniuta et al. 2016); Sockeye's
    /// `--rnn-dropout-recurrent`.
    rnn_recurrent_dropout: f64 =
        Spec::extension(RECURRENT, DROPOUT, "0");

    /// Hidden units (channels) of every convolutional layer. A convolutional decoder needs encoder outputs of the same
    /// width, so that a recurrent encoder before it must have as many `rnn_num_hidden`.
    cnn_num_hidden: usize = Spec::sagemaker(CONVOLUTIONAL, SIZE, "512")
        .tuned(HIDDEN_SIZES);

    /// Tokens that one encoder convolution sees; odd, so that it has a middle.
    cnn_kernel_width_encoder: usize =
        Spec::sagemaker(CONVOLUTIONAL, Kind::with_parity(1, WIDEST_KERNEL - 1, Parity::Odd), "3");

    /// Tokens that one decoder convolution sees: the current one and those before it.
    cnn_kernel_width_decoder: usize =
        Spec::sagemaker(CONVOLUTIONAL, Kind::integer(1, WIDEST_KERNEL), "5");

    /// Activation of the convolutions.
    cnn_activation_type: CnnActivationType =
        Spec::sagemaker(CONVOLUTIONAL, CnnActivationType::KIND, "glu");

    /// Dropout probability of the inputs of the decoder's convolutions, during training; as in Sockeye 1.x, the encoder
    /// has none.
    cnn_hidden_dropout: f64 = Spec::sagemaker(CONVOLUTIONAL, DROPOUT, "0")
        .tuned(DROPOUT_TUNING);

    /// Distribution of the first weights; recurrent matrices are orthogonal under either type.
    weight_init_type: WeightInitType =
        Spec::sagemaker(INITIALISATION, WeightInitType::KIND, "xavier")
        .tuned(&[TuningRange::categorical(&["xavier", "uniform"])]);

    /// Size of the first weights: `uniform` draws from ± the scale, `xavier` from ± √(scale / factor). Must be above 0
    /// for `xavier`. For `uniform` the guide recommends tuning from -1 to 1; as both signs mean the same interval,
    /// the sign is dropped, and 0 is refused because equal weights would never grow apart.
    weight_init_scale: f64 =
        Spec::sagemaker(INITIALISATION, Kind::single(Unbounded, Unbounded, ""), "2.34")
        .tuned(&[
            TuningRange::continuous(2.0, 3.0).when("weight_init_type", "xavier"),
            TuningRange::continuous(-1.0, 1.0).when("weight_init_type", "uniform"),
        ]);

    /// Factor of `xavier`: the number of inputs (`in`) or of outputs (`out`) of a weight matrix, or the mean of both.
    xavier_factor_type: XavierFactorType =
        Spec::sagemaker(INITIALISATION, XavierFactorType::KIND, "in");

    /// Text file of word vectors (fastText, GloVe) that source embeddings start from: on each line a word and
    /// `num_embed_source` numbers. Words that it lacks start as they would without it.
    source_vectors: Option<PathBuf> =
        Spec::optional_extension(INITIALISATION, Kind::Path);

    /// The same for target embeddings, with `num_embed_target` numbers a word.
    target_vectors: Option<PathBuf> =
        Spec::optional_extension(INITIALISATION, Kind::Path);

    /// What training minimises.
    loss_type: LossType = Spec::sagemaker(OPTIMISATION, LossType::KIND, "cross-entropy");

    /// Share of the probability that the loss wants spread evenly over all words instead of on the right one; 0 for none
    /// (Szegedy et al. 2016).
    label_smoothing: f64 =
        Spec::extension(
            OPTIMISATION,
            Kind::single(Included(0.0), Excluded(1.0), "with all of it spread there would be nothing to learn"),
            "0",
        );

    /// Batches whose gradients make one update, for batches larger than memory holds. The loss is the mean over all target
    /// tokens of the update. The last update of an epoch takes what batches are left.
    gradient_accumulation: usize = Spec::extension(OPTIMISATION, SIZE, "1");

    /// Rule that turns gradients into updates.
    optimizer_type: OptimizerType = Spec::sagemaker(OPTIMISATION, OptimizerType::KIND, "adam")
        .tuned(&[TuningRange::categorical(&["adam", "sgd", "rmsprop"])]);

    /// Step size at the start.
    learning_rate: f64 = Spec::sagemaker(OPTIMISATION, POSITIVE, "0.0003")
        .tuned(&[TuningRange::continuous(0.00005, 0.2)]);

    /// Momentum of `sgd`; may not be given with another optimizer.
    momentum: Option<f64> =
        Spec::optional(
            OPTIMISATION,
            Kind::single(Included(0.0), Excluded(1.0), "with a momentum of 1 or more updates grow without end"),
            DefaultValue::Unset,
        )
        .tuned(&[TuningRange::continuous(0.5, 0.9)]);

    /// Weight decay; applies to weights and embeddings, not to biases.
    weight_decay: f64 =
        Spec::sagemaker(
            OPTIMISATION,
            Kind::single(Included(0.0), Unbounded, "a negative decay would make weights grow"),
            "0",
        )
        .tuned(&[TuningRange::continuous(0.0, 0.1)]);

    /// Limit of gradients, negative for no clipping: of the absolute value of each single element, unless
    /// `gradient_clipping_type` says otherwise.
    clip_gradient: f64 = Spec::sagemaker(OPTIMISATION, Kind::single(Unbounded, Unbounded, ""), "1")
        .tuned(&[TuningRange::continuous(1.0, 5.0)]);

    /// What `clip_gradient` limits: each element (`abs`), the length of all gradients as one vector, which is then scaled
    /// as a whole (`norm`), or nothing (`none`). Sockeye 1.18's.
    gradient_clipping_type: GradientClippingType =
        Spec::extension(OPTIMISATION, GradientClippingType::KIND, "abs");

    /// How the learning rate changes: `plateau_reduce` multiplies it by a factor when `optimized_metric` stops
    /// improving; the `fixed_rate_*` ones halve it after `fixed_rate_lr_half_life` checkpoints and go on falling.
    lr_scheduler_type: LrSchedulerType =
        Spec::sagemaker(OPTIMISATION, LrSchedulerType::KIND, "plateau_reduce")
        .tuned(&[TuningRange::categorical(&["plateau_reduce", "fixed_rate_inv_t", "fixed_rate_inv_sqrt_t"])]);

    /// Factor of `plateau_reduce`; 1 never reduces.
    plateau_reduce_lr_factor: f64 =
        Spec::sagemaker(
            OPTIMISATION,
            Kind::single(
                Excluded(0.0),
                Included(1.0),
                "a factor above 1 would raise the learning rate, 0 or less would end learning",
            ),
            "0.5",
        )
        .tuned(&[TuningRange::continuous(0.1, 0.5)]);

    /// Checkpoints without improvement after which `plateau_reduce` reduces. The guide's tuning table misspells it; that
    /// spelling is accepted too.
    plateau_reduce_lr_threshold: u64 = Spec::sagemaker(OPTIMISATION, COUNT, "3")
        .also_spelled(&["plateau_reduce_lr_thresold"])
        .tuned(&[TuningRange::integer(1, 5)]);

    /// Checkpoints after which the `fixed_rate_*` schedulers have halved the learning rate.
    fixed_rate_lr_half_life: u64 = Spec::sagemaker(OPTIMISATION, COUNT, "10")
        .tuned(&[TuningRange::integer(10, 30)]);

    /// Updates over which the learning rate rises linearly to what the schedule says; 0 for none. As in Sockeye 1.18,
    /// update t of W has at most the share (t + 1) / (W + 1) of `learning_rate`, and `plateau_reduce` does not reduce
    /// before the rise is over.
    learning_rate_warmup: u64 = Spec::extension(OPTIMISATION, Kind::integer(0, MOST_COUNTED), "0");

    /// Updates between checkpoints; at each, the model is saved and measured on the validation data.
    checkpoint_frequency_num_batches: u64 = Spec::sagemaker(STOPPING, COUNT, "1000");

    /// Checkpoints in a row without improvement of `optimized_metric` after which training stops; -1, from Sockeye,
    /// never stops for that reason.
    checkpoint_threshold: i64 =
        Spec::sagemaker(STOPPING, Kind::integer_or_minus_one(1, MOST_COUNTED, "no early stop"), "3");

    /// Metric on the validation data that decides which checkpoint is best.
    optimized_metric: Metric = Spec::sagemaker(STOPPING, Metric::KIND, "perplexity");

    /// Passes over the training data after which training stops. As the guide has it, training also goes on until then
    /// even if nothing improves.
    max_num_epochs: Option<u64> = Spec::optional(STOPPING, COUNT, DefaultValue::Unset);

    /// Passes over the training data after which training may stop early.
    min_num_epochs: u64 = Spec::sagemaker(STOPPING, Kind::integer(0, MOST_COUNTED), "0");

    /// Updates after which training stops.
    max_num_batches: i64 =
        Spec::sagemaker(STOPPING, Kind::integer_or_minus_one(1, MOST_COUNTED, "no limit"), "-1");

    /// Checkpoints whose parameters are averaged when training ends; 1 for none. The average takes the best model's place
    /// only if its `optimized_metric` is better.
    checkpoint_averaging: usize = Spec::extension(STOPPING, Kind::integer(1, MOST_AVERAGED), "1");

    /// Which checkpoints `checkpoint_averaging` takes: those with the best `optimized_metric` (`best`), or the best one and
    /// those right before it (`last`, as in Sockeye 1.18).
    checkpoint_averaging_strategy: CheckpointAveragingStrategy =
        Spec::extension(STOPPING, CheckpointAveragingStrategy::KIND, "best");

    /// Metric reported while training.
    training_metric: TrainingMetric =
        Spec::sagemaker(EVALUATION, TrainingMetric::KIND, "perplexity");

    /// Validation pairs decoded at each checkpoint for BLEU, drawn once; with 0 there is no BLEU, unless it is the
    /// `optimized_metric`, when 0 means the whole validation set.
    bleu_sample_size: i64 =
        Spec::sagemaker(
            EVALUATION,
            Kind::integer_or_minus_one(0, MOST_COUNTED, "the whole validation set"),
            "0",
        );

    /// Hypotheses that beam search keeps, for BLEU and for inference.
    beam_size: usize = Spec::sagemaker(EVALUATION, Kind::integer(1, 1000), "5").deciding_answers();

    /// When beam search divides scores by the length penalty: at every step (Sockeye 1.12, the version nearest to
    /// SageMaker's) or when a hypothesis ends (Sockeye 1.18).
    beam_search_rule: BeamSearchRule =
        Spec::extension(EVALUATION, BeamSearchRule::KIND, "sockeye_1_12").deciding_answers();

    /// α of the length penalty ((β + length) / (β + 1))^α; 0 for no penalty.
    length_penalty_alpha: f64 =
        Spec::extension(EVALUATION, Kind::double(Included(0.0), Included(10.0)), "1").deciding_answers();

    /// β of the length penalty ((β + length) / (β + 1))^α.
    length_penalty_beta: f64 =
        Spec::extension(EVALUATION, Kind::double(Included(0.0), Included(1000.0)), "0").deciding_answers();

    /// Number format of the weights when the trained model answers, unless a command says otherwise: `bf16` takes half the
    /// memory and `int8` a quarter, both are faster, and some answers differ. It is written into the artefact.
    inference_precision: InferencePrecision =
        Spec::extension(EVALUATION, InferencePrecision::KIND, "f32").deciding_answers();

    /// Seed of every random choice: first weights, order of batches, samples. The same seed and number of threads give
    /// the same model, bit for bit. 13 is Sockeye's.
    seed: u64 = Spec::extension(RUN, Kind::integer(0, u64::MAX as i128), "13");

    /// Number format of the matrix products in training: with `bf16` both factors of a product are rounded to bfloat16, while
    /// sums, weights, softmax, gradients and the optimizer stay `f32`. Twice as fast on a CPU with AVX-512 BF16 instructions;
    /// without them the training warns and uses `f32`.
    precision: Precision = Spec::extension(RUN, Precision::KIND, "f32");

    /// Threads to compute with; 0 for as many as the machine has cores.
    num_threads: usize = Spec::extension(RUN, Kind::integer(0, 1024), "0");
}

impl Default for Hyperparameters {
    fn default() -> Self {
        Self::resolve(&BTreeMap::new()).expect("the defaults of the table are valid")
    }
}

impl Hyperparameters {
    /// Checks and types the hyperparameters of a request; those left out get their defaults. A negative `weight_init_scale` is
    /// replaced by its magnitude. See [`resolve`](crate::resolve()) for the spellings that are read.
    ///
    /// # Errors
    /// Every unknown name, invalid value and contradiction.
    pub fn resolve(raw: &BTreeMap<String, String>) -> Result<Self, Faults> {
        Ok(resolve::<Self>(raw)?.hyperparameters)
    }

    /// Hidden units of the attention: `rnn_attention_num_hidden`, or `rnn_num_hidden` where that is not set.
    pub fn effective_attention_num_hidden(&self) -> usize {
        self.rnn_attention_num_hidden.unwrap_or(self.rnn_num_hidden)
    }

    /// Width of the decoder's output: `rnn_num_hidden` or `cnn_num_hidden`.
    pub fn decoder_width(&self) -> usize {
        match self.decoder_type {
            NetworkType::Rnn => self.rnn_num_hidden,
            NetworkType::Cnn => self.cnn_num_hidden,
        }
    }
}

#[cfg(test)]
mod tests;
