//! Tests that everything that `kokanee local` acknowledged still exists after it is killed at any moment.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::local::{LONGEST_WAIT, Local};
use crate::local_resources::{fill_bucket, has_ended, host, kmeans_job};
use crate::workplace::Workplace;

/// Number of kills for which CI has time; `cargo xtask soak kills` sets more.
const KILLS: usize = 200;
const KILLS_VARIABLE: &str = "KOKANEE_KILLS";
/// The longest life of a server.
const LONGEST_LIFE_MS: u64 = 200;
/// The largest number of trainings that have not ended.
const MOST_OPEN_JOBS: usize = 4;

/// A record of what servers acknowledged, and of what was only requested.
#[derive(Default)]
struct Book {
    /// Length of each object by the number in its key.
    objects: BTreeMap<usize, usize>,
    /// Version of the object that is written repeatedly, and one that may have been written since.
    version: usize,
    version_asked: usize,
    jobs: Vec<String>,
    /// Jobs that have ended, with their outcomes.
    ended: BTreeMap<String, Value>,
    stopped: Vec<String>,
    next_object: usize,
    next_job: usize,
    transforms: usize,
    invocations: usize,
}

#[test]
fn kills_lose_nothing() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |count| count.parse().expect("a number"));
    let work = Workplace::new();
    let server = Local::start(&work);
    fill_bucket(&server);
    let book = Mutex::new(Book::default());
    create_jobs(&server, &book).expect("answers");
    let first = lock(&book).jobs[0].clone();
    host(&server, &first);
    server.kill();
    let instance = instance(&work);
    let mut random = 1_u64;
    for _ in 0..kills {
        let server = Local::start(&work);
        std::fs::remove_file(work.path("data/server.json")).expect("is there");
        let is_over = AtomicBool::new(false);
        // Knuth's generator: the same moments each time, as far as the machine allows.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::scope(|scope| {
            for client in [write_objects, write_versions, create_jobs, watch_jobs, invoke] {
                let (server, book, is_over) = (&server, &book, &is_over);
                scope.spawn(
                    move || while !is_over.load(Ordering::SeqCst) && client(server, book).is_some() {},
                );
            }
            std::thread::sleep(Duration::from_millis((random >> 33) % LONGEST_LIFE_MS));
            let id = server.child.id().to_string();
            assert!(Command::new("kill").args(["-KILL", &id]).status().expect("kill is there").success());
            is_over.store(true, Ordering::SeqCst);
        });
        server.kill();
    }
    let book = book.into_inner().expect("no client failed");
    let server = Local::start(&work);
    check_objects(&server, &book);
    check_jobs(&server, &work, &book);
    check_transforms(&server, &book);
    assert_eq!(instance, self::instance(&work), "the endpoint has had one instance all the time");
    assert_eq!(server.interrupt(), Some(0));
    let folder = work.path("data");
    let left =
        Command::new("pgrep").args(["-f", &folder.display().to_string()]).output().expect("pgrep is there");
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "processes are left");
    let work_done = [book.objects.len(), book.version, book.jobs.len(), book.invocations];
    // Few, and fewer if the machine is busy with other things.
    let rare = [book.stopped.len(), book.transforms];
    let is_enough = work_done.iter().all(|&count| count > kills / 50) && rare.iter().all(|&count| count > 0);
    assert!(is_enough, "too little was running: {work_done:?}, {rare:?}");
}

/// The known data of the process of the endpoint's instance.
fn instance(work: &Workplace) -> String {
    let generations = work.path("data/endpoints/us-east-1/ep");
    let generation = std::fs::read_dir(generations).expect("a folder").next().expect("one").expect("is read");
    std::fs::read_to_string(generation.path().join("A-0/task.lock")).expect("the instance's file")
}

/// The content of an object.
fn content(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + number * 7) as u8).collect()
}

fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().expect("no client failed")
}

