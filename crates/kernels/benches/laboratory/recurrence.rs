//! Experiment: should the weight of a recurrence be laid out once for all its steps? 15 steps of 64 rows into 2048 gates from 512
//! units.

use kokanee_kernels::packed::PackedMatrix;
use kokanee_kernels::{Mat, MatMut, Precision, Team, gemm};

use crate::{Experiment, PRECISIONS, Way, numbers};

const STEPS: usize = 15;
const ROWS: usize = 64;
const GATES: usize = 2048;
const UNITS: usize = 512;

pub(crate) fn experiments(team: &Team) -> Vec<Experiment<'_>> {
    let experiment = |(name, precision): (&str, Precision)| Experiment {
        name: format!("recurrent products of a sentence, in {name}"),
        ways: vec![
            Way {
                name: "the weight laid out once",
                run: Box::new({
                    let (x, weight) = operands();
                    move || {
                        let weight = Mat::new(&weight, GATES, UNITS);
                        let packed = PackedMatrix::pack(team, precision.into(), weight);
                        let mut y = vec![0.0; ROWS * GATES];
                        (0..STEPS).for_each(|_| packed.multiply(team, &x, &mut y, 0.0));
                        y
                    }
                }),
                tolerance: 0.0,
            },
            Way {
                name: "at every step, as any other product",
                run: Box::new({
                    let (x, weight) = operands();
                    move || {
                        let (a, b) = (Mat::new(&x, ROWS, UNITS), Mat::new(&weight, GATES, UNITS).t());
                        let mut y = vec![0.0; ROWS * GATES];
                        for _ in 0..STEPS {
                            gemm(team, precision, MatMut::new(&mut y, ROWS, GATES), 0.0, a, b);
                        }
                        y
                    }
                }),
                tolerance: 1e-5,
            },
        ],
    };
    PRECISIONS.into_iter().map(experiment).collect()
}

fn operands() -> (Vec<f32>, Vec<f32>) {
    (numbers(ROWS * UNITS, 1), numbers(GATES * UNITS, 2))
}
