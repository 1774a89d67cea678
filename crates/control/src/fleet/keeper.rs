//! Keeps the running instances of an endpoint in line with those that it should have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::folder::InstanceFolder;
use super::life::{self, Life, Order, Post};
use super::{Fleet, LOOK, blocking};
use crate::hosting::{
    Deployment, Endpoint, EndpointId, EndpointStatus, Instance, Phase, Route, RouteVariant, Variant,
    log_group,
};
use crate::metrics;

/// How long the requests of an instance that is no longer needed may take to finish.
const DRAIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// The instances of one endpoint.
pub(super) struct Keeper {
    fleet: Arc<Fleet>,
    id: EndpointId,
    held: BTreeMap<Place, Held>,
    /// Instances that are being stopped. Their folders stay in use until they have ended.
    retiring: BTreeMap<Place, JoinHandle<()>>,
    /// Notified when the phase of an instance changes.
    changed: Arc<Notify>,
}

/// The place of an instance in an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    generation: i64,
    variant: String,
    number: u32,
}

/// A running instance.
struct Held {
    instance: Arc<Instance>,
    orders: watch::Sender<Order>,
    task: JoinHandle<()>,
}

/// The action after a pass.
enum Next {
    /// Another pass, because something has changed.
    Again,
    /// A wait until a change is notified.
    Wait,
    /// The endpoint is gone.
    Gone,
}

impl Keeper {
    pub(super) fn new(fleet: Arc<Fleet>, id: EndpointId) -> Self {
        let changed = Arc::new(Notify::new());
        Self { fleet, id, held: BTreeMap::new(), retiring: BTreeMap::new(), changed }
    }

