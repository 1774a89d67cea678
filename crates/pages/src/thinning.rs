//! Long series, reduced to what a screen can show.

/// Keeps at most `2 * most` of any number of points, evenly spread over their order, including the first and the last. Points come one by
/// one, and memory stays bounded.
#[derive(Clone, Debug)]
pub struct Thinned<T> {
    kept: Vec<(u64, T)>,
    last: Option<(u64, T)>,
    seen: u64,
    /// One of so many points is kept.
    stride: u64,
    most: usize,
}

impl<T: Clone> Thinned<T> {
    /// An empty series. `most` is at least 1.
    pub fn new(most: usize) -> Self {
        Self { kept: Vec::new(), last: None, seen: 0, stride: 1, most: most.max(1) }
    }

    /// Adds the next point.
    pub fn push(&mut self, point: T) {
        let index = self.seen;
        self.seen += 1;
        if !index.is_multiple_of(self.stride) {
            self.last = Some((index, point));
            return;
        }
        self.last = None;
        self.kept.push((index, point));
        if self.kept.len() >= 2 * self.most {
            self.stride *= 2;
            self.last = self.kept.last().cloned();
            let stride = self.stride;
            self.kept.retain(|(index, _)| index.is_multiple_of(stride));
            self.last.take_if(|(index, _)| index.is_multiple_of(stride));
        }
    }

    /// The number of points added.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The points with their positions among all, counted from 0.
    pub fn points(mut self) -> Vec<(u64, T)> {
        self.kept.extend(self.last);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_points_becomes_a_few_with_both_ends() {
        for count in [0u64, 1, 2, 19, 20, 21, 39, 40, 41, 1000, 4097] {
            let mut thinned = Thinned::new(10);
            (0..count).for_each(|point| thinned.push(point * 3));
            assert_eq!(thinned.seen(), count);
            let points = thinned.points();
            assert!(points.len() <= 21, "{count}: {}", points.len());
            assert!(points.is_sorted_by(|a, b| a.0 < b.0), "{count}: {points:?}");
            assert!(points.iter().all(|(index, point)| *point == index * 3));
            assert_eq!(points.first().map(|point| point.0), (count > 0).then_some(0));
            assert_eq!(points.last().map(|point| point.0), count.checked_sub(1), "{points:?}");
            assert!(points.len() >= usize::try_from(count).unwrap().min(10), "{count}: {}", points.len());
        }
    }
}
