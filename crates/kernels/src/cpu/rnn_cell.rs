//! The element-wise part of recurrent cells: everything after the products.
//!
//! After an optimizer step that is far too long, some gates are almost closed, and states and gradients are as small as 1e-38.
//! Products with them are subnormal, and many processors compute those a hundred times slower. So gates, states and gradients below
//! 2^-63 become zero. The product of two larger numbers is normal, and what is dropped is too small to change a sum of usual size.

use super::threads::{SharedMut, Team};
use super::{LANES, math};

/// Magnitudes of gates, states and gradients below this, 2^-63, count as zero: its square is the smallest normal number.
const SMALLEST: f32 = 1.0 / (1u64 << 63) as f32;
/// The least number of elements from which rows are shared between threads.
const GRAIN: usize = 4096;

/// Computes one LSTM step for B rows of H units.
///
/// * `gates` B x 4H: in, the pre-activations in the order i, f, g, o; out, sigma(i), sigma(f), tanh(g), sigma(o), which
///   the backward step needs.
/// * `c_previous`, `c`, `h`: B x H. `c = f c_previous + i g m`, `h = o tanh(c)`.
/// * `mask`: m, B x H, or nothing for ones: recurrent dropout without memory loss (Semeniuta et al. 2016).
pub fn lstm_forward(
    team: &Team,
    units: usize,
    gates: &mut [f32],
    mask: Option<&[f32]>,
    c_previous: &[f32],
    c: &mut [f32],
    h: &mut [f32],
) {
    let rows = c.len() / units.max(1);
    assert!(c.len() == rows * units && h.len() == c.len() && c_previous.len() == c.len());
    assert_eq!(gates.len(), 4 * c.len(), "four gates a unit");
    let (gates, c, h) = (SharedMut::new(gates), SharedMut::new(c), SharedMut::new(h));
    team.split(rows, GRAIN.div_ceil(units.max(1)), |range| {
        for row in range {
            let span = row * units..(row + 1) * units;
            // SAFETY: `split` gives each thread its own rows.
            let (gates, c, h) = unsafe {
                (gates.slice(4 * span.start..4 * span.end), c.slice(span.clone()), h.slice(span.clone()))
            };
            lstm_forward_row(gates, mask.map(|mask| &mask[span.clone()]), &c_previous[span], c, h);
        }
    });
}

/// Loads `N` elements of a slice from `at` on as an array, which the compiler turns into one register.
#[inline(always)]
fn load<const N: usize>(x: &[f32], at: usize) -> [f32; N] {
    x[at..at + N].try_into().expect("a slice of N elements")
}

#[inline(always)]
fn store<const N: usize>(x: &mut [f32], at: usize, values: [f32; N]) {
    x[at..at + N].copy_from_slice(&values);
}

/// `x`, or zero if its magnitude is below [`SMALLEST`].
#[inline(always)]
fn or_zero(x: f32) -> f32 {
    math::flush(x, SMALLEST)
}

/// Stores values that become factors of products; see [`SMALLEST`].
#[inline(always)]
fn store_factors<const N: usize>(x: &mut [f32], at: usize, mut values: [f32; N]) {
    for n in 0..N {
        values[n] = or_zero(values[n]);
    }
    store(x, at, values);
}

multiversion! {
    fn lstm_forward_row(
        gates: &mut [f32], mask: Option<&[f32]>, c_previous: &[f32], c: &mut [f32], h: &mut [f32],
    ) {
        #[inline(always)]
        fn block<const FMA: bool, const N: usize>(
            at: usize, units: usize, gates: &mut [f32], mask: Option<&[f32]>, c_previous: &[f32], c: &mut [f32],
            h: &mut [f32],
        ) {
            let m: [f32; N] = mask.map_or([1.0; N], |mask| load(mask, at));
            let mut i: [f32; N] = load(gates, at);
            let mut f: [f32; N] = load(gates, units + at);
            let mut g: [f32; N] = load(gates, 2 * units + at);
            let mut o: [f32; N] = load(gates, 3 * units + at);
            let mut cell: [f32; N] = load(c_previous, at);
            let mut out = [0f32; N];
            for n in 0..N { i[n] = or_zero(math::sigmoid::<FMA>(i[n])); }
            for n in 0..N { f[n] = or_zero(math::sigmoid::<FMA>(f[n])); }
            for n in 0..N { g[n] = or_zero(math::tanh::<FMA>(g[n])); }
            for n in 0..N { o[n] = or_zero(math::sigmoid::<FMA>(o[n])); }
            for n in 0..N { cell[n] = or_zero(f[n] * cell[n] + i[n] * g[n] * m[n]); }
            for n in 0..N { out[n] = o[n] * math::tanh::<FMA>(cell[n]); }
            store(gates, at, i);
            store(gates, units + at, f);
            store(gates, 2 * units + at, g);
            store(gates, 3 * units + at, o);
            store(c, at, cell);
            store_factors(h, at, out);
        }
        let units = c.len();
        let mut at = 0;
        while at + LANES <= units {
            block::<FMA, LANES>(at, units, gates, mask, c_previous, c, h);
            at += LANES;
        }
        while at < units {
            block::<FMA, 1>(at, units, gates, mask, c_previous, c, h);
            at += 1;
        }
    }
}

