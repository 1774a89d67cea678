//! Tables whose rows are looked up, in the formats of packed weights.
//!
//! A row comes back as a product in the same format would read it: where the row is then an operand of such a product, rounding it
//! here changes nothing that the product would not round itself (bf16: not a bit; int8: no integer).

use super::super::super::pages::Block;
use super::super::super::threads::{SharedMut, Team};
use super::super::bf16;
use super::super::int8;
use super::Format;

/// The least number of elements that a thread handles.
const GRAIN: usize = 8192;

/// A matrix whose rows are looked up by number.
pub struct Table {
    format: Format,
    rows: usize,
    width: usize,
    /// The words of one row after the other.
    words: Block<u32>,
    /// In int8, the value of the integer 1 of each row; empty otherwise.
    scales: Vec<f32>,
}

impl Table {
    /// Stores the rows of `values` (R x `width`).
    pub fn pack(team: &Team, format: Format, values: &[f32], width: usize) -> Table {
        let rows = values.len().checked_div(width).unwrap_or(0);
        assert_eq!(rows * width, values.len(), "whole rows");
        let groups = format.groups(width);
        let mut words = Block::<u32>::zeros(rows * groups);
        let mut scales = vec![0.0; if format == Format::Int8 { rows } else { 0 }];
        let (shared, shared_scales) = (SharedMut::new(&mut words), SharedMut::new(&mut scales));
        team.split(rows, (GRAIN / width.max(1)).max(1), |range| {
            for row in range {
                // SAFETY: `split` gives each thread its own rows.
                let words = unsafe { shared.slice(row * groups..(row + 1) * groups) };
                let values = &values[row * width..(row + 1) * width];
                match format {
                    Format::F32 => words.iter_mut().zip(values).for_each(|(word, x)| *word = x.to_bits()),
                    Format::Bf16 => bf16::words(values, words),
                    // SAFETY: as above.
                    Format::Int8 => unsafe {
                        shared_scales.set(row, int8::words(values, int8::WEIGHT, words));
                    },
                }
            }
        });
        Table { format, rows, width, words, scales }
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes of memory that the table takes.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.words[..]) + size_of_val(&self.scales[..])
    }

    /// Row `i` of `out` = row `indices[i]` of the table.
    pub fn look_up(&self, team: &Team, out: &mut [f32], indices: &[u32]) {
        let (width, groups) = (self.width, self.format.groups(self.width));
        assert_eq!(out.len(), indices.len() * width, "one row of output an index");
        let shared = SharedMut::new(out);
        team.split(indices.len(), (GRAIN / width.max(1)).max(1), |range| {
            // SAFETY: `split` gives each thread its own rows.
            let out = unsafe { shared.slice(range.start * width..range.end * width) };
            for (row, &index) in out.chunks_exact_mut(width.max(1)).zip(&indices[range]) {
                let index = index as usize;
                assert!(index < self.rows, "row {index} of a table of {}", self.rows);
                let words = &self.words[index * groups..(index + 1) * groups];
                match self.format {
                    Format::F32 => row.iter_mut().zip(words).for_each(|(x, &word)| *x = f32::from_bits(word)),
                    Format::Bf16 => halves(words, row),
                    Format::Int8 => bytes(words, self.scales[index], row),
                }
            }
        });
    }
}

multiversion! {
    fn halves(words: &[u32], row: &mut [f32]) {
        let (pairs, rest) = row.as_chunks_mut::<2>();
        for (pair, &word) in pairs.iter_mut().zip(words) {
            *pair = [f32::from_bits(word << 16), f32::from_bits(word & 0xFFFF_0000)];
        }
        if let ([last], Some(&word)) = (rest, words.last()) {
            *last = f32::from_bits(word << 16);
        }
    }
}

multiversion! {
    fn bytes(words: &[u32], scale: f32, row: &mut [f32]) {
        for (four, &word) in row.chunks_mut(4).zip(words) {
            let bytes = word.to_le_bytes();
            four.iter_mut().zip(bytes).for_each(|(x, byte)| *x = f32::from(byte as i8) * scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::numbers;
    use super::*;
    use crate::Mat;
    use crate::packed::PackedMatrix;

    const ROWS: usize = 70;

    fn values(width: usize) -> Vec<f32> {
        let mut values = numbers(ROWS * width, 7);
        // The first row is zeros, and one row has an element that is not a number.
        values[..width].fill(0.0);
        values[width] = f32::NAN;
        values
    }

    /// Checks that a looked up value is right to within `tolerance` of the row's largest magnitude, whatever else is asked for.
    fn check(format: Format, width: usize, tolerance: f32) {
        let values = values(width);
        let table = Table::pack(&Team::new(2), format, &values, width);
        let indices: Vec<u32> = [5, 0, 69, 5].into_iter().chain((2..ROWS as u32).rev()).collect();
        for threads in [1, 3] {
            let mut out = vec![f32::NAN; indices.len() * width];
            table.look_up(&Team::new(threads), &mut out, &indices);
            for (row, &index) in out.chunks_exact(width).zip(&indices) {
                let want = &values[index as usize * width..][..width];
                let largest = want.iter().fold(0f32, |largest, x| largest.max(x.abs()));
                for (got, want) in row.iter().zip(want) {
                    assert!(
                        (got - want).abs() <= tolerance * largest,
                        "{format:?}, row {index}: {got} for {want}"
                    );
                }
            }
        }
        let mut undefined = vec![0.0; width];
        table.look_up(&Team::new(1), &mut undefined, &[1]);
        assert!(undefined.iter().any(|x| x.is_nan()), "{format:?} hides what is not a number");
        let words = ROWS * width.div_ceil(4 / format.bytes());
        assert_eq!(table.bytes(), 4 * words + if format == Format::Int8 { 4 * ROWS } else { 0 });
    }

    #[test]
    fn rows_are_looked_up_as_exactly_as_the_format_allows() {
        for width in [1, 2, 3, 64, 101] {
            check(Format::F32, width, 0.0);
            check(Format::Bf16, width, 1.0 / 256.0);
            check(Format::Int8, width, 0.5001 / 127.0);
        }
    }

    /// A product of looked up rows differs from one of the rows themselves by at most the scale's last bit.
    #[test]
    fn a_product_that_rounds_its_inputs_does_not_see_that_the_table_was_rounded() {
        let (width, outputs, team) = (100, 40, Team::new(1));
        let values = values(width)[2 * width..].to_vec();
        let rows = values.len() / width;
        let weight = numbers(outputs * width, 8);
        for format in [Format::F32, Format::Bf16, Format::Int8] {
            let mut looked_up = vec![0.0; values.len()];
            let indices: Vec<u32> = (0..rows as u32).collect();
            Table::pack(&team, format, &values, width).look_up(&team, &mut looked_up, &indices);
            let packed = PackedMatrix::pack(&team, format, Mat::new(&weight, outputs, width));
            let [want, got] = [&values, &looked_up].map(|x| {
                let mut y = vec![0.0; rows * outputs];
                packed.multiply(&team, x, &mut y, 0.0);
                y
            });
            let tolerance = if format == Format::Int8 { 1e-6 } else { 0.0 };
            for (got, want) in got.iter().zip(want) {
                assert!((got - want).abs() <= tolerance * want.abs(), "{format:?}: {got} for {want}");
            }
        }
    }
}
