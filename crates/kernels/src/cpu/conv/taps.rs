//! Conversion of filters: on disk the taps of each unit lie side by side, H x width; kernels need the units of each tap side by
//! side, width x H.

/// Number of units that are reordered together: some registers of each tap.
const BLOCK: usize = 64;

multiversion! {
    /// `out` (width x H) from `x` (H x width).
    pub(super) fn split(out: &mut [f32], x: &[f32], width: usize) {
        // The compiler makes shuffles of registers where it knows the width; otherwise it gathers one element at a time.
        match width {
            2 => split_known::<2>(out, x),
            3 => split_known::<3>(out, x),
            4 => split_known::<4>(out, x),
            5 => split_known::<5>(out, x),
            6 => split_known::<6>(out, x),
            7 => split_known::<7>(out, x),
            _ => split_any(out, x, width, 0),
        }
    }
}

multiversion! {
    /// `out` (H x width) from `x` (width x H).
    pub(super) fn join(out: &mut [f32], x: &[f32], width: usize) {
        match width {
            2 => join_known::<2>(out, x),
            3 => join_known::<3>(out, x),
            4 => join_known::<4>(out, x),
            5 => join_known::<5>(out, x),
            6 => join_known::<6>(out, x),
            7 => join_known::<7>(out, x),
            _ => join_any(out, x, width, 0),
        }
    }
}

#[inline(always)]
fn split_known<const WIDTH: usize>(out: &mut [f32], x: &[f32]) {
    let units = x.len() / WIDTH;
    let (blocks, rest) = x.as_chunks::<WIDTH>().0.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        let mut taps = [[0f32; BLOCK]; WIDTH];
        for unit in 0..BLOCK {
            for tap in 0..WIDTH {
                taps[tap][unit] = block[unit][tap];
            }
        }
        for (tap, out) in taps.iter().zip(out.chunks_exact_mut(units)) {
            out[number * BLOCK..][..BLOCK].copy_from_slice(tap);
        }
    }
    split_any(out, x, WIDTH, units - rest.len());
}

#[inline(always)]
fn join_known<const WIDTH: usize>(out: &mut [f32], x: &[f32]) {
    let units = x.len() / WIDTH;
    let (blocks, rest) = out.as_chunks_mut::<WIDTH>().0.as_chunks_mut::<BLOCK>();
    let done = units - rest.len();
    for (number, block) in blocks.iter_mut().enumerate() {
        let mut taps = [[0f32; BLOCK]; WIDTH];
        for (tap, x) in taps.iter_mut().zip(x.chunks_exact(units)) {
            tap.copy_from_slice(&x[number * BLOCK..][..BLOCK]);
        }
        for unit in 0..BLOCK {
            for tap in 0..WIDTH {
                block[unit][tap] = taps[tap][unit];
            }
        }
    }
    join_any(out, x, WIDTH, done);
}

/// Splits from unit `from` on.
#[inline(always)]
fn split_any(out: &mut [f32], x: &[f32], width: usize, from: usize) {
    let units = x.len() / width;
    for (tap, out) in out.chunks_exact_mut(units).enumerate() {
        out.iter_mut().zip(x.chunks_exact(width)).skip(from).for_each(|(out, taps)| *out = taps[tap]);
    }
}

/// Joins from unit `from` on.
#[inline(always)]
fn join_any(out: &mut [f32], x: &[f32], width: usize, from: usize) {
    let units = x.len() / width;
    for (tap, x) in x.chunks_exact(units).enumerate() {
        out.chunks_exact_mut(width).zip(x).skip(from).for_each(|(taps, &x)| taps[tap] = x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_split_and_joined_at_any_width() {
        for width in 1..=9 {
            for units in [1, 7, BLOCK, 2 * BLOCK + 5] {
                let x: Vec<f32> = (0..units * width).map(|i| i as f32).collect();
                let mut taps = vec![f32::NAN; x.len()];
                split(&mut taps, &x, width);
                let want = (0..x.len()).map(|i| x[i % units * width + i / units]);
                assert!(taps.iter().copied().eq(want), "{units} units of {width} taps");
                let mut back = vec![f32::NAN; x.len()];
                join(&mut back, &taps, width);
                assert!(back == x, "{units} units of {width} taps, joined");
            }
        }
    }
}
