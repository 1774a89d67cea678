//! Operations on all gradients of an update together: their norm, clipping by it, and sums over batches.

use kokanee_contract::algorithms::seq2seq::{GradientClippingType, Hyperparameters};
use kokanee_kernels::{Team, elementwise, gather, optimizer};
use kokanee_tensor::{Gradient, RowGradient, Tensor};

/// The stored values of a gradient; all others are zero.
pub(crate) fn values(gradient: &Gradient) -> &Tensor {
    match gradient {
        Gradient::Dense(values) | Gradient::Rows(RowGradient { values, .. }) => values,
    }
}

fn values_mut(gradient: &mut Gradient) -> &mut Tensor {
    match gradient {
        Gradient::Dense(values) | Gradient::Rows(RowGradient { values, .. }) => values,
    }
}

/// Norm of all gradients as one vector: not finite exactly when an element is not.
fn norm(team: &Team, gradients: &[Option<Gradient>]) -> f64 {
    let squares = gradients.iter().flatten().map(|g| optimizer::sum_of_squares(team, values(g).data()));
    squares.sum::<f64>().sqrt()
}

/// The limit of [`norm`], if there is one: `clip_gradient` with `gradient_clipping_type` norm.
pub(crate) fn norm_limit(h: &Hyperparameters) -> Option<f64> {
    let by_norm = h.gradient_clipping_type == GradientClippingType::Norm && h.clip_gradient >= 0.0;
    by_norm.then_some(h.clip_gradient)
}

/// Scales gradients to `limit` if they are longer (Sockeye 1.18, section "Optimizers, clipping, weight decay" of its semantics).
/// Gradients with an element that is not finite stay as they are.
pub(crate) fn clip_to_norm(team: &Team, gradients: &mut [Option<Gradient>], limit: f64) {
    let norm = norm(team, gradients);
    if norm > limit && norm.is_finite() {
        let factor = (limit / norm) as f32;
        for gradient in gradients.iter_mut().flatten() {
            elementwise::scale(team, values_mut(gradient).data_mut(), factor);
        }
    }
}

/// Adds `factor` times the gradients of another batch, parameter by parameter.
pub(crate) fn add(team: &Team, sums: &mut [Option<Gradient>], gradients: Vec<Option<Gradient>>, factor: f32) {
    assert_eq!(sums.len(), gradients.len(), "one gradient a parameter");
    for (sum, gradient) in sums.iter_mut().zip(gradients) {
        let Some(gradient) = gradient else { continue };
        *sum = Some(match sum.take() {
            Some(sum) => added(team, sum, gradient, factor),
            None => scaled(team, gradient, factor),
        });
    }
}

/// `factor` times a gradient.
pub(crate) fn scaled(team: &Team, mut gradient: Gradient, factor: f32) -> Gradient {
    elementwise::scale(team, values_mut(&mut gradient).data_mut(), factor);
    gradient
}

fn added(team: &Team, sum: Gradient, gradient: Gradient, factor: f32) -> Gradient {
    match (sum, gradient) {
        (Gradient::Dense(mut sum), Gradient::Dense(gradient)) => {
            optimizer::add_scaled(team, sum.data_mut(), factor, gradient.data());
            Gradient::Dense(sum)
        }
        (Gradient::Rows(sum), Gradient::Rows(gradient)) => {
            Gradient::Rows(added_rows(&sum, &gradient, factor))
        }
        (Gradient::Dense(mut sum), rows @ Gradient::Rows(_)) => {
            if let Gradient::Rows(rows) = scaled(team, rows, factor) {
                let (values, width) = (rows.values.data(), rows.values.cols());
                gather::scatter_add_rows(team, sum.data_mut(), values, width, &rows.rows);
            }
            Gradient::Dense(sum)
        }
        (Gradient::Rows(sum), Gradient::Dense(gradient)) => {
            let mut sum = sum.to_dense();
            optimizer::add_scaled(team, sum.data_mut(), factor, gradient.data());
            Gradient::Dense(sum)
        }
    }
}

/// Adds the rows of both, ascending, each once.
fn added_rows(sum: &RowGradient, gradient: &RowGradient, factor: f32) -> RowGradient {
    let mut rows: Vec<u32> = sum.rows.iter().chain(&gradient.rows).copied().collect();
    rows.sort_unstable();
    rows.dedup();
    let width = sum.shape.cols();
    let mut values = Tensor::zeros([rows.len(), width]);
    for (part, factor) in [(sum, 1.0), (gradient, factor)] {
        let mut at = 0;
        for (number, row) in part.rows.iter().enumerate() {
            while rows[at] != *row {
                at += 1;
            }
            let target = &mut values.data_mut()[at * width..(at + 1) * width];
            target.iter_mut().zip(part.values.row(number)).for_each(|(t, x)| *t += factor * x);
        }
    }
    RowGradient { rows, values, shape: sum.shape.clone() }
}

#[cfg(test)]
mod tests {
    use kokanee_tensor::Shape;

    use super::*;

    fn dense(values: &[f32]) -> Option<Gradient> {
        Some(Gradient::Dense(Tensor::from_vec([4, 2], values.to_vec())))
    }

    fn rows(rows: &[u32], values: &[f32]) -> Option<Gradient> {
        let values = Tensor::from_vec([rows.len(), 2], values.to_vec());
        Some(Gradient::Rows(RowGradient { rows: rows.to_vec(), values, shape: Shape::from([4, 2]) }))
    }

    fn whole(gradient: &Option<Gradient>) -> Vec<f32> {
        match gradient {
            None => vec![0.0; 8],
            Some(Gradient::Dense(tensor)) => tensor.data().to_vec(),
            Some(Gradient::Rows(rows)) => rows.to_dense().data().to_vec(),
        }
    }

    #[test]
    fn sums_are_those_of_the_whole_gradients() {
        let team = Team::new(2);
        let kinds: [fn() -> Option<Gradient>; 5] = [
            || None,
            || dense(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
            || rows(&[0, 2], &[1.0, -1.0, 2.0, -2.0]),
            || rows(&[1, 2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            || rows(&[], &[]),
        ];
        for first in kinds {
            for second in kinds {
                let mut sums = vec![first()];
                add(&team, &mut sums, vec![second()], 0.5);
                let want: Vec<f32> =
                    whole(&first()).iter().zip(whole(&second())).map(|(a, b)| a + 0.5 * b).collect();
                assert_eq!(whole(&sums[0]), want);
                if let Some(Gradient::Rows(sum)) = &sums[0] {
                    assert!(sum.rows.is_sorted_by(|a, b| a < b), "{:?}", sum.rows);
                }
            }
        }
    }

    #[test]
    fn gradients_are_shrunk_to_the_limit_as_a_whole() {
        let team = Team::new(1);
        let mut gradients =
            vec![dense(&[3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]), None, rows(&[1], &[0.0, 4.0])];
        assert_eq!(norm(&team, &gradients), 5.0);
        clip_to_norm(&team, &mut gradients, 5.0);
        assert_eq!(norm(&team, &gradients), 5.0, "not longer than the limit");
        clip_to_norm(&team, &mut gradients, 1.0);
        assert!((norm(&team, &gradients) - 1.0).abs() < 1e-6);
        assert!((whole(&gradients[2])[3] - 0.8).abs() < 1e-6);
    }
}
