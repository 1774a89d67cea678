use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use super::*;
use crate::engine::{EngineError, Exit, Signal, Task, TaskState, Usage};
use crate::hosting::{Deployment, Endpoint, EndpointStatus, Lease, NewEndpoint, Record, Retained, Wish};
use crate::logs::StreamsQuery;
use crate::s3;
use crate::store::Store;

const REGION: &str = "us-east-1";
const ARN: &str = "arn:aws:sagemaker:us-east-1:0:endpoint/ep";

/// An engine whose programs are threads of the test. Each answers `/ping`, and answers everything else with its model.
#[derive(Debug, Default)]
struct Threads {
    tasks: Mutex<HashMap<PathBuf, Arc<Program>>>,
    /// Whether programs end at once.
    is_broken: AtomicBool,
    starts: AtomicUsize,
}

#[derive(Debug)]
struct Program {
    has_ended: AtomicBool,
    /// The number of looks after which it ends by itself.
    looks: AtomicUsize,
}

impl Program {
    fn new(looks: usize) -> Arc<Self> {
        Arc::new(Self { has_ended: AtomicBool::new(false), looks: AtomicUsize::new(looks) })
    }

    fn is_looked_at(&self) {
        if self.looks.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.end();
        }
    }

    fn end(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
    }

    fn serve(&self, listener: &TcpListener, model: &str) {
        listener.set_nonblocking(true).unwrap();
        while !self.has_ended.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((connection, _)) => answer(connection, model),
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

fn answer(mut connection: TcpStream, model: &str) {
    connection.set_nonblocking(false).unwrap();
    let mut head = [0; 4096];
    let _ = connection.read(&mut head);
    let _ = write!(
        connection,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{model}",
        model.len()
    );
}

impl Engine for Threads {
    fn start(&self, folder: &Path, task: &Task) -> Result<(), EngineError> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        let program = Program::new(usize::MAX);
        self.tasks.lock().unwrap().insert(folder.to_owned(), Arc::clone(&program));
        if self.is_broken.load(Ordering::SeqCst) {
            std::fs::write(folder.join("log"), "17\tthe model is odd\n").unwrap();
            program.end();
            return Ok(());
        }
        let ready = task.arguments.last().unwrap();
        let prefix = task.arguments.iter().skip_while(|argument| *argument != "--prefix").nth(1).unwrap();
        let model = std::fs::read_to_string(Path::new(prefix).join("model/m.txt")).unwrap_or_default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::fs::write(ready, json!({ "address": address }).to_string()).unwrap();
        std::thread::spawn(move || program.serve(&listener, &model));
        Ok(())
    }

    fn look(&self, folder: &Path) -> Result<TaskState, EngineError> {
        let tasks = self.tasks.lock().unwrap();
        let program = tasks.get(folder);
        program.inspect(|program| program.is_looked_at());
        Ok(match program {
            None => TaskState::NotStarted,
            Some(program) if program.has_ended.load(Ordering::SeqCst) => TaskState::Ended(Exit {
                started_ms: 1,
                ended_ms: 2,
                code: Some(1),
                signal: None,
                not_started: None,
            }),
            Some(_) => TaskState::Running { started_ms: 1 },
        })
    }

    fn signal(&self, folder: &Path, _: Signal) -> Result<(), EngineError> {
        if let Some(program) = self.tasks.lock().unwrap().get(folder) {
            program.end();
        }
        Ok(())
    }

    fn forget(&self, _: &Path) -> Result<(), EngineError> {
        Ok(())
    }

    fn usage(&self, _: &Path) -> Option<Usage> {
        None
    }
}

struct Place {
    folder: tempfile::TempDir,
    fleet: Arc<Fleet>,
    engine: Arc<Threads>,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(s3::Store::open(&folder.path().join("s3")).unwrap());
    objects.create_bucket("bucket", REGION).unwrap();
    for model in ["one", "two"] {
        let file = folder.path().join(model);
        std::fs::write(&file, model).unwrap();
        objects.put_file("bucket", &format!("{model}/m.txt"), &file, s3::Description::default()).unwrap();
    }
    let engine = Arc::new(Threads::default());
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let known: Arc<s3::Store> = Arc::clone(&objects);
    let fleet = Fleet {
        control: Arc::new(Control::new(store, known, "000000000000".to_owned())),
        routes: Arc::default(),
        objects: objects as _,
        folder: folder.path().to_owned(),
        engine: Arc::clone(&engine) as Arc<dyn Engine>,
        program: "kokanee".into(),
    };
    Place { folder, fleet: Arc::new(fleet), engine }
}

