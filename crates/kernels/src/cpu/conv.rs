//! Convolutions over sentences without padding: windows of neighbouring tokens laid side by side, so that the convolution is
//! one product; and the activations that follow it.

use std::ops::Range;

use super::math;
use super::threads::{SharedMut, Team};

/// Elements that one thread transposes at least.
const SWAP_GRAIN: usize = 1 << 15;

/// What a convolution sees of its sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Tokens that one output sees.
    pub width: usize,
    /// How many of them stand before its own.
    pub before: usize,
}

impl Window {
    /// As many tokens before as after; `width` is odd.
    pub fn centred(width: usize) -> Window {
        assert!(width % 2 == 1, "a centred window has an odd width");
        Window { width, before: width / 2 }
    }

    /// The token itself and those before it.
    pub fn causal(width: usize) -> Window {
        assert!(width > 0, "a window sees something");
        Window { width, before: width - 1 }
    }

    /// The tokens of `span` that position `at` sees, and the place of the first of them in the window.
    fn seen(self, span: &Range<u32>, at: u32) -> (Range<usize>, usize) {
        let (start, end) = (span.start as i64, span.end as i64);
        let first = i64::from(at) - self.before as i64;
        let from = first.max(start);
        let to = (first + self.width as i64).min(end).max(from);
        (from as usize..to as usize, (from - first) as usize)
    }
}

/// Transposes each matrix outer x inner of `x`, which holds one after the other. With filters C x H x width, `outer` H and `inner`
/// width, `out` has them as windows are laid out, C x width x H; and back again with both exchanged.
pub fn swap_inner(team: &Team, out: &mut [f32], x: &[f32], outer: usize, inner: usize) {
    let size = outer * inner;
    assert!(out.len() == x.len() && (size == 0 || x.len().is_multiple_of(size)), "whole matrices");
    if size == 0 {
        return;
    }
    let shared = SharedMut::new(out);
    team.split(x.len() / size, SWAP_GRAIN.div_ceil(size), |range| {
        let elements = range.start * size..range.end * size;
        // SAFETY: `split` gives each thread matrices of its own.
        let out = unsafe { shared.slice(elements.clone()) };
        for (out, x) in out.chunks_exact_mut(size).zip(x[elements].chunks_exact(size)) {
            // The short side inside, so that the long one is walked in order on both sides.
            if inner <= outer {
                split_columns(out, x, inner);
            } else {
                join_columns(out, x, outer);
            }
        }
    });
}

multiversion! {
    /// From rows of a few columns, one column after the other.
    fn split_columns(out: &mut [f32], x: &[f32], columns: usize) {
        let rows = x.len() / columns;
        for (column, out) in out.chunks_exact_mut(rows).enumerate() {
            out.iter_mut().zip(x.chunks_exact(columns)).for_each(|(out, row)| *out = row[column]);
        }
    }
}

multiversion! {
    /// From a few columns, one after the other, rows.
    fn join_columns(out: &mut [f32], x: &[f32], columns: usize) {
        let rows = x.len() / columns;
        for (column, x) in x.chunks_exact(rows).enumerate() {
            out.chunks_exact_mut(columns).zip(x).for_each(|(row, &x)| row[column] = x);
        }
    }
}

/// Row t of `windows` (T x width H) = the tokens of `x` (T x H) that position t sees, side by side; zeros beyond its sentence.
/// `spans` are the sentences, which together are all T tokens in order.
pub fn windows(
    team: &Team,
    spans: &[Range<u32>],
    window: Window,
    units: usize,
    x: &[f32],
    windows: &mut [f32],
) {
    assert_eq!(windows.len(), x.len() * window.width, "one window a token");
    let wide = window.width * units;
    let shared = SharedMut::new(windows);
    team.split(spans.len(), 1, |range| {
        for span in &spans[range] {
            for at in span.clone() {
                let t = at as usize;
                // SAFETY: `split` gives each thread sentences of its own, which do not overlap.
                let row = unsafe { shared.slice(t * wide..(t + 1) * wide) };
                let (seen, offset) = window.seen(span, at);
                let (head, rest) = row.split_at_mut(offset * units);
                let (middle, tail) = rest.split_at_mut(seen.len() * units);
                head.fill(0.0);
                middle.copy_from_slice(&x[seen.start * units..seen.end * units]);
                tail.fill(0.0);
            }
        }
    });
}

