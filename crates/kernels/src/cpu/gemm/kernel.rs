//! The parts that all formats share: a tile of sums, and loops that step it through the words of a panel.

use std::marker::PhantomData;

/// Outputs of one line of a panel: 32-bit lanes of the widest register.
pub(super) const LANES: usize = 16;
/// Lines of a panel.
pub(super) const LINES: usize = 4;
/// Outputs of a panel.
pub(super) const PANEL: usize = LANES * LINES;
/// Number of rows that a kernel computes at once: with [`LINES`] they make 24 sums, enough to keep two multipliers of latency 4
/// busy, and leave registers for the operands.
pub(in crate::cpu) const ROWS: usize = 6;

/// One register and one cache line: 32-bit words, which kernels interpret by their format.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u32; LANES]);

impl Line {
    pub(super) const ZERO: Line = Line([0; LANES]);
}

/// Sums of [`ROWS`] rows times one panel, as bits of `f32` or as `i32`.
pub(super) struct Tile {
    pub(super) rows: [[Line; LINES]; ROWS],
}

impl Tile {
    pub(super) const ZERO: Tile = Tile { rows: [[Line::ZERO; LINES]; ROWS] };
}

/// Memory in which a kernel reads and writes its sums: rows of a panel's words, in a [`Tile`] or in the result itself.
pub(super) struct Sums<'a> {
    first: *mut u32,
    /// Words from one row to the next.
    stride: usize,
    rows: usize,
    /// Lines that are needed of each row, from the first on.
    lines: usize,
    borrowed: PhantomData<&'a mut [u32]>,
}

impl<'a> Sums<'a> {
    /// The first lines of a tile, from 1 to [`LINES`]; others keep what they hold.
    pub(super) fn of(tile: &'a mut Tile, lines: usize) -> Self {
        assert!((1..=LINES).contains(&lines), "1 to {LINES} lines");
        Sums { first: (&raw mut tile.rows).cast(), stride: PANEL, rows: ROWS, lines, borrowed: PhantomData }
    }

    /// # Safety
    /// At `first` must begin `rows` rows of [`PANEL`] elements, `stride` elements apart, that nobody else uses while the result
    /// lives.
    pub(super) unsafe fn at(first: *mut f32, stride: usize, rows: usize) -> Self {
        Sums { first: first.cast(), stride, rows, lines: LINES, borrowed: PhantomData }
    }

    /// Fetches all sums into the first cache.
    pub(super) fn fetch(&self) {
        for row in 0..self.rows {
            let row = self.first.wrapping_add(row * self.stride);
            (0..self.lines).for_each(|line| prefetch(row.wrapping_add(line * LANES)));
        }
    }

    /// The number of lines that are needed.
    #[inline(always)]
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// The address of a row, which has as many lines as are needed.
    #[inline(always)]
    pub(super) fn row(&mut self, row: usize) -> *mut u32 {
        assert!(row < self.rows);
        self.first.wrapping_add(row * self.stride)
    }
}

/// The number of groups that weights are fetched ahead of their use: 16 KiB, a third of the first cache. With five rows the
/// instructions that a core looks ahead at cover only a quarter of that, too little to hide the memory's latency: with this
/// distance, weights that no cache holds are read one and a half times as fast.
pub(super) const FETCH_AHEAD: usize = 64;

