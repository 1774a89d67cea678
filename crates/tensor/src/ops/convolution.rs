//! Convolution over sentences, and the activation after it.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::conv::minimal::{self, Filtering, PRODUCTS};
use kokanee_kernels::conv::{self, Activation, Window};
use kokanee_kernels::packed::{Format, PackedMatrix};
use kokanee_kernels::{MatMut, Precision, Side, Team, elementwise, gemm_all, reduce};

use super::{Weight, linear};
use crate::{Tape, Tensor, Var};

/// The filters of a convolution.
pub struct Filters {
    weight: Kept,
    bias: Var,
    window: Window,
    units: usize,
}

/// The form in which filters are kept.
enum Kept {
    /// C x H x width, as on disk.
    AsStored(Var),
    /// Only laid out by [`Filters::lay_out`]: for tapes that do not record.
    Packed(Arc<PackedMatrix>),
}

impl Filters {
    /// `weight` C x H x width (outputs, inputs, positions; cross-correlation, no flip), `bias` C.
    pub fn new(weight: &Var, bias: &Var, window: Window) -> Filters {
        let &[_, units, width] = weight.value().shape().extents() else {
            panic!("filters have three extents, not {}", weight.value().shape())
        };
        assert_eq!(width, window.width, "filters as wide as their window");
        Filters { weight: Kept::AsStored(weight.clone()), bias: bias.clone(), window, units }
    }

    /// Filters laid out by [`Filters::lay_out`], `bias` C.
    pub fn packed(matrix: Arc<PackedMatrix>, bias: &Var, window: Window) -> Filters {
        let units = matrix.inputs() / window.width;
        assert_eq!(matrix.inputs(), window.width * units, "filters as wide as their window");
        Filters { weight: Kept::Packed(matrix), bias: bias.clone(), window, units }
    }

    /// Lays out filters C x H x width as a matrix C x (width H), which multiplies windows of neighbouring rows.
    pub fn lay_out(team: &Team, format: Format, weight: &Tensor) -> PackedMatrix {
        let &[outputs, units, width] = weight.shape().extents() else {
            panic!("filters have three extents, not {}", weight.shape())
        };
        // Decoding needs no other memory of this size.
        let mut laid_out = Tensor::lasting([outputs, width * units]);
        conv::window_filters(team, laid_out.data_mut(), weight.data(), units, width);
        PackedMatrix::pack(team, format, laid_out.mat())
    }

    /// Pre-activations B x C of given windows B x (width H): one step of a decoder, whose weights are packed. Not recorded.
    pub fn step(&self, tape: &Tape, windows: &Tensor) -> Tensor {
        let Kept::Packed(packed) = &self.weight else { panic!("steps are for filters that are packed") };
        multiplied(tape, packed, &self.bias, windows)
    }
}

fn multiplied(tape: &Tape, packed: &PackedMatrix, bias: &Var, windows: &Tensor) -> Tensor {
    let mut y = Tensor::scratch([windows.rows(), packed.outputs()]);
    elementwise::fill_rows(tape.team(), y.data_mut(), &[bias.value().data()]);
    packed.multiply(tape.team(), windows.data(), y.data_mut(), 1.0);
    y
}

/// Computes the convolution of `x` (T x H) within the sentences `spans`: T x C. Positions beyond a sentence count as zeros.
///
/// Uses minimal filtering, which saves four multiplications of ten (`filtered_in_tiles`). The exceptions are filters of one tap,
/// which are a linear layer, and packed weights: there an output may depend on its own window alone and is one row of a product.
pub fn convolution(tape: &Tape, spans: &Arc<[Range<u32>]>, x: &Var, filters: &Filters) -> Var {
    let (rows, units, window) = (x.value().rows(), filters.units, filters.window);
    assert_eq!(x.value().cols(), units, "inputs of a convolution");
    match &filters.weight {
        Kept::Packed(packed) => {
            assert!(!tape.is_recording(), "gradients go through filters as they are stored");
            let mut windows = Tensor::scratch([rows, window.width * units]);
            conv::windows(tape.team(), spans, window, units, x.value().data(), windows.data_mut());
            tape.constant(multiplied(tape, packed, &filters.bias, &windows))
        }
        Kept::AsStored(weight) if window.width == 1 => {
            linear(tape, x, &Weight::whole(weight), &[&filters.bias])
        }
        Kept::AsStored(weight) => filtered_in_tiles(tape, spans, x, weight, filters),
    }
}

