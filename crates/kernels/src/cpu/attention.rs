//! Attention of query rows over the positions of their sentences.
//!
//! Shapes: R query rows, S source tokens of all sentences one after the other, A attention units, H encoder width. Row r
//! looks at the `spans[r]` rows of the S-row matrices; padding does not exist here.

use std::cell::Cell;
use std::ops::Range;

use super::reduce::{dot, dot_lanes, sum_lanes};
use super::softmax::softmax_row;
use super::threads::{SharedMut, Team};
use super::{LANES, math};

/// Returns where each row's probabilities stand in a flat array: `offsets[r]..offsets[r + 1]`.
pub fn offsets(spans: &[Range<u32>]) -> Vec<usize> {
    let mut sum = 0;
    let mut offsets = Vec::with_capacity(spans.len() + 1);
    offsets.push(0);
    for span in spans {
        sum += span.len();
        offsets.push(sum);
    }
    offsets
}

fn rows(span: &Range<u32>) -> Range<usize> {
    span.start as usize..span.end as usize
}

/// Computes scores of the mlp attention (Bahdanau), `score(s) = v . tanh(keys_s + query)`, then the softmax over each row's span.
///
/// `keys` S x A, `queries` R x A, `v` A; `probabilities` flat, see [`offsets`].
pub fn mlp_probabilities(
    team: &Team,
    spans: &[Range<u32>],
    keys: &[f32],
    queries: &[f32],
    v: &[f32],
    probabilities: &mut [f32],
) {
    score_and_softmax(team, spans, v.len(), keys, queries, probabilities, |key, query| {
        mlp_score(key, query, v)
    });
}

/// `probabilities` = softmax over each row's span of `score(keys_s, query)`.
fn score_and_softmax(
    team: &Team,
    spans: &[Range<u32>],
    units: usize,
    keys: &[f32],
    queries: &[f32],
    probabilities: &mut [f32],
    score: impl Fn(&[f32], &[f32]) -> f32 + Sync,
) {
    let offsets = offsets(spans);
    assert!(queries.len() == spans.len() * units && probabilities.len() == offsets[spans.len()]);
    let shared = SharedMut::new(probabilities);
    let before = |row: usize| offsets[row];
    team.split_by_weight(spans.len(), before, |range| {
        for row in range {
            // SAFETY: `split` gives each thread its own rows, whose probabilities do not overlap.
            let p = unsafe { shared.slice(offsets[row]..offsets[row + 1]) };
            let query = &queries[row * units..(row + 1) * units];
            for (p, s) in p.iter_mut().zip(rows(&spans[row])) {
                *p = score(&keys[s * units..(s + 1) * units], query);
            }
            softmax_row(p);
        }
    });
}

multiversion! {
    fn mlp_score(key: &[f32], query: &[f32], v: &[f32]) -> f32 {
        let mut sums = [0f32; LANES];
        let (keys, key_rest) = key.as_chunks::<LANES>();
        let (queries, query_rest) = query.as_chunks::<LANES>();
        let (vs, v_rest) = v.as_chunks::<LANES>();
        for ((k, q), v) in keys.iter().zip(queries).zip(vs) {
            for lane in 0..LANES {
                sums[lane] += v[lane] * math::tanh::<FMA>(k[lane] + q[lane]);
            }
        }
        let mut sum = sum_lanes(sums);
        for ((k, q), v) in key_rest.iter().zip(query_rest).zip(v_rest) {
            sum += v * math::tanh::<FMA>(k + q);
        }
        sum
    }
}