/// Computes `sums = [sums +] x panel`: `panel` has one entry per group; `x` has the same number of words per row, rows `stride`
/// words apart, for `rows` rows from 1 to [`ROWS`]. Without `add` the sums begin with zero, whatever they were.
type Run =
    unsafe fn(panel: &[[Line; LINES]], x: &[u32], stride: usize, rows: usize, add: bool, sums: &mut Sums<'_>);

/// A way to compute a tile on this machine.
#[derive(Clone, Copy)]
pub(super) struct Kernel {
    run: Run,
    /// Whether the bytes of `x` are taken as 128 more than the numbers they represent, so that the sums are too large accordingly.
    pub(super) biased: bool,
}

impl Kernel {
    /// # Safety
    /// This machine must have the instructions that `run` is compiled for.
    pub(super) unsafe fn new(run: Run) -> Kernel {
        Kernel { run, biased: false }
    }

    /// Marks the kernel as one that takes `x` as unsigned bytes.
    pub(super) fn biased(self) -> Kernel {
        Kernel { biased: true, ..self }
    }

    /// Computes `sums = [sums +] x panel`; see [`Run`].
    pub(super) fn run(
        &self,
        panel: &[[Line; LINES]],
        x: &[u32],
        stride: usize,
        rows: usize,
        add: bool,
        sums: &mut Sums<'_>,
    ) {
        assert!((1..=ROWS).contains(&rows), "1 to {ROWS} rows");
        assert!(x.len() >= (rows - 1) * stride + panel.len(), "one word of x a row and group");
        // SAFETY: `new` was told that the machine has the instructions; the sizes were checked above.
        unsafe { (self.run)(panel, x, stride, rows, add, sums) }
    }
}

/// Fetches the line at `address`, which may be anybody's, into the first cache.
#[inline(always)]
pub(in crate::cpu) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 has the instruction, which neither reads nor faults where the address is not ours.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Calls `$body::<R, L>` for the given numbers of rows and lines, so that every sum has a register.
macro_rules! by_size {
    ($rows:expr, $lines:expr, $body:ident $args:tt) => {
        match $lines {
            1 => by_size!(rows $rows, 1, $body $args),
            2 => by_size!(rows $rows, 2, $body $args),
            3 => by_size!(rows $rows, 3, $body $args),
            _ => by_size!(rows $rows, LINES, $body $args),
        }
    };
    (rows $rows:expr, $lines:expr, $body:ident ( $($arg:expr),* )) => {
        match $rows {
            0 => {}
            1 => $body::<1, { $lines }>($($arg),*),
            2 => $body::<2, { $lines }>($($arg),*),
            3 => $body::<3, { $lines }>($($arg),*),
            4 => $body::<4, { $lines }>($($arg),*),
            5 => $body::<5, { $lines }>($($arg),*),
            _ => $body::<6, { $lines }>($($arg),*),
        }
    };
}

/// Defines a kernel of 512-bit registers: `$step` returns the new sum of sixteen outputs from the old one, the word of `x` in every
/// lane and the words of the weights, all as `__m512i`.
macro_rules! avx512_kernel {
    ($name:ident, $features:literal, |$sum:ident, $x:ident, $w:ident| $step:expr) => {
        /// # Safety
        /// The machine must have the features.
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        unsafe fn $name(
            panel: &[[Line; LINES]],
            x: &[u32],
            stride: usize,
            rows: usize,
            add: bool,
            sums: &mut Sums<'_>,
        ) {
            #[target_feature(enable = $features)]
            fn body<const R: usize, const L: usize>(
                panel: &[[Line; LINES]],
                x: &[u32],
                stride: usize,
                add: bool,
                target: &mut Sums<'_>,
            ) {
                assert!(x.len() >= (R - 1) * stride + panel.len() && L <= LINES);
                // SAFETY: a `Line` is 64 aligned bytes.
                let load = |line: &Line| unsafe { _mm512_load_si512((&raw const *line).cast()) };
                let mut sums = [[_mm512_setzero_si512(); L]; R];
                if add {
                    for r in 0..R {
                        for line in 0..L {
                            let from = target.row(r).wrapping_add(line * LANES).cast();
                            // SAFETY: a row of sums has `L` lines of `LANES` words.
                            sums[r][line] = unsafe { _mm512_loadu_si512(from) };
                        }
                    }
                }
                for (group, weights) in panel.iter().enumerate() {
                    for line in 0..L {
                        let ahead =
                            (&raw const weights[line]).wrapping_add(super::kernel::FETCH_AHEAD * LINES);
                        super::kernel::prefetch(ahead);
                    }
                    let weights: [__m512i; L] = std::array::from_fn(|line| load(&weights[line]));
                    for r in 0..R {
                        // SAFETY: `r < R` and `group < panel.len()`, and the assertion above compares these limits with the size.
                        let $x = _mm512_set1_epi32(unsafe { *x.get_unchecked(r * stride + group) } as i32);
                        for line in 0..L {
                            let ($sum, $w) = (sums[r][line], weights[line]);
                            sums[r][line] = $step;
                        }
                    }
                }
                for r in 0..R {
                    for line in 0..L {
                        // SAFETY: as above.
                        unsafe { _mm512_storeu_si512(target.row(r).add(line * LANES).cast(), sums[r][line]) };
                    }
                }
            }
            by_size!(rows, sums.lines(), body(panel, x, stride, add, sums))
        }
    };
}

/// Defines a kernel of 256-bit registers. There are only sixteen of them: the more rows, the fewer lines at a time, and at most
/// `$most` rows, so that the other operands of a step stay in registers too. `$step` as for `avx512_kernel`, with `__m256i`.
macro_rules! avx2_kernel {
    ($name:ident, $most:literal, |$sum:ident, $x:ident, $w:ident| $step:expr) => {
        /// # Safety
        /// The machine must have AVX2 and FMA.
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $name(
            panel: &[[Line; LINES]],
            x: &[u32],
            stride: usize,
            rows: usize,
            add: bool,
            sums: &mut Sums<'_>,
        ) {
            /// `R` rows by `V` halves of lines.
            #[target_feature(enable = "avx2,fma")]
            fn block<const R: usize, const V: usize>(
                panel: &[[Line; LINES]],
                x: &[u32],
                stride: usize,
                add: bool,
                target: &mut Sums<'_>,
                (row, first): (usize, usize),
            ) {
                assert!(x.len() >= (R - 1) * stride + panel.len() && first + V <= 2 * LINES);
                let half = |lines: &[Line; LINES], v: usize| {
                    // SAFETY: `first + v` is a half of one of the lines, as asserted; half a `Line` is 32 aligned bytes.
                    unsafe { _mm256_load_si256(lines.as_ptr().cast::<__m256i>().add(first + v)) }
                };
                let mut sums = [[_mm256_setzero_si256(); V]; R];
                if add {
                    for r in 0..R {
                        for v in 0..V {
                            let from = target.row(row + r).cast::<__m256i>();
                            // SAFETY: a row of sums has `2 LINES` halves of lines.
                            sums[r][v] = unsafe { _mm256_loadu_si256(from.add(first + v)) };
                        }
                    }
                }
                for (group, weights) in panel.iter().enumerate() {
                    for r in 0..R {
                        // SAFETY: `r < R` and `group < panel.len()`, and the assertion above compares these limits with the size.
                        let $x = _mm256_set1_epi32(unsafe { *x.get_unchecked(r * stride + group) } as i32);
                        for v in 0..V {
                            let ($sum, $w) = (sums[r][v], half(weights, v));
                            sums[r][v] = $step;
                        }
                    }
                }
                for r in 0..R {
                    for v in 0..V {
                        let to = target.row(row + r).cast::<__m256i>();
                        // SAFETY: as above.
                        unsafe { _mm256_storeu_si256(to.add(first + v), sums[r][v]) };
                    }
                }
            }
            // The number of halves that are needed.
            let most = 2 * sums.lines();
            let mut done = 0;
            while done < rows {
                let x = &x[done * stride..];
                done += match (rows - done).min($most) {
                    1 => {
                        if most == 2 * LINES {
                            block::<1, 8>(panel, x, stride, add, sums, (done, 0));
                        } else {
                            (0..most)
                                .step_by(2)
                                .for_each(|first| block::<1, 2>(panel, x, stride, add, sums, (done, first)));
                        }
                        1
                    }
                    2 | 3 => {
                        if most == 2 * LINES {
                            block::<2, 4>(panel, x, stride, add, sums, (done, 0));
                            block::<2, 4>(panel, x, stride, add, sums, (done, 4));
                        } else {
                            (0..most)
                                .step_by(2)
                                .for_each(|first| block::<2, 2>(panel, x, stride, add, sums, (done, first)));
                        }
                        2
                    }
                    4 => {
                        (0..most)
                            .step_by(2)
                            .for_each(|first| block::<4, 2>(panel, x, stride, add, sums, (done, first)));
                        4
                    }
                    5 => {
                        (0..most)
                            .step_by(2)
                            .for_each(|first| block::<5, 2>(panel, x, stride, add, sums, (done, first)));
                        5
                    }
                    _ => {
                        (0..most)
                            .step_by(2)
                            .for_each(|first| block::<6, 2>(panel, x, stride, add, sums, (done, first)));
                        6
                    }
                };
            }
        }
    };
}

/// Runs a kernel on any machine; `step` returns the new word of a sum from the old one, the word of `x` and that of the weight.
#[inline(always)]
pub(super) fn portable(
    panel: &[[Line; LINES]],
    x: &[u32],
    stride: usize,
    rows: usize,
    add: bool,
    sums: &mut Sums<'_>,
    step: impl Fn(u32, u32, u32) -> u32,
) {
    for row in 0..rows {
        let x = &x[row * stride..row * stride + panel.len()];
        for line in 0..sums.lines() {
            let slot = sums.row(row).wrapping_add(line * LANES).cast::<[u32; LANES]>();
            // SAFETY: a row of sums has these lines of `LANES` words, which have the alignment of one.
            let mut sum = if add { unsafe { *slot } } else { Line::ZERO.0 };
            for (weights, &x) in panel.iter().zip(x) {
                for lane in 0..LANES {
                    sum[lane] = step(sum[lane], x, weights[line].0[lane]);
                }
            }
            // SAFETY: as above.
            unsafe { *slot = sum };
        }
    }
}
