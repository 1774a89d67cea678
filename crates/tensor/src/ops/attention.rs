//! Attention of a decoder step over the tokens of the source.

use std::ops::Range;
use std::sync::Arc;

use kokanee_kernels::attention;

use crate::{Tape, Tensor, Var};

/// What attention gives.
pub struct Attended {
    /// B x H: the weighted sum of the encoder's outputs.
    pub context: Var,
    /// The weights of all rows, one after the other; row r has as many as its span is long.
    pub probabilities: Arc<Tensor>,
}

/// Attention with a hidden layer (Bahdanau, Cho, Bengio 2015, without biases): `score(s) = v . tanh(keys_s + query)`,
/// softmax over the row's span, context = weighted sum of `values`.
///
/// `spans[r]` are the rows of `keys` (S x A) and `values` (S x H) that query row r sees; `queries` B x A; `v` 1 x A. When
/// gradients are recorded no two rows may share a span. Backward: see `attention::contexts_backward` and
/// `attention::mlp_backward`; tanh is computed again rather than kept.
pub fn mlp_attention(
    tape: &Tape,
    spans: &Arc<[Range<u32>]>,
    keys: &Var,
    queries: &Var,
    v: &Var,
    values: &Var,
) -> Attended {
    let width = values.value().cols();
    let total: usize = spans.iter().map(|span| span.len()).sum();
    let mut probabilities = Tensor::scratch([total]);
    attention::mlp_probabilities(
        tape.team(),
        spans,
        keys.value().data(),
        queries.value().data(),
        v.value().data(),
        probabilities.data_mut(),
    );
    let mut context = Tensor::scratch([spans.len(), width]);
    attention::contexts(
        tape.team(),
        spans,
        width,
        probabilities.data(),
        values.value().data(),
        context.data_mut(),
    );
    let probabilities = Arc::new(probabilities);
    let context = tape.result(context, [keys.slot(), queries.slot(), v.slot(), values.slot()]);
    if context.wants_gradient() {
        let (d_context, p, spans) = (context.slot(), Arc::clone(&probabilities), Arc::clone(spans));
        let (keys, queries, v, values) = (keys.clone(), queries.clone(), v.clone(), values.clone());
        tape.record(move |gradients| {
            let Some(d_context) = gradients.take(d_context) else { return };
            let mut d_scores = Tensor::scratch([total]);
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
            let mut d_queries = Tensor::scratch(queries.value().shape().clone());
            let mut d_v = Tensor::zeros(v.value().shape().clone());
            with_gradient(gradients, &keys, |team, d_keys| {
                attention::mlp_backward(
                    team,
                    &spans,
                    keys.value().data(),
                    queries.value().data(),
                    v.value().data(),
                    d_scores.data(),
                    d_keys.data_mut(),
                    d_queries.data_mut(),
                    d_v.data_mut(),
                );
            });
            gradients.add(&queries, d_queries);
            gradients.add(&v, d_v);
        });
    }
    Attended { context, probabilities }
}

/// Lets `add` add to the gradient of `of`, or to one that is thrown away where nobody wants it.
fn with_gradient(
    gradients: &mut crate::Gradients,
    of: &Var,
    add: impl FnOnce(&kokanee_kernels::Team, &mut Tensor),
) {
    if of.wants_gradient() {
        gradients.accumulate_part(of, of.value().shape(), add);
    } else {
        add(&gradients.team(), &mut Tensor::zeros(of.value().shape().clone()));
    }
}
