//! Rows and columns moved without arithmetic.

use kokanee_kernels::gather;

use crate::{Rows, Tape, Tensor, Var};

/// Rows `rows` of `x` (R x K), in that order; a row may occur several times. Backward adds each row back to its source.
pub fn gather_rows(tape: &Tape, x: &Var, rows: Rows) -> Var {
    let width = x.value().cols();
    let mut y = Tensor::scratch([rows.len(), width]);
    gather::gather_rows(tape.team(), y.data_mut(), x.value().data(), width, &rows);
    let y = tape.result(y, [x.slot()]);
    if y.wants_gradient() {
        let (dy, dx, shape) = (y.slot(), x.slot(), x.value().shape().clone());
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            gradients.accumulate_part(dx, &shape, |team, sum| {
                gather::scatter_add_rows(team, sum.data_mut(), d.data(), width, &rows);
            });
        });
    }
    y
}

/// The first `count` rows of `x`: the remaining part of a recurrent state when sentences end.
pub fn first_rows(tape: &Tape, x: &Var, count: usize) -> Var {
    if count == x.value().rows() {
        return x.clone();
    }
    let size = count * x.value().cols();
    let mut y = Tensor::scratch([count, x.value().cols()]);
    y.data_mut().copy_from_slice(&x.value().data()[..size]);
    let y = tape.result(y, [x.slot()]);
    if y.wants_gradient() {
        let (dy, dx, shape) = (y.slot(), x.slot(), x.value().shape().clone());
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            gradients.accumulate_part(dx, &shape, |team, sum| {
                kokanee_kernels::elementwise::add_assign(team, &mut sum.data_mut()[..size], d.data());
            });
        });
    }
    y
}

/// One matrix of `total` rows from parts: row `i` of a part becomes row `rows[i]`. Together the parts name every row exactly once.
pub fn stack_rows(tape: &Tape, parts: Vec<(Var, Rows)>, total: usize) -> Var {
    let width = parts.first().map_or(0, |(x, _)| x.value().cols());
    assert_eq!(parts.iter().map(|(_, rows)| rows.len()).sum::<usize>(), total, "parts fill all rows");
    let mut y = Tensor::scratch([total, width]);
    for (x, rows) in &parts {
        gather::scatter_rows(tape.team(), y.data_mut(), x.value().data(), width, rows);
    }
    let y = tape.result(y, parts.iter().map(|(x, _)| x.slot()));
    if y.wants_gradient() {
        let dy = y.slot();
        let parts: Vec<_> = parts.into_iter().map(|(x, rows)| (x.slot(), rows)).collect();
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            for (dx, rows) in parts {
                let mut part = Tensor::scratch([rows.len(), width]);
                gather::gather_rows(&gradients.team(), part.data_mut(), d.data(), width, &rows);
                gradients.add(dx, part);
            }
        });
    }
    y
}

/// `[a, b]` side by side: R x (K + L) from R x K and R x L.
pub fn concat_columns(tape: &Tape, a: &Var, b: &Var) -> Var {
    let (left, right) = (a.value().cols(), b.value().cols());
    let rows = a.value().rows();
    assert_eq!(rows, b.value().rows(), "matrices side by side have as many rows");
    let mut y = Tensor::scratch([rows, left + right]);
    for (row, y) in y.data_mut().chunks_exact_mut(left + right).enumerate() {
        y[..left].copy_from_slice(a.value().row(row));
        y[left..].copy_from_slice(b.value().row(row));
    }
    let y = tape.result(y, [a.slot(), b.slot()]);
    if y.wants_gradient() {
        let (dy, da, db) = (y.slot(), a.slot(), b.slot());
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            for (slot, columns) in [(da, 0..left), (db, left..left + right)] {
                let mut part = Tensor::scratch([rows, columns.len()]);
                let width = columns.len().max(1);
                for (row, part) in part.data_mut().chunks_exact_mut(width).enumerate() {
                    part.copy_from_slice(&d.row(row)[columns.clone()]);
                }
                gradients.add(slot, part);
            }
        });
    }
    y
}
