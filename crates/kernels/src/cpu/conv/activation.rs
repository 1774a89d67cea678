//! The activations that follow a convolution.

use super::super::math;
use super::super::threads::{SharedMut, Team};

/// The activation after a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// First half times the logistic function of the second half (Dauphin et al. 2016); halves the width.
    Glu,
    /// max(x, 0).
    Relu,
    /// ln(1 + e^x).
    SoftRelu,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// tanh x.
    Tanh,
}

impl Activation {
    /// The number of inputs per output.
    pub fn fan_in(self) -> usize {
        if self == Activation::Glu { 2 } else { 1 }
    }
}

/// The least number of rows that a thread handles.
const GRAIN: usize = 8;

/// Computes `y` (T x H) = activation of `x` (T x H, for glu T x 2H).
pub fn activate(team: &Team, activation: Activation, units: usize, x: &[f32], y: &mut [f32]) {
    let wide = units * activation.fan_in();
    let rows = y.len() / units.max(1);
    assert!(y.len() == rows * units && x.len() == rows * wide);
    let shared = SharedMut::new(y);
    team.split(rows, GRAIN, |range| {
        for row in range {
            // SAFETY: `split` gives each thread its own rows.
            let y = unsafe { shared.slice(row * units..(row + 1) * units) };
            activate_row(activation, &x[row * wide..(row + 1) * wide], y);
        }
    });
}

multiversion! {
    fn activate_row(activation: Activation, x: &[f32], y: &mut [f32]) {
        match activation {
            Activation::Glu => {
                let (value, gate) = x.split_at(y.len());
                for ((y, v), g) in y.iter_mut().zip(value).zip(gate) {
                    *y = v * math::sigmoid::<FMA>(*g);
                }
            }
            Activation::Relu => y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x < 0.0 { 0.0 } else { x }),
            Activation::SoftRelu => {
                // max(x, 0) + ln(1 + e^-|x|) does not overflow.
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = (if x < 0.0 { 0.0 } else { x }) + math::exp::<FMA>(-x.abs()).ln_1p();
                }
            }
            Activation::Sigmoid => y.iter_mut().zip(x).for_each(|(y, x)| *y = math::sigmoid::<FMA>(*x)),
            Activation::Tanh => y.iter_mut().zip(x).for_each(|(y, x)| *y = math::tanh::<FMA>(*x)),
        }
    }
}

/// Propagates gradients through [`activate`]: `x` becomes its own gradient, from `dy` T x H.
pub fn activate_backward(team: &Team, activation: Activation, units: usize, x: &mut [f32], dy: &[f32]) {
    let wide = units * activation.fan_in();
    let rows = dy.len() / units.max(1);
    assert!(dy.len() == rows * units && x.len() == rows * wide);
    let shared = SharedMut::new(x);
    team.split(rows, GRAIN, |range| {
        for row in range {
            // SAFETY: `split` gives each thread its own rows.
            let x = unsafe { shared.slice(row * wide..(row + 1) * wide) };
            activate_backward_row(activation, x, &dy[row * units..(row + 1) * units]);
        }
    });
}

multiversion! {
    fn activate_backward_row(activation: Activation, x: &mut [f32], dy: &[f32]) {
        match activation {
            Activation::Glu => {
                let (value, gate) = x.split_at_mut(dy.len());
                for ((v, g), dy) in value.iter_mut().zip(gate).zip(dy) {
                    let s = math::sigmoid::<FMA>(*g);
                    *g = dy * *v * s * (1.0 - s);
                    *v = dy * s;
                }
            }
            Activation::Relu => x.iter_mut().zip(dy).for_each(|(x, dy)| *x = if *x > 0.0 { *dy } else { 0.0 }),
            Activation::SoftRelu => {
                x.iter_mut().zip(dy).for_each(|(x, dy)| *x = dy * math::sigmoid::<FMA>(*x));
            }
            Activation::Sigmoid => {
                for (x, dy) in x.iter_mut().zip(dy) {
                    let s = math::sigmoid::<FMA>(*x);
                    *x = dy * s * (1.0 - s);
                }
            }
            Activation::Tanh => {
                for (x, dy) in x.iter_mut().zip(dy) {
                    let t = math::tanh::<FMA>(*x);
                    *x = dy * (1.0 - t * t);
                }
            }
        }
    }
}
