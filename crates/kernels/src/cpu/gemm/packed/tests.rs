use super::*;

const FORMATS: [Format; 3] = [Format::F32, Format::Bf16, Format::Int8];

/// Reproducible numbers of mixed sizes and signs, about 1 in magnitude.
pub(super) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next() * (1.0 + 3.0 * next())).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Checks every kernel, number of threads and beta against the reference.
fn check(format: Format, rows: usize, outputs: usize, inputs: usize) {
    let stride = inputs + 3;
    let weight = numbers(outputs * stride, 1);
    let x = numbers(rows * inputs, 2);
    let before = numbers(rows * outputs, 3);
    for beta in [0.0, 1.0] {
        let expected = |i: usize| {
            let (row, output) = (i / outputs, i % outputs);
            let x = &x[row * inputs..(row + 1) * inputs];
            let w = &weight[output * stride..output * stride + inputs];
            reference::product(format, x, w, before[i], beta)
        };
        let want: Vec<reference::Expected> = (0..rows * outputs).map(expected).collect();
        for threads in [1, 2, 3] {
            let team = Team::new(threads);
            let matrix = PackedMatrix::pack(&team, format, Mat::strided(&weight, outputs, inputs, stride));
            assert_eq!((matrix.outputs(), matrix.inputs(), matrix.format()), (outputs, inputs, format));
            for (level, kernel) in format.kernels().into_iter().enumerate() {
                let mut y = if beta == 0.0 { vec![f32::NAN; rows * outputs] } else { before.clone() };
                matrix.multiply_by(kernel, &team, &x, &mut y, beta);
                for (i, (got, want)) in y.iter().zip(&want).enumerate() {
                    let near = (got - want.value).abs() <= want.tolerance;
                    assert!(
                        near && (want.tolerance > 0.0 || got.to_bits() == want.value.to_bits()),
                        "{format:?} {rows}x{outputs}x{inputs}, kernel {level}, {threads} threads, beta {beta}: \
                         y[{i}] = {got:e}, not {:e}",
                        want.value
                    );
                }
            }
        }
    }
}

#[test]
fn products_equal_the_reference() {
    let shapes = [
        (1, 1, 1),
        (0, 5, 3),
        (3, 0, 4),
        (4, 70, 0),
        (2, 64, 2),
        (1, 63, 5),
        (5, 65, 7),
        (6, 16, 64),
        (7, 130, 129),
        (13, 200, 66),
        (64, 300, 131),
        (97, 90, 260),
        // More than one part of the depth.
        (9, 70, 2100),
    ];
    for format in FORMATS {
        for (rows, outputs, inputs) in shapes {
            check(format, rows, outputs, inputs);
        }
    }
}

/// Checks that rows computed alone, among others, elsewhere in the batch and by any number of threads have the same bits.
fn check_rows_are_independent(format: Format, outputs: usize, inputs: usize, beta: f32) {
    let rows = 64;
    let team = Team::new(1);
    let weight = numbers(outputs * inputs, 4);
    let matrix = PackedMatrix::pack(&team, format, Mat::new(&weight, outputs, inputs));
    let x = numbers(rows * inputs, 5);
    let before = numbers(rows * outputs, 6);
    let teams = [1, 2, 3].map(Team::new);
    for kernel in format.kernels() {
        let multiply = |team: &Team, rows: Range<usize>| {
            let mut y = before[rows.start * outputs..rows.end * outputs].to_vec();
            let x = &x[rows.start * inputs..rows.end * inputs];
            matrix.multiply_by(kernel, team, x, &mut y, beta);
            bits(&y)
        };
        let alone: Vec<u32> = (0..rows).flat_map(|row| multiply(&teams[0], row..row + 1)).collect();
        for team in &teams {
            for range in [0..rows, 1..rows, 0..5, 7..20, 33..64] {
                let want = &alone[range.start * outputs..range.end * outputs];
                let got = multiply(team, range.clone());
                let threads = team.size();
                assert!(
                    got == want,
                    "{format:?} {outputs}x{inputs}: rows {range:?} by {threads} threads differ"
                );
            }
        }
    }
}

#[test]
fn a_sum_has_the_bits_of_its_terms_added_one_by_one() {
    let (rows, outputs) = (33, 200);
    let widths = [64, 37, 130];
    let inputs: Vec<Vec<f32>> = widths.iter().map(|k| numbers(rows * k, 11)).collect();
    for format in FORMATS {
        for threads in [1, 2] {
            let team = Team::new(threads);
            let pack = |k: &usize| {
                PackedMatrix::pack(&team, format, Mat::new(&numbers(outputs * k, 12), outputs, *k))
            };
            let matrices: Vec<PackedMatrix> = widths.iter().map(pack).collect();
            for beta in [0.0, 1.0] {
                let mut want = numbers(rows * outputs, 13);
                let mut got = want.clone();
                for (number, (matrix, x)) in matrices.iter().zip(&inputs).enumerate() {
                    matrix.multiply(&team, x, &mut want, if number == 0 { beta } else { 1.0 });
                }
                let terms: Vec<(&PackedMatrix, &[f32])> =
                    matrices.iter().zip(&inputs).map(|(matrix, x)| (matrix, &x[..])).collect();
                multiply_sum(&team, &terms, &mut got, beta);
                assert!(bits(&got) == bits(&want), "{format:?}, {threads} threads, beta {beta}");
            }
        }
    }
}

