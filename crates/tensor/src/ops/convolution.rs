//! Convolution over sentences, and the activation after it.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::conv::minimal::{self, Chunks, PRODUCTS};
use kokanee_kernels::conv::{self, Activation, Window};
use kokanee_kernels::packed::PackedMatrix;
use kokanee_kernels::{MatMut, Precision, Side, Team, elementwise, gemm_all, reduce};

use super::{Weight, linear};
use crate::{Tape, Tensor, Var};

/// The filters of a convolution.
pub struct Filters {
    /// C x H x width, as on disk.
    weight: Var,
    bias: Var,
    /// As a matrix C x (width H) that meets windows of neighbouring rows; of a weight that is kept laid out.
    packed: Option<Arc<PackedMatrix>>,
    window: Window,
    units: usize,
}

impl Filters {
    /// `weight` C x H x width (outputs, inputs, positions; cross-correlation, no flip), `bias` C.
    pub fn new(tape: &Tape, weight: &Var, bias: &Var, window: Window) -> Filters {
        let &[outputs, units, width] = weight.value().shape().extents() else {
            panic!("filters have three extents, not {}", weight.value().shape())
        };
        assert_eq!(width, window.width, "filters as wide as their window");
        let lay_out = |format| {
            let mut laid_out = Tensor::scratch([outputs, width * units]);
            conv::window_filters(tape.team(), laid_out.data_mut(), weight.value().data(), units, width);
            PackedMatrix::pack(tape.team(), format, laid_out.mat())
        };
        let packed = weight.packed().map(|packed| packed.columns(0..width * units, lay_out));
        Filters { weight: weight.clone(), bias: bias.clone(), packed, window, units }
    }

    /// Pre-activations B x C of windows B x (width H) that are at hand: one step of a decoder, whose weights are packed. Not
    /// recorded.
    pub fn step(&self, tape: &Tape, windows: &Tensor) -> Tensor {
        let packed = self.packed.as_ref().expect("steps are for weights that are packed");
        let mut y = Tensor::scratch([windows.rows(), self.weight.value().rows()]);
        elementwise::fill_rows(tape.team(), y.data_mut(), &[self.bias.value().data()]);
        packed.multiply(tape.team(), windows.data(), y.data_mut(), 1.0);
        y
    }
}

/// Convolution of `x` (T x H) within the sentences `spans`: T x C. Positions beyond a sentence count as zeros.
///
/// By minimal filtering, which saves three multiplications of ten (`filtered_in_pairs`); but for filters of one tap, which are a
/// linear layer, and for weights that are packed, where an output may depend on its own window alone and is one row of a product.
pub fn convolution(tape: &Tape, spans: &Arc<[Range<u32>]>, x: &Var, filters: &Filters) -> Var {
    let (rows, units, window) = (x.value().rows(), filters.units, filters.window);
    assert_eq!(x.value().cols(), units, "inputs of a convolution");
    if filters.packed.is_some() {
        let mut windows = Tensor::scratch([rows, window.width * units]);
        conv::windows(tape.team(), spans, window, units, x.value().data(), windows.data_mut());
        return tape.constant(filters.step(tape, &windows));
    }
    match window.width {
        1 => linear(tape, x, &Weight::whole(&filters.weight), &[&filters.bias]),
        _ => filtered_in_pairs(tape, spans, x, filters),
    }
}

