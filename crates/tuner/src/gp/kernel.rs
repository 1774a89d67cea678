//! Covariances of points.

use super::Data;
use super::parameters::{Column, Layout, MEAN_VARIANCE, Smoothness, Warp};

/// √5.
const ROOT_5: f64 = 2.236_067_977_499_79;

/// The correlation at a squared distance r², and its derivative with respect to r²: (1 + √5 r + 5/3 r²) e^(-√5 r) or e^(-r²/2).
fn correlation(smoothness: Smoothness, squared: f64) -> (f64, f64) {
    match smoothness {
        Smoothness::Twice => {
            let r = ROOT_5 * squared.sqrt();
            let decay = (-r).exp();
            ((1.0 + r + r * r / 3.0) * decay, -5.0 / 6.0 * (1.0 + r) * decay)
        }
        Smoothness::Always => {
            let value = (-0.5 * squared).exp();
            (value, -0.5 * value)
        }
    }
}

/// The rational quadratic correlation (Rasmussen and Williams 2006, equation 4.19, with α = 1), and its derivative with respect to r²:
/// 1 / (1 + r²/2). It costs a division, where Matérn's kernels cost an exponential function.
fn rational(squared: f64) -> (f64, f64) {
    let value = 1.0 / (1.0 + 0.5 * squared);
    (value, -0.5 * value * value)
}

/// The difference along a column before scaling by its length: `x - y` for numbers, and 1 or 0 for categories.
pub(super) fn difference(column: Column, x: f64, y: f64) -> f64 {
    match column {
        Column::Number => x - y,
        Column::Category => f64::from(u8::from(x != y)),
    }
}

/// Warped points, one array per column, so that loops over points work on several at once.
#[derive(Debug, Clone)]
pub(super) struct Points {
    /// \[d, n\]
    columns: Vec<Vec<f64>>,
}

impl Points {
    pub(super) fn new(data: &Data, warps: &[Option<Warp>]) -> Self {
        Self::mapped(data, |column, x| warps[column].as_ref().map_or(x, |warp| warp.value(x)))
    }

    /// `warped` receives the column and the number to warp, first all of the first column.
    pub(super) fn mapped(data: &Data, mut warped: impl FnMut(usize, f64) -> f64) -> Self {
        let d = data.columns.len();
        let column = |k: usize| data.points.iter().skip(k).step_by(d).map(|x| warped(k, *x)).collect();
        Self { columns: (0..d).map(column).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    pub(super) fn push(&mut self, point: &[f64]) {
        self.columns.iter_mut().zip(point).for_each(|(column, x)| column.push(*x));
    }

    pub(super) fn column(&self, column: usize) -> &[f64] {
        &self.columns[column]
    }

    /// The point at an index.
    pub(super) fn point(&self, index: usize) -> Vec<f64> {
        self.columns.iter().map(|column| column[index]).collect()
    }
}

/// A kernel with its parameters, for warped points. With r_j the difference along column j in lengths, and r² the sum of their squares:
///
/// k = signal · m(r²) + additive · Σ_j q(d r_j²) / d + [`MEAN_VARIANCE`]
///
/// m, of all columns together, is Matérn's or its limit; q is [`rational`]. The second term is the covariance of a sum of functions of one
/// column each (Duvenaud, Nickisch, Rasmussen 2011, "Additive Gaussian Processes"). Few trials suffice to learn such a sum in many
/// dimensions, and it applies far from them.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub(super) columns: Vec<Column>,
    smoothness: Smoothness,
    /// 1 / length², \[d\].
    pub(super) weights: Vec<f64>,
    pub(super) signal: f64,
    pub(super) additive: f64,
    pub(super) noise: f64,
}

/// The correlations of a point with n others in both parts of a kernel.
pub(super) struct Correlations {
    /// \[n\]
    pub(super) together: Vec<f64>,
    /// \[n\]
    pub(super) additive: Vec<f64>,
}

impl Kernel {
    pub(super) fn new(layout: &Layout, theta: &[f64]) -> Self {
        Self {
            columns: layout.columns().to_vec(),
            smoothness: layout.smoothness(),
            weights: theta[..layout.columns().len()].iter().map(|log| (-2.0 * log).exp()).collect(),
            signal: theta[layout.signal()].exp(),
            additive: theta[layout.additive()].exp(),
            noise: theta[layout.noise()].exp(),
        }
    }