/// A configuration of the variant `v` of a model.
fn deployment(config: &str, model: &str, count: u32, generation: i64) -> Deployment {
    let variant = json!({"VariantName": "v", "ModelName": model, "InitialInstanceCount": count});
    let request = json!({"ProductionVariants": [variant]}).as_object().unwrap().clone();
    let config = Record { name: config.into(), arn: config.into(), request, created_ms: 1 };
    Deployment::new::<HostingError>(&config, generation, |name| {
        let uri = format!("s3://bucket/{name}/");
        let source = json!({"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"});
        let image = "174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:1";
        let container = json!({"Image": image, "ModelDataSource": {"S3DataSource": source}});
        let request = json!({ "PrimaryContainer": container }).as_object().unwrap().clone();
        Ok(Record { name: name.into(), arn: name.into(), request, created_ms: 1 })
    })
    .unwrap()
}

impl Place {
    fn create(&self, model: &str, count: u32) {
        let new = NewEndpoint {
            region: REGION.into(),
            name: "Ep".into(),
            arn: ARN.into(),
            deployment: deployment("a", model, count, 1),
            deployment_config: None,
            tags: Vec::new(),
        };
        self.fleet.control.endpoints.create(new).unwrap();
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.fleet.control.endpoints.named(REGION, "ep").unwrap()
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}: {:#?}", self.endpoint());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn in_service(&self) {
        self.until("in service", || {
            self.endpoint().is_some_and(|endpoint| endpoint.state.status == EndpointStatus::InService)
        })
        .await;
    }

    fn ready(&self) -> u32 {
        let serving = self.endpoint().and_then(|endpoint| endpoint.state.serving);
        serving.map_or(0, |serving| serving.variants[0].instances)
    }

    fn lease(&self) -> Option<Lease> {
        Some(self.fleet.routes.choose(REGION, "ep", None).ok()?.lease)
    }

    /// Returns the answer of an instance.
    async fn ask(&self) -> String {
        use http_body_util::BodyExt as _;
        loop {
            let Some(lease) = self.lease() else {
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            };
            let request = axum::http::Request::new(http_body_util::Full::default());
            if let Ok(answer) = lease.send(request).await {
                let body = answer.into_body().collect().await.unwrap().to_bytes();
                return String::from_utf8(body.to_vec()).unwrap();
            }
        }
    }

    /// The number of instance folders that hold more than a log.
    fn folders(&self) -> usize {
        let root = folder::InstanceFolder::of_endpoint(self.folder.path(), REGION, "Ep");
        let folders = folder::InstanceFolder::all(&root);
        folders.iter().filter(|folder| folder.prefix().exists()).count()
    }

    fn running(&self) -> usize {
        let tasks = self.engine.tasks.lock().unwrap();
        tasks.values().filter(|program| !program.has_ended.load(Ordering::SeqCst)).count()
    }

