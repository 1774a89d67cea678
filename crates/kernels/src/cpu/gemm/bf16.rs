//! Products in bf16: the upper half of an `f32`, two inputs per word, the first in the lower half.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::kernel::{Kernel, LANES, LINES, Line, PANEL, Sums, portable};
#[cfg(target_arch = "x86_64")]
use crate::cpu::isa::Isa;

/// Magnitudes of `x` and of weights below this, 2^-56, count as zero. With 8 bits of precision a product is then a multiple of
/// 2^-126.
const SMALLEST: f32 = 1.0 / (1u64 << 56) as f32;
/// Magnitudes of `y` below this, 2^-103, count as zero where a sum begins with it: with 24 bits of precision it is then a multiple
/// of 2^-126, as are all products, and so is every sum of them, rounded or not. So no sum is ever subnormal, and it does not matter
/// that the instructions for bf16 take subnormal numbers as zero and others do not.
const SMALLEST_START: f32 = SMALLEST / (1u64 << 47) as f32;

/// The bits of `x`, or of a zero with its sign where its magnitude is below `smallest`.
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

multiversion! {
    /// Turns `y` into the numbers that sums begin with.
    pub(super) fn start(y: &mut [f32]) {
        y.iter_mut().for_each(|y| *y = f32::from_bits(at_least(*y, SMALLEST_START)));
    }
}

/// The words of a row; an input that is missing at its end counts as zero.
pub(in crate::cpu) fn words(row: &[f32], words: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if Isa::has_avx512_bf16() {
        // SAFETY: the machine has the features.
        return unsafe { words_avx512_bf16(row, words) };
    }
    words_anywhere(row, words);
}

/// Interleaves the words of two rows, the first and the second input of each of up to 64 outputs. Missing inputs count as zero.
pub(super) fn interleave(first: &[f32], second: &[f32], entry: &mut [Line; LINES]) {
    let mut room = None;
    let [first, second]: [&[f32; PANEL]; 2] = filled([first, second], &mut room);
    #[cfg(target_arch = "x86_64")]
    if Isa::has_avx512_bf16() {
        // SAFETY: the machine has the features.
        return unsafe { interleave_avx512_bf16(first, second, entry) };
    }
    interleave_anywhere(first, second, entry);
}