/// Propagates gradients through the scores of [`mlp_probabilities`].
///
/// With u = tanh(keys_s + query) and ds the gradient of the score: `dv += ds u`, and `ds v (1 - u^2)` is added to the gradients of
/// `keys_s` and of the query. `d_scores` is flat like the probabilities. `d_keys` S x A is added to, which requires that rows that
/// share a span stand together. `d_queries` R x A is overwritten. `d_v` A is added to.
pub fn mlp_backward(
    team: &Team,
    spans: &[Range<u32>],
    keys: &[f32],
    queries: &[f32],
    v: &[f32],
    d_scores: &[f32],
    d_keys: &mut [f32],
    d_queries: &mut [f32],
    d_v: &mut [f32],
) {
    let units = v.len();
    let offsets = offsets(spans);
    assert!(queries.len() == spans.len() * units && d_queries.len() == queries.len());
    assert!(d_scores.len() == offsets[spans.len()] && d_v.len() == units && d_keys.len() == keys.len());
    let groups = groups(spans);
    // One partial sum of dv per row makes the order of additions independent of the number of threads.
    let mut d_v_rows = D_V_ROWS.take();
    d_v_rows.clear();
    d_v_rows.resize(spans.len() * units, 0.0);
    let (d_keys, d_queries, d_v_shared) =
        (SharedMut::new(d_keys), SharedMut::new(d_queries), SharedMut::new(&mut d_v_rows));
    team.split_by_weight(groups.len(), before(&groups, &offsets), |range| {
        for row in groups[range].iter().cloned().flatten() {
            let span = row * units..(row + 1) * units;
            // SAFETY: `split` gives each thread its own rows.
            let (d_query, d_v) = unsafe { (d_queries.slice(span.clone()), d_v_shared.slice(span.clone())) };
            let positions = rows(&spans[row]);
            let keyed = positions.start * units..positions.end * units;
            // SAFETY: the spans of different groups are disjoint, so these rows of the keys belong to this thread.
            let d_keys = unsafe { d_keys.slice(keyed.clone()) };
            let d_scores = &d_scores[offsets[row]..offsets[row + 1]];
            mlp_backward_row(&keys[keyed], &queries[span], v, d_scores, d_keys, d_query, d_v);
        }
    });
    super::reduce::column_sums(team, d_v, 1.0, &d_v_rows);
    D_V_ROWS.set(d_v_rows);
}

thread_local! {
    /// Buffer of [`mlp_backward`], kept between the steps of a decoder: fresh pages cost more than the sums.
    static D_V_ROWS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

multiversion! {
    /// Handles one query and its positions; `d_keys` and `d_v` are added to, `d_query` is overwritten.
    fn mlp_backward_row(
        keys: &[f32], query: &[f32], v: &[f32], d_scores: &[f32],
        d_keys: &mut [f32], d_query: &mut [f32], d_v: &mut [f32],
    ) {
        /// Handles some units of all positions: what belongs to the query stays in registers.
        #[inline(always)]
        fn block<const FMA: bool, const N: usize>(
            first: usize, keys: &[f32], query: &[f32], v: &[f32], d_scores: &[f32],
            d_keys: &mut [f32], d_query: &mut [f32], d_v: &mut [f32],
        ) {
            let units = query.len();
            let some = |x: &[f32]| -> [f32; N] { x[first..].first_chunk().copied().expect("units as said") };
            let (query, v, mut dv, mut dq) = (some(query), some(v), some(d_v), [0f32; N]);
            let positions = keys.chunks_exact(units).zip(d_keys.chunks_exact_mut(units));
            for (&ds, (key, d_key)) in d_scores.iter().zip(positions) {
                let key: &[f32; N] = key[first..].first_chunk().expect("units as said");
                let d_key: &mut [f32; N] = d_key[first..].first_chunk_mut().expect("units as said");
                let mut u = [0f32; N];
                for n in 0..N { u[n] = math::tanh::<FMA>(key[n] + query[n]); }
                for n in 0..N { dv[n] += ds * u[n]; }
                for n in 0..N { u[n] = ds * v[n] * (1.0 - u[n] * u[n]); }
                for n in 0..N { d_key[n] += u[n]; }
                for n in 0..N { dq[n] += u[n]; }
            }
            d_query[first..first + N].copy_from_slice(&dq);
            d_v[first..first + N].copy_from_slice(&dv);
        }
        let units = query.len();
        let whole = units - units % LANES;
        for first in (0..whole).step_by(LANES) {
            block::<FMA, LANES>(first, keys, query, v, d_scores, d_keys, d_query, d_v);
        }
        for first in whole..units {
            block::<FMA, 1>(first, keys, query, v, d_scores, d_keys, d_query, d_v);
        }
    }
}

/// Computes the context of each row: the sum of its positions' `values` (S x H), weighted by the probabilities. `contexts` R x H.
pub fn contexts(
    team: &Team,
    spans: &[Range<u32>],
    width: usize,
    probabilities: &[f32],
    values: &[f32],
    contexts: &mut [f32],
) {
    let offsets = offsets(spans);
    assert!(probabilities.len() == offsets[spans.len()] && contexts.len() == spans.len() * width);
    let shared = SharedMut::new(contexts);
    let before = |row: usize| offsets[row];
    team.split_by_weight(spans.len(), before, |range| {
        for row in range {
            // SAFETY: `split` gives each thread its own rows.
            let context = unsafe { shared.slice(row * width..(row + 1) * width) };
            context.fill(0.0);
            for (&p, s) in probabilities[offsets[row]..offsets[row + 1]].iter().zip(rows(&spans[row])) {
                axpy(context, p, &values[s * width..(s + 1) * width]);
            }
        }
    });
}

multiversion! {
    fn axpy(y: &mut [f32], a: f32, x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += a * x);
    }
}

