//! The parameters of a process, their priors, and the warping of inputs.

/// The type of a column of the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// A number in [0, 1], warped.
    Number,
    /// A category: any two have the same distance. Equivalent to one-hot columns that share a length.
    Category,
}

/// The smoothness of a process's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Smoothness {
    /// Matérn-5/2: two derivatives.
    Twice,
    /// The squared exponential, the limit of Matérn's kernels: all derivatives.
    Always,
}

/// The layout of parameters as a flat array of logarithms: d lengths, the variance of the part in which all columns interact, that of the
/// additive part, that of noise, then a and b of each number's warping.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    columns: Vec<Column>,
    smoothness: Smoothness,
    /// The index of each column's a; its b follows.
    warp: Vec<Option<usize>>,
    len: usize,
}

/// A normal distribution of a parameter's logarithm, within bounds.
struct Prior {
    mean: f64,
    deviation: f64,
    low: f64,
    high: f64,
}

/// Variance of the constant mean of standardised targets, which is part of the kernel.
pub(crate) const MEAN_VARIANCE: f64 = 1.0;

/// Minimum distance of points from the ends, where the warping has no slope.
const MARGIN: f64 = 1e-7;

impl Layout {
    pub(crate) fn new(columns: &[Column], smoothness: Smoothness) -> Self {
        let mut len = columns.len() + 3;
        let place = |column: &Column| {
            (*column == Column::Number).then(|| {
                len += 2;
                len - 2
            })
        };
        let warp = columns.iter().map(place).collect();
        Self { columns: columns.to_vec(), smoothness, warp, len }
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn smoothness(&self) -> Smoothness {
        self.smoothness
    }

    pub(crate) fn signal(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn additive(&self) -> usize {
        self.columns.len() + 1
    }

    pub(crate) fn noise(&self) -> usize {
        self.columns.len() + 2
    }

    pub(crate) fn warp(&self, column: usize) -> Option<usize> {
        self.warp[column]
    }

    /// Longer lengths for more dimensions, since distances grow with their root (Hvarfner, Hellsten, Nardi 2024, "Vanilla Bayesian
    /// Optimization Performs Great in High Dimensions"); bounds of exponents and of the signal's variance are about those of AMT. The median
    /// is short because the additive part explains trends over the whole space.
    fn prior(&self, index: usize) -> Prior {
        let d = self.columns.len();
        if index < d {
            let mean = 0.15f64.ln() + 0.5 * (d as f64).ln();
            Prior { mean, deviation: 0.9, low: 0.01f64.ln(), high: 100f64.ln() }
        } else if index == self.signal() || index == self.additive() {
            Prior { mean: 0.0, deviation: 1.0, low: 1e-3f64.ln(), high: 1e3f64.ln() }
        } else if index == self.noise() {
            // Wide: objectives may be deterministic or mostly noise. The least noise limits how close a search gets to a smooth minimum.
            Prior { mean: -4.0, deviation: 3.0, low: 1e-12f64.ln(), high: 2f64.ln() }
        } else {
            // Narrow: a wide prior fits ripples, and there are two parameters per dimension.
            Prior { mean: 0.0, deviation: 0.2, low: 0.25f64.ln(), high: 4f64.ln() }
        }
    }

    /// The means of the priors.
    pub(crate) fn start(&self) -> Vec<f64> {
        (0..self.len).map(|index| self.prior(index).mean).collect()
    }

    /// The standard deviation of each parameter's prior.
    pub(crate) fn deviations(&self) -> Vec<f64> {
        (0..self.len).map(|index| self.prior(index).deviation).collect()
    }

    pub(crate) fn bounds(&self) -> (Vec<f64>, Vec<f64>) {
        let priors = (0..self.len).map(|index| self.prior(index));
        priors.map(|prior| (prior.low, prior.high)).unzip()
    }

    /// The logarithm of the prior density up to a constant; adds its gradient to `gradient`.
    pub(crate) fn log_prior_with_slopes(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        for (index, (theta, gradient)) in theta.iter().zip(gradient).enumerate() {
            let prior = self.prior(index);
            *gradient -= (theta - prior.mean) / prior.deviation.powi(2);
        }
        self.log_prior(theta)
    }

    /// The logarithm of the prior density up to a constant.
    pub(crate) fn log_prior(&self, theta: &[f64]) -> f64 {
        let one = |(index, theta): (usize, &f64)| {
            let prior = self.prior(index);
            -0.5 * ((theta - prior.mean) / prior.deviation).powi(2)
        };
        theta.iter().enumerate().map(one).sum()
    }

    /// The warping of each column; `None` for categories.
    pub(crate) fn warps(&self, theta: &[f64]) -> Vec<Option<Warp>> {
        let warp = |at: &Option<usize>| at.map(|at| Warp { a: theta[at].exp(), b: theta[at + 1].exp() });
        self.warp.iter().map(warp).collect()
    }
}

/// Kumaraswamy's distribution function w(x) = 1 - (1 - x^a)^b, with which Snoek et al. 2014 warp inputs.
#[derive(Debug, Clone)]
pub(crate) struct Warp {
    a: f64,
    b: f64,
}

impl Warp {
    pub(crate) fn value(&self, x: f64) -> f64 {
        let x = x.clamp(MARGIN, 1.0 - MARGIN);
        1.0 - (1.0 - x.powf(self.a)).powf(self.b)
    }

    /// dw/dx.
    pub(crate) fn slope(&self, x: f64) -> f64 {
        let x = x.clamp(MARGIN, 1.0 - MARGIN);
        self.a * self.b * x.powf(self.a - 1.0) * (1.0 - x.powf(self.a)).powf(self.b - 1.0)
    }

    /// [`Warp::value`], with dw / d ln a and dw / d ln b.
    pub(crate) fn value_with_slopes(&self, x: f64) -> (f64, [f64; 2]) {
        let x = x.clamp(MARGIN, 1.0 - MARGIN);
        let power = x.powf(self.a);
        let rest = 1.0 - power;
        let outer = rest.powf(self.b);
        let slopes = [self.a * self.b * outer / rest * power * x.ln(), -self.b * outer * rest.ln()];
        (1.0 - outer, slopes)
    }
}