/// Propagates gradients through one LSTM step.
///
/// * `gates`: in, the activated gates that [`lstm_forward`] left; out, the gradient of the pre-activations.
/// * `dh`: gradient of h. `dc`: in, the gradient of c that comes from later steps; out, the gradient of `c_previous`.
///
/// With t = tanh(c): `dc' = dc + dh o (1 - t^2)`, `di = dc' g m i (1-i)`, `df = dc' c_previous f (1-f)`,
/// `dg = dc' i m (1-g^2)`, `do = dh t o (1-o)`, `dc_previous = dc' f`.
pub fn lstm_backward(
    team: &Team,
    units: usize,
    gates: &mut [f32],
    mask: Option<&[f32]>,
    c_previous: &[f32],
    c: &[f32],
    dh: &[f32],
    dc: &mut [f32],
) {
    let rows = c.len() / units.max(1);
    assert!(
        c.len() == rows * units && c_previous.len() == c.len() && dh.len() == c.len() && dc.len() == c.len()
    );
    assert_eq!(gates.len(), 4 * c.len(), "four gates a unit");
    let (gates, dc) = (SharedMut::new(gates), SharedMut::new(dc));
    team.split(rows, GRAIN.div_ceil(units.max(1)), |range| {
        for row in range {
            let span = row * units..(row + 1) * units;
            // SAFETY: `split` gives each thread its own rows.
            let (gates, dc) = unsafe { (gates.slice(4 * span.start..4 * span.end), dc.slice(span.clone())) };
            let mask = mask.map(|mask| &mask[span.clone()]);
            lstm_backward_row(gates, mask, &c_previous[span.clone()], &c[span.clone()], &dh[span], dc);
        }
    });
}

multiversion! {
    fn lstm_backward_row(
        gates: &mut [f32], mask: Option<&[f32]>, c_previous: &[f32], c: &[f32], dh: &[f32], dc: &mut [f32],
    ) {
        #[inline(always)]
        fn block<const FMA: bool, const N: usize>(
            at: usize, units: usize, gates: &mut [f32], mask: Option<&[f32]>, c_previous: &[f32], c: &[f32],
            dh: &[f32], dc: &mut [f32],
        ) {
            let m: [f32; N] = mask.map_or([1.0; N], |mask| load(mask, at));
            let mut i: [f32; N] = load(gates, at);
            let mut f: [f32; N] = load(gates, units + at);
            let mut g: [f32; N] = load(gates, 2 * units + at);
            let mut o: [f32; N] = load(gates, 3 * units + at);
            let before: [f32; N] = load(c_previous, at);
            let mut t: [f32; N] = load(c, at);
            let mut dh: [f32; N] = load(dh, at);
            let mut d: [f32; N] = load(dc, at);
            for n in 0..N { dh[n] = or_zero(dh[n]); }
            for n in 0..N { t[n] = math::tanh::<FMA>(t[n]); }
            for n in 0..N { d[n] = or_zero(d[n] + dh[n] * o[n] * (1.0 - t[n] * t[n])); }
            for n in 0..N { o[n] = dh[n] * t[n] * o[n] * (1.0 - o[n]); }
            let mut d_before = [0f32; N];
            for n in 0..N {
                d_before[n] = d[n] * f[n];
                f[n] = d[n] * before[n] * f[n] * (1.0 - f[n]);
                let (input, candidate) = (i[n], g[n]);
                i[n] = d[n] * candidate * m[n] * input * (1.0 - input);
                g[n] = d[n] * input * m[n] * (1.0 - candidate * candidate);
            }
            store_factors(gates, at, i);
            store_factors(gates, units + at, f);
            store_factors(gates, 2 * units + at, g);
            store_factors(gates, 3 * units + at, o);
            store_factors(dc, at, d_before);
        }
        let units = c.len();
        let mut at = 0;
        while at + LANES <= units {
            block::<FMA, LANES>(at, units, gates, mask, c_previous, c, dh, dc);
            at += LANES;
        }
        while at < units {
            block::<FMA, 1>(at, units, gates, mask, c_previous, c, dh, dc);
            at += 1;
        }
    }
}