#[test]
fn products_of_one_x_have_the_bits_that_each_has_alone() {
    let inputs = 130;
    // Computed alone, each shares its work in another way.
    for (rows, widths) in [(33, [64, 37, 200]), (5, [64, 1, 300]), (64, [2048, 2049, 2100])] {
        let x = numbers(rows * inputs, 11);
        for (format, threads) in FORMATS.into_iter().flat_map(|format| [1, 2, 3].map(|n| (format, n))) {
            let team = Team::new(threads);
            let pack =
                |n: usize| PackedMatrix::pack(&team, format, Mat::new(&numbers(n * inputs, 12), n, inputs));
            let matrices = widths.map(pack);
            let mut got = widths.map(|n| numbers(rows * n, 13));
            let mut want = got.clone();
            let betas = [0.0, 1.0, 0.0];
            for ((matrix, y), beta) in matrices.iter().zip(&mut want).zip(betas) {
                matrix.multiply(&team, &x, y, beta);
            }
            let products = matrices.iter().zip(&mut got).zip(betas);
            let mut products: Vec<_> =
                products.map(|((matrix, y), beta)| (matrix, &mut y[..], beta)).collect();
            multiply_each(&team, &x, &mut products);
            for (got, want) in got.iter().zip(&want) {
                assert!(bits(got) == bits(want), "{format:?}, {rows} rows, {threads} threads");
            }
        }
    }
}

#[test]
fn a_transposed_weight_gives_the_same_bits() {
    let (rows, outputs, inputs) = (7, 150, 77);
    let team = Team::new(2);
    let (weight, x) = (numbers(outputs * inputs, 9), numbers(rows * inputs, 10));
    let across: Vec<f32> =
        (0..outputs * inputs).map(|i| weight[i % outputs * inputs + i / outputs]).collect();
    for format in FORMATS {
        let product = |weight: Mat<'_>| {
            let mut y = vec![0.0; rows * outputs];
            PackedMatrix::pack(&team, format, weight).multiply(&team, &x, &mut y, 0.0);
            bits(&y)
        };
        let views = [Mat::new(&weight, outputs, inputs), Mat::new(&across, inputs, outputs).t()];
        let [along, across] = views.map(product);
        assert!(along == across, "{format:?}");
    }
}

#[test]
fn a_row_does_not_depend_on_its_neighbours() {
    for format in FORMATS {
        check_rows_are_independent(format, 200, 130, 0.0);
        // Few panels: split by rows. Many: by panels.
        check_rows_are_independent(format, 70, 600, 1.0);
        check_rows_are_independent(format, 4100, 34, 0.0);
    }
}

#[test]
fn selected_outputs_keep_their_bits() {
    let (rows, outputs, inputs) = (3, 300, 77);
    let team = Team::new(2);
    let (weight, x) = (numbers(outputs * inputs, 7), numbers(rows * inputs, 8));
    let chosen: Vec<u32> = vec![299, 0, 64, 63, 5, 5, 128, 17, 250];
    for format in FORMATS {
        let whole = PackedMatrix::pack(&team, format, Mat::new(&weight, outputs, inputs));
        let part = whole.select(&chosen);
        assert_eq!((part.outputs(), part.inputs(), part.format()), (chosen.len(), inputs, format));
        let (mut y, mut y_part) = (vec![0.0; rows * outputs], vec![0.0; rows * chosen.len()]);
        whole.multiply(&team, &x, &mut y, 0.0);
        part.multiply(&team, &x, &mut y_part, 0.0);
        for row in 0..rows {
            let want: Vec<u32> = chosen.iter().map(|&o| y[row * outputs + o as usize].to_bits()).collect();
            assert_eq!(bits(&y_part[row * chosen.len()..(row + 1) * chosen.len()]), want, "{format:?}");
        }
        whole.select(&[]).multiply(&team, &x, &mut [], 0.0);
    }
}

