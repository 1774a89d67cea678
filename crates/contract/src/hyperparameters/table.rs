//! The one table of hyperparameters. Each row is a field of [`Hyperparameters`] and an entry of [`TABLE`] at once.
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
use super::value::{Field, Value};
use super::{DefaultValue, Group, Kind, Parity, Spec, TuningRange};

/// Greatest width, length or count of sentences. The guide sets no bound; with this one a product of any three sizes
/// is at most 2^48, so no size computed from them can overflow.
const LARGEST_SIZE: i128 = 65_536;
/// Greatest number of layers; far above the 10 that the guide recommends at most.
const MOST_LAYERS: i128 = 64;
/// Greatest number of updates, epochs, checkpoints or sentences.
pub(super) const MOST_COUNTED: i128 = 1_000_000_000_000;

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

/// Writes the struct and the table from one list of rows.
macro_rules! hyperparameters {
    ($( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $spec:expr; )+) => {
        /// Every hyperparameter, in the order of the documentation.
        pub static TABLE: &[Spec] = &[$( $spec.documented(stringify!($name), concat!($($doc),+)), )+];

        /// The hyperparameters of one training job: typed, in range, free of contradictions.
        ///
        /// Made by [`Hyperparameters::resolve`](crate::Hyperparameters::resolve); [`Default`] gives the defaults of the
        /// table. Lengths and sizes are counts of tokens or units, probabilities lie in [0, 1).
        #[derive(Clone, Debug, PartialEq)]
        pub struct Hyperparameters {
            $( $(#[doc = $doc])+ pub $name: $type, )+
        }

        impl Hyperparameters {
            /// Every value in force as SageMaker would carry it, name to string. Hyperparameters that are not set
            /// (such as `max_num_epochs`) are absent. Resolving the result gives the
            /// same hyperparameters again.
            pub fn to_strings(&self) -> BTreeMap<String, String> {
                let mut strings = BTreeMap::new();
                $( if let Some(text) = self.$name.to_text() {
                    strings.insert(stringify!($name).to_owned(), text);
                } )+
                strings
            }

            /// From a value for every hyperparameter that has one.
            pub(crate) fn from_values(values: &BTreeMap<&'static str, Value>) -> Self {
                Self { $( $name: Field::from_value(values.get(stringify!($name))), )+ }
            }
        }
    };
}

hyperparameters! {
    /// Sentence pairs in one update.
    batch_size: usize = Spec::sagemaker(Group::Data, SIZE, "64")
        .tuned(&[TuningRange::categorical(&["16", "32", "64", "128", "256", "512", "1024", "2048"])]);

    /// Longest source sequence, in tokens; what happens to longer ones is said by `overlong_sequences`.
    max_seq_len_source: usize = Spec::sagemaker(Group::Data, SIZE, "100");

    /// Longest target sequence, in tokens and counting the `<s>` that is put in front, so that 100 leaves room for 99
    /// tokens, as in Sockeye 1.x.
    max_seq_len_target: usize = Spec::sagemaker(Group::Data, SIZE, "100");

    /// Whether batches are made of pairs of similar length; `false` pads every batch to both length limits.
    bucketing_enabled: bool = Spec::sagemaker(Group::Data, Kind::Boolean, "true");

    /// Step between bucket lengths on the longer side, in tokens; the step of the shorter side is scaled down by the
    /// mean length ratio of the training data.
    bucket_width: usize = Spec::sagemaker(Group::Data, SIZE, "10");

    /// What becomes of pairs above a length limit: `truncate` cuts them, as the guide says; `drop` leaves them out, as
    /// Sockeye does.
    overlong_sequences: OverlongSequences =
        Spec::extension(Group::Data, Kind::Choice(OverlongSequences::NAMES), "truncate");

    /// Network of the encoder: recurrent with attention (Bahdanau et al.) or convolutional (Gehring et al.).
    encoder_type: NetworkType = Spec::sagemaker(Group::Architecture, Kind::Choice(NetworkType::NAMES), "rnn");

    /// Network of the decoder: recurrent or convolutional.
    decoder_type: NetworkType = Spec::sagemaker(Group::Architecture, Kind::Choice(NetworkType::NAMES), "rnn");

    /// Layers of the encoder; of a recurrent one, the first is bidirectional.
    num_layers_encoder: usize = Spec::sagemaker(Group::Architecture, LAYERS, "1")
        .tuned(&[TuningRange::integer(1, 10)]);

    /// Layers of the decoder.
    num_layers_decoder: usize = Spec::sagemaker(Group::Architecture, LAYERS, "1")
        .tuned(&[TuningRange::integer(1, 10)]);

    /// Width of the vectors that source tokens are looked up as.
    num_embed_source: usize = Spec::sagemaker(Group::Architecture, SIZE, "512")
        .tuned(&[TuningRange::integer(256, 512)]);

    /// Width of the vectors that target tokens are looked up as.
    num_embed_target: usize = Spec::sagemaker(Group::Architecture, SIZE, "512")
        .tuned(&[TuningRange::integer(256, 512)]);

    /// Dropout probability of the source embeddings, during training.
    embed_dropout_source: f64 = Spec::sagemaker(Group::Architecture, DROPOUT, "0")
        .tuned(DROPOUT_TUNING);

    /// Dropout probability of the target embeddings, during training.
    embed_dropout_target: f64 = Spec::sagemaker(Group::Architecture, DROPOUT, "0")
        .tuned(DROPOUT_TUNING);

    /// Which weights are one and the same: the output layer and the target embedding (`trg_softmax`), both embeddings
    /// (`src_trg`), or all three (`src_trg_softmax`). An output layer can only share where `num_embed_target` is the width
    /// of the decoder, and both embeddings only where they have the same width and one shared vocabulary.
    weight_tying: WeightTying = Spec::extension(Group::Architecture, Kind::Choice(WeightTying::NAMES), "none");

    /// Cell of the recurrent layers.
    rnn_cell_type: RnnCellType = Spec::sagemaker(Group::Recurrent, Kind::Choice(RnnCellType::NAMES), "lstm");

    /// Hidden units of every recurrent layer; even, because the two directions of the first encoder layer share them.
    rnn_num_hidden: usize =
        Spec::sagemaker(Group::Recurrent, Kind::with_parity(2, LARGEST_SIZE, Parity::Even), "1024")
        .tuned(HIDDEN_SIZES);

    /// How the decoder weighs source positions: `mlp` is "concat" and `bilinear` is "general" in Luong et al.; `fixed`
    /// always takes the last one.
    rnn_attention_type: RnnAttentionType =
        Spec::sagemaker(Group::Recurrent, Kind::Choice(RnnAttentionType::NAMES), "mlp");

    /// Hidden units of `mlp` and `dot` attention; the other types have none.
    rnn_attention_num_hidden: Option<usize> =
        Spec::optional(Group::Recurrent, SIZE, DefaultValue::SameAs("rnn_num_hidden"));

    /// Whether decoder layers above the first see the attention's context, as in Google's NMT system; plays a part only
    /// with more than one decoder layer.
    rnn_attention_in_upper_layers: bool = Spec::sagemaker(Group::Recurrent, Kind::Boolean, "true");

    /// How the first decoder states follow from the encoder: from its `last` output, from the average (`avg`) of all,
    /// or not at all (`zero`).
    rnn_decoder_state_init: RnnDecoderStateInit =
        Spec::sagemaker(Group::Recurrent, Kind::Choice(RnnDecoderStateInit::NAMES), "last");

    /// Whether stacked recurrent layers add their input to their output; needs more than one layer.
    rnn_residual_connections: bool = Spec::sagemaker(Group::Recurrent, Kind::Boolean, "false");

    /// First layer with a residual connection, counting from 1; plays a part only with `rnn_residual_connections`, and
    /// must then be at least 2.
    rnn_first_residual_layer: usize = Spec::sagemaker(Group::Recurrent, LAYERS, "2");

    /// Dropout probability of the decoder's hidden state joined with the attention's context, during training.
    rnn_decoder_hidden_dropout: f64 = Spec::sagemaker(Group::Recurrent, DROPOUT, "0")
        .tuned(DROPOUT_TUNING);

    /// Dropout probability of the inputs of every recurrent cell, during training. One mask holds for all steps of a
    /// sequence (Gal and Ghahramani 2016); Sockeye's `--rnn-dropout-inputs`.
    rnn_input_dropout: f64 =
        Spec::extension(Group::Recurrent, DROPOUT, "0");

    /// Dropout probability of the states that recurrent cells pass from step to step, during training. One mask holds
    /// for all steps of a sequence; Sockeye's `--rnn-dropout-states`.
    rnn_state_dropout: f64 =
        Spec::extension(Group::Recurrent, DROPOUT, "0");

    /// Dropout probability of what an lstm cell adds to its memory, during training (Semeniuta et al. 2016); Sockeye's
    /// `--rnn-dropout-recurrent`.
    rnn_recurrent_dropout: f64 =
        Spec::extension(Group::Recurrent, DROPOUT, "0");

    /// Hidden units (channels) of every convolutional layer. A convolutional decoder needs encoder outputs of the same
    /// width, so that a recurrent encoder before it must have as many `rnn_num_hidden`.
    cnn_num_hidden: usize = Spec::sagemaker(Group::Convolutional, SIZE, "512")
        .tuned(HIDDEN_SIZES);

    /// Tokens that one encoder convolution sees; odd, so that it has a middle.
    cnn_kernel_width_encoder: usize =
        Spec::sagemaker(Group::Convolutional, Kind::with_parity(1, WIDEST_KERNEL - 1, Parity::Odd), "3");

    /// Tokens that one decoder convolution sees: the current one and those before it.
    cnn_kernel_width_decoder: usize =
        Spec::sagemaker(Group::Convolutional, Kind::integer(1, WIDEST_KERNEL), "5");

    /// Activation of the convolutions.
    cnn_activation_type: CnnActivationType =
        Spec::sagemaker(Group::Convolutional, Kind::Choice(CnnActivationType::NAMES), "glu");

    /// Dropout probability of the inputs of the decoder's convolutions, during training; as in Sockeye 1.x, the encoder
    /// has none.
    cnn_hidden_dropout: f64 = Spec::sagemaker(Group::Convolutional, DROPOUT, "0")
        .tuned(DROPOUT_TUNING);

    /// Distribution of the first weights; recurrent matrices are orthogonal under either type.
    weight_init_type: WeightInitType =
        Spec::sagemaker(Group::Initialisation, Kind::Choice(WeightInitType::NAMES), "xavier")
        .tuned(&[TuningRange::categorical(&["xavier", "uniform"])]);

    /// Size of the first weights: `uniform` draws from ± the scale, `xavier` from ± √(scale / factor). Must be above 0
    /// for `xavier`. For `uniform` the guide recommends tuning from -1 to 1; as both signs mean the same interval,
    /// the sign is dropped, and 0 is refused because equal weights would never grow apart.
    weight_init_scale: f64 =
        Spec::sagemaker(Group::Initialisation, Kind::single(Unbounded, Unbounded, ""), "2.34")
        .tuned(&[
            TuningRange::continuous(2.0, 3.0).when("weight_init_type", "xavier"),
            TuningRange::continuous(-1.0, 1.0).when("weight_init_type", "uniform"),
        ]);

    /// Factor of `xavier`: the number of inputs (`in`) or of outputs (`out`) of a weight matrix, or the mean of both.
    xavier_factor_type: XavierFactorType =
        Spec::sagemaker(Group::Initialisation, Kind::Choice(XavierFactorType::NAMES), "in");

    /// Text file of word vectors (fastText, GloVe) that source embeddings start from: on each line a word and
    /// `num_embed_source` numbers. Words that it lacks start as they would without it.
    source_vectors: Option<PathBuf> =
        Spec::optional_extension(Group::Initialisation, Kind::Path);

    /// The same for target embeddings, with `num_embed_target` numbers a word.
    target_vectors: Option<PathBuf> =
        Spec::optional_extension(Group::Initialisation, Kind::Path);

    /// What training minimises.
    loss_type: LossType = Spec::sagemaker(Group::Optimisation, Kind::Choice(LossType::NAMES), "cross-entropy");

    /// Share of the probability that the loss wants spread evenly over all words instead of on the right one; 0 for none
    /// (Szegedy et al. 2016).
    label_smoothing: f64 =
        Spec::extension(
            Group::Optimisation,
            Kind::single(Included(0.0), Excluded(1.0), "with all of it spread there would be nothing to learn"),
            "0",
        );

    /// Batches whose gradients make one update, for batches larger than memory holds. The loss is the mean over all target
    /// tokens of the update. The last update of an epoch takes what batches are left.
    gradient_accumulation: usize = Spec::extension(Group::Optimisation, SIZE, "1");

    /// Rule that turns gradients into updates.
    optimizer_type: OptimizerType = Spec::sagemaker(Group::Optimisation, Kind::Choice(OptimizerType::NAMES), "adam")
        .tuned(&[TuningRange::categorical(&["adam", "sgd", "rmsprop"])]);

    /// Step size at the start.
    learning_rate: f64 = Spec::sagemaker(Group::Optimisation, POSITIVE, "0.0003")
        .tuned(&[TuningRange::continuous(0.00005, 0.2)]);

    /// Momentum of `sgd`; may not be given with another optimizer.
    momentum: Option<f64> =
        Spec::optional(
            Group::Optimisation,
            Kind::single(Included(0.0), Excluded(1.0), "with a momentum of 1 or more updates grow without end"),
            DefaultValue::Unset,
        )
        .tuned(&[TuningRange::continuous(0.5, 0.9)]);

    /// Weight decay; applies to weights and embeddings, not to biases.
    weight_decay: f64 =
        Spec::sagemaker(
            Group::Optimisation,
            Kind::single(Included(0.0), Unbounded, "a negative decay would make weights grow"),
            "0",
        )
        .tuned(&[TuningRange::continuous(0.0, 0.1)]);

    /// Limit of gradients, negative for no clipping: of the absolute value of each single element, unless
    /// `gradient_clipping_type` says otherwise.
    clip_gradient: f64 = Spec::sagemaker(Group::Optimisation, Kind::single(Unbounded, Unbounded, ""), "1")
        .tuned(&[TuningRange::continuous(1.0, 5.0)]);

    /// What `clip_gradient` limits: each element (`abs`), the length of all gradients as one vector, which is then scaled
    /// as a whole (`norm`), or nothing (`none`). Sockeye 1.18's.
    gradient_clipping_type: GradientClippingType =
        Spec::extension(Group::Optimisation, Kind::Choice(GradientClippingType::NAMES), "abs");

    /// How the learning rate changes: `plateau_reduce` multiplies it by a factor when `optimized_metric` stops
    /// improving; the `fixed_rate_*` ones halve it after `fixed_rate_lr_half_life` checkpoints and go on falling.
    lr_scheduler_type: LrSchedulerType =
        Spec::sagemaker(Group::Optimisation, Kind::Choice(LrSchedulerType::NAMES), "plateau_reduce")
        .tuned(&[TuningRange::categorical(&["plateau_reduce", "fixed_rate_inv_t", "fixed_rate_inv_sqrt_t"])]);

    /// Factor of `plateau_reduce`; 1 never reduces.
    plateau_reduce_lr_factor: f64 =
        Spec::sagemaker(
            Group::Optimisation,
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
    plateau_reduce_lr_threshold: u64 = Spec::sagemaker(Group::Optimisation, COUNT, "3")
        .also_spelled(&["plateau_reduce_lr_thresold"])
        .tuned(&[TuningRange::integer(1, 5)]);

    /// Checkpoints after which the `fixed_rate_*` schedulers have halved the learning rate.
    fixed_rate_lr_half_life: u64 = Spec::sagemaker(Group::Optimisation, COUNT, "10")
        .tuned(&[TuningRange::integer(10, 30)]);

    /// Updates over which the learning rate rises linearly to what the schedule says; 0 for none. As in Sockeye 1.18,
    /// update t of W has at most the share (t + 1) / (W + 1) of `learning_rate`, and `plateau_reduce` does not reduce
    /// before the rise is over.
    learning_rate_warmup: u64 = Spec::extension(Group::Optimisation, Kind::integer(0, MOST_COUNTED), "0");

    /// Updates between checkpoints; at each, the model is saved and measured on the validation data.
    checkpoint_frequency_num_batches: u64 = Spec::sagemaker(Group::Stopping, COUNT, "1000");

    /// Checkpoints in a row without improvement of `optimized_metric` after which training stops; -1, from Sockeye,
    /// never stops for that reason.
    checkpoint_threshold: i64 =
        Spec::sagemaker(Group::Stopping, Kind::integer_or_minus_one(1, MOST_COUNTED, "no early stop"), "3");

    /// Metric on the validation data that decides which checkpoint is best.
    optimized_metric: Metric = Spec::sagemaker(Group::Stopping, Kind::Choice(Metric::NAMES), "perplexity");

    /// Passes over the training data after which training stops. As the guide has it, training also goes on until then
    /// even if nothing improves.
    max_num_epochs: Option<u64> = Spec::optional(Group::Stopping, COUNT, DefaultValue::Unset);

    /// Passes over the training data after which training may stop early.
    min_num_epochs: u64 = Spec::sagemaker(Group::Stopping, Kind::integer(0, MOST_COUNTED), "0");

    /// Updates after which training stops.
    max_num_batches: i64 =
        Spec::sagemaker(Group::Stopping, Kind::integer_or_minus_one(1, MOST_COUNTED, "no limit"), "-1");

    /// Checkpoints whose parameters are averaged when training ends; 1 for none. The average takes the best model's place
    /// only if its `optimized_metric` is better.
    checkpoint_averaging: usize = Spec::extension(Group::Stopping, Kind::integer(1, MOST_AVERAGED), "1");

    /// Which checkpoints `checkpoint_averaging` takes: those with the best `optimized_metric` (`best`), or the best one and
    /// those right before it (`last`, as in Sockeye 1.18).
    checkpoint_averaging_strategy: CheckpointAveragingStrategy =
        Spec::extension(Group::Stopping, Kind::Choice(CheckpointAveragingStrategy::NAMES), "best");

    /// Metric reported while training.
    training_metric: TrainingMetric =
        Spec::sagemaker(Group::Evaluation, Kind::Choice(TrainingMetric::NAMES), "perplexity");

    /// Validation pairs decoded at each checkpoint for BLEU, drawn once; with 0 there is no BLEU, unless it is the
    /// `optimized_metric`, when 0 means the whole validation set.
    bleu_sample_size: i64 =
        Spec::sagemaker(
            Group::Evaluation,
            Kind::integer_or_minus_one(0, MOST_COUNTED, "the whole validation set"),
            "0",
        );

    /// Hypotheses that beam search keeps, for BLEU and for inference.
    beam_size: usize = Spec::sagemaker(Group::Evaluation, Kind::integer(1, 1000), "5").deciding_answers();

    /// When beam search divides scores by the length penalty: at every step (Sockeye 1.12, the version nearest to
    /// SageMaker's) or when a hypothesis ends (Sockeye 1.18).
    beam_search_rule: BeamSearchRule =
        Spec::extension(Group::Evaluation, Kind::Choice(BeamSearchRule::NAMES), "sockeye_1_12").deciding_answers();

    /// α of the length penalty ((β + length) / (β + 1))^α; 0 for no penalty.
    length_penalty_alpha: f64 =
        Spec::extension(Group::Evaluation, Kind::double(Included(0.0), Included(10.0)), "1").deciding_answers();

    /// β of the length penalty ((β + length) / (β + 1))^α.
    length_penalty_beta: f64 =
        Spec::extension(Group::Evaluation, Kind::double(Included(0.0), Included(1000.0)), "0").deciding_answers();

    /// Number format of the weights when the trained model answers, unless a command says otherwise: `bf16` takes half the
    /// memory and `int8` a quarter, both are faster, and some answers differ. It is written into the artefact.
    inference_precision: InferencePrecision =
        Spec::extension(Group::Evaluation, Kind::Choice(InferencePrecision::NAMES), "f32").deciding_answers();

    /// Seed of every random choice: first weights, order of batches, samples. The same seed and number of threads give
    /// the same model, bit for bit. 13 is Sockeye's.
    seed: u64 = Spec::extension(Group::Run, Kind::integer(0, u64::MAX as i128), "13");

    /// Number format of the matrix products in training: with `bf16` both factors of a product are rounded to bfloat16, while
    /// sums, weights, softmax, gradients and the optimizer stay `f32`. Twice as fast on a CPU with AVX-512 BF16 instructions;
    /// without them the training warns and uses `f32`.
    precision: Precision = Spec::extension(Group::Run, Kind::Choice(Precision::NAMES), "f32");

    /// Threads to compute with; 0 for as many as the machine has cores.
    num_threads: usize = Spec::extension(Group::Run, Kind::integer(0, 1024), "0");
}

impl Hyperparameters {
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
