//! Attention of a decoder step over the tokens of the source.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::attention;

use crate::{Gradients, Slot, Tape, Tensor, Var};

/// The result of attention.
pub struct Attended {
    /// B x H: the weighted sum of the encoder's outputs.
    pub context: Var,
    /// The weights of all rows, one after the other; row r has one per position of its span.
    pub probabilities: Arc<Tensor>,
}

/// Attention with a hidden layer (Bahdanau, Cho, Bengio 2015, without biases): `score(s) = v . tanh(keys_s + query)`,
/// softmax over the row's span, context = weighted sum of `values`.
///
/// `spans[r]` are the rows of `keys` (S x A) and `values` (S x H) that query row r sees; `queries` B x A; `v` 1 x A. When gradients
/// are recorded, rows that share a span stand together. Backward: see `attention::contexts_backward` and `attention::mlp_backward`;
/// tanh is computed again instead of kept.
pub fn mlp_attention(
    tape: &Tape,
    spans: &Arc<[Range<u32>]>,
    keys: &Var,
    queries: &Var,
    v: &Var,
    values: &Var,
) -> Attended {
    let mut probabilities = Tensor::scratch([total(spans)]);
    attention::mlp_probabilities(
        tape.team(),
        spans,
        keys.value().data(),
        queries.value().data(),
        v.value().data(),
        probabilities.data_mut(),
    );
    let (k, q, score) = (keys.clone(), queries.clone(), v.clone());
    let row_spans = Arc::clone(spans);
    let inputs = [keys.slot(), queries.slot(), v.slot()];
    attended(tape, spans, probabilities, values, inputs, move |gradients, d_scores| {
        let mut d_queries = Tensor::scratch(q.value().shape().clone());
        let mut d_v = Tensor::zeros(score.value().shape().clone());
        with_gradient(gradients, &k, |team, d_keys| {
            attention::mlp_backward(
                team,
                &row_spans,
                k.value().data(),
                q.value().data(),
                score.value().data(),
                d_scores.data(),
                d_keys.data_mut(),
                d_queries.data_mut(),
                d_v.data_mut(),
            );
        });
        gradients.add(&q, d_queries);
        gradients.add(&score, d_v);
    })
}

/// Attention by inner products (Luong, Pham, Manning 2015), unscaled: `score(s) = keys_s . query`, softmax over the row's span,
/// context = weighted sum of `values`.
///
/// Shapes and conditions as for [`mlp_attention`]. Backward: see `attention::contexts_backward` and `attention::dot_backward`.
pub fn dot_attention(
    tape: &Tape,
    spans: &Arc<[Range<u32>]>,
    keys: &Var,
    queries: &Var,
    values: &Var,
) -> Attended {
    let units = keys.value().cols();
    let mut probabilities = Tensor::scratch([total(spans)]);
    attention::dot_probabilities(
        tape.team(),
        spans,
        units,
        keys.value().data(),
        queries.value().data(),
        probabilities.data_mut(),
    );
    let (k, q) = (keys.clone(), queries.clone());
    let row_spans = Arc::clone(spans);
    let inputs = [keys.slot(), queries.slot()];
    attended(tape, spans, probabilities, values, inputs, move |gradients, d_scores| {
        let mut d_queries = Tensor::scratch(q.value().shape().clone());
        with_gradient(gradients, &k, |team, d_keys| {
            attention::dot_backward(
                team,
                &row_spans,
                units,
                k.value().data(),
                q.value().data(),
                d_scores.data(),
                d_keys.data_mut(),
                d_queries.data_mut(),
            );
        });
        gradients.add(&q, d_queries);
    })
}

fn total(spans: &[Range<u32>]) -> usize {
    spans.iter().map(|span| span.len()).sum()
}

/// Computes the contexts of `probabilities`, and records how gradients flow back through them: to the values here, and through the
/// scores by `scores_backward`, which gets the gradient of the scores.
fn attended(
    tape: &Tape,
    spans: &Arc<[Range<u32>]>,
    probabilities: Tensor,
    values: &Var,
    score_inputs: impl IntoIterator<Item = Slot>,
    scores_backward: impl FnOnce(&mut Gradients, &Tensor) + 'static,
) -> Attended {
    let width = values.value().cols();
    let mut context = Tensor::scratch([spans.len(), width]);
    let (p, v) = (probabilities.data(), values.value().data());
    attention::contexts(tape.team(), spans, width, p, v, context.data_mut());
    let probabilities = Arc::new(probabilities);
    let context = tape.result(context, score_inputs.into_iter().chain([values.slot()]));
    if context.wants_gradient() {
        let (d_context, p, spans) = (context.slot(), Arc::clone(&probabilities), Arc::clone(spans));
        let values = values.clone();
        tape.record(move |gradients| {
            let Some(d_context) = gradients.take(d_context) else { return };
            let mut d_scores = Tensor::scratch(p.shape().clone());
            with_gradient(gradients, &values, |team, d_values| {
                attention::contexts_backward(
                    team,
                    &spans,
                    width,
                    p.data(),
                    values.value().data(),
                    d_context.data(),
                    d_values.data_mut(),
                    d_scores.data_mut(),
                );
            });
            scores_backward(gradients, &d_scores);
        });
    }
    Attended { context, probabilities }
}

/// Calls `add` with the gradient of `of` to add to, or with one that is thrown away if no gradient is wanted.
fn with_gradient(gradients: &mut Gradients, of: &Var, add: impl FnOnce(&kokanee_kernels::Team, &mut Tensor)) {
    if of.wants_gradient() {
        gradients.accumulate_part(of, of.value().shape(), add);
    } else {
        add(&gradients.team(), &mut Tensor::zeros(of.value().shape().clone()));
    }
}
