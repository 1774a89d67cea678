//! The scales of numeric ranges.

/// The mapping of a numeric range to [0, 1], in SageMaker's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Logarithmic where `min` is above 0 and `max` at least 1000 times `min`. Otherwise, for a continuous range within [0, 1),
    /// reverse-logarithmic where `1 - min` is at least 1000 times `1 - max`. Otherwise linear.
    #[default]
    Auto,
    /// Equal differences have equal distances.
    Linear,
    /// Equal ratios have equal distances; `min` must be above 0.
    Logarithmic,
    /// Equal ratios of the distance to 1 have equal distances; 0 <= `min` <= `max` < 1, continuous only.
    ReverseLogarithmic,
}

/// The ratio from which [`Scale::Auto`] uses a logarithm: three decades, where on a linear scale 99 of 100 points would lie in the last
/// two.
const AUTO_RATIO: f64 = 1000.0;

impl Scale {
    /// The resolved scale: never [`Scale::Auto`].
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
