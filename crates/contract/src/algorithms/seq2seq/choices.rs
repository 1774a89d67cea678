//! Hyperparameters with a few possible words as values, as enums spelled exactly as in SageMaker.

use crate::spec::choice;

choice! {
    /// The kind of network an encoder or a decoder is.
    NetworkType {
        /// Recurrent, after Bahdanau et al. 2015.
        Rnn = "rnn",
        /// Convolutional, after Gehring et al. 2017.
        Cnn = "cnn",
    }
}

choice! {
    /// The cell of a recurrent layer.
    RnnCellType {
        /// Long short-term memory, Hochreiter and Schmidhuber 1997.
        Lstm = "lstm",
        /// Gated recurrent unit, Cho et al. 2014.
        Gru = "gru",
    }
}

choice! {
    /// How a recurrent decoder scores source positions.
    RnnAttentionType {
        /// Scalar product of the projected decoder state and encoder output.
        Dot = "dot",
        /// No scoring: always the last encoder output.
        Fixed = "fixed",
        /// One hidden tanh layer; "concat" in Luong et al. 2015.
        Mlp = "mlp",
        /// A matrix between state and encoder output; "general" in Luong et al. 2015.
        Bilinear = "bilinear",
    }
}

choice! {
    /// Where the first states of a recurrent decoder come from.
    RnnDecoderStateInit {
        /// A layer over the encoder output of the last word.
        Last = "last",
        /// A layer over the mean of all encoder outputs.
        Avg = "avg",
        /// Zeros.
        Zero = "zero",
    }
}

choice! {
    /// The activation of a convolution block.
    CnnActivationType {
        /// Gated linear unit, Dauphin et al. 2017.
        Glu = "glu",
        /// max(0, x).
        Relu = "relu",
        /// ln(1 + eˣ), elsewhere called softplus.
        Softrelu = "softrelu",
        /// 1 / (1 + e⁻ˣ).
        Sigmoid = "sigmoid",
        /// Hyperbolic tangent.
        Tanh = "tanh",
    }
}

choice! {
    /// The loss that training minimises.
    LossType {
        /// Softmax cross-entropy, mean over target tokens.
        CrossEntropy = "cross-entropy",
    }
}

choice! {
    /// The rule that turns gradients into updates.
    OptimizerType {
        /// Adam, Kingma and Ba 2015.
        Adam = "adam",
        /// Stochastic gradient descent, with momentum if that is set.
        Sgd = "sgd",
        /// RMSProp, Hinton's lecture 6e.
        Rmsprop = "rmsprop",
    }
}

choice! {
    /// How the learning rate changes during training.
    LrSchedulerType {
        /// Multiply by a factor when the optimized metric stops improving.
        PlateauReduce = "plateau_reduce",
        /// Inverse-time decay.
        FixedRateInvT = "fixed_rate_inv_t",
        /// Decay with the inverse of the square root of time.
        FixedRateInvSqrtT = "fixed_rate_inv_sqrt_t",
    }
}

choice! {
    /// A measure of quality that can be optimized; its log lines are in [`super::metrics`].
    Metric {
        /// exp of the mean negative log-likelihood per target token, end of sentence included; lower is better.
        Perplexity = "perplexity",
        /// Share of target tokens, end of sentence included, whose most probable prediction is right; 0 to 1.
        Accuracy = "accuracy",
        /// Corpus BLEU-4 of beam-search output, 0 to 1.
        Bleu = "bleu",
    }
}

choice! {
    /// A measure of quality that costs nothing extra while training.
    TrainingMetric {
        /// As [`Metric::Perplexity`].
        Perplexity = "perplexity",
        /// As [`Metric::Accuracy`].
        Accuracy = "accuracy",
    }
}

choice! {
    /// The distribution of initial weights.
    WeightInitType {
        /// Uniform within ± the scale.
        Uniform = "uniform",
        /// Uniform within ± √(scale / factor), Glorot and Bengio 2010.
        Xavier = "xavier",
    }
}

choice! {
    /// The factor of [`WeightInitType::Xavier`].
    XavierFactorType {
        /// Number of inputs.
        In = "in",
        /// Number of outputs.
        Out = "out",
        /// Mean of the two.
        Avg = "avg",
    }
}

choice! {
    /// Number format of the matrix products in training.
    Precision {
        /// IEEE single precision.
        F32 = "f32",
        /// bfloat16 factors, single-precision sums.
        Bf16 = "bf16",
    }
}

choice! {
    /// Number format of a trained model's weights during inference.
    InferencePrecision {
        /// As trained.
        F32 = "f32",
        /// bfloat16: half the memory.
        Bf16 = "bf16",
        /// Integers of 8 bits with a scale for each output: a quarter of the memory.
        Int8 = "int8",
    }
}

choice! {
    /// How pairs longer than the length limits are treated.
    OverlongSequences {
        /// Truncated to the limit, as the SageMaker guide says.
        Truncate = "truncate",
        /// Dropped, as in Sockeye.
        Drop = "drop",
    }
}

choice! {
    /// How beam search normalises scores by length.
    BeamSearchRule {
        /// At every step, as in Sockeye 1.12, the version closest to SageMaker's.
        Sockeye1_12 = "sockeye_1_12",
        /// When a hypothesis ends, as in Sockeye since 1.18.9.
        Sockeye1_18 = "sockeye_1_18",
    }
}

choice! {
    /// The quantity that the gradient limit applies to.
    GradientClippingType {
        /// Each element's absolute value.
        Abs = "abs",
        /// The norm of all gradients as one vector, Pascanu et al. 2013.
        Norm = "norm",
        /// No clipping.
        None = "none",
    }
}

choice! {
    /// Which weights are shared.
    WeightTying {
        /// None.
        None = "none",
        /// Target embedding and output layer, Press and Wolf 2017.
        TrgSoftmax = "trg_softmax",
        /// Source and target embedding.
        SrcTrg = "src_trg",
        /// Both embeddings and the output layer.
        SrcTrgSoftmax = "src_trg_softmax",
    }
}

choice! {
    /// Which checkpoints are averaged at the end of training.
    CheckpointAveragingStrategy {
        /// Those with the best values of the optimized metric.
        Best = "best",
        /// The best one and those right before it.
        Last = "last",
    }
}
