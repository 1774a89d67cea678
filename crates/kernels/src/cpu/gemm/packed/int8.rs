//! Products in int8: four inputs a word, the first in its lowest byte.
//!
//! Weights are signed bytes. Inputs are stored with 128 added, since the instruction for 8-bit products takes one operand as
//! unsigned; sums then begin with -128 times the sum of the weights.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::Quantised;
use super::kernel::{FETCH_AHEAD, Kernel, LANES, LINES, Line, Tile, portable, prefetch};
use crate::cpu::isa::Isa;

/// Largest integer of a quantised number.
const LARGEST: f32 = 127.0;
/// More inputs could overflow a sum: 127 * 127 * this is the last multiple below 2^31.
pub(super) const MAX_INPUTS: usize = (i32::MAX / (127 * 127)) as usize;
/// Rows whose magnitudes are all below this count as zeros: 127 / this is still finite.
const NEGLIGIBLE: f32 = 1e-36;
/// Adding 1.5 * 2^23 rounds to the nearest integer, ties to even, which then stands in the low bits in two's complement.
const ROUND: f32 = 12_582_912.0;

/// What is flipped in the bytes of weights: nothing.
pub(super) const WEIGHT: u8 = 0;
/// What is flipped in the bytes of inputs: the sign, which adds 128.
pub(super) const INPUT: u8 = 0x80;

multiversion! {
    /// The words of a row, with the bits `flip` of each byte flipped; returns the scale: the value of the integer 1.
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
            // What is missing at the end of the row meets weights of zero, or is one.
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

/// What sums over biased inputs begin with: -128 times the sum of the weights.
pub(super) fn offset(words: &[u32]) -> i32 {
    let sum: i32 = words.iter().flat_map(|word| word.to_le_bytes()).map(|byte| i32::from(byte as i8)).sum();
    sum.wrapping_mul(-128)
}

multiversion! {
    /// Sums of `rows` rows begin with what makes up for the bias of the inputs, if the kernel has one.
    pub(super) fn begin(tile: &mut Tile, rows: usize, quantised: &[Quantised], biased: bool) {
        let mut sums = [Line::ZERO; LINES];
        if biased {
            for (line, quantised) in sums.iter_mut().zip(quantised.as_chunks::<LANES>().0) {
                for lane in 0..LANES { line.0[lane] = quantised[lane].offset as u32; }
            }
        }
        tile.rows[..rows].fill(sums);
    }
}

multiversion! {
    /// `y = [y +] sums * scales`.
    pub(super) fn finish(sums: &[Line; LINES], quantised: &[Quantised], scale: f32, y: &mut [f32], add: bool) {
        for ((line, quantised), y) in sums.iter().zip(quantised.as_chunks::<LANES>().0).zip(y.chunks_mut(LANES)) {
            let mut values = [0f32; LANES];
            for lane in 0..LANES {
                values[lane] = line.0[lane] as i32 as f32 * (scale * quantised[lane].scale);
            }
            if add {
                y.iter_mut().zip(values).for_each(|(y, value)| *y += value);
            } else {
                y.iter_mut().zip(values).for_each(|(y, value)| *y = value);
            }
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

fn plain(panel: &[[Line; LINES]], x: &[u32], rows: usize, tile: &mut Tile) {
    portable(panel, x, rows, tile, |sum, x, w| {
        let byte = |word: u32, i: u32| (word << (24 - 8 * i)) as i32 >> 24;
        let x = x ^ 0x8080_8080;
        let products: i32 = (0..4).map(|i| byte(x, i) * byte(w, i)).sum();
        (sum as i32).wrapping_add(products) as u32
    });
}

avx2_kernel!(avx2, |sum, x, w| {
    // Products of two neighbours are added in 16 bits, saturating: with magnitudes up to 127 on both sides they fit, so the
    // sign of x is moved to the weight.
    let x = _mm256_xor_si256(x, _mm256_set1_epi8(INPUT as i8));
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
});

avx512_kernel!(avx512, "avx512f,avx512vnni", |sum, x, w| _mm512_dpbusd_epi32(sum, x, w));
