//! Products in bf16: the upper half of an `f32`, two inputs a word, the first in its lower half.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::kernel::{Kernel, LINES, Line, Tile, portable};
use crate::cpu::isa::Isa;

/// `x` rounded to the nearest bf16, ties to even, in the upper half of the result. Subnormal numbers become zero, as the
/// instructions for bf16 take them.
#[inline(always)]
pub(super) fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let magnitude = bits & 0x7FFF_FFFF;
    let nearest = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000;
    let sign = bits & 0x8000_0000;
    let rounded = if magnitude < 0x0080_0000 { sign } else { nearest };
    // The bit that makes a NaN quiet also keeps its mantissa from being cut to that of infinity.
    if magnitude > 0x7F80_0000 { bits & 0xFFFF_0000 | 0x0040_0000 } else { rounded }
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

/// Zero, with its sign, for a subnormal number.
#[inline(always)]
pub(super) fn flush(x: f32) -> f32 {
    f32::from_bits(if x.abs() < f32::MIN_POSITIVE { x.to_bits() & 0x8000_0000 } else { x.to_bits() })
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
        if Isa::has_avx512_bf16() {
            // SAFETY: the machine has these features.
            kernels.push(unsafe { Kernel::new(avx512) });
        }
    }
    kernels
}

fn plain(panel: &[[Line; LINES]], x: &[u32], rows: usize, tile: &mut Tile) {
    // The product of two bf16 numbers is an exact f32 (8 + 8 bits of precision), so that adding it rounds once, as the fused
    // operation does.
    let add = |sum: f32, x: f32, w: f32| flush(sum + x * w);
    portable(panel, x, rows, tile, |sum, x, w| {
        let ((x_first, x_second), (w_first, w_second)) = (parts(x), parts(w));
        add(add(flush(f32::from_bits(sum)), x_second, w_second), x_first, w_first).to_bits()
    });
}

avx2_kernel!(avx2, |sum, x, w| {
    let lower = |word| _mm256_castsi256_ps(_mm256_slli_epi32::<16>(word));
    let upper = |word| _mm256_castsi256_ps(_mm256_and_si256(word, _mm256_set1_epi32(0xFFFF_0000_u32 as i32)));
    let flush = |x| {
        let sign = _mm256_set1_ps(-0.0);
        let subnormal =
            _mm256_cmp_ps::<_CMP_LT_OQ>(_mm256_andnot_ps(sign, x), _mm256_set1_ps(f32::MIN_POSITIVE));
        _mm256_andnot_ps(_mm256_andnot_ps(sign, subnormal), x)
    };
    let sum = flush(_mm256_castsi256_ps(sum));
    let sum = flush(_mm256_fmadd_ps(upper(x), upper(w), sum));
    _mm256_castps_si256(flush(_mm256_fmadd_ps(lower(x), lower(w), sum)))
});

avx512_kernel!(avx512, "avx512f,avx512bf16", |sum, x, w| {
    // SAFETY: both types are 512 bits without any that are not values.
    let bf16 = |words: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(words) };
    _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sum), bf16(x), bf16(w)))
});
