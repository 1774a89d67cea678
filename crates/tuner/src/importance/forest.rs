//! Regression trees over a space, and the variance of their predictions.

use kokanee_formats::random::SplitMix64;

/// The type of a dimension in trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A coordinate in [0, 1].
    Number,
    /// The index of one of so many categories, all equally likely.
    Category(usize),
}

/// The range of a part of the space along one dimension.
#[derive(Debug, Clone)]
enum Side {
    Interval(f64, f64),
    /// Whether each category is in it.
    Categories(Vec<bool>),
}

/// A part of the space and the mean of the targets in it.
#[derive(Debug, Clone)]
struct Leaf {
    /// \[d\]
    sides: Vec<Side>,
    value: f64,
}

/// The leaves of a tree: they partition the space.
#[derive(Debug)]
pub(super) struct Tree {
    leaves: Vec<Leaf>,
    kinds: Vec<Kind>,
}

/// The rule by which points go to the left branch.
#[derive(Debug, Clone)]
enum Rule {
    Below(f64),
    In(Vec<bool>),
}

/// The minimum number of targets to split.
const LEAST_TO_SPLIT: usize = 4;

/// A separate stream of random numbers.
const FOREST_STREAM: u64 = 0x6661_6e6f;

impl Tree {
    /// Grows a tree from as many points as there are, drawn with replacement, with splits where the squared error falls most. A point has a
    /// coordinate in [0, 1] for a number, and the index of a category.
    pub(super) fn grow(kinds: &[Kind], points: &[Vec<f64>], targets: &[f64], seed: u64, tree: u64) -> Self {
        let mut random = SplitMix64::stream(seed, &[FOREST_STREAM, tree]);
        let drawn: Vec<usize> = (0..points.len()).map(|_| random.place(points.len())).collect();
        let whole = |kind: &Kind| match kind {
            Kind::Number => Side::Interval(0.0, 1.0),
            Kind::Category(count) => Side::Categories(vec![true; *count]),
        };
        let mut open = vec![(drawn, kinds.iter().map(whole).collect::<Vec<Side>>())];
        let mut leaves = Vec::new();
        while let Some((places, sides)) = open.pop() {
            let can_split = places.len() >= LEAST_TO_SPLIT;
            let Some((dimension, rule)) =
                can_split.then(|| best_split(kinds, points, targets, &places)).flatten()
            else {
                let value =
                    places.iter().map(|place| targets[*place]).sum::<f64>() / places.len().max(1) as f64;
                leaves.push(Leaf { sides, value });
                continue;
            };
            let parts: (Vec<usize>, Vec<usize>) =
                places.into_iter().partition(|place| rule.goes_left(points[*place][dimension]));
            let (left, right) = rule.cut(&sides[dimension]);
            let with = |side: Side| {
                let mut sides = sides.clone();
                sides[dimension] = side;
                sides
            };
            open.push((parts.0, with(left)));
            open.push((parts.1, with(right)));
        }
        Self { leaves, kinds: kinds.to_vec() }
    }

    fn mean(&self) -> f64 {
        self.leaves.iter().map(|leaf| leaf.volume(None) * leaf.value).sum()
    }

    /// Variance over the space.
    pub(super) fn variance(&self) -> f64 {
        let mean = self.mean();
        self.leaves.iter().map(|leaf| leaf.volume(None) * (leaf.value - mean).powi(2)).sum()
    }

    /// Variance along one dimension of the mean over all others.
    pub(super) fn variance_of(&self, dimension: usize) -> f64 {
        let mean = self.mean();
        let marginal = |at: f64| -> f64 {
            let leaves = self.leaves.iter().filter(|leaf| leaf.sides[dimension].has(at));
            leaves.map(|leaf| leaf.volume(Some(dimension)) * leaf.value).sum()
        };
        match self.kinds[dimension] {
            Kind::Category(count) => {
                (0..count).map(|place| (marginal(place as f64) - mean).powi(2)).sum::<f64>() / count as f64
            }
            Kind::Number => {
                let start = |leaf: &Leaf| match leaf.sides[dimension] {
                    Side::Interval(low, _) => low,
                    Side::Categories(_) => 0.0,
                };
                let mut ends: Vec<f64> = self.leaves.iter().map(start).chain([1.0]).collect();
                ends.sort_by(f64::total_cmp);
                ends.dedup();
                let part =
                    |ends: &[f64]| (ends[1] - ends[0]) * (marginal(0.5 * (ends[0] + ends[1])) - mean).powi(2);
                ends.windows(2).map(part).sum()
            }
        }
    }
}

impl Leaf {
    /// Its share of the space's volume, along all dimensions but the named one.
    fn volume(&self, without: Option<usize>) -> f64 {
        let sides = self.sides.iter().enumerate().filter(|(j, _)| Some(*j) != without);
        sides.map(|(_, side)| side.width()).product()
    }
}

impl Side {
    fn width(&self) -> f64 {
        match self {
            Self::Interval(low, high) => high - low,
            Self::Categories(has) => has.iter().filter(|has| **has).count() as f64 / has.len() as f64,
        }
    }

    fn has(&self, at: f64) -> bool {
        match self {
            Self::Interval(low, high) => *low <= at && at < *high,
            Self::Categories(has) => has[at as usize],
        }
    }
}

impl Rule {
    fn goes_left(&self, at: f64) -> bool {
        match self {
            Self::Below(end) => at < *end,
            Self::In(left) => left[at as usize],
        }
    }

