use super::*;

fn numbers(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| (((i + seed) * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0).collect()
}

/// Compares every layout of a product with the reference, computed both by the method that this machine uses and by each of the two
/// methods.
fn check(team: &Team, m: usize, n: usize, k: usize) {
    let (a, b) = (numbers(m * k, 0), numbers(k * n, 77));
    for (ta, tb, beta) in [(false, false, 0.0), (true, false, 1.0), (false, true, 0.0), (true, true, 1.0)] {
        let (a_cols, b_cols) = (if ta { m } else { k }, if tb { k } else { n });
        let rows =
            |x: &'_ [f32], cols: usize| x.chunks_exact(cols.max(1)).map(<[f32]>::to_vec).collect::<Vec<_>>();
        let (a_rows, b_rows) = (rows(&a, a_cols), rows(&b, b_cols));
        let tables = [&a_rows, &b_rows].map(|rows| rows.iter().map(|row| &row[..]).collect::<Vec<_>>());
        let a = if ta { Mat::new(&a, k, m).t() } else { Mat::new(&a, m, k) };
        let b = if tb { Mat::new(&b, n, k).t() } else { Mat::new(&b, k, n) };
        let stride = n + 3;
        let before = numbers(m * stride, 5);
        for precision in [Precision::F32, Precision::Bf16] {
            let mut want = before.clone();
            reference::gemm(MatMut::strided(&mut want, m, n, stride), beta, a, b, precision);
            let compare = |way: &str, multiply: &dyn Fn(MatMut<'_>)| {
                let mut got = before.clone();
                multiply(MatMut::strided(&mut got, m, n, stride));
                for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                    assert!(
                        (got - want).abs() <= 1e-6 * (k as f32 + 1.0),
                        "{way} {precision:?} {m}x{n}x{k} {ta} {tb} {beta}, {} threads: {i}: {got} {want}",
                        team.size()
                    );
                    assert!(i % stride < n || got.to_bits() == want.to_bits(), "{way}: outside of C");
                }
            };
            compare("gemm", &|c| gemm(team, precision, c, beta, a, b));
            if m * n * k > 0 {
                let (a, b) = (Mat::of_rows(&tables[0], a_cols), Mat::of_rows(&tables[1], b_cols));
                let (a, b) = (if ta { a.t() } else { a }, if tb { b.t() } else { b });
                compare("gemm of rows", &|c| gemm(team, precision, c, beta, a, b));
                let mut room = [Vec::new(), Vec::new()];
                let [a_room, b_room] = &mut room;
                let (a, b) = (a.in_one(a_room), b.in_one(b_room));
                compare("gemm of rows in one", &|c| gemm(team, precision, c, beta, a, b));
            }
            if m * n > 0 {
                compare("blocked", &|c| {
                    blocked::multiply(team, precision.into(), beta, [Some((c, a.into(), b.into()))]);
                });
            }
            let stored = [(a, ta), (b, tb)].map(|(matrix, transposed)| {
                let lying = if transposed { matrix.t() } else { matrix };
                let width = precision.stored(lying.cols);
                let mut data = vec![f32::NAN; lying.rows * width];
                for (row, to) in data.chunks_exact_mut(width.max(1)).enumerate() {
                    precision.store(lying.row(row, 0..lying.cols), to);
                }
                (data, lying.rows, lying.cols, transposed)
            });
            let [a_stored, b_stored] = stored.each_ref().map(|(data, rows, cols, transposed)| {
                let side = Side::stored(precision, data, *rows, *cols);
                if *transposed { side.t() } else { side }
            });
            compare("stored, left", &|c| gemm(team, precision, c, beta, a_stored, b));
            compare("stored, right", &|c| gemm(team, precision, c, beta, a, b_stored));
            compare("stored, both", &|c| gemm(team, precision, c, beta, a_stored, b_stored));
            if m * n > 0 && precision == Precision::F32 {
                compare("elsewhere", &|c| elsewhere(team, c, beta, a, b));
            }
            if beta == 0.0 {
                compare("in pieces", &|c| {
                    blocked::multiply_into(team, precision.into(), a.into(), b.into(), &pieces_to(c));
                });
                if precision == Precision::F32 {
                    compare("in pieces elsewhere", &|c| elsewhere_into(team, a, b, &pieces_to(c)));
                }
            }
        }
    }
}

/// Puts each piece into its part of the result.
fn pieces_to(c: MatMut<'_>) -> impl Fn(Piece<'_>) + Sync {
    let (data, stride) = (SharedMut::new(c.data), c.row_stride);
    move |mut piece| {
        let cols = piece.cols.clone();
        for (row, sums) in piece.by_rows() {
            // SAFETY: no two pieces have an element in common, and the matrix is borrowed while they come.
            unsafe { data.slice(row * stride + cols.start..row * stride + cols.end) }.copy_from_slice(sums);
        }
    }
}

