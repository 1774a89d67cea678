//! The normal distribution, and logarithms of values that are too small for numbers.

use std::f64::consts::{FRAC_1_SQRT_2, TAU};

use kokanee_formats::random::SplitMix64;

/// Below this, the difference in [`log_improvement`] loses too many digits, and the asymptotic series is used.
const FAR: f64 = -25.0;

/// A standard normal number (Box and Muller).
pub(crate) fn draw(random: &mut SplitMix64) -> f64 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (TAU * random.unit()).cos()
}

/// ln φ(u).
pub(crate) fn log_density(u: f64) -> f64 {
    -0.5 * (u * u + TAU.ln())
}

/// Φ(u).
pub(crate) fn cumulative(u: f64) -> f64 {
    0.5 * libm::erfc(-u * FRAC_1_SQRT_2)
}

/// ln Φ(u) and its derivative φ(u) / Φ(u).
pub(crate) fn log_cumulative(u: f64) -> (f64, f64) {
    if u < FAR {
        let mills = mills_far(-u);
        return (log_density(u) + mills.ln(), 1.0 / mills);
    }
    let value = cumulative(u);
    (value.ln(), log_density(u).exp() / value)
}

/// ln h(u) with h(u) = φ(u) + u Φ(u), the expected improvement in standard deviations, and its derivative Φ(u) / h(u).
///
/// With Mills' ratio R(t) = Φ(-t) / φ(t) and t = -u, h = φ(t) (1 - t R(t)). So the logarithm can be computed where h underflows (Ament et
/// al. 2023, "Unexpected Improvements to Expected Improvement", section 4).
pub(crate) fn log_improvement(u: f64) -> (f64, f64) {
    if u > -1.0 {
        let h = log_density(u).exp() + u * cumulative(u);
        return (h.ln(), cumulative(u) / h);
    }
    let t = -u;
    let (mills, rest) = if u < FAR {
        let s = 1.0 / (t * t);
        // 1 - t R(t) = 1/t² - 3/t⁴ + 15/t⁶ - 105/t⁸ + ...
        (mills_far(t), s * (1.0 - s * (3.0 - s * (15.0 - s * 105.0))))
    } else {
        let mills = cumulative(u) / log_density(u).exp();
        (mills, 1.0 - t * mills)
    };
    (log_density(u) + rest.ln(), mills / rest)
}

/// R(t) for large t: 1/t - 1/t³ + 3/t⁵ - 15/t⁷ + ...
fn mills_far(t: f64) -> f64 {
    let s = 1.0 / (t * t);
    (1.0 - s * (1.0 - s * (3.0 - s * (15.0 - s * 105.0)))) / t
}

#[cfg(test)]
mod tests {
    use super::*;

    /// h by Simpson's rule over the improvement: ∫₀^∞ i φ(u - i) di.
    fn improvement_by_integration(u: f64) -> f64 {
        let (steps, end) = (200_000, 12.0 + u.abs());
        let f = |i: f64| i * log_density(i - u).exp();
        let h = end / f64::from(steps);
        let inner: f64 = (1..steps).map(|k| f(f64::from(k) * h) * if k % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (f(0.0) + inner + f(end)) * h / 3.0
    }

    #[test]
    fn improvement_is_its_integral() {
        for u in [-20.0, -6.0, -1.5, -1.0, -0.9, 0.0, 0.7, 5.0] {
            let (log, _) = log_improvement(u);
            let want = improvement_by_integration(u).ln();
            assert!((log - want).abs() < 1e-6 * (1.0 + want.abs()), "{u}: {log} {want}");
        }
    }

    #[test]
    fn derivatives_are_finite_differences() {
        for u in [-300.0, -26.0, -24.9, -10.0, -1.1, -0.5, 0.0, 3.0, 9.0] {
            for f in [log_improvement, log_cumulative] {
                let step = 1e-5;
                let want = (f(u + step).0 - f(u - step).0) / (2.0 * step);
                let (_, slope) = f(u);
                assert!((slope - want).abs() < 1e-4 * (1.0 + want.abs()), "{u}: {slope} {want}");
            }
        }
    }

    #[test]
    fn the_series_meets_the_formula() {
        let near = |f: fn(f64) -> (f64, f64)| (f(FAR - 1e-9).0 - f(FAR + 1e-9).0).abs();
        assert!(near(log_improvement) < 1e-6 && near(log_cumulative) < 1e-6);
        assert!((log_cumulative(-1e4).0 + 0.5e8).abs() < 20.0);
        assert!((cumulative(1.959_963_984_540_054) - 0.975).abs() < 1e-15);
    }
}
