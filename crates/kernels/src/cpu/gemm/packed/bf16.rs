//! Products in bf16: the upper half of an `f32`, two inputs a word, the first in its lower half.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::kernel::{FETCH_AHEAD, Kernel, LINES, Line, Tile, portable, prefetch};
use crate::cpu::isa::Isa;

/// Smaller magnitudes of `x` and of weights count as zero, 2^-56. With 8 bits of precision a product is then a multiple of 2^-126.
const SMALLEST: f32 = 1.0 / (1u64 << 56) as f32;
/// Smaller magnitudes of `y` count as zero where a sum begins with it, 2^-103: with 24 bits of precision it is then a multiple of
/// 2^-126, as are all products, and so is every sum of them, rounded or not. So no sum is ever subnormal, and it does not
/// matter that the instructions for bf16 take subnormal numbers as zero and others do not.
const SMALLEST_START: f32 = SMALLEST / (1u64 << 47) as f32;

/// Zero, with its sign, for a number below `smallest`.
#[inline(always)]
fn at_least(x: f32, smallest: f32) -> u32 {
    let sign = x.to_bits() & 0x8000_0000;
    if x.abs() < smallest { sign } else { x.to_bits() }
}

/// `x` rounded to the nearest bf16, ties to even, in the upper half of the result.
#[inline(always)]
pub(super) fn round(x: f32) -> u32 {
    let bits = at_least(x, SMALLEST);
    let nearest = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000;
    // The bit that makes a NaN quiet also keeps its mantissa from being cut to that of infinity.
    if x.is_nan() { bits & 0xFFFF_0000 | 0x0040_0000 } else { nearest }
}

/// What a sum begins with for `y`.
#[inline(always)]
pub(super) fn start(y: f32) -> f32 {
    f32::from_bits(at_least(y, SMALLEST_START))
}

multiversion! {
    /// The words of a row; an input that is missing at its end counts as zero.
    pub(super) fn words(row: &[f32], words: &mut [u32]) {
        let (pairs, rest) = row.as_chunks::<2>();
        for (word, pair) in words.iter_mut().zip(pairs) {
            *word = round(pair[0]) >> 16 | round(pair[1]);
        }
        if let [last] = rest {
            words[pairs.len()] = round(*last) >> 16;
        }
    }
}

/// The two inputs of a word, first and second.
#[inline(always)]
pub(super) fn parts(word: u32) -> (f32, f32) {
    (f32::from_bits(word << 16), f32::from_bits(word & 0xFFFF_0000))
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
        if Isa::detect() >= Isa::Avx512 {
            // SAFETY: as above.
            kernels.push(unsafe { Kernel::new(avx512) });
        }
        if Isa::has_avx512_bf16() {
            // SAFETY: as above.
            kernels.push(unsafe { Kernel::new(avx512_bf16) });
        }
    }
    kernels
}

fn plain(panel: &[[Line; LINES]], x: &[u32], rows: usize, tile: &mut Tile) {
    // The product of two bf16 numbers is an exact f32 (8 + 8 bits of precision), so that adding it rounds once, as the fused
    // operation does.
    portable(panel, x, rows, tile, |sum, x, w| {
        let ((x_first, x_second), (w_first, w_second)) = (parts(x), parts(w));
        (f32::from_bits(sum) + x_second * w_second + x_first * w_first).to_bits()
    });
}

avx2_kernel!(avx2, |sum, x, w| {
    let first = |word| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(word));
    let second =
        |word| _mm256_castsi256_ps(_mm256_and_si256(word, _mm256_set1_epi32(0xFFFF_0000_u32 as i32)));
    let sum = _mm256_fmadd_ps(second(x), second(w), _mm256_castsi256_ps(sum));
    _mm256_castps_si256(_mm256_fmadd_ps(first(x), first(w), sum))
});

avx512_kernel!(avx512, "avx512f", |sum, x, w| {
    let first = |word| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(word));
    let second =
        |word| _mm512_castsi512_ps(_mm512_and_si512(word, _mm512_set1_epi32(0xFFFF_0000_u32 as i32)));
    let sum = _mm512_fmadd_ps(second(x), second(w), _mm512_castsi512_ps(sum));
    _mm512_castps_si512(_mm512_fmadd_ps(first(x), first(w), sum))
});

avx512_kernel!(avx512_bf16, "avx512f,avx512bf16", |sum, x, w| {
    // SAFETY: both types are 512 bits without any that are not values.
    let bf16 = |words: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(words) };
    _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sum), bf16(x), bf16(w)))
});