#[test]
fn products_equal_the_reference() {
    for threads in [1, 2, 3] {
        let team = Team::new(threads);
        for (m, n, k) in [
            (1, 1, 1),
            (3, 5, 7),
            (0, 4, 2),
            (64, 200, 33),
            (1, 300, 100),
            (300, 1, 50),
            (97, 113, 129),
            (5, 5, 0),
            // Several parts of the depth, with rows and columns shared.
            (70, 130, 1100),
            (450, 65, 530),
            (20, 500, 1030),
        ] {
            check(&team, m, n, k);
        }
    }
}

/// The numbers are whole, so their sums are exact in any order.
#[test]
fn a_depth_that_threads_share_is_summed_up_whole() {
    let (m, n, k, stride) = (7, 70, 7001, 73);
    let whole = |len, seed| numbers(len, seed).into_iter().map(|x| (8.0 * x).round()).collect::<Vec<_>>();
    let (a, b, before) = (whole(m * k, 0), whole(k * n, 77), whole(m * stride, 5));
    for precision in [Precision::F32, Precision::Bf16] {
        for threads in [1, 2, 3] {
            for beta in [0.0, 1.0] {
                for b in [Mat::new(&b, k, n), Mat::new(&b, n, k).t()] {
                    let a = Mat::new(&a, m, k);
                    let (mut got, mut want) = (before.clone(), before.clone());
                    reference::gemm(MatMut::strided(&mut want, m, n, stride), beta, a, b, precision);
                    let c = MatMut::strided(&mut got, m, n, stride);
                    gemm(&Team::new(threads), precision, c, beta, a, b);
                    assert!(got == want, "{precision:?}, {threads} threads, beta {beta}");
                }
            }
        }
    }
}

#[test]
fn products_that_share_their_waits_are_those_that_each_is_alone() {
    let shapes = [(90, 200, 130), (200, 60, 33), (3, 0, 5), (450, 65, 1300), (1, 1, 1)];
    for precision in [Precision::F32, Precision::Bf16] {
        for threads in [1, 2, 3] {
            let team = Team::new(threads);
            let operands = shapes.map(|(m, n, k)| (numbers(m * k, m), numbers(k * n, n)));
            let sides = |i: usize| {
                let ((m, n, k), (a, b)) = (shapes[i], &operands[i]);
                // Every second one is transposed.
                let b = if i.is_multiple_of(2) { Mat::new(b, k, n) } else { Mat::new(b, n, k).t() };
                (Side::from(Mat::new(a, m, k)), Side::from(b))
            };
            let mut alone = shapes.map(|(m, n, _)| vec![0.5; m * n]);
            let mut together = alone.clone();
            for (i, c) in alone.iter_mut().enumerate() {
                let ((m, n, _), (a, b)) = (shapes[i], sides(i));
                gemm(&team, precision, MatMut::new(c, m, n), 1.0, a, b);
            }
            let mut products = together.iter_mut().enumerate().map(|(i, c)| {
                let ((m, n, _), (a, b)) = (shapes[i], sides(i));
                (MatMut::new(c, m, n), a, b)
            });
            // One place has no product.
            let products: [_; 6] =
                std::array::from_fn(|place| if place == 2 { None } else { products.next() });
            gemm_all(&team, precision, 1.0, products);
            assert!(together == alone, "{precision:?}, {threads} threads");
        }
    }
}

#[test]
fn what_is_not_a_number_stays_in_its_row_and_column() {
    let (m, n, k) = (130, 70, 40);
    let (mut a, mut b) = (numbers(m * k, 1), numbers(k * n, 2));
    a[7 * k + 3] = f32::NAN;
    b[5 * n + 69] = f32::INFINITY;
    for precision in [Precision::F32, Precision::Bf16] {
        let mut c = vec![0.0; m * n];
        let team = Team::new(2);
        let (a, b) = (Mat::new(&a, m, k), Mat::new(&b, k, n));
        gemm(&team, precision, MatMut::new(&mut c, m, n), 0.0, a, b);
        for (i, x) in c.iter().enumerate() {
            assert_eq!(
                x.is_finite(),
                i / n != 7 && i % n != 69,
                "{precision:?}: row {}, column {}",
                i / n,
                i % n
            );
        }
    }
}

/// A convolution's point may be needed by no tile of a batch: its filters' gradient is a sum of nothing.
#[test]
fn a_product_of_no_terms_is_zero() {
    let team = Team::new(2);
    for precision in [Precision::F32, Precision::Bf16] {
        for (m, n) in [(3, 5), (200, 130)] {
            for (beta, want) in [(0.0, 0.0), (1.0, 7.0)] {
                let mut c = vec![if beta == 0.0 { f32::NAN } else { 7.0 }; m * n];
                gemm(
                    &team,
                    precision,
                    MatMut::new(&mut c, m, n),
                    beta,
                    Mat::new(&[], 0, m).t(),
                    Mat::new(&[], 0, n),
                );
                assert!(c.iter().all(|&c| c == want), "{precision:?} {m} x {n}, beta {beta}");
            }
        }
    }
}
