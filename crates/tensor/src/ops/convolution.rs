//! Convolution over sentences, as one product, and the activation after it.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::conv::{self, Activation, Window};
use kokanee_kernels::packed::PackedMatrix;
use kokanee_kernels::{Team, elementwise, gemm, reduce};

use crate::{Tape, Tensor, Var};

/// The filters of a convolution, laid out so that a window of neighbouring rows meets them in one product.
pub struct Filters {
    /// C x H x width, as on disk.
    weight: Var,
    bias: Var,
    layout: Layout,
    window: Window,
    units: usize,
}

/// Filters as a matrix C x (width H).
enum Layout {
    Plain(Arc<Tensor>),
    /// Of a weight that is kept laid out.
    Packed(Arc<PackedMatrix>),
}

impl Filters {
    /// `weight` C x H x width (outputs, inputs, positions; cross-correlation, no flip), `bias` C.
    pub fn new(tape: &Tape, weight: &Var, bias: &Var, window: Window) -> Filters {
        let &[outputs, units, width] = weight.value().shape().extents() else {
            panic!("filters have three extents, not {}", weight.value().shape())
        };
        assert_eq!(width, window.width, "filters as wide as their window");
        let lay_out = || {
            let mut laid_out = Tensor::scratch([outputs, width * units]);
            conv::swap_inner(tape.team(), laid_out.data_mut(), weight.value().data(), units, width);
            laid_out
        };
        let inputs = width * units;
        let layout = match weight.packed() {
            None => Layout::Plain(Arc::new(lay_out())),
            Some(packed) => Layout::Packed(
                packed.columns(0..inputs, |format| PackedMatrix::pack(tape.team(), format, lay_out().mat())),
            ),
        };
        Filters { weight: weight.clone(), bias: bias.clone(), layout, window, units }
    }

    /// Pre-activations B x C of windows B x (width H) that are at hand: one step of a decoder. Not recorded.
    pub fn step(&self, tape: &Tape, windows: &Tensor) -> Tensor {
        assert!(!self.weight.wants_gradient(), "steps are for decoding");
        self.multiply(tape, windows)
    }

    /// `X W' + b`.
    fn multiply(&self, tape: &Tape, windows: &Tensor) -> Tensor {
        let mut y = Tensor::scratch([windows.rows(), self.weight.value().rows()]);
        elementwise::fill_rows(tape.team(), y.data_mut(), &[self.bias.value().data()]);
        match &self.layout {
            Layout::Plain(w) => {
                gemm(tape.team(), tape.precision(), y.mat_mut(), 1.0, windows.mat(), w.mat().t());
            }
            Layout::Packed(packed) => packed.multiply(tape.team(), windows.data(), y.data_mut(), 1.0),
        }
        y
    }
}

/// Convolution of `x` (T x H) within the sentences `spans`: T x C. Positions beyond a sentence count as zeros.
///
/// With X the windows laid side by side, T x (width H): `y = X W' + b`; so `dX = dy W`, which the tokens of each window share
/// out, `dW = dy' X`, `db = column sums`. X is laid out again for backward rather than kept: it is `width` times as large as x.
pub fn convolution(tape: &Tape, spans: &Arc<[Range<u32>]>, x: &Var, filters: &Filters) -> Var {
    let (rows, units, window) = (x.value().rows(), filters.units, filters.window);
    assert_eq!(x.value().cols(), units, "inputs of a convolution");
    let lay_out = move |team: &Team, spans: &[Range<u32>], x: &Tensor| {
        let mut windows = Tensor::scratch([rows, window.width * units]);
        conv::windows(team, spans, window, units, x.data(), windows.data_mut());
        windows
    };
    let y = filters.multiply(tape, &lay_out(tape.team(), spans, x.value()));
    let y = tape.result(y, [x.slot(), filters.weight.slot(), filters.bias.slot()]);
    if y.wants_gradient() {
        let (dy, x, weight, bias) = (y.slot(), x.clone(), filters.weight.clone(), filters.bias.clone());
        let Layout::Plain(laid_out) = &filters.layout else {
            panic!("a packed weight gets no gradient, and nothing flows back through it");
        };
        let (spans, laid_out) = (Arc::clone(spans), Arc::clone(laid_out));
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            let (team, precision) = (gradients.team(), gradients.precision());
            gradients.accumulate(&bias, bias.value().shape(), |team, sum, beta| {
                reduce::column_sums(team, sum.data_mut(), beta, d.data());
            });
            if weight.wants_gradient() {
                let windows = lay_out(&team, &spans, x.value());
                let mut d_laid_out = Tensor::scratch(laid_out.shape().clone());
                gemm(&team, precision, d_laid_out.mat_mut(), 0.0, d.mat().t(), windows.mat());
                let mut d_weight = Tensor::scratch(weight.value().shape().clone());
                conv::swap_inner(&team, d_weight.data_mut(), d_laid_out.data(), window.width, units);
                gradients.add(&weight, d_weight);
            }
            if x.wants_gradient() {
                let mut d_windows = Tensor::scratch([rows, window.width * units]);
                gemm(&team, precision, d_windows.mat_mut(), 0.0, d.mat(), laid_out.mat());
                let mut dx = Tensor::scratch([rows, units]);
                conv::windows_backward(&team, &spans, window, units, d_windows.data(), dx.data_mut());
                gradients.add(&x, dx);
            }
        });
    }
    y
}

/// The activation: T x H from T x H, or from T x 2H for glu.
///
/// Kept for backward: `x`; its derivative stands at `conv::activate_backward`.
pub fn activation(tape: &Tape, kind: Activation, x: Var) -> Var {
    let units = x.value().cols() / kind.fan_in();
    let mut y = Tensor::scratch([x.value().rows(), units]);
    conv::activate(tape.team(), kind, units, x.value().data(), y.data_mut());
    let y = tape.result(y, [x.slot()]);
    if y.wants_gradient() {
        let (dy, dx) = (y.slot(), x.slot());
        tape.record(move |gradients| {
            let Some(d) = gradients.take(dy) else { return };
            let mut x = x.into_value();
            conv::activate_backward(&gradients.team(), kind, units, x.data_mut(), d.data());
            gradients.add(dx, x);
        });
    }
    y
}
