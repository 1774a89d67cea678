use super::*;

const FORMATS: [Format; 3] = [Format::F32, Format::Bf16, Format::Int8];

/// Reproducible numbers of mixed sizes and signs, about 1 in magnitude.
fn numbers(len: usize, seed: u64) -> Vec<f32> {
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

/// Every kernel, number of threads and beta gives what the reference gives.
fn check(format: Format, rows: usize, outputs: usize, inputs: usize) {
    let stride = inputs + 3;
    let weight = numbers(outputs * stride, 1);
    let x = numbers(rows * inputs, 2);
    let before = numbers(rows * outputs, 3);
    for threads in [1, 2, 3] {
        let team = Team::new(threads);
        let matrix = PackedMatrix::pack(&team, format, &weight, outputs, inputs, stride);
        assert_eq!((matrix.outputs(), matrix.inputs(), matrix.format()), (outputs, inputs, format));
        for (level, kernel) in format.kernels().into_iter().enumerate() {
            for beta in [0.0, 1.0] {
                let mut y = if beta == 0.0 { vec![f32::NAN; rows * outputs] } else { before.clone() };
                matrix.multiply_by(kernel, &team, &x, &mut y, beta);
                for (i, &got) in y.iter().enumerate() {
                    let (row, output) = (i / outputs, i % outputs);
                    let x = &x[row * inputs..(row + 1) * inputs];
                    let w = &weight[output * stride..output * stride + inputs];
                    let want = reference::product(format, x, w, before[i], beta);
                    let near = (got - want.value).abs() <= want.tolerance;
                    assert!(
                        near || got.to_bits() == want.value.to_bits(),
                        "{format:?} {rows}x{outputs}x{inputs}, kernel {level}, {threads} threads, beta {beta}: \
                         y[{row}][{output}] = {got:e}, not {:e}",
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
    ];
    for format in FORMATS {
        for (rows, outputs, inputs) in shapes {
            check(format, rows, outputs, inputs);
        }
    }
}

/// Rows computed alone, among others, elsewhere in the batch and by any number of threads have the same bits.
fn check_rows_are_independent(format: Format, outputs: usize, inputs: usize, beta: f32) {
    let rows = 64;
    let team = Team::new(1);
    let weight = numbers(outputs * inputs, 4);
    let matrix = PackedMatrix::pack(&team, format, &weight, outputs, inputs, inputs);
    let x = numbers(rows * inputs, 5);
    let before = numbers(rows * outputs, 6);
    for kernel in format.kernels() {
        let multiply = |threads: usize, rows: Range<usize>| {
            let mut y = before[rows.start * outputs..rows.end * outputs].to_vec();
            let x = &x[rows.start * inputs..rows.end * inputs];
            matrix.multiply_by(kernel, &Team::new(threads), x, &mut y, beta);
            bits(&y)
        };
        let alone: Vec<u32> = (0..rows).flat_map(|row| multiply(1, row..row + 1)).collect();
        for threads in [1, 2, 3] {
            for range in [0..rows, 1..rows, 0..5, 7..20, 33..64] {
                let want = &alone[range.start * outputs..range.end * outputs];
                let got = multiply(threads, range.clone());
                assert!(
                    got == want,
                    "{format:?} {outputs}x{inputs}: rows {range:?} by {threads} threads differ"
                );
            }
        }
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
        let whole = PackedMatrix::pack(&team, format, &weight, outputs, inputs, inputs);
        let part = whole.select(&chosen);
        assert_eq!((part.outputs(), part.inputs(), part.format()), (chosen.len(), inputs, format));
        let (mut y, mut y_part) = (vec![0.0; rows * outputs], vec![0.0; rows * chosen.len()]);
        whole.multiply(&team, &x, &mut y, 0.0);
        part.multiply(&team, &x, &mut y_part, 0.0);
        for row in 0..rows {
            let want: Vec<u32> = chosen.iter().map(|&o| y[row * outputs + o as usize].to_bits()).collect();
            assert_eq!(bits(&y_part[row * chosen.len()..(row + 1) * chosen.len()]), want, "{format:?}");
        }
        assert!(whole.select(&[]).multiply(&team, &x, &mut [], 0.0) == ());
    }
}
