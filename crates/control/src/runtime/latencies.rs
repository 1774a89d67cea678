//! Response times of models, as histograms since the server's start.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Upper edges of the classes in microseconds, from 0.1 ms to 50 s; slower responses have a separate class.
const EDGES: [u64; 18] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000,
];
/// Maximum endpoints with histograms; responses of further ones are not recorded.
const MOST_ENDPOINTS: usize = 1000;

type Classes = [u64; EDGES.len() + 1];

/// The histograms of all endpoints, by region and name.
#[derive(Debug, Default)]
pub(super) struct Latencies(Mutex<BTreeMap<(String, String), Classes>>);

impl Latencies {
    pub(super) fn add(&self, region: &str, endpoint: &str, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = EDGES.partition_point(|edge| *edge < micros);
        let key = (region.to_owned(), endpoint.to_owned());
        let mut all = self.all();
        if all.len() < MOST_ENDPOINTS || all.contains_key(&key) {
            all.entry(key).or_default()[class] += 1;
        }
    }

    /// The classes of an endpoint from fast to slow: the upper edge (none for the slowest class) and the number of responses.
    pub(super) fn of(&self, region: &str, endpoint: &str) -> Vec<(Option<Duration>, u64)> {
        let all = self.all();
        let Some(classes) = all.get(&(region.to_owned(), endpoint.to_owned())) else { return Vec::new() };
        let first = classes.iter().position(|count| *count > 0).unwrap_or(0);
        let last = classes.iter().rposition(|count| *count > 0).unwrap_or(0);
        (first..=last)
            .map(|class| (EDGES.get(class).map(|micros| Duration::from_micros(*micros)), classes[class]))
            .collect()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<(String, String), Classes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_put_into_classes_of_their_endpoint() {
        let latencies = Latencies::default();
        for micros in [150, 200, 201, 1_500, 90_000_000] {
            latencies.add("r", "e", Duration::from_micros(micros));
        }
        latencies.add("r", "other", Duration::from_micros(1));
        let found = latencies.of("r", "e");
        assert_eq!(found[0], (Some(Duration::from_micros(200)), 2), "edges belong to the class below");
        assert_eq!(found[1].1, 1);
        assert_eq!(found.last(), Some(&(None, 1)));
        assert_eq!(found.iter().map(|(_, count)| count).sum::<u64>(), 5);
        assert!(latencies.of("s", "e").is_empty());
    }
}
