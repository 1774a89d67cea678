//! The matrices of minimal filtering, and their products with a few rows.
//!
//! An output of a tile is `y_j = sum over k of d_(j+k) g_k`. A product of the polynomials with the coefficients g and y is known from
//! its values at as many points as it has coefficients: with V the powers of these points, one row each, and A and G its first columns,
//! its coefficients are `V^-1 ((G g) * (A y))`. That map from y, transposed, is
//!
//! ```text
//! y = A' ((G g) * (V^-1' d))
//! ```
//!
//! Row i of `V^-1'` holds the coefficients of the polynomial that is one at point i and zero at all others (Lagrange's): the
//! product of `x - x_j` over the others, divided by its value at `x_i`. The value of a polynomial at the infinite point is its
//! highest coefficient; the polynomial of that point is the product over all others. The divisor is moved into G.
//!
//! A tile with fewer outputs needs fewer points: it leaves out the last points, has other polynomials, and finds its filters in the
//! same place.

use super::super::super::{LANES, math};
use super::{INFINITE, PRODUCTS, SEEN, TAPS, TILE};

/// The finite points of chunks of three taps: zero, these and their opposites. Rounding loses least with about these: with operands
/// rounded to bf16 the results are off by 0.5% of their length, and with 1 and 2 by 0.8%.
const POINTS_OF_THREE: &[f64] = &[2.0 / 3.0, 3.0 / 2.0];
/// The finite points of chunks of five taps, in the same form.
const POINTS_OF_FIVE: &[f64] = &[0.5, 2.0, 1.0];

/// The set of points that a tile needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// For chunks of three taps, and no more than two outputs.
    HalfOfThree,
    Three,
    /// For chunks of five taps, and no more than two outputs.
    HalfOfFive,
    Five,
}

impl Level {
    pub(super) fn of(taps: usize, outputs: usize) -> Level {
        match (taps, outputs) {
            (3, 0..=2) => Level::HalfOfThree,
            (3, _) => Level::Three,
            (_, 0..=2) => Level::HalfOfFive,
            (_, _) => Level::Five,
        }
    }

    /// The points of full tiles.
    const fn points(self) -> &'static [f64] {
        match self {
            Level::HalfOfThree | Level::Three => POINTS_OF_THREE,
            Level::HalfOfFive | Level::Five => POINTS_OF_FIVE,
        }
    }

    const fn is_half(self) -> bool {
        matches!(self, Level::HalfOfThree | Level::HalfOfFive)
    }

    /// The number of pairs of points that are used.
    const fn pairs(self) -> usize {
        self.points().len() - self.is_half() as usize
    }
}

/// The point of a product.
enum Point {
    Finite(f64),
    Infinite,
    /// The product is not used: there are fewer pairs.
    None,
}

/// Returns the point of a product, where the first `pairs` of `points` are used.
const fn point(points: &[f64], pairs: usize, product: usize) -> Point {
    let pair = match product {
        0 => return Point::Finite(0.0),
        INFINITE => return Point::Infinite,
        1 | 2 => 0,
        4 | 5 => 1,
        _ => 2,
    };
    let is_opposite = matches!(product, 2 | 5 | 7);
    match pair < pairs {
        true => Point::Finite(if is_opposite { -points[pair] } else { points[pair] }),
        false => Point::None,
    }
}

/// The coefficients of the product of `x - x_j` over all finite points but that of `product`.
const fn polynomial(points: &[f64], pairs: usize, product: usize) -> [f64; SEEN] {
    let mut coefficients = [0.0; SEEN];
    coefficients[0] = 1.0;
    let mut other = 0;
    while other < PRODUCTS {
        if let Point::Finite(x) = point(points, pairs, other)
            && other != product
        {
            let mut power = SEEN;
            while power > 0 {
                power -= 1;
                let below = if power > 0 { coefficients[power - 1] } else { 0.0 };
                coefficients[power] = below - x * coefficients[power];
            }
        }
        other += 1;
    }
    coefficients
}

const fn power(x: f64, exponent: usize) -> f64 {
    let mut power = 1.0;
    let mut at = 0;
    while at < exponent {
        power *= x;
        at += 1;
    }
    power
}

/// The divisor of the polynomial of `product`: its value at the point.
const fn divisor(points: &[f64], pairs: usize, product: usize) -> f64 {
    let Point::Finite(x) = point(points, pairs, product) else { return 1.0 };
    let coefficients = polynomial(points, pairs, product);
    let mut value = 0.0;
    let mut at = 0;
    while at < SEEN {
        value += coefficients[at] * power(x, at);
        at += 1;
    }
    value
}

/// The matrix from the inputs that a tile sees to those that products read.
const fn of_inputs(level: Level) -> [[f32; SEEN]; PRODUCTS] {
    let (points, pairs) = (level.points(), level.pairs());
    let mut matrix = [[0.0; SEEN]; PRODUCTS];
    let mut product = 0;
    while product < PRODUCTS {
        if !matches!(point(points, pairs, product), Point::None) {
            let coefficients = polynomial(points, pairs, product);
            // The filters are divided by the divisor of a full tile.
            let scale = divisor(points, points.len(), product) / divisor(points, pairs, product);
            let mut at = 0;
            while at < SEEN {
                matrix[product][at] = (coefficients[at] * scale) as f32;
                at += 1;
            }
        }
        product += 1;
    }
    matrix
}