/// Computes a convolution by minimal filtering.
///
/// Neighbouring outputs of a sentence are computed together in tiles of up to four. For a tile, three neighbouring taps of a filter
/// are a transposed product of polynomials, which can be computed from values at a few points: with constant matrices B, F and A
/// that have a row for each point, outputs are `y = A' ((F g) (B d))` of the taps g and the inputs d that they see, where m outputs
/// need m + 2 points (Toom 1963, Cook 1966; Winograd 1980; Lavin & Gray 2016; the matrices are in
/// `kokanee_kernels::conv::minimal`). Wider filters are sums of such chunks of taps, so the values at one point are one product
/// over all units of all chunks, for all tiles of the batch that need the point:
///
/// ```text
/// M_i = D_i G_i'     R_i x C from R_i x n_i H and C x n_i H, for each point i
/// ```
///
/// D = B d is linear in x, G = F g in the filters, and y = A' M + b in M, so gradients go back through the same products and the
/// transposed transforms: `dM = A dy`; `dD_i = dM_i G_i`, `dG_i = dM_i' D_i`; each token gets B' dD of the tiles that saw it, each
/// filter F' dG; and `db = column sums of dy`. D is computed again for the backward pass instead of kept: it is larger than x, and
/// while its products are computed it is in cache. G is kept, since computing it takes more time than reading it again.
fn filtered_in_tiles(
    tape: &Tape,
    spans: &Arc<[Range<u32>]>,
    x: &Var,
    weight: &Var,
    filters: &Filters,
) -> Var {
    let (team, precision, width) = (tape.team(), tape.precision(), filters.window.width);
    let (forwards, backwards) = match precision {
        Precision::F32 => (Filtering::fewest(width), Filtering::fewest(width)),
        // Rounding errors in a layer's outputs affect the gates of all layers after it; gradients only add them up.
        Precision::Bf16 => (Filtering::pairs(width), Filtering::fours(width)),
    };
    let [forwards, backwards] = [forwards, backwards].map(|filtering| Transforms {
        filtering,
        window: filters.window,
        units: filters.units,
        outputs: weight.value().rows(),
        // Operands that only products read are stored as products read them, if chunks begin at whole words.
        stored: if filters.units.is_multiple_of(2) { precision } else { Precision::F32 },
    });

    let d = forwards.inputs(team, spans, x.value());
    // The filters of the backward pass are the same, and some more; without a backward pass, the fewer are enough.
    let goes_back = x.wants_gradient();
    let g = if goes_back { backwards } else { forwards }.filters(team, weight);
    let mut m = forwards.for_products(Precision::F32, spans);
    gemm_all(team, precision, 0.0, m.of(|i| (d.side(i), g.side(i).t())));
    drop(d);
    let kept = goes_back.then_some(g);
    let mut y = Tensor::scratch([x.value().rows(), forwards.outputs]);
    minimal::outputs(team, forwards.filtering, spans, filters.bias.value().data(), m.all(), y.data_mut());
    drop(m);
    let y = tape.result(y, [x.slot(), weight.slot(), filters.bias.slot()]);
    if y.wants_gradient() {
        let (dy, x, weight, bias) = (y.slot(), x.clone(), weight.clone(), filters.bias.clone());
        let spans = Arc::clone(spans);
        tape.record(move |gradients| {
            let Some(dy) = gradients.take(dy) else { return };
            let (team, precision) = (gradients.team(), gradients.precision());
            let dm = backwards.outputs_backward(&team, &spans, &dy);
            gradients.accumulate(&bias, bias.value().shape(), |team, sum, beta| {
                reduce::column_sums(team, sum.data_mut(), beta, dy.data());
            });
            drop(dy);
            if weight.wants_gradient() {
                let d = backwards.inputs(&team, &spans, x.value());
                let mut dg = backwards.for_filters(Precision::F32);
                gemm_all(&team, precision, 0.0, dg.of(|i| (dm.side(i).t(), d.side(i))));
                drop(d);
                let mut d_weight = Tensor::scratch(weight.value().shape().clone());
                let (filtering, units) = (backwards.filtering, backwards.units);
                minimal::filters_backward(&team, filtering, units, dg.all(), d_weight.data_mut());
                gradients.add(&weight, d_weight);
            }
            if let Some(g) = kept {
                let mut dd = backwards.for_inputs(Precision::F32, &spans);
                gemm_all(&team, precision, 0.0, dd.of(|i| (dm.side(i), g.side(i))));
                drop(g);
                gradients.accumulate(&x, x.value().shape(), |team, sum, beta| {
                    backwards.inputs_backward(team, &spans, &dd, beta, sum);
                });
            }
        });
    }
    y
}