/// Checks for one row and one output that every kernel agrees with the reference: the same bits, or NaN with NaN; alone and, where
/// the reference is exact, added to the old value.
fn check_values(format: Format, x: &[f32], w: &[f32]) {
    let team = Team::new(1);
    let matrix = PackedMatrix::pack(&team, format, Mat::new(w, 1, w.len()));
    let starts: &[(f32, f32)] = match format {
        Format::F32 => &[(0.0, 0.0)],
        _ => &[(0.0, 0.0), (0.5, 1.0), (-1e-40, 1.0), (1.1e-31, 1.0), (-9e-32, 1.0)],
    };
    for &(start, beta) in starts {
        let want = reference::product(format, x, w, start, beta).value;
        for (level, kernel) in format.kernels().into_iter().enumerate() {
            let mut y = [start];
            matrix.multiply_by(kernel, &team, x, &mut y, beta);
            let same = y[0].to_bits() == want.to_bits() || (y[0].is_nan() && want.is_nan());
            assert!(
                same,
                "{format:?}, kernel {level}: {beta} * {start} + {x:?} . {w:?} = {:e}, not {want:e}",
                y[0]
            );
        }
    }
}

#[test]
fn extreme_values_follow_the_definition() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    for format in FORMATS {
        check_values(format, &[1.0, nan, 2.0], &[1.0, 1.0, 1.0]);
        check_values(format, &[1.0, inf, 2.0], &[0.0, 0.0, 1.0]);
        check_values(format, &[1.0, 2.0], &[-inf, 1.0]);
        check_values(format, &[0.0, -0.0], &[3.0, 4.0]);
        check_values(format, &[1e30, -1e30, 1e-30], &[2.0, 2.0, 1.0]);
    }
    // Subnormal operands, products and sums; f32 keeps them, with the last bits depending on the fused operation.
    for format in [Format::Bf16, Format::Int8] {
        check_values(format, &[1e-40, 1.0, -2e-39], &[1.0, 1e-40, 5.0]);
        check_values(format, &[1e-20, 3e-20, 1.0], &[1e-20, 1e-20, 0.0]);
        check_values(format, &[1e-20, -1.2e-38], &[1e-25, 1.0]);
        // Just above and below the limit under which bf16 takes numbers as zero: products of 2^-112 that nearly cancel.
        let tiny = 2f32.powi(-56);
        check_values(format, &[tiny, tiny * 1.0078125, tiny], &[tiny, -tiny, -tiny * 0.999]);
        check_values(format, &[tiny * 0.99999994, tiny], &[1e30, tiny]);
        // Halfway between two neighbours, to the even one; beyond the largest, to infinity.
        check_values(format, &[1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0], &[1.0, 4.0]);
        check_values(format, &[3.3e38, 3.4e38], &[0.5, 0.25]);
        check_values(format, &[9e-37; 5], &[1.0; 5]);
        check_values(format, &[1.1e-36; 5], &[1.0; 5]);
    }
    // Numbers of all sizes, so that much cancels and much is lost.
    for seed in 0..200 {
        let sized = |(i, x): (usize, f32)| x * 2f32.powi((i * i * 31 + seed as usize * 7) as i32 % 90 - 70);
        let [x, w] = [seed, seed + 1000].map(|s| numbers(33, s).into_iter().enumerate().map(sized).collect());
        let (x, w): (Vec<f32>, Vec<f32>) = (x, w);
        check_values(Format::Bf16, &x, &w);
        check_values(Format::Int8, &x, &w);
    }
    // NaN in one row leaves the others alone.
    let matrix = PackedMatrix::pack(&Team::new(1), Format::Int8, Mat::new(&[1.0, 2.0], 1, 2));
    let mut y = [0.0; 2];
    matrix.multiply(&Team::new(1), &[nan, 1.0, 127.0, -127.0], &mut y, 0.0);
    assert!(y[0].is_nan() && y[1].is_finite(), "{y:?}");
}

#[test]
fn the_longest_int8_sums_fit() {
    let row = vec![1.0; int8::MAX_INPUTS];
    check_values(Format::Int8, &row, &row);
    check_values(Format::Int8, &row, &vec![-1.0; int8::MAX_INPUTS]);
}

#[test]
#[should_panic = "133145 inputs, of which sums in Int8 may have 133144"]
fn longer_int8_sums_are_refused() {
    let inputs = int8::MAX_INPUTS + 1;
    PackedMatrix::pack(&Team::new(1), Format::Int8, Mat::new(&vec![0.0; inputs], 1, inputs));
}

#[test]
fn a_matrix_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&PackedMatrix::empty(Format::F32, 1, 1));
}

#[test]
fn formats_take_the_memory_they_promise() {
    let (outputs, inputs) = (640, 512);
    let weight = vec![0.0; outputs * inputs];
    for (format, bytes) in [(Format::F32, 4), (Format::Bf16, 2), (Format::Int8, 1)] {
        let matrix = PackedMatrix::pack(&Team::new(1), format, Mat::new(&weight, outputs, inputs));
        let scales = if format == Format::Int8 { outputs * 8 } else { 0 };
        assert_eq!(matrix.bytes(), outputs * inputs * bytes + scales, "{format:?}");
    }
}
