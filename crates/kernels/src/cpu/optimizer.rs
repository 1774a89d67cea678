//! Parameter updates, one pass over memory each.
//!
//! An update returns whether all gradients were finite. If one was infinite or NaN, the weights are spoilt: knowing it before the
//! update would take another pass.

use std::sync::atomic::{AtomicBool, Ordering};

use super::math;
use super::threads::{SharedMut, Team};

/// The least number of elements that a thread handles.
const GRAIN: usize = 16_384;

/// Constants of one Adam update (Kingma and Ba 2015, as MXNet computes it; `sockeye` section 8).
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Learning rate times the bias correction `sqrt(1 - beta2^t) / (1 - beta1^t)`.
    pub rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// Weight decay, added to the gradient as `decay * w` before it is clipped.
    pub weight_decay: f32,
    /// Gradients are clamped to `[-clip, clip]`; infinite for none.
    pub clip: f32,
}

/// Constants of one update of stochastic gradient descent, with or without momentum (MXNet; `sockeye` section 8).
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Learning rate.
    pub rate: f32,
    /// Share of the last update that is repeated, in [0, 1); used by [`momentum`] only.
    pub momentum: f32,
    /// Weight decay; outside the clip.
    pub weight_decay: f32,
    /// Gradients are clamped to `[-clip, clip]`; infinite for none.
    pub clip: f32,
}

/// Constants of one RMSProp update (Hinton's lecture 6e as MXNet computes it, not centred; `sockeye` section 8).
#[derive(Clone, Copy, Debug)]
pub struct RmsProp {
    /// Learning rate.
    pub rate: f32,
    /// Decay of the mean square.
    pub decay: f32,
    /// Added to the mean square, inside the root.
    pub epsilon: f32,
    /// Weight decay, added to the gradient as `decay * w` before it is clipped.
    pub weight_decay: f32,
    /// Gradients are clamped to `[-clip, clip]`; infinite for none.
    pub clip: f32,
}

/// A gradient that is zero outside some rows of a matrix, as that of an embedding table is.
#[derive(Clone, Copy, Debug)]
pub struct SparseRows<'a> {
    /// Numbers of the rows, strictly ascending.
    pub rows: &'a [u32],
    /// rows.len() x `width`.
    pub values: &'a [f32],
    /// Columns of the matrix.
    pub width: usize,
}

/// Rows of a matrix whose gradients were zero for some updates that have not been made yet.
#[derive(Clone, Copy, Debug)]
pub struct StaleRows<'a> {
    /// The number of each row, strictly ascending, and how many of the updates it has had.
    pub rows: &'a [(u32, u32)],
    /// Columns of the matrix.
    pub width: usize,
}

/// The bits of |x|, which grow with |x|; those of infinity are less than those of any NaN.
#[inline(always)]
fn magnitude(x: f32) -> u32 {
    x.abs().to_bits()
}

/// The number of elements of a row that are replayed at a time: few enough for them and their states to stay in registers.
const REPLAYED: usize = 64;