/// The operands and the result of the products of a convolution, of R_i x n_i H, C x n_i H and R_i x C elements.
#[derive(Clone, Copy)]
struct Transforms {
    filtering: Filtering,
    window: Window,
    units: usize,
    outputs: usize,
    /// The precision in which operands that only products read are stored.
    stored: Precision,
}

impl Transforms {
    fn inputs(self, team: &Team, spans: &[Range<u32>], x: &Tensor) -> Matrices {
        let mut d = self.for_inputs(self.stored, spans);
        let Transforms { filtering, window, units, .. } = self;
        minimal::inputs(team, self.stored, filtering, spans, window, units, x.data(), d.all_mut());
        d
    }

    fn inputs_backward(self, team: &Team, spans: &[Range<u32>], dd: &Matrices, beta: f32, dx: &mut Tensor) {
        let Transforms { filtering, window, units, .. } = self;
        minimal::inputs_backward(team, filtering, spans, window, units, dd.all(), beta, dx.data_mut());
    }

    fn filters(self, team: &Team, weight: &Var) -> Matrices {
        let mut g = self.for_filters(self.stored);
        let weight = weight.value().data();
        minimal::filters(team, self.stored, self.filtering, self.units, weight, g.all_mut());
        g
    }

    fn outputs_backward(self, team: &Team, spans: &[Range<u32>], dy: &Tensor) -> Matrices {
        let mut dm = self.for_products(self.stored, spans);
        let wide = self.outputs;
        minimal::outputs_backward(team, self.stored, self.filtering, spans, wide, dy.data(), dm.all_mut());
        dm
    }

    fn for_inputs(self, stored: Precision, spans: &[Range<u32>]) -> Matrices {
        let terms = self.filtering.terms();
        Matrices::scratch(stored, self.filtering.rows(spans), terms.map(|terms| terms * self.units))
    }

    fn for_filters(self, stored: Precision) -> Matrices {
        let terms = self.filtering.terms();
        Matrices::scratch(stored, [self.outputs; PRODUCTS], terms.map(|terms| terms * self.units))
    }

    fn for_products(self, stored: Precision, spans: &[Range<u32>]) -> Matrices {
        let cols = self.filtering.terms().map(|terms| if terms > 0 { self.outputs } else { 0 });
        Matrices::scratch(stored, self.filtering.rows(spans), cols)
    }
}

/// One matrix for each product of minimal filtering, one after the other in memory. Some may be empty.
struct Matrices {
    elements: Tensor,
    /// The precision of the products that they are stored for. Results of products are stored as f32.
    stored: Precision,
    rows: [usize; PRODUCTS],
    cols: [usize; PRODUCTS],
}

impl Matrices {
    /// Matrices of arbitrary content.
    fn scratch(stored: Precision, rows: [usize; PRODUCTS], cols: [usize; PRODUCTS]) -> Matrices {
        let len: usize = rows.iter().zip(cols).map(|(&rows, cols)| rows * stored.stored(cols)).sum();
        Matrices { elements: Tensor::scratch([len]), stored, rows, cols }
    }

    /// The number of elements of each matrix in memory.
    fn lens(&self) -> [usize; PRODUCTS] {
        std::array::from_fn(|i| self.rows[i] * self.stored.stored(self.cols[i]))
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
        Side::stored(self.stored, self.all()[product], self.rows[product], self.cols[product])
    }

    /// Each matrix that is not empty, with the two sides whose product it is to become.
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
            Some((MatMut::new(matrix, rows[i], cols[i]), a, b))
        })
    }
}

/// Computes the activation: T x H from T x H, or from T x 2H for glu.
///
/// Kept for backward: `x`; the derivative is at `conv::activate_backward`.
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