/// The matrix from taps to the filters that products read.
const fn of_filters(level: Level) -> [[f32; TAPS]; PRODUCTS] {
    let points = level.points();
    let mut matrix = [[0.0; TAPS]; PRODUCTS];
    let last = 2 * points.len() - 2;
    matrix[INFINITE][last] = 1.0;
    let mut product = 0;
    while product < PRODUCTS {
        if let Point::Finite(x) = point(points, level.pairs(), product) {
            let mut tap = 0;
            while tap <= last {
                matrix[product][tap] = (power(x, tap) / divisor(points, points.len(), product)) as f32;
                tap += 1;
            }
        }
        product += 1;
    }
    matrix
}

/// The matrix from the products and the bias to outputs.
const fn of_products(level: Level) -> [[f32; PRODUCTS + 1]; TILE] {
    let mut matrix = [[0.0; PRODUCTS + 1]; TILE];
    let outputs = if level.is_half() { TILE / 2 } else { TILE };
    matrix[outputs - 1][INFINITE] = 1.0;
    let mut output = 0;
    while output < outputs {
        matrix[output][PRODUCTS] = 1.0;
        let mut product = 0;
        while product < PRODUCTS {
            if let Point::Finite(x) = point(level.points(), level.pairs(), product) {
                matrix[output][product] = power(x, output) as f32;
            }
            product += 1;
        }
        output += 1;
    }
    matrix
}

/// Returns the first `N` rows of the transpose of `matrix`: with one less than it has, the part of the bias is left out.
const fn transposed<const I: usize, const O: usize, const N: usize>(matrix: [[f32; I]; O]) -> [[f32; O]; N] {
    let mut out = [[0.0; O]; N];
    let mut at = 0;
    while at < N * O {
        out[at % N][at / N] = matrix[at / N][at % N];
        at += 1;
    }
    out
}

/// Defines a function that multiplies rows by the matrix of a level.
macro_rules! transform {
    ($(#[$meta:meta])* $name:ident: $I:expr => $O:expr, add $add:literal, |$level:ident| $matrix:expr) => {
        multiversion! {
            $(#[$meta])*
            pub(super) fn $name(level: Level, x: [&[f32]; $I], y: [&mut [f32]; $O]) {
                const fn matrix($level: Level) -> [[f32; $I]; $O] {
                    $matrix
                }
                match level {
                    Level::HalfOfThree => multiply::<FMA, $add, _, _>(const { matrix(Level::HalfOfThree) }, x, y),
                    Level::Three => multiply::<FMA, $add, _, _>(const { matrix(Level::Three) }, x, y),
                    Level::HalfOfFive => multiply::<FMA, $add, _, _>(const { matrix(Level::HalfOfFive) }, x, y),
                    Level::Five => multiply::<FMA, $add, _, _>(const { matrix(Level::Five) }, x, y),
                }
            }
        }
    };
}

transform! {
    /// Computes the filters that products read, from taps.
    filters: TAPS => PRODUCTS, add false, |level| of_filters(level)
}
transform! {
    filters_backward: PRODUCTS => TAPS, add false, |level| transposed(of_filters(level))
}
transform! {
    /// Computes the inputs that products read, from those that a tile sees.
    inputs: SEEN => PRODUCTS, add false, |level| of_inputs(level)
}
transform! {
    /// Adds to the gradients of the inputs that a tile sees.
    add_inputs_backward: PRODUCTS => SEEN, add true, |level| transposed(of_inputs(level))
}
transform! {
    /// Computes outputs from the products and the bias.
    outputs: PRODUCTS + 1 => TILE, add false, |level| of_products(level)
}
transform! {
    outputs_backward: TILE => PRODUCTS, add false, |level| transposed(of_products(level))
}

/// Computes `y = M x`, or `y += M x`, of rows of the same length. The compiler knows the matrix, and leaves out its zeros. A row of
/// zeros is not written.
#[inline(always)]
fn multiply<const FMA: bool, const ADD: bool, const I: usize, const O: usize>(
    matrix: [[f32; I]; O],
    x: [&[f32]; I],
    y: [&mut [f32]; O],
) {
    let len = y[0].len();
    let (x, mut y) = (x.map(|x| &x[..len]), y.map(|y| &mut y[..len]));
    let mut at = 0;
    while at + LANES <= len {
        block::<FMA, ADD, LANES, I, O>(matrix, at, &x, &mut y);
        at += LANES;
    }
    while at < len {
        block::<FMA, ADD, 1, I, O>(matrix, at, &x, &mut y);
        at += 1;
    }
}

/// Handles N elements of each row.
#[inline(always)]
fn block<const FMA: bool, const ADD: bool, const N: usize, const I: usize, const O: usize>(
    matrix: [[f32; I]; O],
    at: usize,
    x: &[&[f32]; I],
    y: &mut [&mut [f32]; O],
) {
    let mut sums = [[0f32; N]; O];
    for (sums, y) in sums.iter_mut().zip(y.iter()) {
        if ADD {
            sums.copy_from_slice(&y[at..at + N]);
        }
    }
    for i in 0..I {
        let x: [f32; N] = x[i][at..at + N].try_into().expect("N elements");
        for o in 0..O {
            let factor = matrix[o][i];
            if factor != 0.0 {
                for n in 0..N {
                    sums[o][n] = math::fma::<FMA>(factor, x[n], sums[o][n]);
                }
            }
        }
    }
    for (o, sums) in sums.iter().enumerate() {
        if matrix[o] != [0.0; I] {
            y[o][at..at + N].copy_from_slice(sums);
        }
    }
}