    /// Keeps the instances until the endpoint is gone, or until `stop` counts 1. No instance runs when this returns.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<u32>) {
        let mut changes = self.fleet.control.endpoints.changes();
        self.sweep().await;
        loop {
            changes.mark_unchanged();
            match self.pass().await {
                Next::Gone => return,
                Next::Again if *stop.borrow() == 0 => continue,
                Next::Again | Next::Wait => {}
            }
            tokio::select! {
                () = self.changed.notified() => {}
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.wait_for(|&count| count > 0) => break,
            }
        }
        let held = std::mem::take(&mut self.held);
        for held in held.values() {
            held.orders.send_replace(Order::Stop);
        }
        for held in held.into_values() {
            let _ = held.task.await;
        }
        self.retired().await;
    }

    async fn endpoint(&self) -> Option<Option<Endpoint>> {
        let (endpoints, id) = (self.fleet.control.endpoints.clone(), self.id);
        blocking(move || endpoints.get(id)).await
    }

    /// Ends what an earlier server left behind and is no longer needed.
    async fn sweep(&self) {
        let Some(Some(endpoint)) = self.endpoint().await else { return };
        let wanted: BTreeSet<PathBuf> = wanted(&endpoint)
            .into_iter()
            .map(|(place, ..)| self.folder(&endpoint, &place).path().to_owned())
            .collect();
        let root = self.root(&endpoint);
        let found = tokio::task::spawn_blocking(move || InstanceFolder::all(&root)).await;
        for folder in found.unwrap_or_default() {
            if !wanted.contains(folder.path()) {
                life::end(&self.fleet, &folder).await;
                life::clear(&self.fleet, &folder).await;
            }
        }
    }

    /// Compares once, and acts on the differences.
    async fn pass(&mut self) -> Next {
        self.retiring.retain(|_, task| !task.is_finished());
        let endpoint = match self.endpoint().await {
            Some(Some(endpoint)) => endpoint,
            Some(None) => return Next::Gone,
            None => return Next::Wait,
        };
        if matches!(endpoint.state.status, EndpointStatus::Deleting | EndpointStatus::Failed) {
            self.fleet.routes.remove(&endpoint.region, &endpoint.name);
        }
        if endpoint.state.status == EndpointStatus::Deleting {
            return self.delete(&endpoint).await;
        }
        let wanted = wanted(&endpoint);
        for (place, variant, is_proven) in &wanted {
            if !self.held.contains_key(place) && !self.retiring.contains_key(place) {
                self.start(&endpoint, place.clone(), variant, *is_proven);
            }
        }
        if let Some(serving) = &endpoint.state.serving {
            self.fleet.routes.set(&endpoint.region, self.route(&endpoint, serving, false));
        }
        // This comes last: no request reaches these instances any more.
        let places: BTreeSet<&Place> = wanted.iter().map(|(place, ..)| place).collect();
        let unwanted: Vec<Place> =
            self.held.keys().filter(|place| !places.contains(place)).cloned().collect();
        for place in unwanted {
            self.retire(&place);
        }
        self.note(&endpoint).await
    }

    /// Records the progress of a deployment or of a change of weights and instances.
    async fn note(&self, endpoint: &Endpoint) -> Next {
        let (endpoints, id, state) = (self.fleet.control.endpoints.clone(), self.id, &endpoint.state);
        if let Some(pending) = &state.pending {
            if state.status == EndpointStatus::Failed {
                return Next::Wait;
            }
            let generation = pending.generation;
            if let Some(reason) = self.failure(pending) {
                return seen(blocking(move || endpoints.deployment_failed(id, generation, &reason)).await);
            }
            if self.is_complete(pending) {
                // A client that reads that it is in service must get its answers.
                self.fleet.routes.set(&endpoint.region, self.route(endpoint, pending, true));
                return seen(blocking(move || endpoints.deployed(id, generation)).await);
            }
        }
        let Some(serving) = &state.serving else { return Next::Wait };
        if state.status == EndpointStatus::Updating && state.pending.is_none() {
            if let Some(reason) = self.failure(serving) {
                return seen(blocking(move || endpoints.settling_failed(id, &reason)).await);
            }
            if self.is_complete(serving) {
                self.fleet.routes.set(&endpoint.region, self.route(endpoint, serving, true));
                return seen(blocking(move || endpoints.settled(id)).await);
            }
        }
        let counts: Vec<(String, u32)> = serving
            .variants
            .iter()
            .map(|variant| (variant.name.clone(), self.ready(serving.generation, &variant.name)))
            .collect();
        let is_news =
            serving.variants.iter().zip(&counts).any(|(variant, (_, count))| variant.instances != *count);
        if is_news {
            let generation = serving.generation;
            blocking(move || endpoints.counted(id, generation, &counts)).await;
        }
        Next::Wait
    }

    /// Stops all instances, and deletes the endpoint.
    async fn delete(&mut self, endpoint: &Endpoint) -> Next {
        let held = std::mem::take(&mut self.held);
        for held in held.values() {
            held.orders.send_replace(Order::Retire);
        }
        for held in held.into_values() {
            let _ = held.task.await;
        }
        self.retired().await;
        let (endpoints, id) = (self.fleet.control.endpoints.clone(), self.id);
        tracing::info!(endpoint = endpoint.name, "deleted");
        match blocking(move || endpoints.forget(id)).await {
            Some(()) => Next::Gone,
            None => Next::Wait,
        }
    }

    fn start(&mut self, endpoint: &Endpoint, place: Place, variant: &Variant, is_proven: bool) {
        let instance = Instance::new(instance_id(&endpoint.arn, &place), Arc::clone(&self.changed));
        let life = Life {
            fleet: Arc::clone(&self.fleet),
            post: post(endpoint, variant, &instance.id),
            instance: Arc::clone(&instance),
            folder: self.folder(endpoint, &place),
            is_proven,
        };
        let (orders, told) = watch::channel(Order::Run);
        let task = tokio::spawn(life.run(told));
        self.held.insert(place, Held { instance, orders, task });
    }

    /// Stops an instance as soon as its requests have been answered.
    fn retire(&mut self, place: &Place) {
        let Some(Held { instance, orders, task }) = self.held.remove(place) else { return };
        let changed = Arc::clone(&self.changed);
        let retiring = tokio::spawn(async move {
            let begun = Instant::now();
            while instance.in_flight() > 0 && begun.elapsed() < DRAIN {
                tokio::time::sleep(POLL).await;
            }
            orders.send_replace(Order::Retire);
            let _ = task.await;
            changed.notify_one();
        });
        self.retiring.insert(place.clone(), retiring);
    }

    /// Waits for all instances that are being stopped.
    async fn retired(&mut self) {
        for task in std::mem::take(&mut self.retiring).into_values() {
            let _ = task.await;
        }
    }

    /// The route of a deployment, with the weights of the variants: the desired ones if it has settled, otherwise the present ones.
    fn route(&self, endpoint: &Endpoint, serving: &Deployment, has_settled: bool) -> Route {
        let variants = serving.variants.iter().map(|variant| RouteVariant {
            name: variant.name.clone(),
            weight: if has_settled { variant.desired_weight } else { variant.weight },
            instances: self
                .of(serving.generation, &variant.name)
                .filter(|(place, _)| place.number < variant.desired_instances)
                .map(|(_, held)| Arc::clone(&held.instance))
                .collect(),
        });
        Route { endpoint: endpoint.name.clone(), variants: variants.collect() }
    }

    /// The reason why an instance of a deployment will never answer.
    fn failure(&self, deployment: &Deployment) -> Option<String> {
        deployment.variants.iter().find_map(|variant| {
            self.of(deployment.generation, &variant.name).find_map(|(_, held)| match held.instance.phase() {
                Phase::Failed(reason) => Some(reason),
                Phase::Starting | Phase::Ready(_) => None,
            })
        })
    }

    /// Whether all instances of a deployment answer.
    fn is_complete(&self, deployment: &Deployment) -> bool {
        deployment
            .variants
            .iter()
            .all(|variant| self.ready(deployment.generation, &variant.name) >= variant.desired_instances)
    }

    fn ready(&self, generation: i64, variant: &str) -> u32 {
        let ready = self.of(generation, variant).filter(|(_, held)| held.instance.is_ready()).count();
        u32::try_from(ready).unwrap_or(u32::MAX)
    }

    fn of(&self, generation: i64, variant: &str) -> impl Iterator<Item = (&Place, &Held)> {
        self.held.iter().filter(move |(place, _)| place.generation == generation && place.variant == variant)
    }

    fn root(&self, endpoint: &Endpoint) -> PathBuf {
        InstanceFolder::of_endpoint(&self.fleet.folder, &endpoint.region, &endpoint.name)
    }

    fn folder(&self, endpoint: &Endpoint, place: &Place) -> InstanceFolder {
        InstanceFolder::new(&self.root(endpoint), place.generation, &place.variant, place.number)
    }
}

