//! Minimisation of a smooth function in a box: L-BFGS on the variables that are not at a bound.

use std::collections::VecDeque;

/// Number of steps whose curvature is kept.
const MEMORY: usize = 8;
/// The share of the predicted descent that a step must achieve (Armijo).
const SUFFICIENT: f64 = 1e-4;
/// Maximum halvings of a step before the search ends.
const HALVINGS: usize = 25;
/// Relative descent below which the search ends.
const TOLERANCE: f64 = 1e-9;

/// The function: returns its value at a point, and writes its gradient to the second argument. A value that is not finite means that the
/// function is undefined there.
pub(crate) type Smooth<'a> = dyn FnMut(&[f64], &mut [f64]) -> f64 + 'a;

/// The best point that at most `evaluations` of `function` find from `start`, and its value. `start` is first clamped to the box.
pub(crate) fn minimize(
    start: &[f64],
    low: &[f64],
    high: &[f64],
    evaluations: usize,
    function: &mut Smooth<'_>,
) -> (Vec<f64>, f64) {
    let put_in = |x: &mut [f64]| {
        for ((x, low), high) in x.iter_mut().zip(low).zip(high) {
            *x = x.clamp(*low, *high);
        }
    };
    let mut x = start.to_vec();
    put_in(&mut x);
    let mut gradient = vec![0.0; x.len()];
    let mut value = function(&x, &mut gradient);
    let mut left = evaluations.saturating_sub(1);
    let mut memory: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::new();
    while value.is_finite() && left > 0 {
        let free: Vec<bool> = (0..x.len())
            .map(|i| !(x[i] <= low[i] && gradient[i] > 0.0 || x[i] >= high[i] && gradient[i] < 0.0))
            .collect();
        let mut direction = direction(&gradient, &free, &memory);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            memory.clear();
            direction = gradient.iter().zip(&free).map(|(g, free)| if *free { -g } else { 0.0 }).collect();
            slope = dot(&direction, &gradient);
        }
        if slope > -1e-30 {
            break;
        }
        // Without curvature, the length of the gradient has no meaning.
        let mut step =
            if memory.is_empty() { (0.1 / dot(&direction, &direction).sqrt()).min(1.0) } else { 1.0 };
        let mut found = None;
        for _ in 0..HALVINGS {
            if left == 0 {
                break;
            }
            left -= 1;
            let mut next: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            put_in(&mut next);
            let mut next_gradient = vec![0.0; x.len()];
            let next_value = function(&next, &mut next_gradient);
            let promised: f64 = (0..x.len()).map(|i| gradient[i] * (next[i] - x[i])).sum();
            if next_value <= value + SUFFICIENT * promised.min(0.0) && next_value.is_finite() {
                found = Some((next, next_value, next_gradient));
                break;
            }
            step *= 0.5;
        }
        let Some((next, next_value, next_gradient)) = found else {
            if memory.is_empty() {
                break;
            }
            memory.clear();
            continue;
        };
        let moved: Vec<f64> = next.iter().zip(&x).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &turned);
        if curvature > 1e-10 * dot(&turned, &turned).max(1e-300) {
            if memory.len() == MEMORY {
                memory.pop_front();
            }
            memory.push_back((moved, turned, 1.0 / curvature));
        }
        let descent = value - next_value;
        (x, value, gradient) = (next, next_value, next_gradient);
        if descent <= TOLERANCE * (1.0 + value.abs()) {
            break;
        }
    }
    (x, value)
}

/// The two-loop recursion (Nocedal and Wright, algorithm 7.4), in the free variables only.
fn direction(gradient: &[f64], free: &[bool], memory: &VecDeque<(Vec<f64>, Vec<f64>, f64)>) -> Vec<f64> {
    let masked = |x: &[f64], y: &[f64]| -> f64 {
        x.iter().zip(y).zip(free).map(|((a, b), free)| if *free { a * b } else { 0.0 }).sum()
    };
    let mut q: Vec<f64> = gradient.iter().zip(free).map(|(g, free)| if *free { *g } else { 0.0 }).collect();
    let mut alphas = Vec::with_capacity(memory.len());
    for (moved, turned, rho) in memory.iter().rev() {
        let alpha = rho * masked(moved, &q);
        add(&mut q, -alpha, turned);
        alphas.push(alpha);
    }
    if let Some((moved, turned, _)) = memory.back() {
        let scale = dot(moved, turned) / dot(turned, turned);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((moved, turned, rho), alpha) in memory.iter().zip(alphas.iter().rev()) {
        let beta = rho * masked(turned, &q);
        add(&mut q, alpha - beta, moved);
    }
    q.iter().zip(free).map(|(q, free)| if *free { -q } else { 0.0 }).collect()
}

fn add(to: &mut [f64], factor: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += factor * from);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rosenbrock(x: &[f64], gradient: &mut [f64]) -> f64 {
        gradient[0] = -400.0 * x[0] * (x[1] - x[0] * x[0]) - 2.0 * (1.0 - x[0]);
        gradient[1] = 200.0 * (x[1] - x[0] * x[0]);
        100.0 * (x[1] - x[0] * x[0]).powi(2) + (1.0 - x[0]).powi(2)
    }

    #[track_caller]
    fn check(start: [f64; 2], low: [f64; 2], high: [f64; 2], want: [f64; 2]) {
        let (x, value) = minimize(&start, &low, &high, 500, &mut rosenbrock);
        let distance = (x[0] - want[0]).hypot(x[1] - want[1]);
        assert!(distance < 1e-3, "{x:?} with {value}, expected {want:?}");
    }

    #[test]
    fn finds_the_minimum_inside_and_on_bounds() {
        check([-1.2, 1.0], [-5.0, -5.0], [5.0, 5.0], [1.0, 1.0]);
        // With x <= 0.5 the optimum is at the bound, where y = x².
        check([-1.2, 1.0], [-5.0, -5.0], [0.5, 5.0], [0.5, 0.25]);
        // With y >= 2 the optimal x solves 400 x³ + (2 - 800) x - 2 = 0.
        check([0.5, 3.0], [-5.0, 2.0], [5.0, 5.0], [1.413_75, 2.0]);
        check([9.0, 9.0], [-5.0, -5.0], [5.0, 5.0], [1.0, 1.0]);
    }

    #[test]
    fn a_function_that_does_not_exist_is_left_where_it_was() {
        let (x, value) = minimize(&[0.5], &[0.0], &[1.0], 50, &mut |_, _| f64::NAN);
        assert_eq!(x, [0.5]);
        assert!(value.is_nan());
    }

    #[test]
    fn evaluations_are_limited() {
        let mut count = 0;
        minimize(&[-1.2, 1.0], &[-5.0; 2], &[5.0; 2], 17, &mut |x, gradient| {
            count += 1;
            rosenbrock(x, gradient)
        });
        assert_eq!(count, 17);
    }
}
