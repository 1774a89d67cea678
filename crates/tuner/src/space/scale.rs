//! The scales of numeric ranges.

/// How a numeric range is laid on [0, 1], in SageMaker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Logarithmic where `min` is above 0 and `max` at least 1000 times `min`; else, for a continuous range within [0, 1),
    /// reverse-logarithmic where `1 - min` is at least 1000 times `1 - max`; else linear.
    #[default]
    Auto,
    /// Equal differences are equally far.
    Linear,
    /// Equal ratios are equally far; `min` must be above 0.
    Logarithmic,
    /// Equal ratios of the distance to 1 are equally far; 0 <= `min` <= `max` < 1, continuous only.
    ReverseLogarithmic,
}

/// The span from which [`Scale::Auto`] takes a logarithm: three decades, where on a linear scale 99 of 100 points would lie in the last two.
const AUTO_RATIO: f64 = 1000.0;

impl Scale {
    /// The scale that is meant: never [`Scale::Auto`].
    pub(super) fn resolved(self, min: f64, max: f64, is_integer: bool) -> Self {
        match self {
            Self::Auto if min > 0.0 && max / min >= AUTO_RATIO => Self::Logarithmic,
            Self::Auto
                if !is_integer && min >= 0.0 && max < 1.0 && (1.0 - min) / (1.0 - max) >= AUTO_RATIO =>
            {
                Self::ReverseLogarithmic
            }
            Self::Auto => Self::Linear,
            scale => scale,
        }
    }

    /// The monotone function behind a resolved scale.
    pub(super) fn forward(self, value: f64) -> f64 {
        match self {
            Self::Logarithmic => value.ln(),
            Self::ReverseLogarithmic => -(-value).ln_1p(),
            Self::Auto | Self::Linear => value,
        }
    }

    /// The inverse of [`Scale::forward`].
    pub(super) fn backward(self, scaled: f64) -> f64 {
        match self {
            Self::Logarithmic => scaled.exp(),
            Self::ReverseLogarithmic => -(-scaled).exp_m1(),
            Self::Auto | Self::Linear => scaled,
        }
    }
}
