//! Cholesky factors of symmetric positive definite matrices, in double precision.

/// L of A = L Lᵀ, its rows one after another, each up to the diagonal: row i has i + 1 numbers.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    rows: Vec<f64>,
    n: usize,
}

fn start(row: usize) -> usize {
    row * (row + 1) / 2
}

impl Cholesky {
    /// The factor of a matrix whose lower triangle is `entry(row, column)`; `None` where it is not positive definite.
    pub(crate) fn new(n: usize, entry: impl Fn(usize, usize) -> f64) -> Option<Self> {
        let mut factor = Self { rows: Vec::with_capacity(start(n)), n: 0 };
        for i in 0..n {
            factor.append((0..=i).map(|j| entry(i, j)))?;
        }
        Some(factor)
    }

    /// The factor of a matrix with this lower triangle, its rows one after another, and `noise` added to the diagonal.
    pub(crate) fn with_noise(n: usize, triangle: &[f64], noise: f64) -> Option<Self> {
        Self::new(n, |i, j| triangle[start(i) + j] + if i == j { noise } else { 0.0 })
    }

    /// Extends the factor for a matrix with one more row and column; `row` gives its n + 1 new entries, the diagonal last. Where the larger
    /// matrix is not positive definite, it returns `None` and the factor stays unchanged.
    pub(crate) fn append(&mut self, row: impl Iterator<Item = f64>) -> Option<()> {
        let begin = self.rows.len();
        self.rows.extend(row);
        debug_assert_eq!(self.rows.len() - begin, self.n + 1);
        let (before, new) = self.rows.split_at_mut(begin);
        for j in 0..self.n {
            let other = &before[start(j)..];
            new[j] = (new[j] - dot(&new[..j], &other[..j])) / other[j];
        }
        let square = new[self.n] - dot(&new[..self.n], &new[..self.n]);
        if !(square > 0.0 && square.is_finite()) {
            self.rows.truncate(begin);
            return None;
        }
        new[self.n] = square.sqrt();
        self.n += 1;
        Some(())
    }

    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.rows[start(i)..start(i + 1)]
    }

    /// Solves L y = b in place.
    pub(crate) fn solve_lower(&self, b: &mut [f64]) {
        for i in 0..self.n {
            let row = self.row(i);
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
    }

    /// Solves Lᵀ x = y in place.
    pub(crate) fn solve_upper(&self, y: &mut [f64]) {
        for i in (0..self.n).rev() {
            let row = self.row(i);
            y[i] /= row[i];
            let x = y[i];
            y[..i].iter_mut().zip(row).for_each(|(y, l)| *y -= l * x);
        }
    }

    /// ln det A.
    pub(crate) fn log_determinant(&self) -> f64 {
        2.0 * (0..self.n).map(|i| self.row(i)[i].ln()).sum::<f64>()
    }

    /// The lower triangle of A⁻¹, in the same layout as the factor.
    pub(crate) fn inverse(&self) -> Vec<f64> {
        let n = self.n;
        // Row j of `columns` is column j of L⁻¹ from the diagonal down, so that the products below access memory sequentially.
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(n);
        for j in 0..n {
            let mut column = vec![0.0; n - j];
            column[0] = 1.0 / self.row(j)[j];
            for i in j + 1..n {
                let row = self.row(i);
                column[i - j] = -dot(&row[j..i], &column[..i - j]) / row[i];
            }
            columns.push(column);
        }
        let mut inverse = Vec::with_capacity(start(n));
        for i in 0..n {
            for j in 0..=i {
                inverse.push(dot(&columns[i], &columns[j][i - j..]));
            }
        }
        inverse
    }
}

/// Several partial sums: the compiler may not reorder a single sum, but can compute these in parallel.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b[..a.len()].as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B Bᵀ + I for a full matrix B.
    fn matrix(n: usize) -> Vec<Vec<f64>> {
        let b: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| ((i * 7 + j * 13) % 11) as f64 / 11.0 - 0.4).collect()).collect();
        let entry = |i: usize, j: usize| dot(&b[i], &b[j]) + if i == j { 1.0 } else { 0.0 };
        (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect()
    }

    /// Textbook elimination with the determinant, without optimisation.
    fn eliminated(a: &[Vec<f64>], b: &[f64]) -> (Vec<f64>, f64) {
        let n = a.len();
        let mut rows: Vec<Vec<f64>> =
            a.iter().zip(b).map(|(row, b)| row.iter().copied().chain([*b]).collect()).collect();
        let mut log_determinant = 0.0;
        for i in 0..n {
            log_determinant += rows[i][i].ln();
            for k in 0..n {
                if k != i {
                    let factor = rows[k][i] / rows[i][i];
                    let pivot = rows[i].clone();
                    rows[k].iter_mut().zip(pivot).for_each(|(x, above)| *x -= factor * above);
                }
            }
        }
        ((0..n).map(|i| rows[i][n] / rows[i][i]).collect(), log_determinant)
    }

    #[test]
    fn solves_as_elimination_does() {
        for n in [1, 2, 7, 8, 9, 30] {
            let a = matrix(n);
            let factor = Cholesky::new(n, |i, j| a[i][j]).unwrap();
            let b: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin()).collect();
            let (want, log_determinant) = eliminated(&a, &b);
            let mut x = b.clone();
            factor.solve_lower(&mut x);
            factor.solve_upper(&mut x);
            assert!(x.iter().zip(&want).all(|(x, w)| (x - w).abs() < 1e-9), "{n}: {x:?} {want:?}");
            assert!((factor.log_determinant() - log_determinant).abs() < 1e-9);
            let inverse = factor.inverse();
            for j in 0..n {
                let unit: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i == j))).collect();
                let (column, _) = eliminated(&a, &unit);
                for i in j..n {
                    assert!((inverse[start(i) + j] - column[i]).abs() < 1e-9, "{n}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn appending_rows_is_factoring_the_whole() {
        let a = matrix(20);
        let whole = Cholesky::new(20, |i, j| a[i][j]).unwrap();
        let mut grown = Cholesky::new(12, |i, j| a[i][j]).unwrap();
        for i in 12..20 {
            grown.append(a[i][..=i].iter().copied()).unwrap();
        }
        assert_eq!(whole.rows, grown.rows);
    }

    #[test]
    fn what_is_not_positive_definite_is_refused_and_changes_nothing() {
        let mut factor = Cholesky::new(1, |_, _| 4.0).unwrap();
        assert!(factor.append([2.0, 1.0].into_iter()).is_none());
        assert!(factor.append([f64::NAN, 1.0].into_iter()).is_none());
        assert!(factor.append([2.0, 2.0].into_iter()).is_some());
        assert!(Cholesky::new(2, |i, j| if i == j { 0.0 } else { 1.0 }).is_none());
    }
}