    /// Correlations of `x` with the first `n` points, and the derivatives of m with respect to r², \[n\]. Writes those of
    /// additive · q / d with respect to each r_j² to `slopes` \[d, n\], if given.
    fn correlations(
        &self,
        points: &Points,
        n: usize,
        x: &[f64],
        mut slopes: Option<&mut [f64]>,
    ) -> (Correlations, Vec<f64>) {
        let d = self.columns.len() as f64;
        let (mut squared, mut additive) = (vec![0.0; n], vec![0.0; n]);
        for (k, column) in self.columns.iter().enumerate() {
            let (weight, x) = (self.weights[k], x[k]);
            let slopes = slopes.as_deref_mut().map(|slopes| (self.additive, &mut slopes[k * n..][..n]));
            let sums = squared.iter_mut().zip(&mut additive);
            let others = points.columns[k][..n].iter();
            // Two loops: a choice of the column's type within one would keep it from working on several points at once.
            match column {
                Column::Number => {
                    add(others.map(|y| difference(Column::Number, x, *y)), weight, d, sums, slopes);
                }
                Column::Category => {
                    add(others.map(|y| difference(Column::Category, x, *y)), weight, d, sums, slopes);
                }
            }
        }
        let (together, derivatives) =
            squared.iter().map(|squared| correlation(self.smoothness, *squared)).unzip();
        additive.iter_mut().for_each(|sum| *sum /= d);
        (Correlations { together, additive }, derivatives)
    }

    /// [`Kernel::covariances`] as correlations; writes the derivatives of each covariance with respect to each r_j² to `slopes` \[d, n\].
    pub(super) fn correlations_with_slopes(
        &self,
        points: &Points,
        n: usize,
        x: &[f64],
        slopes: &mut [f64],
    ) -> Correlations {
        let (correlations, together) = self.correlations(points, n, x, Some(slopes));
        for slopes in slopes.chunks_exact_mut(n.max(1)) {
            for (slope, derivative) in slopes.iter_mut().zip(&together) {
                *slope += self.signal * derivative;
            }
        }
        correlations
    }

    /// Covariances from correlations, \[n\].
    pub(super) fn combined<'a>(&'a self, correlations: &'a Correlations) -> impl Iterator<Item = f64> + 'a {
        let both = correlations.together.iter().zip(&correlations.additive);
        both.map(|(together, additive)| self.signal * together + self.additive * additive + MEAN_VARIANCE)
    }

    /// Covariances of the function at a warped point with those at the first `n` points, without noise.
    pub(super) fn covariances(&self, points: &Points, n: usize, x: &[f64]) -> Vec<f64> {
        self.combined(&self.correlations(points, n, x, None).0).collect()
    }

    /// The lower triangle of all points' covariances without noise, its rows one after another.
    pub(super) fn triangle(&self, points: &Points) -> Vec<f64> {
        (0..points.len()).flat_map(|i| self.covariances(points, i + 1, &points.point(i))).collect()
    }

    /// Variance of the function anywhere.
    pub(super) fn variance(&self) -> f64 {
        self.signal + self.additive + MEAN_VARIANCE
    }
}

/// Adds a column's part of r² and of the sum of q for each point. Writes the derivative of q with respect to its argument, times a factor,
/// to the slopes, if given.
fn add<'a>(
    differences: impl Iterator<Item = f64>,
    weight: f64,
    d: f64,
    sums: impl Iterator<Item = (&'a mut f64, &'a mut f64)>,
    slopes: Option<(f64, &mut [f64])>,
) {
    let places = differences.map(|difference| weight * difference * difference).zip(sums);
    match slopes {
        None => places.for_each(|(own, (squared, sum))| {
            *squared += own;
            *sum += rational(d * own).0;
        }),
        Some((factor, slopes)) => places.zip(slopes).for_each(|((own, (squared, sum)), slope)| {
            let (value, derivative) = rational(d * own);
            *squared += own;
            *sum += value;
            *slope = factor * derivative;
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivatives_of_the_kernels_are_finite_differences() {
        let matern = |squared: f64| correlation(Smoothness::Twice, squared);
        let smooth = |squared: f64| correlation(Smoothness::Always, squared);
        for at in [&matern as &dyn Fn(f64) -> (f64, f64), &smooth, &rational] {
            for squared in [1e-3, 0.1, 1.0, 30.0] {
                let want = (at(squared * 1.0001).0 - at(squared * 0.9999).0) / (squared * 0.0002);
                assert!((at(squared).1 - want).abs() < 1e-6 * want.abs().max(1e-6));
            }
        }
        assert_eq!(matern(0.0), (1.0, -5.0 / 6.0));
        assert_eq!(smooth(0.0), (1.0, -0.5));
        assert_eq!(rational(0.0), (1.0, -0.5));
    }

    #[test]
    fn the_additive_part_is_a_sum_over_columns() {
        let layout = Layout::new(&[Column::Number; 3], Smoothness::Twice);
        let mut theta = layout.start();
        theta[layout.signal()] = f64::NEG_INFINITY;
        let kernel = Kernel::new(&layout, &theta);
        let at = |x: [f64; 3]| {
            let center = Points { columns: vec![vec![0.5]; 3] };
            kernel.covariances(&center, 1, &x)[0] - kernel.variance()
        };
        let alone = |j: usize| {
            let mut moved = [0.5; 3];
            moved[j] = 0.1 * (j + 2) as f64;
            at(moved)
        };
        let all = at([0.2, 0.3, 0.4]);
        assert!((all - (0..3).map(alone).sum::<f64>()).abs() < 1e-12);
        assert!(all < -0.1);
    }
}