/// Propagates gradients through [`contexts`] and the softmax before it.
///
/// `dp_s = d_context . values_s`; `d_values_s += p_s d_context`; `d_scores_s = p_s (dp_s - sum_t p_t dp_t)`. `d_values` (S x H) is
/// added to, which requires that rows that share a span stand together. `d_scores` is overwritten.
pub fn contexts_backward(
    team: &Team,
    spans: &[Range<u32>],
    width: usize,
    probabilities: &[f32],
    values: &[f32],
    d_contexts: &[f32],
    d_values: &mut [f32],
    d_scores: &mut [f32],
) {
    let offsets = offsets(spans);
    assert!(probabilities.len() == offsets[spans.len()] && d_scores.len() == probabilities.len());
    assert!(d_contexts.len() == spans.len() * width && d_values.len() == values.len());
    let groups = groups(spans);
    let (d_values, d_scores) = (SharedMut::new(d_values), SharedMut::new(d_scores));
    team.split_by_weight(groups.len(), before(&groups, &offsets), |range| {
        for row in groups[range].iter().cloned().flatten() {
            let flat = offsets[row]..offsets[row + 1];
            // SAFETY: `split` gives each thread its own rows, and the spans of different groups are disjoint.
            let d_scores = unsafe { d_scores.slice(flat.clone()) };
            let d_context = &d_contexts[row * width..(row + 1) * width];
            let p = &probabilities[flat];
            for ((d_score, &p), s) in d_scores.iter_mut().zip(p).zip(rows(&spans[row])) {
                let position = s * width..(s + 1) * width;
                // SAFETY: as above.
                let d_value = unsafe { d_values.slice(position.clone()) };
                *d_score = position_backward(&values[position], d_context, p, d_value);
            }
            let mean: f32 = p.iter().zip(&*d_scores).map(|(p, dp)| p * dp).sum();
            d_scores.iter_mut().zip(p).for_each(|(d, p)| *d = p * (*d - mean));
        }
    });
}

multiversion! {
    fn position_backward(value: &[f32], d_context: &[f32], p: f32, d_value: &mut [f32]) -> f32 {
        d_value.iter_mut().zip(d_context).for_each(|(d, dc)| *d += p * dc);
        dot_lanes(value, d_context)
    }
}

/// Returns the number of positions of all rows before a group.
fn before<'a>(groups: &'a [Range<usize>], offsets: &'a [usize]) -> impl Fn(usize) -> usize {
    |group| offsets[groups.get(group).map_or(offsets.len() - 1, |group| group.start)]
}

