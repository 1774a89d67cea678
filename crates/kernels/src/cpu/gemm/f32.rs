//! Products in `f32`.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::kernel::{Kernel, LANES, LINES, Line, Sums, portable};
#[cfg(target_arch = "x86_64")]
use crate::cpu::isa::Isa;

/// The words of rows of `x`: their bits.
pub(super) fn words(x: &[f32]) -> &[u32] {
    // SAFETY: `f32` and `u32` have the same size and alignment, and all bits are values of both.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

/// The same words, mutable.
pub(in crate::cpu) fn words_mut(x: &mut [f32]) -> &mut [u32] {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts_mut(x.as_mut_ptr().cast(), x.len()) }
}

/// Sums begin with `start` of `y`.
pub(super) fn begin(sums: &mut [Line; LINES], y: &[f32]) {
    *sums = [Line::ZERO; LINES];
    for (line, y) in sums.iter_mut().zip(words(y).chunks(LANES)) {
        line.0[..y.len()].copy_from_slice(y);
    }
}

multiversion! {
    /// `y` = the sums.
    pub(super) fn finish(sums: &[Line; LINES], y: &mut [f32]) {
        let (lines, rest) = y.as_chunks_mut::<LANES>();
        let whole = lines.len();
        for (y, line) in lines.iter_mut().zip(sums) {
            for lane in 0..LANES { y[lane] = f32::from_bits(line.0[lane]); }
        }
        if !rest.is_empty() {
            rest.iter_mut().zip(sums[whole].0).for_each(|(y, sum)| *y = f32::from_bits(sum));
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
        if Isa::detect() >= Isa::Avx512 {
            // SAFETY: as above.
            kernels.push(unsafe { Kernel::new(avx512) });
        }
    }
    kernels
}

fn plain(panel: &[[Line; LINES]], x: &[u32], stride: usize, rows: usize, add: bool, sums: &mut Sums<'_>) {
    portable(panel, x, stride, rows, add, sums, |sum, x, w| {
        let (sum, x, w) = (f32::from_bits(sum), f32::from_bits(x), f32::from_bits(w));
        // Where the target guarantees the fused operation, its bits are those of the other kernels.
        (if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            x.mul_add(w, sum)
        } else {
            sum + x * w
        })
        .to_bits()
    });
}

avx2_kernel!(avx2, 6, |sum, x, w| _mm256_castps_si256(_mm256_fmadd_ps(
    _mm256_castsi256_ps(x),
    _mm256_castsi256_ps(w),
    _mm256_castsi256_ps(sum),
)));

avx512_kernel!(avx512, "avx512f", |sum, x, w| _mm512_castps_si512(_mm512_fmadd_ps(
    _mm512_castsi512_ps(x),
    _mm512_castsi512_ps(w),
    _mm512_castsi512_ps(sum),
)));