/// Convolution by minimal filtering.
///
/// Two neighbouring outputs of three taps g see four inputs d: `y0 = d0 g0 + d1 g1 + d2 g2`, `y1 = d1 g0 + d2 g1 + d3 g2`. Put
/// `s = (d1 + d2) (g0+g1+g2)/2` and `q = (d2 - d1) (g0-g1+g2)/2`. Their sum is `d1 g1 + d2 (g0+g2)`, which is what y0 wants of d1
/// and d2 but for `d2 g0`; their difference `s - q = d1 (g0+g2) + d2 g1` is what y1 wants but for `d1 g2`. So
/// `y0 = (d0 - d2) g0 + s + q` and `y1 = (d3 - d1) g2 + s - q`: four multiplications for six. With two taps `s = d1 (g0+g1)`,
/// `y0 = (d0 - d1) g0 + s`, `y1 = (d2 - d1) g1 + s`: three for four. (Winograd 1980; Lavin & Gray 2016.) Wider filters are sums of
/// such chunks, and what enters the outputs in one way is one product over all units of all chunks, for all P pairs of the batch:
///
/// ```text
/// M_i = D_i G_i'        P x C from P x n_i H and C x n_i H, i = first, second, both, opposed
/// y0 = M_first + M_both + M_opposed + b        y1 = M_second + M_both - M_opposed + b
/// ```
///
/// D is linear in x and G in the filters, so gradients go back through the same products and the transposed transforms:
/// `dM_first = dy0`, `dM_second = dy1`, `dM_both = dy0 + dy1`, `dM_opposed = dy0 - dy1` (dy1 = 0 where there is no second output);
/// `dD_i = dM_i G_i`, `dG_i = dM_i' D_i`; each token gets what the pairs that saw it got,
///
/// ```text
/// three taps:  dd0 += dD_first   dd1 += dD_both - dD_opposed - dD_second   dd2 += dD_both + dD_opposed - dD_first   dd3 += dD_second
///              dg0 = dG_first + h   dg1 = (dG_both - dG_opposed)/2   dg2 = dG_second + h,   h = (dG_both + dG_opposed)/2
/// two taps:    dd0 += dD_first   dd1 += dD_both - dD_first - dD_second   dd2 += dD_second
///              dg0 = dG_first + dG_both   dg1 = dG_second + dG_both
/// ```
///
/// and `db = column sums of dy`. D and G are made again for backward rather than kept: they are larger
/// than x and the filters, and while their products are made they are in cache.
fn filtered_in_pairs(tape: &Tape, spans: &Arc<[Range<u32>]>, x: &Var, filters: &Filters) -> Var {
    let (units, window, wide) = (filters.units, filters.window, filters.weight.value().rows());
    let (rows, pairs) = (x.value().rows(), minimal::pairs(spans));
    let inputs = Chunks::of(window.width).terms().map(|terms| terms * units);
    let outputs = inputs.map(|inputs| if inputs > 0 { wide } else { 0 });
    let (team, precision) = (tape.team(), tape.precision());
    // What products alone read is stored as they read it, where chunks begin at whole words.
    let stored = if units.is_multiple_of(2) { precision } else { Precision::F32 };
    let transform_inputs = move |team: &Team, spans: &[Range<u32>], x: &Tensor| {
        let mut d = Matrices::scratch(stored, pairs, inputs);
        minimal::inputs(team, stored, spans, window, units, x.data(), d.all_mut());
        d
    };
    let transform_filters = move |team: &Team, weight: &Var| {
        let mut g = Matrices::scratch(stored, wide, inputs);
        minimal::filters(team, stored, window.width, units, weight.value().data(), g.all_mut());
        g
    };

    let d = transform_inputs(team, spans, x.value());
    let g = transform_filters(team, &filters.weight);
    let mut m = Matrices::scratch(Precision::F32, pairs, outputs);
    gemm_all(team, precision, 0.0, m.of(|i| (d.side(i), g.side(i).t())));
    drop((d, g));
    let mut y = Tensor::scratch([rows, wide]);
    minimal::outputs(team, spans, filters.bias.value().data(), m.all(), y.data_mut());
    drop(m);
    let y = tape.result(y, [x.slot(), filters.weight.slot(), filters.bias.slot()]);
    if y.wants_gradient() {
        let (dy, x, weight, bias) = (y.slot(), x.clone(), filters.weight.clone(), filters.bias.clone());
        let spans = Arc::clone(spans);
        tape.record(move |gradients| {
            let Some(dy) = gradients.take(dy) else { return };
            let (team, precision) = (gradients.team(), gradients.precision());
            let mut dm = Matrices::scratch(stored, pairs, outputs);
            minimal::outputs_backward(&team, stored, &spans, wide, dy.data(), dm.all_mut());
            gradients.accumulate(&bias, bias.value().shape(), |team, sum, beta| {
                reduce::column_sums(team, sum.data_mut(), beta, dy.data());
            });
            drop(dy);
            if weight.wants_gradient() {
                let d = transform_inputs(&team, &spans, x.value());
                let mut dg = Matrices::scratch(Precision::F32, wide, inputs);
                gemm_all(&team, precision, 0.0, dg.of(|i| (dm.side(i).t(), d.side(i))));
                drop(d);
                let mut d_weight = Tensor::scratch(weight.value().shape().clone());
                minimal::filters_backward(&team, window.width, units, dg.all(), d_weight.data_mut());
                gradients.add(&weight, d_weight);
            }
            if x.wants_gradient() {
                let g = transform_filters(&team, &weight);
                let mut dd = Matrices::scratch(Precision::F32, pairs, inputs);
                gemm_all(&team, precision, 0.0, dd.of(|i| (dm.side(i), g.side(i))));
                drop(g);
                let mut dx = Tensor::scratch([rows, units]);
                minimal::inputs_backward(&team, &spans, window, units, dd.all(), dx.data_mut());
                gradients.add(&x, dx);
            }
        });
    }
    y
}

/// One matrix for each product of minimal filtering, all of so many rows, one after the other in memory. The last may be empty.
struct Matrices {
    elements: Tensor,
    /// What products they are stored for: what products leave is f32.
    stored: Precision,
    rows: usize,
    cols: [usize; PRODUCTS],
}

impl Matrices {
    /// Of any value.
    fn scratch(stored: Precision, rows: usize, cols: [usize; PRODUCTS]) -> Matrices {
        let width = cols.iter().map(|&cols| stored.stored(cols)).sum::<usize>();
        Matrices { elements: Tensor::scratch([rows * width]), stored, rows, cols }
    }

    /// Elements of each matrix in memory.
    fn lens(&self) -> [usize; PRODUCTS] {
        self.cols.map(|cols| self.rows * self.stored.stored(cols))
    }

    fn all(&self) -> [&[f32]; PRODUCTS] {
        let mut rest = self.elements.data();
        self.lens().map(|len| rest.split_off(..len).expect("room for all of them"))
    }

    fn all_mut(&mut self) -> [&mut [f32]; PRODUCTS] {
        let lens = self.lens();
        let mut rest = self.elements.data_mut();
        lens.map(|len| rest.split_off_mut(..len).expect("room for all of them"))
    }

    fn side(&self, product: usize) -> Side<'_> {
        Side::stored(self.stored, self.all()[product], self.rows, self.cols[product])
    }

    /// Each matrix that is not empty, beside the sides whose product it is to become.
    fn of<'a>(
        &'a mut self,
        sides: impl Fn(usize) -> (Side<'a>, Side<'a>),
    ) -> [Option<(MatMut<'a>, Side<'a>, Side<'a>)>; PRODUCTS] {
        let (rows, cols) = (self.rows, self.cols);
        let mut matrices = self.all_mut();
        std::array::from_fn(|i| {
            let matrix = std::mem::take(&mut matrices[i]);
            if matrix.is_empty() {
                return None;
            }
            let (a, b) = sides(i);
            Some((MatMut::new(matrix, rows, cols[i]), a, b))
        })
    }
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