/// Gradients through [`windows`]: each token gets what the windows that saw it got. `dx` T x H is overwritten.
pub fn windows_backward(
    team: &Team,
    spans: &[Range<u32>],
    window: Window,
    units: usize,
    d_windows: &[f32],
    dx: &mut [f32],
) {
    assert_eq!(d_windows.len(), dx.len() * window.width, "one window a token");
    let wide = window.width * units;
    let shared = SharedMut::new(dx);
    team.split(spans.len(), 1, |range| {
        for span in &spans[range] {
            let tokens = span.start as usize * units..span.end as usize * units;
            // SAFETY: `split` gives each thread sentences of its own, which do not overlap.
            let dx = unsafe { shared.slice(tokens.clone()) };
            dx.fill(0.0);
            for at in span.clone() {
                let (seen, offset) = window.seen(span, at);
                let row = at as usize * wide + offset * units;
                let target = seen.start * units - tokens.start..seen.end * units - tokens.start;
                add(&mut dx[target], &d_windows[row..row + seen.len() * units]);
            }
        }
    });
}

multiversion! {
    fn add(y: &mut [f32], x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
    }
}

/// What follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// First half times the logistic function of the second half (Dauphin et al. 2016); halves the width.
    Glu,
    /// max(x, 0).
    Relu,
    /// ln(1 + e^x).
    SoftRelu,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// tanh x.
    Tanh,
}

impl Activation {
    /// Inputs for one output.
    pub fn fan_in(self) -> usize {
        if self == Activation::Glu { 2 } else { 1 }
    }
}

/// Rows shared between threads at least.
const GRAIN: usize = 8;

/// `y` (T x H) = activation of `x` (T x H, for glu T x 2H).
pub fn activate(team: &Team, activation: Activation, units: usize, x: &[f32], y: &mut [f32]) {
    let wide = units * activation.fan_in();
    let rows = y.len() / units.max(1);
    assert!(y.len() == rows * units && x.len() == rows * wide);
    let shared = SharedMut::new(y);
    team.split(rows, GRAIN, |range| {
        for row in range {
            // SAFETY: `split` gives each thread rows of its own.
            let y = unsafe { shared.slice(row * units..(row + 1) * units) };
            activate_row(activation, &x[row * wide..(row + 1) * wide], y);
        }
    });
}

multiversion! {
    fn activate_row(activation: Activation, x: &[f32], y: &mut [f32]) {
        match activation {
            Activation::Glu => {
                let (value, gate) = x.split_at(y.len());
                for ((y, v), g) in y.iter_mut().zip(value).zip(gate) {
                    *y = v * math::sigmoid::<FMA>(*g);
                }
            }
            Activation::Relu => y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x < 0.0 { 0.0 } else { x }),
            Activation::SoftRelu => {
                // max(x, 0) + ln(1 + e^-|x|) does not overflow.
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = (if x < 0.0 { 0.0 } else { x }) + math::exp::<FMA>(-x.abs()).ln_1p();
                }
            }
            Activation::Sigmoid => y.iter_mut().zip(x).for_each(|(y, x)| *y = math::sigmoid::<FMA>(*x)),
            Activation::Tanh => y.iter_mut().zip(x).for_each(|(y, x)| *y = math::tanh::<FMA>(*x)),
        }
    }
}

/// Gradients through [`activate`]: `x` becomes its own gradient, from `dy` T x H.
pub fn activate_backward(team: &Team, activation: Activation, units: usize, x: &mut [f32], dy: &[f32]) {
    let wide = units * activation.fan_in();
    let rows = dy.len() / units.max(1);
    assert!(dy.len() == rows * units && x.len() == rows * wide);
    let shared = SharedMut::new(x);
    team.split(rows, GRAIN, |range| {
        for row in range {
            // SAFETY: `split` gives each thread rows of its own.
            let x = unsafe { shared.slice(row * wide..(row + 1) * wide) };
            activate_backward_row(activation, x, &dy[row * units..(row + 1) * units]);
        }
    });
}

multiversion! {
    fn activate_backward_row(activation: Activation, x: &mut [f32], dy: &[f32]) {
        match activation {
            Activation::Glu => {
                let (value, gate) = x.split_at_mut(dy.len());
                for ((v, g), dy) in value.iter_mut().zip(gate).zip(dy) {
                    let s = math::sigmoid::<FMA>(*g);
                    *g = dy * *v * s * (1.0 - s);
                    *v = dy * s;
                }
            }
            Activation::Relu => x.iter_mut().zip(dy).for_each(|(x, dy)| *x = if *x > 0.0 { *dy } else { 0.0 }),
            Activation::SoftRelu => {
                x.iter_mut().zip(dy).for_each(|(x, dy)| *x = dy * math::sigmoid::<FMA>(*x));
            }
            Activation::Sigmoid => {
                for (x, dy) in x.iter_mut().zip(dy) {
                    let s = math::sigmoid::<FMA>(*x);
                    *x = dy * s * (1.0 - s);
                }
            }
            Activation::Tanh => {
                for (x, dy) in x.iter_mut().zip(dy) {
                    let t = math::tanh::<FMA>(*x);
                    *x = dy * (1.0 - t * t);
                }
            }
        }
    }
}