/// Returns the rows that share a span, as ranges. Each range is the unit of work of a thread that adds to gradients of the span.
fn groups(spans: &[Range<u32>]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for row in 0..spans.len() {
        match groups.last_mut() {
            Some(group) if spans[group.start] == spans[row] => group.end = row + 1,
            _ => groups.push(row..row + 1),
        }
    }
    let mut taken: Vec<_> =
        groups.iter().map(|group| &spans[group.start]).filter(|s| !s.is_empty()).collect();
    taken.sort_unstable_by_key(|span| span.start);
    let disjoint = taken.windows(2).all(|w| w[0].end <= w[1].start);
    assert!(disjoint, "rows that share a span do not stand together: gradients would race");
    groups
}

/// Computes scores of the dot attention, `score(s) = keys_s . query`, then the softmax over each row's span.
///
/// `keys` S x A, `queries` R x A; `probabilities` flat, see [`offsets`].
pub fn dot_probabilities(
    team: &Team,
    spans: &[Range<u32>],
    units: usize,
    keys: &[f32],
    queries: &[f32],
    probabilities: &mut [f32],
) {
    score_and_softmax(team, spans, units, keys, queries, probabilities, dot);
}

/// Propagates gradients through the scores of [`dot_probabilities`]: `d_keys_s += ds query`, `d_query = sum of ds keys_s`. `d_keys`
/// S x A is added to, which requires that rows that share a span stand together. `d_queries` R x A is overwritten.
pub fn dot_backward(
    team: &Team,
    spans: &[Range<u32>],
    units: usize,
    keys: &[f32],
    queries: &[f32],
    d_scores: &[f32],
    d_keys: &mut [f32],
    d_queries: &mut [f32],
) {
    let offsets = offsets(spans);
    assert!(queries.len() == spans.len() * units && d_queries.len() == queries.len());
    assert!(d_scores.len() == offsets[spans.len()] && d_keys.len() == keys.len());
    let groups = groups(spans);
    let (d_keys, d_queries) = (SharedMut::new(d_keys), SharedMut::new(d_queries));
    team.split_by_weight(groups.len(), before(&groups, &offsets), |range| {
        for row in groups[range].iter().cloned().flatten() {
            let span = row * units..(row + 1) * units;
            // SAFETY: `split` gives each thread its own rows.
            let d_query = unsafe { d_queries.slice(span.clone()) };
            d_query.fill(0.0);
            for (&ds, s) in d_scores[offsets[row]..offsets[row + 1]].iter().zip(rows(&spans[row])) {
                let key = s * units..(s + 1) * units;
                axpy(d_query, ds, &keys[key.clone()]);
                // SAFETY: the spans of different groups are disjoint, so this row of the keys belongs to this thread.
                axpy(unsafe { d_keys.slice(key) }, ds, &queries[span.clone()]);
            }
        }
    });
}

/// Computes the mean of the `values` (S x H) of each span; `means` R x H.
pub fn means(team: &Team, spans: &[Range<u32>], width: usize, values: &[f32], means: &mut [f32]) {
    assert_eq!(means.len(), spans.len() * width, "one mean a span");
    let shared = SharedMut::new(means);
    team.split(spans.len(), 1, |range| {
        for row in range {
            // SAFETY: `split` gives each thread its own rows.
            let mean = unsafe { shared.slice(row * width..(row + 1) * width) };
            mean.fill(0.0);
            let weight = 1.0 / spans[row].len().max(1) as f32;
            for s in rows(&spans[row]) {
                axpy(mean, weight, &values[s * width..(s + 1) * width]);
            }
        }
    });
}

/// Propagates gradients through [`means`]: every value of a span gets its share. `d_values` S x H is added to; no two spans may
/// overlap.
pub fn means_backward(spans: &[Range<u32>], width: usize, d_means: &[f32], d_values: &mut [f32]) {
    for (span, d_mean) in spans.iter().zip(d_means.chunks_exact(width.max(1))) {
        let weight = 1.0 / span.len().max(1) as f32;
        for s in rows(span) {
            axpy(&mut d_values[s * width..(s + 1) * width], weight, d_mean);
        }
    }
}
