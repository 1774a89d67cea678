//! Comparing arrays of floats, and derivatives by central differences.

/// Asserts `|got - want| <= abs + rel * |want|` for every element.
///
/// The message names `what`, the number of elements out of tolerance, and the one that exceeds its tolerance by the largest factor. A NaN
/// equals only a NaN, an infinity only the same infinity.
///
/// # Panics
/// When the lengths differ or an element is out of tolerance.
#[track_caller]
pub fn assert_close(got: &[f32], want: &[f32], rel: f32, abs: f32, what: &str) {
    if let Err(message) = compare(got, want, rel, abs) {
        panic!("{what}: {message}");
    }
}

/// The gradient of `f` at `x` by central differences, `(f(x + eps e_i) - f(x - eps e_i)) / 2 eps`, one
/// element of `x` at a time (so `2 * x.len()` evaluations).
///
/// `f` should sum in f64: with `eps` near 1e-2 and values near 1 an f32 forward pass then gives about three correct digits. The divisor is
/// the actual step, after rounding `x ± eps` to f32.
///
/// # Panics
/// When `eps` is too small to change an element of `x` at all.
#[track_caller]
pub fn finite_difference(mut f: impl FnMut(&[f32]) -> f64, x: &[f32], eps: f32) -> Vec<f32> {
    let mut point = x.to_vec();
    let mut gradient = Vec::with_capacity(x.len());
    for (index, &centre) in x.iter().enumerate() {
        let (above, below) = (centre + eps, centre - eps);
        assert!(above > below, "finite_difference: a step of {eps} does not change x[{index}] = {centre}");
        point[index] = above;
        let f_above = f(&point);
        point[index] = below;
        let f_below = f(&point);
        point[index] = centre;
        gradient.push(((f_above - f_below) / (f64::from(above) - f64::from(below))) as f32);
    }
    gradient
}

/// An element out of tolerance, and by how many times its tolerance.
struct Fault {
    index: usize,
    excess: f32,
}

fn compare(got: &[f32], want: &[f32], rel: f32, abs: f32) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{} elements where {} are expected", got.len(), want.len()));
    }
    let faults: Vec<Fault> = got
        .iter()
        .zip(want)
        .enumerate()
        .filter_map(|(index, (&g, &w))| excess(g, w, rel, abs).map(|excess| Fault { index, excess }))
        .collect();
    let Some(worst) = faults.iter().max_by(|a, b| a.excess.total_cmp(&b.excess)) else { return Ok(()) };
    let Fault { index, excess } = *worst;
    let (g, w) = (got[index], want[index]);
    Err(format!(
        "{} of {} elements are off; worst at [{index}]: got {g:e}, expected {w:e}, difference {:e}, {excess:.3} \
         times the tolerance {:e} (rel {rel:e}, abs {abs:e})",
        faults.len(),
        got.len(),
        (g - w).abs(),
        abs + rel * w.abs(),
    ))
}

/// By how many times its tolerance an element is off; `None` when it is within its tolerance.
fn excess(got: f32, want: f32, rel: f32, abs: f32) -> Option<f32> {
    if got == want || (got.is_nan() && want.is_nan()) {
        return None;
    }
    let difference = (got - want).abs();
    let tolerance = abs + rel * want.abs();
    if !difference.is_finite() || !tolerance.is_finite() {
        return Some(f32::INFINITY);
    }
    (difference > tolerance).then(|| difference / tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

    #[track_caller]
    fn check(got: &[f32], want: &[f32], expected: Result<(), &str>) {
        match (compare(got, want, 1e-3, 1e-6), expected) {
            (Ok(()), Ok(())) => {}
            (Err(message), Err(part)) => assert!(message.contains(part), "{message:?} lacks {part:?}"),
            (outcome, _) => panic!("{got:?} against {want:?} gave {outcome:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn close_is_relative_and_absolute() {
        check(&[1000.5, 0.0, -2.0], &[1000.0, 5e-7, -2.001], Ok(()));
        check(&[], &[], Ok(()));
    }

    #[test]
    fn the_worst_element_is_named() {
        check(
            &[1.0, 2.1, 3.5],
            &[1.0, 2.0, 3.0],
            Err("2 of 3 elements are off; worst at [2]: got 3.5e0, expected 3e0"),
        );
        check(&[1.0], &[1.0, 2.0], Err("1 elements where 2 are expected"));
    }

    #[test]
    fn nan_and_infinity_never_pass_for_a_number() {
        let inf = f32::INFINITY;
        check(&[f32::NAN, inf], &[f32::NAN, inf], Ok(()));
        check(&[f32::NAN], &[1.0], Err("worst at [0]: got NaN"));
        check(&[1.0], &[f32::NAN], Err("expected NaN"));
        check(&[-inf], &[inf], Err("worst at [0]: got -inf"));
        check(&[1.0], &[inf], Err("expected inf"));
    }

    #[test]
    #[should_panic(expected = "gradient of tanh: 1 of 1 elements are off")]
    fn assert_close_says_what_was_compared() {
        assert_close(&[1.0], &[2.0], 1e-3, 1e-6, "gradient of tanh");
    }

    #[test]
    fn finite_difference_agrees_with_the_derivative() {
        let x = Rng::new(4).uniform_vec(6, -1.0, 1.0);
        let energy = |x: &[f32]| x.iter().map(|&v| f64::from(v).powi(3) / 3.0).sum::<f64>();
        let want: Vec<f32> = x.iter().map(|v| v * v).collect();
        assert_close(&finite_difference(energy, &x, 1e-3), &want, 1e-4, 1e-5, "gradient of x^3 / 3");
    }

    #[test]
    #[should_panic(expected = "does not change x[1]")]
    fn a_step_lost_to_rounding_is_refused() {
        finite_difference(|x| f64::from(x[0]), &[0.0, 1e9], 1e-3);
    }
}
