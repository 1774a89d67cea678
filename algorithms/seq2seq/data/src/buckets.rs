//! Buckets: pairs of similar length share batches (Sockeye 1.12, `define_parallel_buckets`).

use serde::Serialize;

/// The largest numbers of tokens, on each side, of a pair in this bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Bucket {
    /// Source tokens.
    pub source: usize,
    /// Target tokens, including `<s>`.
    pub target: usize,
}

impl Bucket {
    /// Whether a pair of these lengths (counting neither `<s>` nor `</s>`) fits.
    pub fn holds(&self, source_tokens: usize, target_tokens: usize) -> bool {
        self.source >= source_tokens && self.target > target_tokens
    }
}

/// The buckets up to these maximum lengths, ascending; with `width` steps on the side that is longer by `ratio`
/// (mean target length over source length) and accordingly smaller steps on the other.
///
/// `max_target` includes `<s>`. Lengths below 2 become 2. There are at most `max(max_source, max_target) / step` buckets, so cut
/// huge limits to the corpus's longest sentences first.
pub fn define_buckets(max_source: usize, max_target: usize, width: usize, ratio: f64) -> Vec<Bucket> {
    let width = width.max(1);
    // The conversion to usize rounds down and saturates; an absurd ratio gives steps of 1.
    let (source_step, target_step) = if ratio >= 1.0 {
        (((width as f64 / ratio) as usize).max(1), width)
    } else {
        (width, ((width as f64 * ratio) as usize).max(1))
    };
    let sources = steps(max_source, source_step);
    let targets = steps(max_target, target_step);
    let at = |lengths: &[usize], index: usize| lengths[index.min(lengths.len() - 1)].max(2);
    let mut buckets: Vec<_> = (0..sources.len().max(targets.len()))
        .map(|index| Bucket { source: at(&sources, index), target: at(&targets, index) })
        .collect();
    buckets.sort_unstable();
    buckets.dedup();
    buckets
}

/// The only bucket of `bucketing_enabled=false`.
pub fn single_bucket(max_source: usize, max_target: usize) -> Vec<Bucket> {
    vec![Bucket { source: max_source, target: max_target }]
}

/// The first bucket that holds a pair of these lengths (tokens, counting neither `<s>` nor `</s>`), if there is one.
pub fn assign(buckets: &[Bucket], source_tokens: usize, target_tokens: usize) -> Option<usize> {
    buckets.iter().position(|bucket| bucket.holds(source_tokens, target_tokens))
}

/// `step`, `2 step`, … and finally `max`.
fn steps(max: usize, step: usize) -> Vec<usize> {
    let full = max.saturating_sub(1) / step;
    (1..=full).map(|count| count * step).chain([max]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        (max_source, max_target): (usize, usize),
        width: usize,
        ratio: f64,
        expected: &[(usize, usize)],
    ) {
        let buckets = define_buckets(max_source, max_target, width, ratio);
        let got: Vec<_> = buckets.iter().map(|bucket| (bucket.source, bucket.target)).collect();
        assert_eq!(got, expected, "max ({max_source}, {max_target}), width {width}, ratio {ratio}");
    }

    #[test]
    fn follow_the_reference() {
        let long: Vec<_> =
            (1..=10).map(|i| (8 * i, 10 * i)).chain([(88, 100), (96, 100), (100, 100)]).collect();
        check((100, 100), 10, 1.2, &long);
        check(
            (50, 60),
            10,
            0.85,
            &[(10, 8), (20, 16), (30, 24), (40, 32), (50, 40), (50, 48), (50, 56), (50, 60)],
        );
        check((25, 25), 10, 1.0, &[(10, 10), (20, 20), (25, 25)]);
        check((30, 50), 10, 1.5, &[(6, 10), (12, 20), (18, 30), (24, 40), (30, 50)]);
        let fine: Vec<_> = (2..=20).map(|i| (i, i)).collect();
        check((20, 20), 1, 1.3, &fine);
    }

    #[test]
    fn survive_extreme_settings() {
        check((1, 1), 10, 1.0, &[(2, 2)]);
        check((0, 0), 0, f64::NAN, &[(2, 2)]);
        check((3, 3), 10, 1e300, &[(2, 3), (3, 3)]);
        check((3, 4), 2, 0.0, &[(2, 2), (3, 2), (3, 3), (3, 4)]);
        // Steps of 1 on the source side meet 10, 20, 20, … on the target side.
        let one_by_one: Vec<_> = [(2, 10)].into_iter().chain((2..=20).map(|source| (source, 20))).collect();
        check((20, 20), 10, f64::INFINITY, &one_by_one);
    }

    #[test]
    fn take_the_first_that_fits_with_the_begin_symbol() {
        let buckets = define_buckets(25, 25, 10, 1.0);
        assert_eq!(assign(&buckets, 10, 9), Some(0));
        assert_eq!(assign(&buckets, 10, 10), Some(1));
        assert_eq!(assign(&buckets, 11, 1), Some(1));
        assert_eq!(assign(&buckets, 25, 24), Some(2));
        assert_eq!(assign(&buckets, 25, 25), None);
        assert_eq!(assign(&buckets, 26, 1), None);
        assert_eq!(assign(&single_bucket(25, 25), 1, 1), Some(0));
    }
}