/// Defines the kernels of one rule, from its effect on one weight with its state and gradient. They apply it to a dense gradient
/// (or to none, which is zero), to a gradient of some rows, and to rows repeatedly with gradients of zero.
macro_rules! update_rule {
    (
        $rule:ident, [$($state:ident),*], $element:ident, $with:ident, $without:ident, $again:ident,
        $(#[$dense_doc:meta])+ $dense:ident, $(#[$rows_doc:meta])+ $rows:ident, $(#[$replay_doc:meta])+ $replay:ident
    ) => {
        multiversion! {
            fn $with(rule: $rule, weights: &mut [f32], $($state: &mut [f32],)* gradients: &[f32]) -> bool {
                let len = weights.len();
                $( let $state = &mut $state[..len]; )*
                let gradients = &gradients[..len];
                let mut largest = 0;
                for i in 0..len {
                    largest = magnitude(gradients[i]).max(largest);
                    $element(rule, &mut weights[i], $(&mut $state[i],)* gradients[i]);
                }
                largest < magnitude(f32::INFINITY)
            }
        }

        multiversion! {
            fn $without(rule: $rule, weights: &mut [f32], $($state: &mut [f32],)*) {
                let len = weights.len();
                $( let $state = &mut $state[..len]; )*
                for i in 0..len {
                    $element(rule, &mut weights[i], $(&mut $state[i],)* 0.0);
                }
            }
        }

        multiversion! {
            fn $again(rules: &[$rule], weights: &mut [f32], $($state: &mut [f32],)*) {
                let decays = rules.iter().any(|rule| rule.weight_decay != 0.0);
                let mut start = 0;
                while start < weights.len() {
                    let part = start..weights.len().min(start + REPLAYED);
                    start = part.end;
                    let weights = &mut weights[part.clone()];
                    $( let $state = &mut $state[part.clone()]; )*
                    // Where all states are zero, a gradient of zero changes nothing.
                    if !decays $( && $state.iter().all(|&x| x == 0.0) )* {
                        continue;
                    }
                    for &rule in rules {
                        for i in 0..weights.len() {
                            $element(rule, &mut weights[i], $(&mut $state[i],)* 0.0);
                        }
                    }
                }
            }
        }

        $(#[$dense_doc])+
        pub fn $dense(
            team: &Team,
            rule: $rule,
            weights: &mut [f32],
            $($state: &mut [f32],)*
            gradients: Option<&[f32]>,
        ) -> bool {
            let len = weights.len();
            assert!(gradients.is_none_or(|g| g.len() == len), "one gradient a weight");
            $( assert!($state.len() == len, "one {} a weight", stringify!($state)); )*
            let weights = SharedMut::new(weights);
            $( let $state = SharedMut::new($state); )*
            let finite = AtomicBool::new(true);
            team.split(len, GRAIN, |range| {
                // SAFETY: `split` gives each thread its own range.
                let weights = unsafe { weights.slice(range.clone()) };
                $(
                    // SAFETY: as above.
                    let $state = unsafe { $state.slice(range.clone()) };
                )*
                match gradients {
                    Some(gradients) => {
                        let numbers = $with(rule, weights, $($state,)* &gradients[range]);
                        finite.fetch_and(numbers, Ordering::Relaxed);
                    }
                    None => $without(rule, weights, $($state,)*),
                }
            });
            finite.into_inner()
        }

        $(#[$rows_doc])+
        pub fn $rows(
            team: &Team,
            rule: $rule,
            weights: &mut [f32],
            $($state: &mut [f32],)*
            gradient: SparseRows<'_>,
        ) -> bool {
            let SparseRows { rows, values, width } = gradient;
            gradient.check(weights.len());
            $( assert!($state.len() == weights.len(), "one {} a weight", stringify!($state)); )*
            let weights = SharedMut::new(weights);
            $( let $state = SharedMut::new($state); )*
            let finite = AtomicBool::new(true);
            team.split(rows.len(), (GRAIN / width).max(1), |part| {
                for index in part {
                    let row = rows[index] as usize * width..(rows[index] as usize + 1) * width;
                    // SAFETY: `split` gives each thread its own rows, and each row occurs once, as was checked.
                    let weights = unsafe { weights.slice(row.clone()) };
                    $(
                        // SAFETY: as above.
                        let $state = unsafe { $state.slice(row.clone()) };
                    )*
                    let numbers = $with(rule, weights, $($state,)* &values[index * width..(index + 1) * width]);
                    finite.fetch_and(numbers, Ordering::Relaxed);
                }
            });
            finite.into_inner()
        }

        $(#[$replay_doc])+
        pub fn $replay(
            team: &Team,
            rules: &[$rule],
            weights: &mut [f32],
            $($state: &mut [f32],)*
            stale: StaleRows<'_>,
        ) {
            let StaleRows { rows, width } = stale;
            $( assert!($state.len() == weights.len(), "one {} a weight", stringify!($state)); )*
            stale.check(weights.len());
            let weights = SharedMut::new(weights);
            $( let $state = SharedMut::new($state); )*
            // Neighbouring rows, which are about equally stale, go to different threads.
            let threads = if rows.len() * width > GRAIN { team.size() } else { 1 };
            let part = |first: usize| {
                for &(row, had) in rows.iter().skip(first).step_by(threads) {
                    let row = row as usize * width..(row as usize + 1) * width;
                    // SAFETY: each thread has its own rows, and each row occurs once, as was checked.
                    let weights = unsafe { weights.slice(row.clone()) };
                    $(
                        // SAFETY: as above.
                        let $state = unsafe { $state.slice(row.clone()) };
                    )*
                    $again(&rules[had as usize..], weights, $($state,)*);
                }
            };
            if threads == 1 { part(0) } else { team.run(part) }
        }
    };
}

update_rule! {
    Adam, [m, v], adam_element, adam_with, adam_without, adam_again,
    /// Makes one Adam update of `weights` with moments `m` and `v`; without `gradients` the gradient is zero.
    ///
    /// `g = clip(gradient + decay w)`, `m = b1 m + (1-b1) g`, `v = b2 v + (1-b2) g^2`, `w -= rate m / (sqrt(v) + eps)`.
    adam,
    /// As [`adam`], but only for the rows that the gradient has.
    adam_rows,
    /// Makes the updates of `rules` with gradients of zero, for rows that have had the first of them: bit for bit as [`adam`] would
    /// have made them one by one.
    adam_replay
}

update_rule! {
    Sgd, [], sgd_element, sgd_with, sgd_without, sgd_again,
    /// Makes one update of `weights` by gradient descent without momentum; without `gradients` the gradient is zero.
    ///
    /// `w = (1 - rate decay) w - rate clip(gradient)`.
    sgd,
    /// As [`sgd`], but only for the rows that the gradient has.
    sgd_rows,
    /// Makes the updates of `rules` with gradients of zero, for rows that have had the first of them: bit for bit as [`sgd`] would
    /// have made them one by one.
    sgd_replay
}

update_rule! {
    Sgd, [b], momentum_element, momentum_with, momentum_without, momentum_again,
    /// Makes one update of `weights` by gradient descent with the last update `b`; without `gradients` the gradient is zero.
    ///
    /// `b = momentum b - rate decay w - rate clip(gradient)`, `w += b`.
    momentum,
    /// As [`momentum`], but only for the rows that the gradient has.
    momentum_rows,
    /// Makes the updates of `rules` with gradients of zero, for rows that have had the first of them: bit for bit as [`momentum`]
    /// would have made them one by one.
    momentum_replay
}

update_rule! {
    RmsProp, [n], rmsprop_element, rmsprop_with, rmsprop_without, rmsprop_again,
    /// Makes one RMSProp update of `weights` with mean square `n`; without `gradients` the gradient is zero.
    ///
    /// `g = clip(gradient + decay w)`, `n = decay n + (1 - decay) g^2`, `w -= rate g / sqrt(n + eps)`.
    rmsprop,
    /// As [`rmsprop`], but only for the rows that the gradient has.
    rmsprop_rows,
    /// Makes the updates of `rules` with gradients of zero, for rows that have had the first of them: bit for bit as [`rmsprop`]
    /// would have made them one by one.
    rmsprop_replay
}

impl SparseRows<'_> {
    /// Checks that this can be the gradient of a matrix of `len` elements.
    fn check(&self, len: usize) {
        let SparseRows { rows, values, width } = *self;
        assert!(values.len() == rows.len() * width, "one row of values a row");
        assert!(rows.is_sorted_by(|a, b| a < b), "rows ascend, each once");
        check_rows(rows.last().copied(), width, len);
    }
}

impl StaleRows<'_> {
    /// Checks that these can be rows of a matrix of `len` elements.
    fn check(&self, len: usize) {
        assert!(self.rows.is_sorted_by(|(a, _), (b, _)| a < b), "rows ascend, each once");
        check_rows(self.rows.last().map(|&(row, _)| row), self.width, len);
    }
}

/// Checks that a matrix of `len` elements has rows of `width`, `last` among them.
fn check_rows(last: Option<u32>, width: usize, len: usize) {
    assert!(width > 0 && len.is_multiple_of(width), "rows of {width} do not fill {len} elements");
    assert!(last.is_none_or(|row| (row as usize) < len / width), "a row beyond the matrix");
}

#[inline(always)]
fn adam_element(adam: Adam, w: &mut f32, m: &mut f32, v: &mut f32, gradient: f32) {
    let g = clamp(gradient + adam.weight_decay * *w, adam.clip);
    *m = normal(adam.beta1 * *m + (1.0 - adam.beta1) * g);
    *v = normal(adam.beta2 * *v + (1.0 - adam.beta2) * g * g);
    *w -= adam.rate * *m / (v.sqrt() + adam.epsilon);
}

#[inline(always)]
fn sgd_element(sgd: Sgd, w: &mut f32, gradient: f32) {
    *w = (1.0 - sgd.rate * sgd.weight_decay) * *w - sgd.rate * clamp(gradient, sgd.clip);
}

#[inline(always)]
fn momentum_element(sgd: Sgd, w: &mut f32, b: &mut f32, gradient: f32) {
    let decay = sgd.rate * sgd.weight_decay * *w;
    *b = normal(sgd.momentum * *b - decay - sgd.rate * clamp(gradient, sgd.clip));
    *w += *b;
}

#[inline(always)]
fn rmsprop_element(rms: RmsProp, w: &mut f32, n: &mut f32, gradient: f32) {
    let g = clamp(gradient + rms.weight_decay * *w, rms.clip);
    *n = normal(rms.decay * *n + (1.0 - rms.decay) * g * g);
    *w -= rms.rate * g / (*n + rms.epsilon).sqrt();
}

#[inline(always)]
fn clamp(x: f32, limit: f32) -> f32 {
    let x = if x > limit { limit } else { x };
    if x < -limit { -limit } else { x }
}

/// Replaces subnormal numbers by zero. The moments of a word that no longer occurs would shrink into that range and stay there,
/// where many processors compute a hundred times slower; no update is large enough to differ.
#[inline(always)]
fn normal(x: f32) -> f32 {
    math::flush(x, f32::MIN_POSITIVE)
}

/// Sum of the squares of `x`. It is not finite exactly when an element is not. The order of additions does not depend on the number
/// of threads.
pub fn sum_of_squares(team: &Team, x: &[f32]) -> f64 {
    let mut parts = vec![0.0; x.len().div_ceil(GRAIN)];
    let shared = SharedMut::new(&mut parts);
    team.split(x.len().div_ceil(GRAIN), 1, |range| {
        for block in range {
            let elements = &x[block * GRAIN..x.len().min((block + 1) * GRAIN)];
            // SAFETY: `split` gives each thread its own blocks.
            let part = unsafe { shared.slice(block..block + 1) };
            part[0] = squares(elements);
        }
    });
    parts.iter().sum()
}

multiversion! {
    fn squares(x: &[f32]) -> f64 {
        /// The number of sums that do not wait for each other.
        const LANES: usize = 16;
        let mut sums = [0.0; LANES];
        let blocks = x.chunks_exact(LANES);
        let rest: f64 = blocks.remainder().iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        for block in blocks {
            for (sum, &x) in sums.iter_mut().zip(block) {
                *sum += f64::from(x) * f64::from(x);
            }
        }
        sums.iter().sum::<f64>() + rest
    }
}

/// `y += factor x`.
pub fn add_scaled(team: &Team, y: &mut [f32], factor: f32, x: &[f32]) {
    assert_eq!(y.len(), x.len(), "one addend an element");
    let shared = SharedMut::new(y);
    team.split(x.len(), GRAIN, |range| {
        // SAFETY: `split` gives each thread its own range.
        let y = unsafe { shared.slice(range.clone()) };
        add_scaled_part(y, factor, &x[range]);
    });
}

multiversion! {
    /// `y += factor x`, on the calling thread only.
    pub(crate) fn add_scaled_part(y: &mut [f32], factor: f32, x: &[f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += factor * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADAM: Adam =
        Adam { rate: 1e-2, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, clip: 0.5 };
    const SGD: Sgd = Sgd { rate: 1e-2, momentum: 0.9, weight_decay: 0.01, clip: 0.5 };
    const RMSPROP: RmsProp = RmsProp { rate: 1e-2, decay: 0.9, epsilon: 1e-8, weight_decay: 0.01, clip: 0.5 };

    /// Weights and up to two states.
    type Arrays = [Vec<f32>; 3];

    /// The gradients that a rule is applied to.
    enum Work<'a> {
        Dense(&'a [f32]),
        Rows(SparseRows<'a>),
        /// The given number of updates without a gradient.
        Replay(usize, StaleRows<'a>),
    }

    /// A rule's kernels.
    type Kernel = fn(&Team, &mut Arrays, Work<'_>) -> bool;

    const KERNELS: [(&str, Kernel); 6] = [
        ("adam", |team, arrays, work| apply_adam(team, Adam { weight_decay: 0.0, ..ADAM }, arrays, work)),
        ("adam with decay", |team, arrays, work| apply_adam(team, ADAM, arrays, work)),
        ("sgd", |team, [w, _, _], work| match work {
            Work::Dense(dense) => sgd(team, SGD, w, Some(dense)),
            Work::Rows(rows) => sgd_rows(team, SGD, w, rows),
            Work::Replay(updates, rows) => {
                sgd_replay(team, &vec![SGD; updates], w, rows);
                true
            }
        }),
        ("momentum", |team, [w, b, _], work| match work {
            Work::Dense(dense) => momentum(team, SGD, w, b, Some(dense)),
            Work::Rows(rows) => momentum_rows(team, SGD, w, b, rows),
            Work::Replay(updates, rows) => {
                momentum_replay(team, &vec![SGD; updates], w, b, rows);
                true
            }
        }),
        ("rmsprop", |team, [w, n, _], work| match work {
            Work::Dense(dense) => rmsprop(team, RMSPROP, w, n, Some(dense)),
            Work::Rows(rows) => rmsprop_rows(team, RMSPROP, w, n, rows),
            Work::Replay(updates, rows) => {
                rmsprop_replay(team, &vec![RMSPROP; updates], w, n, rows);
                true
            }
        }),
        ("rmsprop without decay", |team, [w, n, _], work| {
            let rule = RmsProp { weight_decay: 0.0, ..RMSPROP };
            match work {
                Work::Dense(dense) => rmsprop(team, rule, w, n, Some(dense)),
                Work::Rows(rows) => rmsprop_rows(team, rule, w, n, rows),
                Work::Replay(updates, rows) => {
                    rmsprop_replay(team, &vec![rule; updates], w, n, rows);
                    true
                }
            }
        }),
    ];

    fn apply_adam(team: &Team, rule: Adam, [w, m, v]: &mut Arrays, work: Work<'_>) -> bool {
        match work {
            Work::Dense(dense) => adam(team, rule, w, m, v, Some(dense)),
            Work::Rows(rows) => adam_rows(team, rule, w, m, v, rows),
            Work::Replay(updates, rows) => {
                adam_replay(team, &vec![rule; updates], w, m, v, rows);
                true
            }
        }
    }

    fn value(i: usize) -> f32 {
        ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0
    }

    /// Runs updates with gradients of some rows, once dense and once as rows with all other rows replayed at the end, and compares
    /// every bit.
    fn check(threads: usize, height: usize, width: usize, touched: &[&[u32]]) {
        let team = Team::new(threads);
        for (rule, kernel) in KERNELS {
            let weights: Vec<f32> = (0..height * width).map(value).collect();
            let mut dense: Arrays = [weights.clone(), vec![0.0; weights.len()], vec![0.0; weights.len()]];
            let mut sparse = dense.clone();
            // The number of updates that each row has had.
            let mut had = vec![0; height];
            let mut replay = |sparse: &mut Arrays, updates: usize, rows: &[u32]| {
                let stale: Vec<(u32, u32)> = rows.iter().map(|&row| (row, had[row as usize])).collect();
                assert!(kernel(&team, sparse, Work::Replay(updates, StaleRows { rows: &stale, width })));
                rows.iter().for_each(|&row| had[row as usize] = updates as u32 + 1);
            };
            for (update, rows) in touched.iter().enumerate() {
                let values: Vec<f32> = (0..rows.len() * width).map(|i| value(i + 7)).collect();
                let mut whole = vec![0.0; weights.len()];
                for (row, values) in rows.iter().zip(values.chunks_exact(width)) {
                    whole[*row as usize * width..][..width].copy_from_slice(values);
                }
                assert!(kernel(&team, &mut dense, Work::Dense(&whole)));
                replay(&mut sparse, update, rows);
                assert!(kernel(&team, &mut sparse, Work::Rows(SparseRows { rows, values: &values, width })));
            }
            let all: Vec<u32> = (0..height as u32).collect();
            replay(&mut sparse, touched.len(), &all);
            let bits = |arrays: &Arrays| arrays.concat().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert!(
                bits(&dense) == bits(&sparse),
                "{rule}, {threads} threads, {height} x {width}, {touched:?}"
            );
            assert_ne!(dense[0], weights, "{rule}");
        }
    }

    #[test]
    fn rows_that_catch_up_are_as_if_they_had_been_updated_every_time() {
        for threads in [1, 2, 3] {
            check(threads, 5, 3, &[&[0, 4], &[], &[2], &[0, 1, 2, 3, 4]]);
            check(threads, 5, 3, &[&[0, 4], &[2], &[], &[]]);
            check(threads, 500, 128, &[&[0, 7, 8, 255, 256, 499], &[3], &[250, 251], &[7]]);
        }
    }

    #[test]
    fn a_gradient_that_is_no_number_is_told() {
        let team = Team::new(2);
        for (rule, kernel) in KERNELS {
            for (at, odd) in
                [(0, f32::NAN), (2 * GRAIN + 4, f32::INFINITY), (17, f32::NEG_INFINITY), (5, f32::MAX)]
            {
                let mut gradient = vec![1.0; 2 * GRAIN + 5];
                gradient[at] = odd;
                let mut arrays = [0; 3].map(|_| vec![0.0; gradient.len()]);
                let numbers = kernel(&team, &mut arrays, Work::Dense(&gradient));
                assert_eq!(numbers, odd == f32::MAX, "{rule}: {odd} at {at}");
                let rows = SparseRows { rows: &[0], values: &gradient, width: gradient.len() };
                assert_eq!(
                    kernel(&team, &mut arrays, Work::Rows(rows)),
                    odd == f32::MAX,
                    "{rule}: {odd} at {at}"
                );
            }
        }
    }

    #[test]
    #[should_panic(expected = "rows ascend, each once")]
    fn a_row_cannot_be_replayed_twice_at_once() {
        sgd_replay(
            &Team::new(2),
            &[SGD],
            &mut [0.0; 4],
            StaleRows { rows: &[(0, 0), (1, 0), (1, 0)], width: 2 },
        );
    }

    #[test]
    fn states_never_become_subnormal() {
        let team = Team::new(1);
        let (mut w, mut m, mut v, mut b, mut n) = ([1.0], [2e-38], [2e-38], [2e-38], [2e-38]);
        for _ in 0..2000 {
            adam(&team, Adam { weight_decay: 0.0, ..ADAM }, &mut w, &mut m, &mut v, None);
            momentum(&team, Sgd { weight_decay: 0.0, ..SGD }, &mut w, &mut b, None);
            rmsprop(&team, RmsProp { weight_decay: 0.0, ..RMSPROP }, &mut w, &mut n, None);
        }
        assert_eq!([m, v, b, n], [[0.0]; 4]);
    }

    #[test]
    fn squares_add_up_and_tell_what_is_no_number() {
        for len in [0, 1, 15, 16, 17, GRAIN, GRAIN + 1, 3 * GRAIN + 5] {
            let x: Vec<f32> = (0..len).map(|i| 1e3 * value(i)).collect();
            let want: f64 = x.iter().map(|&x| f64::from(x).powi(2)).sum();
            let sums = [1, 2, 3].map(|threads| sum_of_squares(&Team::new(threads), &x));
            assert!((sums[0] - want).abs() <= 1e-12 * want, "{} for {want}", sums[0]);
            assert_eq!(sums, [sums[0]; 3], "another number of threads");
            for odd in [f32::NAN, f32::INFINITY] {
                let mut x = x.clone();
                let Some(last) = x.last_mut() else { continue };
                *last = odd;
                assert!(!sum_of_squares(&Team::new(2), &x).is_finite());
            }
        }
        assert!(sum_of_squares(&Team::new(1), &[f32::MAX; 1000]).is_finite());
    }

    #[test]
    fn scaled_addends_are_added() {
        let x: Vec<f32> = (0..2 * GRAIN + 3).map(value).collect();
        let mut y = vec![1.0; x.len()];
        add_scaled(&Team::new(2), &mut y, -0.5, &x);
        assert!(y.iter().zip(&x).all(|(y, x)| *y == 1.0 + -0.5 * x));
    }
}
