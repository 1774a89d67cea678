//! Products in int8: four inputs per word, the first in its lowest byte.
//!
//! Weights are signed bytes. Inputs are stored with 128 added, since the instruction for 8-bit products takes one operand as
//! unsigned; its sums are then too large by 128 times the sum of the weights.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::kernel::{Kernel, LANES, LINES, Line, Sums, portable};
#[cfg(target_arch = "x86_64")]
use crate::cpu::isa::Isa;

/// Largest integer of a quantised number.
const LARGEST: f32 = 127.0;
/// More inputs could overflow a sum: 127 * 127 * this is the last multiple below 2^31.
pub(super) const MAX_INPUTS: usize = (i32::MAX / (127 * 127)) as usize;
/// Rows whose magnitudes are all below this count as zeros: above it 127 / magnitude is still finite.
const NEGLIGIBLE: f32 = 1e-36;
/// Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, which then stands in the low bits in two's complement.
const ROUND: f32 = 12_582_912.0;

/// The bits that are flipped in the bytes of weights: none.
pub(super) const WEIGHT: u8 = 0;
/// The bit that is flipped in the bytes of inputs: the sign, which adds 128.
pub(super) const INPUT: u8 = 0x80;

multiversion! {
    /// Writes the words of a row, with the bits `flip` of each byte flipped; returns the scale: the value of the integer 1.
    pub(super) fn words(row: &[f32], flip: u8, words: &mut [u32]) -> f32 {
        // Bits of magnitudes are ordered as the magnitudes are, with infinity and NaN above all.
        let largest = row.iter().fold(0, |largest, x| (x.to_bits() & 0x7FFF_FFFF).max(largest));
        let largest = f32::from_bits(largest);
        let (inverse, scale) = if !largest.is_finite() {
            (0.0, f32::NAN)
        } else if largest < NEGLIGIBLE {
            (0.0, 0.0)
        } else {
            (LARGEST / largest, largest / LARGEST)
        };
        let byte = |x: f32| (x * inverse + ROUND).to_bits() as u8 ^ flip;
        const BLOCK: usize = 64;
        for (words, row) in words.chunks_mut(BLOCK / 4).zip(row.chunks(BLOCK)) {
            // Inputs that are missing at the end of the row meet weights of zero; missing weights are zero.
            let mut bytes = [flip; BLOCK];
            match row.first_chunk::<BLOCK>() {
                Some(row) => for i in 0..BLOCK { bytes[i] = byte(row[i]); },
                None => bytes.iter_mut().zip(row).for_each(|(b, &x)| *b = byte(x)),
            }
            words.iter_mut().zip(bytes.as_chunks::<4>().0).for_each(|(word, &b)| *word = u32::from_le_bytes(b));
        }
        scale
    }
}

/// The correction for the bias of inputs: -128 times the sum of the weights.
pub(super) fn offset(words: &[u32]) -> i32 {
    let sum: i32 = words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| i32::from(byte as i8)).sum();
    sum.wrapping_mul(-128)
}

/// The numbers that int8 keeps for each of sixteen outputs besides its integers.
#[derive(Clone, Copy, Default)]
pub(super) struct Quantised {
    /// Value of the integer 1.
    pub(super) scale: [f32; LANES],
    /// See [`offset`].
    pub(super) offset: [i32; LANES],
}

multiversion! {
    /// `y = [y +] (sums + offsets) * (scale * scales)`, with offsets where the kernel is `biased`.
    pub(super) fn finish(
        sums: &[Line; LINES], biased: bool, quantised: &[Quantised], scale: f32, y: &mut [f32], add: bool,
    ) {
        #[inline(always)]
        fn values(line: &Line, keep: i32, quantised: &Quantised, scale: f32) -> [f32; LANES] {
            let (mut sums, mut values, mut scales) = ([0; LANES], [0f32; LANES], [0f32; LANES]);
            // Sums wrap around, and are right again after the bias is subtracted.
            for lane in 0..LANES { sums[lane] = (line.0[lane] as i32).wrapping_add(quantised.offset[lane] & keep); }
            for lane in 0..LANES { values[lane] = sums[lane] as f32; }
            for lane in 0..LANES { scales[lane] = scale * quantised.scale[lane]; }
            for lane in 0..LANES { values[lane] *= scales[lane]; }
            values
        }
        let keep = if biased { -1 } else { 0 };
        let (lines, rest) = y.as_chunks_mut::<LANES>();
        let whole = lines.len();
        for ((y, line), quantised) in lines.iter_mut().zip(sums).zip(quantised) {
            let values = values(line, keep, quantised, scale);
            if add {
                for lane in 0..LANES { y[lane] += values[lane]; }
            } else {
                *y = values;
            }
        }
        if !rest.is_empty() {
            let values = values(&sums[whole], keep, &quantised[whole], scale);
            rest.iter_mut().zip(values).for_each(|(y, value)| *y = if add { *y + value } else { value });
        }
    }
}

/// The kernels that this machine can run, best last.
pub(super) fn kernels() -> Vec<Kernel> {
    // SAFETY: for any machine.
    let mut kernels = vec![unsafe { Kernel::new(plain) }];
    #[cfg(target_arch = "x86_64")]
    {
        if Isa::detect() >= Isa::Avx2 {
            // SAFETY: the machine has these features, as `detect` says.
            kernels.push(unsafe { Kernel::new(avx2) });
        }
        if Isa::has_avx512_vnni() {
            // SAFETY: the machine has these features.
            kernels.push(unsafe { Kernel::new(avx512) }.biased());
        }
    }
    kernels
}

fn plain(panel: &[[Line; LINES]], x: &[u32], stride: usize, rows: usize, add: bool, sums: &mut Sums<'_>) {
    portable(panel, x, stride, rows, add, sums, |sum, x, w| {
        let byte = |word: u32, i: u32| (word << (24 - 8 * i)) as i32 >> 24;
        let x = x ^ 0x8080_8080;
        let products: i32 = (0..4).map(|i| byte(x, i) * byte(w, i)).sum();
        (sum as i32).wrapping_add(products) as u32
    });
}

avx2_kernel!(avx2, 5, |sum, x, w| {
    // Products of two neighbours are added in 16 bits, saturating: with magnitudes up to 127 on both sides they fit, so the
    // sign of x is moved to the weight.
    let x = _mm256_xor_si256(x, _mm256_set1_epi8(INPUT as i8));
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
});

avx512_kernel!(avx512, "avx512f,avx512vnni", |sum, x, w| _mm512_dpbusd_epi32(sum, x, w));