/// Writes a new object; none if the server is gone.
fn write_objects(server: &Local, book: &Mutex<Book>) -> Option<()> {
    let number = {
        let mut book = lock(book);
        book.next_object += 1;
        book.next_object
    };
    let length = number * number * 97 % 200_000;
    let head = format!("PUT /bucket/objects/{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
    let (status, _) = server.ask(&head, &content(number, length))?;
    assert_eq!(status, 200);
    lock(book).objects.insert(number, length);
    Some(())
}

/// Writes the next version of an object.
fn write_versions(server: &Local, book: &Mutex<Book>) -> Option<()> {
    let version = lock(book).version_asked + 1;
    lock(book).version_asked = version;
    let body = format!("{version} ").repeat(5000);
    let (status, _) = server.ask("PUT /bucket/version HTTP/1.1\r\nHost: 127.0.0.1\r\n", body.as_bytes())?;
    assert_eq!(status, 200);
    lock(book).version = version;
    Some(())
}

/// Creates a job, sometimes a long one, and stops a few.
fn create_jobs(server: &Local, book: &Mutex<Book>) -> Option<()> {
    let (number, is_full) = {
        let mut book = lock(book);
        let is_full = book.jobs.len() - book.ended.len() >= MOST_OPEN_JOBS;
        book.next_job += usize::from(!is_full);
        (book.next_job, is_full)
    };
    if is_full {
        std::thread::sleep(Duration::from_millis(5));
        return Some(());
    }
    let name = format!("job-{number}");
    let epochs = if number % 3 == 0 { 3000 } else { 1 };
    let input = kmeans_job(&name, epochs);
    let (status, answer) = server.operation("CreateTrainingJob", &input)?;
    assert_eq!(status, 200, "{answer}");
    lock(book).jobs.push(name.clone());
    if number % 4 == 1 && number > 1 {
        let asked = lock(book).transforms + 1;
        let (status, answer) = server.operation("CreateTransformJob", &transform(asked))?;
        // The response to the last try may have been lost with its server.
        assert!(status == 200 || answer["__type"] == "ResourceInUse", "{answer}");
        lock(book).transforms = asked;
    }
    if number % 5 == 0 {
        let (status, _) = server.operation("StopTrainingJob", &json!({"TrainingJobName": name}))?;
        if status == 200 {
            lock(book).stopped.push(name);
        }
    }
    Some(())
}

fn transform(number: usize) -> Value {
    json!({
        "TransformJobName": format!("transform-{number}"),
        "ModelName": "m",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": format!("s3://bucket/answers/{number}"), "Accept": "application/jsonlines",
            "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    })
}

/// Invokes the endpoint, which a server that has just begun may not have found yet.
fn invoke(server: &Local, book: &Mutex<Book>) -> Option<()> {
    let head = "POST /endpoints/ep/invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n";
    let (status, answer) = server.ask(head, b"1,2\n")?;
    let answer = String::from_utf8_lossy(&answer);
    assert!(status == 200 && answer.contains("closest_cluster"), "{answer}");
    lock(book).invocations += 1;
    Some(())
}

/// Checks a job that has not ended as far as is known; then one that has.
fn watch_jobs(server: &Local, book: &Mutex<Book>) -> Option<()> {
    let name = {
        let book = lock(book);
        let open = book.jobs.iter().find(|name| !book.ended.contains_key(*name));
        open.or(book.jobs.last()).cloned()
    };
    let Some(name) = name else {
        std::thread::sleep(Duration::from_millis(5));
        return Some(());
    };
    let (status, job) = server.operation("DescribeTrainingJob", &json!({"TrainingJobName": name}))?;
    assert_eq!(status, 200, "{name} is lost: {job}");
    if has_ended(&job) {
        let mut book = lock(book);
        let before = book.ended.entry(name).or_insert_with(|| job.clone());
        assert_eq!(*before, job, "nothing follows an end");
    }
    Some(())
}

fn check_objects(server: &Local, book: &Book) {
    for (&number, &length) in &book.objects {
        assert!(server.get(&format!("/bucket/objects/{number}")) == content(number, length), "{number}");
    }
    if book.version > 0 {
        let text = String::from_utf8(server.get("/bucket/version")).expect("text");
        let version: usize = text.split(' ').next().expect("a word").parse().expect("a number");
        assert!((book.version..=book.version_asked).contains(&version), "{version} of {}", book.version);
        assert!(text == format!("{version} ").repeat(5000), "it is not whole");
    }
}

/// Checks that every job exists, has ended as it should, and trained once.
fn check_jobs(server: &Local, work: &Workplace, book: &Book) {
    let started = Instant::now();
    for name in &book.jobs {
        let job = loop {
            let (status, job) =
                server.operation("DescribeTrainingJob", &json!({"TrainingJobName": name})).expect("answers");
            assert_eq!(status, 200, "{name} is lost: {job}");
            if has_ended(&job) {
                break job;
            }
            assert!(started.elapsed() < LONGEST_WAIT, "{job:#}");
            std::thread::sleep(Duration::from_millis(10));
        };
        let is_stopped = book.stopped.contains(name);
        let status = &job["TrainingJobStatus"];
        assert!(status == "Completed" || (status == "Stopped" && name.ends_with(['0', '5'])), "{job:#}");
        assert!(!is_stopped || status == "Stopped", "{job:#}");
        if status == "Completed" {
            assert!(!server.get(&format!("/bucket/out/{name}/output/model.tar.gz")).is_empty());
            let log = work.read(&format!("data/jobs/us-east-1/{name}/log"));
            let ends = log.matches("#quality_metric: host=algo-1, train msd").count();
            assert_eq!(ends, 1, "{name} trained once: {log}");
            let metrics = job["FinalMetricDataList"].as_array().expect("metrics");
            assert!(metrics.iter().any(|metric| metric["MetricName"] == "train:msd"), "{job:#}");
        }
    }
}

/// Checks that every transform job exists, and has an answer for each row.
fn check_transforms(server: &Local, book: &Book) {
    for number in 1..=book.transforms {
        let name = format!("transform-{number}");
        let input = json!({"TransformJobName": name});
        server.until("DescribeTransformJob", &input, "TransformJobStatus", "Completed");
        let answers = server.get(&format!("/bucket/answers/{number}/rows.csv.out"));
        assert_eq!(answers.iter().filter(|byte| **byte == b'\n').count(), 30, "{name}");
    }
}
