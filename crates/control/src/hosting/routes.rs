//! The routes by which requests reach instances.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::instance::{Instance, Lease};

/// The instances of all endpoints in service.
#[derive(Debug)]
pub struct Routes {
    by_name: RwLock<HashMap<(String, String), Route>>,
    /// The generator of the choices between variants.
    choices: AtomicU64,
}

/// The variants of an endpoint.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Its name, as it was given.
    pub endpoint: String,
    /// The variants.
    pub variants: Vec<RouteVariant>,
}

/// The instances of a variant.
#[derive(Clone, Debug)]
pub struct RouteVariant {
    /// The variant.
    pub name: String,
    /// Its share of the traffic, relative to the weights of the others.
    pub weight: f64,
    /// Its instances, ready or not.
    pub instances: Vec<Arc<Instance>>,
}

/// The chosen destination of a request.
#[derive(Debug)]
pub struct Chosen {
    /// The endpoint's name, as it was given.
    pub endpoint: String,
    /// The variant.
    pub variant: String,
    /// The number of the variant's instances that answer.
    pub active: usize,
    /// The instance.
    pub lease: Lease,
}

/// The reason why no instance was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotChosen {
    /// There is no such endpoint in service.
    NoEndpoint,
    /// The endpoint has no such variant.
    NoVariant,
    /// No instance answers at the moment.
    NoneReady,
}

impl Default for Routes {
    fn default() -> Self {
        Self::seeded(RandomState::new().hash_one("routes"))
    }
}

impl Routes {
    /// Routes whose choices depend on this seed.
    pub fn seeded(seed: u64) -> Self {
        Self { by_name: RwLock::default(), choices: AtomicU64::new(seed) }
    }

    /// Sets the route of requests to an endpoint. When this returns, no new request takes an instance that is not in `route`.
    pub fn set(&self, region: &str, route: Route) {
        let key = key(region, &route.endpoint);
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).insert(key, route);
    }

    /// Removes an endpoint, so that requests to it are refused.
    pub fn remove(&self, region: &str, endpoint: &str) {
        self.by_name.write().unwrap_or_else(PoisonError::into_inner).remove(&key(region, endpoint));
    }

    /// The number of requests in flight to the instances of a variant.
    pub(crate) fn in_flight(&self, region: &str, endpoint: &str, variant: &str) -> usize {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let route = by_name.get(&key(region, endpoint));
        let variants =
            route.into_iter().flat_map(|route| &route.variants).filter(|known| known.name == variant);
        variants.flat_map(|known| &known.instances).map(|instance| instance.in_flight()).sum()
    }

    /// Chooses an instance: the variant by weight among those that answer, unless `target` names one, and in it the instance with the
    /// fewest requests in flight.
    ///
    /// # Errors
    /// If no instance can be chosen.
    pub fn choose(&self, region: &str, endpoint: &str, target: Option<&str>) -> Result<Chosen, NotChosen> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let route = by_name.get(&key(region, endpoint)).ok_or(NotChosen::NoEndpoint)?;
        let variant = match target {
            Some(target) => {
                let named = route.variants.iter().find(|variant| variant.name == target);
                named.ok_or(NotChosen::NoVariant)?
            }
            None => {
                let ready: Vec<&RouteVariant> =
                    route.variants.iter().filter(|variant| variant.active() > 0).collect();
                let weights: Vec<f64> = ready.iter().map(|variant| variant.weight).collect();
                let index = weighted(&weights, self.point()).ok_or(NotChosen::NoneReady)?;
                ready[index]
            }
        };
        let mut instances: Vec<&Arc<Instance>> = variant.instances.iter().collect();
        // Equally busy instances take turns.
        let count = instances.len();
        instances.rotate_left(((self.point() * count as f64) as usize).min(count));
        instances.sort_by_key(|instance| instance.in_flight());
        // This must happen under the lock: whoever replaces the route then knows all requests in flight in the old one.
        let lease = instances.into_iter().find_map(Instance::lease).ok_or(NotChosen::NoneReady)?;
        Ok(Chosen {
            endpoint: route.endpoint.clone(),
            variant: variant.name.clone(),
            active: variant.active().max(1),
            lease,
        })
    }

    /// The next number from 0 to 1, exclusive of 1 (SplitMix64).
    fn point(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.choices.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl RouteVariant {
    fn active(&self) -> usize {
        self.instances.iter().filter(|instance| instance.is_ready()).count()
    }
}

/// The index of the weight that contains `point`, from 0 to 1, if the weights are laid end to end. If all are 0, they count equally.
fn weighted(weights: &[f64], point: f64) -> Option<usize> {
    let sum: f64 = weights.iter().sum();
    if sum <= 0.0 {
        let index = (point * weights.len() as f64) as usize;
        return (index < weights.len()).then_some(index);
    }
    let mut left = point * sum;
    for (index, weight) in weights.iter().enumerate() {
        if left < *weight {
            return Some(index);
        }
        left -= weight;
    }
    // Only rounding leads here.
    weights.iter().rposition(|weight| *weight > 0.0)
}

/// The key of an endpoint. Names are unique without regard to case.
fn key(region: &str, endpoint: &str) -> (String, String) {
    (region.to_owned(), endpoint.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(weights: &[f64], point: f64, want: Option<usize>) {
        assert_eq!(weighted(weights, point), want, "{weights:?} {point}");
    }

    #[test]
    fn weights_divide_the_traffic() {
        check(&[], 0.5, None);
        check(&[1.0], 0.999, Some(0));
        check(&[1.0, 3.0], 0.24, Some(0));
        check(&[1.0, 3.0], 0.26, Some(1));
        check(&[0.0, 2.0], 0.0, Some(1));
        check(&[2.0, 0.0], 1.0 - f64::EPSILON / 2.0, Some(0));
        check(&[0.0, 0.0], 0.4, Some(0));
        check(&[0.0, 0.0], 0.6, Some(1));
    }

    #[test]
    fn choices_follow_the_weights() {
        let routes = Routes::seeded(7);
        let chosen = (0..10_000).filter(|_| weighted(&[1.0, 3.0], routes.point()) == Some(0)).count();
        assert!((2300..2700).contains(&chosen), "{chosen}");
    }

    #[test]
    fn what_is_not_there_is_told() {
        let routes = Routes::seeded(7);
        let choose = |endpoint, target| routes.choose("r", endpoint, target).map(|chosen| chosen.variant);
        assert_eq!(choose("e", None), Err(NotChosen::NoEndpoint));
        let variant = RouteVariant { name: "v".into(), weight: 1.0, instances: Vec::new() };
        routes.set("r", Route { endpoint: "E".into(), variants: vec![variant] });
        assert_eq!(choose("e", None), Err(NotChosen::NoneReady));
        assert_eq!(choose("e", Some("w")), Err(NotChosen::NoVariant));
        assert_eq!(choose("e", Some("v")), Err(NotChosen::NoneReady));
        routes.remove("r", "e");
        assert_eq!(choose("e", None), Err(NotChosen::NoEndpoint));
    }
}