    /// Runs a fleet during `work`.
    async fn during(&self, work: impl Future<Output = ()>) {
        let (stop, stopping) = watch::channel(0);
        let running = tokio::spawn(Arc::clone(&self.fleet).run(stopping));
        work.await;
        stop.send_replace(1);
        running.await.unwrap();
        assert_eq!(self.running(), 0, "instances end with the server");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_comes_and_goes() {
    let place = place();
    place.create("one", 2);
    place
        .during(async {
            place.in_service().await;
            assert_eq!((place.running(), place.ready()), (2, 2));
            assert_eq!(place.ask().await, "one");
            let (a, b) = (place.lease().unwrap(), place.lease().unwrap());
            assert_ne!(a.instance().id, b.instance().id, "the one with fewer requests is chosen");
            drop((a, b));
            place.fleet.control.endpoints.delete(ARN).unwrap();
            place.until("gone", || place.endpoint().is_none()).await;
            assert_eq!(place.running(), 0);
            assert!(place.lease().is_none());
            // Only the streams of its instances remain.
            assert!(!place.folder.path().join("endpoints/us-east-1/Ep").exists());
            let query = StreamsQuery {
                region: REGION.into(),
                group: "/aws/sagemaker/Endpoints/Ep".into(),
                limit: 10,
                ..StreamsQuery::default()
            };
            let (streams, _) = place.fleet.control.logs.streams(&query).unwrap();
            assert_eq!(streams.len(), 2);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_ends_is_started_again() {
    let place = place();
    place.create("one", 2);
    place
        .during(async {
            place.in_service().await;
            let killed = place.engine.tasks.lock().unwrap().values().next().cloned().unwrap();
            killed.end();
            for _ in 0..20 {
                assert_eq!(place.ask().await, "one");
            }
            place.until("started again", || place.running() == 2 && place.ready() == 2).await;
            assert_eq!(place.engine.starts.load(Ordering::SeqCst), 3);
            assert_eq!(place.endpoint().unwrap().state.status, EndpointStatus::InService);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_waits_for_requests_at_work() {
    let place = place();
    place.create("one", 1);
    place
        .during(async {
            place.in_service().await;
            let at_work = place.lease().unwrap();
            let new = deployment("b", "two", 1, 2);
            place.fleet.control.endpoints.update(ARN, new, Retained::default(), None).unwrap();
            place.in_service().await;
            assert_eq!(place.ask().await, "two");
            // The old instance stays as long as it is needed.
            let request = axum::http::Request::new(http_body_util::Full::default());
            at_work.send(request).await.unwrap();
            assert_eq!(place.running(), 2);
            drop(at_work);
            place.until("the old one ends", || place.running() == 1 && place.folders() == 1).await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_come_and_go_with_their_number() {
    let place = place();
    place.create("one", 1);
    let wish = |instances| Wish { variant: "v".into(), weight: None, instances: Some(instances) };
    place
        .during(async {
            place.in_service().await;
            for count in [3, 1, 2] {
                place.fleet.control.endpoints.reweigh(ARN, &[wish(count)]).unwrap();
                place.in_service().await;
                place
                    .until("all there", || place.running() == count as usize && place.ready() == count)
                    .await;
            }
            // Further instances that do not start leave the present ones alone.
            place.engine.is_broken.store(true, Ordering::SeqCst);
            place.fleet.control.endpoints.reweigh(ARN, &[wish(4)]).unwrap();
            place.in_service().await;
            place.until("back", || place.running() == 2 && place.folders() == 2).await;
            let state = place.endpoint().unwrap().state;
            assert!(state.failure_reason.unwrap().contains("the model is odd"));
            assert_eq!(state.serving.unwrap().variants[0].desired_instances, 2);
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_fails_with_a_reason() {
    let place = place();
    place.engine.is_broken.store(true, Ordering::SeqCst);
    place.create("one", 1);
    place
        .during(async {
            let failed = || place.endpoint().unwrap().state.status == EndpointStatus::Failed;
            place.until("failed", failed).await;
            let reason = place.endpoint().unwrap().state.failure_reason.unwrap();
            assert_eq!(
                reason,
                "The primary container for production variant v did not pass the ping health check. Please check CloudWatch logs for \
                 this endpoint. It ended with exit code 1: the model is odd"
            );
            place.fleet.control.endpoints.delete(ARN).unwrap();
            place.until("gone", || place.endpoint().is_none()).await;
            place.engine.is_broken.store(false, Ordering::SeqCst);
            place.create("none", 1);
            place.in_service().await;
            assert_eq!(place.ask().await, "", "a model of no files");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_server_finds_instances_and_starts_those_that_are_missing() {
    let place = place();
    place.create("one", 2);
    place.during(place.in_service()).await;
    let begun = place.engine.starts.load(Ordering::SeqCst);
    assert_eq!(begun, 2);
    // The instances stop with the server, and the next one starts them.
    place
        .during(async {
            place.until("both answer", || place.running() == 2 && place.ready() == 2).await;
            assert_eq!(place.engine.starts.load(Ordering::SeqCst), 4);
        })
        .await;
    // A killed server left one instance that runs, and one that nobody needs.
    let root = folder::InstanceFolder::of_endpoint(place.folder.path(), REGION, "Ep");
    for (generation, number) in [(1, 0), (7, 0)] {
        let folder = folder::InstanceFolder::new(&root, generation, "v", number);
        std::fs::create_dir_all(folder.path()).unwrap();
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let arguments = vec!["--prefix".to_owned(), text(folder.prefix()), text(folder.ready_file())];
        let task = Task { program: "x".into(), arguments, environment: Default::default(), directory: None };
        place.engine.start(folder.path(), &task).unwrap();
    }
    assert_eq!(place.running(), 2);
    place
        .during(async {
            let starts = || place.engine.starts.load(Ordering::SeqCst);
            place.until("both answer", || starts() > 6 && place.running() == 2 && place.ready() == 2).await;
            assert_eq!(starts(), 7, "one was found");
            assert_eq!(place.ask().await, "one");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_an_earlier_server_told_to_stop_does_not_fail_its_endpoint() {
    let place = place();
    place.create("one", 1);
    let root = folder::InstanceFolder::of_endpoint(place.folder.path(), REGION, "Ep");
    let folder = folder::InstanceFolder::new(&root, 1, "v", 0);
    std::fs::create_dir_all(folder.path()).unwrap();
    // It no longer answers, but still runs when this server finds it, and ends at the second look.
    place.engine.tasks.lock().unwrap().insert(folder.path().to_owned(), Program::new(1));
    place
        .during(async {
            place.in_service().await;
            assert_eq!(place.ask().await, "one");
            assert_eq!(place.engine.starts.load(Ordering::SeqCst), 1);
        })
        .await;
}