    fn cut(&self, side: &Side) -> (Side, Side) {
        match (self, side) {
            (Self::Below(end), Side::Interval(low, high)) => {
                (Side::Interval(*low, *end), Side::Interval(*end, *high))
            }
            (Self::In(left), Side::Categories(has)) => {
                let part =
                    |wanted: bool| has.iter().zip(left).map(|(has, left)| *has && *left == wanted).collect();
                (Side::Categories(part(true)), Side::Categories(part(false)))
            }
            // A rule always has the kind of its dimension.
            _ => (side.clone(), side.clone()),
        }
    }
}

/// The dimension and the rule that lower the squared error most. Categories are ordered by their mean target; the best division is always
/// along this order (Fisher 1958).
fn best_split(
    kinds: &[Kind],
    points: &[Vec<f64>],
    targets: &[f64],
    places: &[usize],
) -> Option<(usize, Rule)> {
    let total: f64 = places.iter().map(|place| targets[*place]).sum();
    let n = places.len() as f64;
    let none = total * total / n;
    let mut best: Option<(f64, usize, Rule)> = None;
    for (dimension, kind) in kinds.iter().enumerate() {
        let means = match kind {
            Kind::Number => Vec::new(),
            Kind::Category(count) => category_means(*count, dimension, points, targets, places),
        };
        let key = |place: usize| match kind {
            Kind::Number => points[place][dimension],
            Kind::Category(_) => means[points[place][dimension] as usize],
        };
        let mut sorted: Vec<(f64, f64)> = places.iter().map(|place| (key(*place), targets[*place])).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut sum, mut count) = (0.0, 0.0);
        for pair in sorted.windows(2) {
            sum += pair[0].1;
            count += 1.0;
            if pair[0].0 == pair[1].0 {
                continue;
            }
            let gain = sum * sum / count + (total - sum) * (total - sum) / (n - count) - none;
            if gain > 1e-12 && best.as_ref().is_none_or(|best| gain > best.0) {
                let rule = match kind {
                    Kind::Number => Rule::Below(0.5 * (pair[0].0 + pair[1].0)),
                    Kind::Category(_) => Rule::In(means.iter().map(|mean| *mean <= pair[0].0).collect()),
                };
                best = Some((gain, dimension, rule));
            }
        }
    }
    best.map(|(_, dimension, rule)| (dimension, rule))
}

/// The mean target of each category; for a category without points, the mean of all.
fn category_means(
    count: usize,
    dimension: usize,
    points: &[Vec<f64>],
    targets: &[f64],
    places: &[usize],
) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); count];
    for place in places {
        let (sum, n) = &mut sums[points[*place][dimension] as usize];
        *sum += targets[*place];
        *n += 1.0;
    }
    let all = places.iter().map(|place| targets[*place]).sum::<f64>() / places.len() as f64;
    sums.into_iter().map(|(sum, n)| if n > 0.0 { sum / n } else { all }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Tree {
        fn at(&self, point: &[f64]) -> f64 {
            let covers = |leaf: &&Leaf| leaf.sides.iter().zip(point).all(|(side, x)| side.has(*x));
            let leaves: Vec<&Leaf> = self.leaves.iter().filter(covers).collect();
            assert_eq!(leaves.len(), 1, "{point:?}");
            leaves[0].value
        }
    }

    /// Variances over all dimensions, along the number and along the category, computed on a fine grid.
    fn by_grid(tree: &Tree, steps: usize, categories: usize) -> [f64; 3] {
        let value = |i: usize, j: usize| tree.at(&[(i as f64 + 0.5) / steps as f64, j as f64]);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let variance = |values: &[f64]| {
            let middle = mean(values);
            mean(&values.iter().map(|v| (v - middle).powi(2)).collect::<Vec<f64>>())
        };
        let rows: Vec<Vec<f64>> =
            (0..steps).map(|i| (0..categories).map(|j| value(i, j)).collect()).collect();
        let columns: Vec<f64> =
            (0..categories).map(|j| mean(&rows.iter().map(|row| row[j]).collect::<Vec<f64>>())).collect();
        let along: Vec<f64> = rows.iter().map(|row| mean(row)).collect();
        [variance(&rows.concat()), variance(&along), variance(&columns)]
    }

    #[test]
    fn variances_are_those_of_a_fine_grid() {
        // Coordinates between multiples of 1/32, so that thresholds lie on multiples of 1/64 and the grid has no error.
        let mut random = SplitMix64::from_state(8);
        let points: Vec<Vec<f64>> =
            (0..60).map(|_| vec![(random.below(32) as f64 + 0.5) / 32.0, random.below(5) as f64]).collect();
        let targets: Vec<f64> =
            points.iter().map(|p| (4.0 * p[0]).sin() + (7.0 * p[1]).sin() * p[0]).collect();
        for seed in 0..3 {
            let tree = Tree::grow(&[Kind::Number, Kind::Category(5)], &points, &targets, seed, 0);
            let [total, first, second] = by_grid(&tree, 64, 5);
            assert!(tree.leaves.len() > 10);
            assert!((tree.variance() - total).abs() < 1e-9, "{} {total}", tree.variance());
            assert!((tree.variance_of(0) - first).abs() < 1e-9);
            assert!((tree.variance_of(1) - second).abs() < 1e-9);
        }
    }
}