/// Computes one GRU step for B rows of H units (Cho et al. 2014, with the reset gate applied after the recurrent product, as in
/// cuDNN and MXNet).
///
/// * `input`, `hidden` B x 3H: the pre-activations from the input and from the state, kept apart, in the order r, z, n.
///   On return `input` holds sigma(r), sigma(z), n; `hidden` is as it was: both are needed for the backward step.
/// * `h_previous`, `h` B x H. `r = sigma(a_r + b_r)`, `z = sigma(a_z + b_z)`, `n = tanh(a_n + r b_n)`,
///   `h = (1 - z) n + z h_previous`.
pub fn gru_forward(
    team: &Team,
    units: usize,
    input: &mut [f32],
    hidden: &[f32],
    h_previous: &[f32],
    h: &mut [f32],
) {
    let rows = h.len() / units.max(1);
    assert!(h.len() == rows * units && h_previous.len() == h.len());
    assert!(input.len() == 3 * h.len() && hidden.len() == input.len(), "three gates a unit");
    let (input, h) = (SharedMut::new(input), SharedMut::new(h));
    team.split(rows, GRAIN.div_ceil(units.max(1)), |range| {
        for row in range {
            let span = row * units..(row + 1) * units;
            let gates = 3 * span.start..3 * span.end;
            // SAFETY: `split` gives each thread its own rows.
            let (input, h) = unsafe { (input.slice(gates.clone()), h.slice(span.clone())) };
            gru_forward_row(input, &hidden[gates], &h_previous[span], h);
        }
    });
}

multiversion! {
    fn gru_forward_row(input: &mut [f32], hidden: &[f32], h_previous: &[f32], h: &mut [f32]) {
        #[inline(always)]
        fn block<const FMA: bool, const N: usize>(
            at: usize, units: usize, input: &mut [f32], hidden: &[f32], h_previous: &[f32], h: &mut [f32],
        ) {
            let mut r: [f32; N] = load(input, at);
            let mut z: [f32; N] = load(input, units + at);
            let mut c: [f32; N] = load(input, 2 * units + at);
            let b_r: [f32; N] = load(hidden, at);
            let b_z: [f32; N] = load(hidden, units + at);
            let b_n: [f32; N] = load(hidden, 2 * units + at);
            let before: [f32; N] = load(h_previous, at);
            let mut out = [0f32; N];
            for n in 0..N { r[n] = math::sigmoid::<FMA>(r[n] + b_r[n]); }
            for n in 0..N { z[n] = math::sigmoid::<FMA>(z[n] + b_z[n]); }
            for n in 0..N { c[n] = math::tanh::<FMA>(c[n] + r[n] * b_n[n]); }
            for n in 0..N { out[n] = (1.0 - z[n]) * c[n] + z[n] * before[n]; }
            store(input, at, r);
            store(input, units + at, z);
            store(input, 2 * units + at, c);
            store_factors(h, at, out);
        }
        let units = h.len();
        let mut at = 0;
        while at + LANES <= units {
            block::<FMA, LANES>(at, units, input, hidden, h_previous, h);
            at += LANES;
        }
        while at < units {
            block::<FMA, 1>(at, units, input, hidden, h_previous, h);
            at += 1;
        }
    }
}

/// Propagates gradients through one GRU step.
///
/// * `gates` B x 3H: in, what [`gru_forward`] left in `input`; out, the gradient of the input's pre-activations.
/// * `hidden` B x 3H: in, the state's pre-activations; out, their gradient. The two gradients differ in n only, where the state's
///   is multiplied by r.
/// * `d` B x H: in, the gradient of h; out, the part of the gradient of `h_previous` that does not pass the product.
///
/// `dn = d (1-z)(1-n^2)`, `dz = d (h_previous - n) z (1-z)`, `dr = dn b_n r (1-r)`, `d_previous = d z`.
pub fn gru_backward(
    team: &Team,
    units: usize,
    gates: &mut [f32],
    hidden: &mut [f32],
    h_previous: &[f32],
    d: &mut [f32],
) {
    let rows = d.len() / units.max(1);
    assert!(d.len() == rows * units && h_previous.len() == d.len());
    assert!(gates.len() == 3 * d.len() && hidden.len() == gates.len(), "three gates a unit");
    let (gates, hidden, d) = (SharedMut::new(gates), SharedMut::new(hidden), SharedMut::new(d));
    team.split(rows, GRAIN.div_ceil(units.max(1)), |range| {
        for row in range {
            let span = row * units..(row + 1) * units;
            let wide = 3 * span.start..3 * span.end;
            // SAFETY: `split` gives each thread its own rows.
            let (gates, hidden, d) =
                unsafe { (gates.slice(wide.clone()), hidden.slice(wide), d.slice(span.clone())) };
            gru_backward_row(gates, hidden, &h_previous[span], d);
        }
    });
}