/// The assignment of an instance of a variant.
fn post(endpoint: &Endpoint, variant: &Variant, instance_id: &str) -> Post {
    let dimensions = vec![("EndpointName", endpoint.name.clone()), ("VariantName", variant.name.clone())];
    Post {
        region: endpoint.region.clone(),
        arn: endpoint.arn.clone(),
        name: endpoint.name.clone(),
        container: variant.container.clone(),
        startup_seconds: variant.startup_seconds,
        log: (log_group(&endpoint.name), format!("{}/{instance_id}", variant.name)),
        metrics: (metrics::ENDPOINTS, dimensions),
        complaint: format!(
            "The primary container for production variant {} did not pass the ping health check. Please check CloudWatch logs for this \
             endpoint.",
            variant.name
        ),
    }
}

/// The action after a change was recorded, or could not be.
fn seen(written: Option<()>) -> Next {
    written.map_or(Next::Wait, |()| Next::Again)
}

/// The instances that an endpoint should have, and whether each has ever answered.
fn wanted(endpoint: &Endpoint) -> Vec<(Place, &Variant, bool)> {
    let state = &endpoint.state;
    if matches!(state.status, EndpointStatus::Deleting | EndpointStatus::Failed) {
        return Vec::new();
    }
    let deployments = [&state.serving, &state.pending].into_iter().flatten();
    let variants = deployments
        .flat_map(|deployment| deployment.variants.iter().map(|variant| (deployment.generation, variant)));
    variants
        .flat_map(|(generation, variant)| {
            (0..variant.desired_instances).map(move |number| {
                let place = Place { generation, variant: variant.name.clone(), number };
                (place, variant, number < variant.proven_instances)
            })
        })
        .collect()
}

/// The id of an instance, which is the same for every server that runs it.
fn instance_id(arn: &str, place: &Place) -> String {
    let digest = Sha256::digest(format!("{arn}/{}/{}-{}", place.generation, place.variant, place.number));
    let mut id = "i-0".to_owned();
    for byte in &digest[..8] {
        let _ = write!(id, "{byte:02x}");
    }
    id
}
