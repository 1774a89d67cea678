//! Convolutions over sentences without padding, and the activations that follow. Training needs fewer multiplications than the
//! definition has ([`minimal`]); in decoding windows of neighbouring tokens are laid side by side, so that the convolution is one
//! product whose rows do not depend on each other.

mod activation;
pub mod minimal;
mod taps;

use std::ops::Range;

pub use self::activation::{Activation, activate, activate_backward};
use super::threads::{SharedMut, Team};

/// The least number of elements of filters that a thread lays out.
const FILTER_GRAIN: usize = 1 << 15;

/// The tokens of its sentence that a convolution sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Tokens that one output sees.
    pub width: usize,
    /// How many of them stand before the output's own token.
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

    /// Returns the tokens of `span` that position `at` sees, and the place of the first of them in the window.
    fn seen(self, span: &Range<u32>, at: u32) -> (Range<usize>, usize) {
        let (start, end) = (span.start as i64, span.end as i64);
        let first = i64::from(at) - self.before as i64;
        let from = first.max(start);
        let to = (first + self.width as i64).min(end).max(from);
        (from as usize..to as usize, (from - first) as usize)
    }
}

/// Lays out `out` (C x width H) = the filters `x` (C x H x width) as windows are laid out.
pub fn window_filters(team: &Team, out: &mut [f32], x: &[f32], units: usize, width: usize) {
    let size = units * width;
    assert!(out.len() == x.len() && (size == 0 || x.len().is_multiple_of(size)), "whole filters");
    if size == 0 {
        return;
    }
    let shared = SharedMut::new(out);
    team.split(x.len() / size, FILTER_GRAIN.div_ceil(size), |range| {
        let elements = range.start * size..range.end * size;
        // SAFETY: `split` gives each thread its own filters.
        let out = unsafe { shared.slice(elements.clone()) };
        for (out, x) in out.chunks_exact_mut(size).zip(x[elements].chunks_exact(size)) {
            taps::split(out, x, width);
        }
    });
}

/// Sets row t of `windows` (T x width H) to the tokens of `x` (T x H) that position t sees, side by side; zeros beyond its
/// sentence. `spans` are the sentences, which together are all T tokens in order.
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
                // SAFETY: `split` gives each thread its own sentences, which do not overlap.
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