multiversion! {
    fn gru_backward_row(gates: &mut [f32], hidden: &mut [f32], h_previous: &[f32], d: &mut [f32]) {
        #[inline(always)]
        fn block<const N: usize>(
            at: usize, units: usize, gates: &mut [f32], hidden: &mut [f32], h_previous: &[f32], d: &mut [f32],
        ) {
            let mut r: [f32; N] = load(gates, at);
            let mut z: [f32; N] = load(gates, units + at);
            let mut c: [f32; N] = load(gates, 2 * units + at);
            let mut b_n: [f32; N] = load(hidden, 2 * units + at);
            let before: [f32; N] = load(h_previous, at);
            let mut dh: [f32; N] = load(d, at);
            for n in 0..N {
                let (reset, update, candidate) = (r[n], z[n], c[n]);
                c[n] = dh[n] * (1.0 - update) * (1.0 - candidate * candidate);
                z[n] = dh[n] * (before[n] - candidate) * update * (1.0 - update);
                r[n] = c[n] * b_n[n] * reset * (1.0 - reset);
                b_n[n] = c[n] * reset;
                dh[n] *= update;
            }
            store_factors(gates, at, r);
            store_factors(gates, units + at, z);
            store_factors(gates, 2 * units + at, c);
            store_factors(hidden, at, r);
            store_factors(hidden, units + at, z);
            store_factors(hidden, 2 * units + at, b_n);
            store_factors(d, at, dh);
        }
        let units = d.len();
        let mut at = 0;
        while at + LANES <= units {
            block::<LANES>(at, units, gates, hidden, h_previous, d);
            at += LANES;
        }
        while at < units {
            block::<1>(at, units, gates, hidden, h_previous, d);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full register and a remainder.
    const UNITS: usize = LANES + 3;

    /// Values whose magnitudes run through all exponents, with both signs.
    fn shrinking(len: usize) -> Vec<f32> {
        (0..len).map(|i| (if i % 2 == 0 { 1.0 } else { -1.0 }) * 0.1f32.powi(i as i32 % 46)).collect()
    }

    #[track_caller]
    fn check(what: &str, values: &[f32]) {
        let faint = values.iter().find(|x| **x != 0.0 && x.abs() < SMALLEST);
        assert_eq!(faint, None, "{what} would make subnormal products");
        assert!(values.iter().any(|x| *x != 0.0), "{what} is all zero");
    }

    #[test]
    fn no_factor_of_an_lstm_is_faint() {
        let team = Team::new(1);
        // Gates from wide open to closed.
        let mut gates: Vec<f32> = (0..4 * UNITS).map(|i| 4.0 - 2.5 * (i % UNITS) as f32).collect();
        let before = vec![0.5; UNITS];
        let (mut c, mut h) = (vec![0.0; UNITS], vec![0.0; UNITS]);
        lstm_forward(&team, UNITS, &mut gates, None, &before, &mut c, &mut h);
        check("h", &h);
        let (dh, mut dc) = (shrinking(UNITS), shrinking(UNITS));
        lstm_backward(&team, UNITS, &mut gates, None, &before, &c, &dh, &mut dc);
        for (name, gradients) in ["di", "df", "dg", "do"].iter().zip(gates.chunks_exact(UNITS)) {
            check(name, gradients);
        }
        check("dc", &dc);
    }

    #[test]
    fn no_factor_of_a_gru_is_faint() {
        let team = Team::new(1);
        let mut gates: Vec<f32> = (0..3 * UNITS).map(|i| 4.0 - 2.5 * (i % UNITS) as f32).collect();
        let (mut hidden, before) = (vec![0.5; 3 * UNITS], shrinking(UNITS));
        let mut h = vec![0.0; UNITS];
        gru_forward(&team, UNITS, &mut gates, &hidden, &before, &mut h);
        check("h", &h);
        let mut d = shrinking(UNITS);
        gru_backward(&team, UNITS, &mut gates, &mut hidden, &before, &mut d);
        for (name, gradients) in ["dr", "dz", "dn"].iter().zip(gates.chunks_exact(UNITS)) {
            check(name, gradients);
        }
        check("dn of the state", &hidden[2 * UNITS..]);
        check("d", &d);
    }

    #[test]
    fn a_number_that_is_none_is_kept() {
        let team = Team::new(1);
        let (mut gates, mut c, mut h) = (vec![f32::NAN; 4], [0.0], [0.0]);
        lstm_forward(&team, 1, &mut gates, None, &[1.0], &mut c, &mut h);
        assert!(h[0].is_nan());
        let mut dc = [1.0];
        lstm_backward(&team, 1, &mut gates, None, &[1.0], &c, &[1.0], &mut dc);
        assert!(gates.iter().chain(&dc).all(|x| x.is_nan()));
    }
}