/// Turns the words of two rows, of pairs of outputs, into those of pairs of inputs: the first of each of up to 64 outputs from
/// `first`, the second from `second`. Missing inputs are zero.
pub(super) fn pair(first: &[u32], second: &[u32], entry: &mut [Line; LINES]) {
    let mut room = None;
    let [first, second]: [&[u32; PANEL / 2]; 2] = filled([first, second], &mut room);
    #[cfg(target_arch = "x86_64")]
    if Isa::detect() >= Isa::Avx512 {
        // SAFETY: the machine has the features.
        return unsafe { pair_avx512(first, second, entry) };
    }
    for (index, (&first, &second)) in first.iter().zip(second).enumerate() {
        let (line, lane) = (2 * index / LANES, 2 * index % LANES);
        entry[line].0[lane] = first & 0xFFFF | second << 16;
        entry[line].0[lane + 1] = first >> 16 | second & 0xFFFF_0000;
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn pair_avx512(first: &[u32; PANEL / 2], second: &[u32; PANEL / 2], entry: &mut [Line; LINES]) {
    // Half-word 2 i is number i of the first row, the next that of the second; then the same for the upper sixteen numbers.
    const ORDERS: [[u16; 2 * LANES]; 2] = {
        let mut orders = [[0; 2 * LANES]; 2];
        let mut i = 0;
        while i < LANES {
            orders[0][2 * i] = i as u16;
            orders[0][2 * i + 1] = (2 * LANES + i) as u16;
            orders[1][2 * i] = (LANES + i) as u16;
            orders[1][2 * i + 1] = (3 * LANES + i) as u16;
            i += 1;
        }
        orders
    };
    for half in 0..LINES / 2 {
        // SAFETY: sixteen words are 64 bytes.
        let words = [first, second]
            .map(|words| unsafe { _mm512_loadu_si512((&raw const words[half * LANES]).cast()) });
        for upper in 0..2 {
            // SAFETY: 32 half-words are 64 bytes.
            let order = unsafe { _mm512_loadu_si512(ORDERS[upper].as_ptr().cast()) };
            let paired = _mm512_permutex2var_epi16(words[0], order, words[1]);
            // SAFETY: a `Line` is 64 aligned bytes.
            unsafe { _mm512_store_si512((&raw mut entry[2 * half + upper]).cast(), paired) };
        }
    }
}

/// Returns both rows in their full length: as they are, or copied to `room` and padded with zeros.
#[inline(always)]
fn filled<'a, T: Copy + Default, const N: usize>(
    rows: [&'a [T]; 2],
    room: &'a mut Option<[[T; N]; 2]>,
) -> [&'a [T; N]; 2] {
    if let [Ok(first), Ok(second)] = rows.map(<&[T; N]>::try_from) {
        return [first, second];
    }
    let room = room.insert([[T::default(); N]; 2]);
    for (row, room) in rows.into_iter().zip(&mut *room) {
        room[..row.len()].copy_from_slice(row);
    }
    [&room[0], &room[1]]
}

multiversion! {
    fn words_anywhere(row: &[f32], words: &mut [u32]) {
        let (pairs, rest) = row.as_chunks::<2>();
        for (word, pair) in words.iter_mut().zip(pairs) {
            *word = round(pair[0]) >> 16 | round(pair[1]);
        }
        if let [last] = rest {
            words[pairs.len()] = round(*last) >> 16;
        }
    }
}

multiversion! {
    fn interleave_anywhere(first: &[f32; PANEL], second: &[f32; PANEL], entry: &mut [Line; LINES]) {
        let pairs = first.as_chunks::<LANES>().0.iter().zip(second.as_chunks::<LANES>().0);
        for (line, (first, second)) in entry.iter_mut().zip(pairs) {
            for lane in 0..LANES { line.0[lane] = round(first[lane]) >> 16 | round(second[lane]); }
        }
    }
}

/// Loads sixteen numbers, of which those below [`SMALLEST`] become zero.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq")]
fn load_large(x: &[f32; LANES]) -> __m512 {
    // SAFETY: sixteen numbers are 64 bytes.
    let x = unsafe { _mm512_loadu_ps(x.as_ptr()) };
    // "Not less" keeps NaN.
    let large = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(x), _mm512_set1_ps(SMALLEST));
    let sign = _mm512_and_ps(x, _mm512_set1_ps(-0.0));
    _mm512_mask_mov_ps(sign, large, x)
}

/// Rounds twice sixteen numbers, those of `low` first.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bf16")]
fn round_avx512_bf16(low: &[f32; LANES], high: &[f32; LANES]) -> __m512i {
    let rounded = _mm512_cvtne2ps_pbh(load_large(high), load_large(low));
    // SAFETY: both types are 512 bits without any that are not values.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(rounded) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bf16")]
fn words_avx512_bf16(row: &[f32], words: &mut [u32]) {
    let (blocks, rest) = row.as_chunks::<{ 2 * LANES }>();
    let (whole, last) = words.split_at_mut(blocks.len() * LANES);
    for (words, block) in whole.as_chunks_mut::<LANES>().0.iter_mut().zip(blocks) {
        let [low, high] = block.as_chunks::<LANES>().0 else { unreachable!("two halves") };
        // SAFETY: sixteen words are 64 bytes.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), round_avx512_bf16(low, high)) };
    }
    words_anywhere(rest, last);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512bf16")]
fn interleave_avx512_bf16(first: &[f32; PANEL], second: &[f32; PANEL], entry: &mut [Line; LINES]) {
    // Half-word 2 i is number i of the first row, the next that of the second.
    const ORDER: [u16; 2 * LANES] = {
        let mut order = [0; 2 * LANES];
        let mut i = 0;
        while i < LANES {
            order[2 * i] = i as u16;
            order[2 * i + 1] = (LANES + i) as u16;
            i += 1;
        }
        order
    };
    // SAFETY: 32 half-words are 64 bytes.
    let order = unsafe { _mm512_loadu_si512(ORDER.as_ptr().cast()) };
    let pairs = first.as_chunks::<LANES>().0.iter().zip(second.as_chunks::<LANES>().0);
    for (line, (first, second)) in entry.iter_mut().zip(pairs) {
        let words = _mm512_permutexvar_epi16(order, round_avx512_bf16(first, second));
        // SAFETY: a `Line` is 64 aligned bytes.
        unsafe { _mm512_store_si512((&raw mut *line).cast(), words) };
    }
}

/// The two inputs of a word, first and second.
#[inline(always)]
pub(in crate::cpu) fn parts(word: u32) -> (f32, f32) {
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

fn plain(panel: &[[Line; LINES]], x: &[u32], stride: usize, rows: usize, add: bool, sums: &mut Sums<'_>) {
    // The product of two bf16 numbers is an exact f32 (8 + 8 bits of precision), so that adding it rounds once, as the fused
    // operation does.
    portable(panel, x, stride, rows, add, sums, |sum, x, w| {
        let ((x_first, x_second), (w_first, w_second)) = (parts(x), parts(w));
        (f32::from_bits(sum) + x_second * w_second + x_first * w_first).to_bits()
    });
}

avx2_kernel!(avx2, 5, |sum, x, w| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_round_gives_the_same_words() {
        let mut row: Vec<f32> = (0..1u32 << 16)
            .map(|i| f32::from_bits(i << 16 | (i.wrapping_mul(2_654_435_761) >> 16)))
            .filter(|x| !x.is_nan())
            .collect();
        row.extend([
            0.0,
            -0.0,
            f32::INFINITY,
            SMALLEST,
            -SMALLEST,
            SMALLEST * 0.999_999_9,
            f32::NAN,
            -f32::NAN,
        ]);
        row.extend((0..1000u32).map(|i| f32::from_bits(0x3F80_0000 | i << 14 | 0x8000)));
        row.push(1.5);
        let mut expected = vec![0; row.len().div_ceil(2)];
        words_anywhere(&row, &mut expected);
        let mut got = vec![0; expected.len()];
        words(&row, &mut got);
        assert!(got == expected);
        for pair in row.chunks(2 * PANEL) {
            let (first, second) = pair.split_at(pair.len().div_ceil(2));
            let mut padded = [[0f32; PANEL]; 2];
            padded[0][..first.len()].copy_from_slice(first);
            padded[1][..second.len()].copy_from_slice(second);
            let (mut got, mut expected) = ([Line::ZERO; LINES], [Line::ZERO; LINES]);
            interleave_anywhere(&padded[0], &padded[1], &mut expected);
            interleave(first, second, &mut got);
            assert!((0..LINES).all(|line| got[line].0 == expected[line].0));
        }
    }
}
