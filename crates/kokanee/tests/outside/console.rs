//! Tests of the console of `kokanee local` in a headless browser.
//!
//! Pictures of every page are kept in `target/tmp/console/`; with `KOKANEE_SCREENSHOTS` those of the documentation are written
//! there.

mod endpoints;

use std::fs;
use std::path::{Path, PathBuf};

use kokanee_testkit::browser::{Browser, Look};
use serde_json::{Value, json};

use crate::local_server::LocalServer;
use crate::workplace::{self, Workplace};

const WIDE: Look = Look { width: 1280, is_dark: false };
const DARK: Look = Look { width: 1280, is_dark: true };
const NARROW: Look = Look { width: 400, is_dark: false };

/// Heights of pictures in pixels: those that are kept for inspection, and those of the documentation, which are small files.
const TALLEST: f64 = 2400.0;
const TALLEST_IN_DOCS: f64 = 1000.0;

const ROLE: &str = "arn:aws:iam::000000000000:role/local";
const IMAGE: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com";

/// Texts of a search's pictures that overlap, or extend beyond their picture.
const OVERLAPS: &str = "[...document.querySelectorAll('#pictures svg')].flatMap((svg) => { \
    const frame = svg.getBoundingClientRect(); \
    const boxes = [...svg.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]); \
    const beyond = boxes.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1); \
    const over = boxes.filter(([, a], index) => boxes.slice(index + 1).some(([, b]) => \
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)); \
    return [...beyond, ...over].map(([text]) => `${svg.getAttribute('aria-label')}: ${text}`); })";

/// A program that logs a metric until it is told to stop.
const STEPS: &str = "trap 'exit 0' TERM\nstep=0\nwhile [ $step -lt 3000 ]; do\n  step=$((step + 1))\n  \
                     echo \"step $step loss=$((3000 / (step + 9)))\"\n  sleep 0.1\ndone\n";

/// A local SageMaker with jobs, objects and an endpoint of each kind.
struct Scene<'a> {
    server: LocalServer<'a>,
}

impl<'a> Scene<'a> {
    fn new(work: &'a Workplace) -> Self {
        work.write("steps.sh", STEPS);
        let register = ["local", "image", "add", "steps:1", "--data", "data", "--train", "sh steps.sh"];
        workplace::said(work.command(&register)).well();
        let scene = Self { server: LocalServer::start(work, &[]) };
        let bucket = scene.server.bucket("my-data");
        let trained = workplace::trained();
        for (channel, file) in [
            ("train", "train.rec"),
            ("validation", "val.rec"),
            ("vocab", "vocab.src.json"),
            ("vocab", "vocab.trg.json"),
        ] {
            scene.put(
                &format!("translation/{channel}/{file}"),
                &fs::read(trained.join("data").join(file)).expect("reads"),
            );
        }
        fs::create_dir_all(bucket.join("models")).expect("a folder");
        fs::copy(trained.join("model/model.tar.gz"), bucket.join("models/seq2seq.tar.gz")).expect("copies");
        let row = |row: i32| format!("{},{},{}\n", row % 7, row * row % 11, f64::from(row) / 8.0);
        scene.put("clusters/train/rows.csv", (0..400).map(row).collect::<String>().as_bytes());
        scene.put("notes/readme.txt", b"<script>document.title = 'taken over'</script>\nplain text\n");
        let page = "<script>document.title = 'taken over'</script>";
        scene.server.ask("PUT", "/my-data/notes/page.html", &[("Content-Type", "text/html")], page).ok();
        scene
    }

    fn put(&self, key: &str, bytes: &[u8]) {
        let path = self.server.bucket("my-data").join(key);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("writes");
    }

    /// Creates a training job.
    fn train(&self, name: &str, algorithm: &Value, hyperparameters: &Value, channels: &[(&str, &str, &str)]) {
        let channels: Vec<Value> = channels
            .iter()
            .map(|(channel, place, content_type)| {
                let source = json!({"S3DataType": "S3Prefix", "S3Uri": format!("s3://my-data/{place}")});
                json!({"ChannelName": channel, "ContentType": content_type, "DataSource": {"S3DataSource": source}})
            })
            .collect();
        let mut request = json!({
            "TrainingJobName": name,
            "AlgorithmSpecification": algorithm,
            "RoleArn": ROLE,
            "HyperParameters": hyperparameters,
            "OutputDataConfig": {"S3OutputPath": "s3://my-data/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        });
        if !channels.is_empty() {
            request["InputDataConfig"] = json!(channels);
        }
        self.server.call("CreateTrainingJob", &request);
    }

    /// A job that logs a metric until it is stopped.
    fn train_steps(&self, name: &str) {
        let metrics = json!([{"Name": "loss", "Regex": "loss=([0-9.]+)"}]);
        let algorithm =
            json!({"TrainingImage": "steps:1", "TrainingInputMode": "File", "MetricDefinitions": metrics});
        self.train(name, &algorithm, &json!({"speed": "<fast>"}), &[]);
    }

    fn train_seq2seq(&self, name: &str, learning_rate: &str, hidden: &str) {
        let algorithm = json!({"TrainingImage": format!("{IMAGE}/seq2seq:1"), "TrainingInputMode": "File"});
        let hyperparameters = json!({
            "num_embed_source": "16", "num_embed_target": "16", "rnn_num_hidden": hidden, "batch_size": "16",
            "learning_rate": learning_rate, "checkpoint_frequency_num_batches": "20", "max_num_batches": "300",
            "num_threads": "1", "optimized_metric": "bleu", "bleu_sample_size": "20",
        });
        let recordio = "application/x-recordio-protobuf";
        let channels = [
            ("train", "translation/train/", recordio),
            ("validation", "translation/validation/", recordio),
            ("vocab", "translation/vocab/", "application/json"),
        ];
        self.train(name, &algorithm, &hyperparameters, &channels);
    }

    fn train_kmeans(&self, name: &str) {
        let algorithm = json!({"TrainingImage": format!("{IMAGE}/kmeans:1"), "TrainingInputMode": "File"});
        let hyperparameters = json!({"k": "4", "feature_dim": "3", "mini_batch_size": "50", "epochs": "5"});
        self.train(
            name,
            &algorithm,
            &hyperparameters,
            &[("train", "clusters/train/", "text/csv;label_size=0")],
        );
    }

    /// Tunes k-means: twelve trainings, two at a time.
    fn tune_kmeans(&self, name: &str) {
        let channel = |channel: &str| {
            let source = json!({"S3DataType": "S3Prefix", "S3Uri": "s3://my-data/clusters/train/"});
            json!({
                "ChannelName": channel, "ContentType": "text/csv;label_size=0",
                "DataSource": {"S3DataSource": source},
            })
        };
        let request = json!({
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                "Strategy": "Bayesian",
                "RandomSeed": 1,
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "test:msd"},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 12, "MaxParallelTrainingJobs": 2},
                "ParameterRanges": {
                    "IntegerParameterRanges": [{"Name": "k", "MinValue": "2", "MaxValue": "12"}],
                    "ContinuousParameterRanges": [{"Name": "local_lloyd_tol", "MinValue": "0.0001", "MaxValue": "0.5"}],
                    "CategoricalParameterRanges": [{"Name": "init_method", "Values": ["random", "kmeans++"]}],
                },
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": {"feature_dim": "3", "mini_batch_size": "50"},
                "AlgorithmSpecification": {"TrainingImage": format!("{IMAGE}/kmeans:1"), "TrainingInputMode": "File"},
                "RoleArn": ROLE,
                "InputDataConfig": [channel("train"), channel("test")],
                "OutputDataConfig": {"S3OutputPath": "s3://my-data/output"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            },
        });
        self.server.call("CreateHyperParameterTuningJob", &request);
    }

    fn is_done(&self, job: &str) {
        self.server.wait(
            "DescribeTrainingJob",
            &json!({"TrainingJobName": job}),
            "TrainingJobStatus",
            "Completed",
        );
    }

    fn host(&self, name: &str, image: &str, model: &str, instances: u32) {
        let container = json!({"Image": format!("{IMAGE}/{image}:1"), "ModelDataUrl": model});
        self.server.call(
            "CreateModel",
            &json!({"ModelName": name, "ExecutionRoleArn": ROLE, "PrimaryContainer": container}),
        );
        let variant = json!({
            "VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": instances, "InstanceType": "ml.m5.large",
            "InitialVariantWeight": 1.0,
        });
        self.server.call(
            "CreateEndpointConfig",
            &json!({"EndpointConfigName": name, "ProductionVariants": [variant]}),
        );
        self.server.call("CreateEndpoint", &json!({"EndpointName": name, "EndpointConfigName": name}));
        self.server.wait("DescribeEndpoint", &json!({"EndpointName": name}), "EndpointStatus", "InService");
    }

    /// Checks a page in every look: it has its names, shows no error, and is not wider than its window.
    fn see(&self, browser: &mut Browser, name: &str) {
        for (look, suffix) in [(DARK, "-dark"), (NARROW, "-narrow"), (WIDE, "")] {
            browser.look(look);
            let overflow = browser.evaluate("document.documentElement.scrollWidth - innerWidth");
            assert!(
                overflow.as_f64().is_some_and(|overflow| overflow <= 0.0),
                "{name}{suffix}: {overflow} pixels too wide"
            );
            browser.picture(&pictures().join(format!("{name}{suffix}.png")), TALLEST);
        }
        if let Some(folder) = std::env::var_os("KOKANEE_SCREENSHOTS") {
            browser.picture(&Path::new(&folder).join(format!("console-{name}.png")), TALLEST_IN_DOCS);
        }
        let nameless = browser.nameless();
        assert!(nameless.is_empty(), "{name}: {nameless:#?}");
        let problems = browser.problems();
        assert!(problems.is_empty(), "{name}: {problems:#?}");
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("console")
}

/// Visits every page, with and without scripts, and does what people do on them.
pub(crate) fn people_watch_stop_compare_invoke_and_browse(program: &str) {
    let work = Workplace::new();
    let scene = Scene::new(&work);
    let server = &scene.server;
    let mut browser = Browser::start(program, &work.path("profile"));
    browser.look(WIDE);

    browser.open(&server.console(""));
    assert!(browser.text().contains("No jobs yet"));
    scene.train_seq2seq("translate-slow", "0.003", "32");
    scene.train_seq2seq("translate-fast", "0.01", "32");
    scene.train_kmeans("clusters");
    for job in ["translate-slow", "translate-fast", "clusters"] {
        scene.is_done(job);
    }
    scene.train_steps("steps-at-work");

    // A running job: its curve grows by itself, and it is stopped.
    let job = server.console("/jobs/training/steps-at-work");
    browser.open(&job);
    let points = "(() => { const svg = document.querySelector('#curves svg'); return svg ? \
                  JSON.parse(svg.dataset.hover).series[0].points.length : 0; })()";
    browser.wait_until(&format!("{points} > 3"));
    let seen = browser.evaluate(points).as_u64().expect("a count");
    browser.wait_until(&format!("{points} > {}", seen + 3));
    assert!(browser.text().contains("loss="), "the log is shown");
    browser.wait_until("document.querySelectorAll('#machine svg').length === 3");
    // The read-out follows the pointer and the keys.
    browser.evaluate("document.querySelector('#curves svg').focus()");
    browser.evaluate(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}))",
    );
    browser.wait_until("document.querySelector('.readout').textContent.includes('loss: ')");
    browser.evaluate("document.activeElement.blur()");
    scene.see(&mut browser, "job-at-work");
    browser.evaluate("window.confirm = () => true");
    browser.follow("form[action$='/stop'] button");
    browser.wait_until("document.body.innerText.includes('Stopped')");
    server.wait(
        "DescribeTrainingJob",
        &json!({"TrainingJobName": "steps-at-work"}),
        "TrainingJobStatus",
        "Stopped",
    );

    browser.open(&server.console(""));
    scene.see(&mut browser, "overview");

    // The table: jobs are found by a part of the name, by status and by algorithm; selected ones are compared.
    browser.open(&server.console("/jobs"));
    scene.see(&mut browser, "jobs");
    browser.fill("#q", "kmeans completed");
    browser.wait_until("document.querySelectorAll('#list tbody tr').length === 1");
    assert!(browser.text().contains("clusters"));
    browser.open(&server.console("/jobs?q=translate"));
    browser
        .evaluate("document.querySelectorAll('input[name=job]').forEach((box) => { box.checked = true; })");
    browser.follow("#list button");
    let text = browser.text();
    assert!(
        text.contains("learning_rate") && !text.contains("num_embed_source"),
        "only what differs: {text}"
    );
    scene.see(&mut browser, "compare");

    browser.open(&server.console("/jobs/training/translate-fast?smooth=0.6&x=time"));
    scene.see(&mut browser, "job");
    browser.open(&server.console("/jobs/training/translate-fast?find=validation"));
    let lines = browser.evaluate("document.querySelector('#log .log').textContent");
    let lines = lines.as_str().unwrap_or_default().to_owned();
    assert!(!lines.is_empty() && lines.lines().all(|line| line.contains("validation")), "{lines}");

    tuning(&scene, &mut browser);
    endpoints::endpoints(&scene, &mut browser);
    endpoints::transform(&scene, &mut browser);
    buckets(&scene, &mut browser);

    browser.open(&server.console("/jobs/training/nobody"));
    assert!(browser.text().contains("No such job") && browser.text().contains("Back to the overview"));
    browser.problems();
    without_scripts(&scene, &mut browser);
}

fn tuning(scene: &Scene<'_>, browser: &mut Browser) {
    let server = &scene.server;
    scene.tune_kmeans("tune-clusters");
    browser.open(&server.console("/jobs/tuning/tune-clusters"));
    let job = json!({"HyperParameterTuningJobName": "tune-clusters"});
    server.wait("DescribeHyperParameterTuningJob", &job, "HyperParameterTuningJobStatus", "Completed");
    browser.wait_until("document.body.innerText.includes('Completed')");
    browser.wait_until("document.querySelectorAll('#trainings tbody tr').length === 12");
    let text = browser.text();
    assert!(text.contains("Best training job") && text.contains("12 completed"), "{text}");
    // Best so far, importance, parallel coordinates, and a slice for each hyperparameter.
    assert_eq!(browser.evaluate("document.querySelectorAll('#pictures svg').length"), json!(6));
    // The slice over a category names its values below the axis, and nothing overlaps or extends beyond its picture.
    let names = "[...document.querySelectorAll('#pictures svg')].filter((svg) => \
                 svg.getAttribute('aria-label').startsWith('test:msd over init_method')).map((svg) => \
                 [...svg.querySelectorAll('text')].map((text) => text.textContent).join('|')).join()";
    let names = browser.evaluate(names).as_str().unwrap_or_default().to_owned();
    assert!(names.contains("|random|kmeans++|") && !names.contains("|0|"), "{names}");
    let faults = browser.evaluate(OVERLAPS);
    assert_eq!(faults, json!([]));
    scene.see(browser, "tuning");
    browser.follow("#trainings tbody a");
    assert!(browser.text().contains("tune-clusters-0"));
    browser.open(&server.console("/jobs?q=tune-clusters&kind=tuning"));
    assert_eq!(browser.evaluate("document.querySelectorAll('#list tbody tr').length"), json!(1));
}

fn buckets(scene: &Scene<'_>, browser: &mut Browser) {
    let server = &scene.server;
    browser.open(&server.console("/buckets"));
    scene.see(browser, "buckets");
    browser.open(&server.console("/buckets/my-data?prefix=translation%2F"));
    assert!(browser.text().contains("vocab/"));
    scene.see(browser, "bucket");
    browser.open(&server.console("/buckets/my-data/object?key=translation%2Ftrain%2Ftrain.rec"));
    let first = browser.evaluate("document.querySelector('tbody td:last-child').textContent");
    let first = first.as_str().unwrap_or_default().to_owned();
    assert!(
        !first.is_empty() && first.split(' ').all(|word| ("A"..="F").contains(&word)),
        "words of the vocabulary: {first}"
    );
    scene.see(browser, "records");
    browser.open(&server.console("/buckets/my-data/object?key=clusters%2Ftrain%2Frows.csv"));
    assert!(browser.text().contains("1.125"));
    browser.open(&server.console("/buckets/my-data/object?key=models%2Fseq2seq.tar.gz"));
    assert!(browser.text().contains("gzip"));
    // The content of objects is shown, and never run.
    browser.open(&server.console("/buckets/my-data/object?key=notes%2Freadme.txt"));
    assert!(browser.text().contains("<script>"));
    assert!(browser.evaluate("document.title").as_str().is_some_and(|title| title.starts_with("readme.txt")));
    browser.open(&format!("http://{}/my-data/notes/page.html", server.address));
    assert_ne!(browser.evaluate("document.title"), "taken over");
    // The browser reports that it blocked the script.
    assert!(!browser.problems().is_empty());

    let page = server.ask("GET", "/console/buckets/my-data?prefix=notes%2F", &[], "").ok().text();
    assert!(page.contains("enctype=\"multipart/form-data\""), "{page}");
    browser.open(&server.console("/buckets/my-data?prefix=notes%2F"));
    browser.choose("input[type=file]", "new file.txt", b"uploaded");
    browser.follow("form[enctype] button");
    assert!(browser.text().contains("new file.txt"), "{}", browser.text());
    let file = server.bucket("my-data").join("notes/new file.txt");
    assert_eq!(fs::read_to_string(file).expect("an object"), "uploaded");
    let download =
        server.ask("GET", "/console/buckets/my-data/download?key=notes%2Fnew%20file.txt", &[], "").ok();
    assert_eq!(
        (download.text().as_str(), download.header("content-security-policy")),
        ("uploaded", Some("sandbox"))
    );
    assert_eq!(download.header("content-disposition"), Some("attachment; filename*=UTF-8''new%20file.txt"));
}

/// Pages work without scripts: links, forms, curves.
fn without_scripts(scene: &Scene<'_>, browser: &mut Browser) {
    let server = &scene.server;
    let page = |path: &str| server.ask("GET", &format!("/console{path}"), &[], "").ok().text();
    assert!(page("/jobs?q=clusters").contains("/console/jobs/training/clusters"));
    let curves = page("/jobs/training/translate-fast");
    let smooth = page("/jobs/training/translate-fast?smooth=0.9");
    assert!(curves.contains("<path class=\"k-line\"") && !curves.contains("stroke-opacity=\"0.35\""));
    assert!(smooth.contains("stroke-opacity=\"0.35\""));
    browser.allow_scripts(false);
    browser.open(&server.console("/jobs"));
    scene.train_steps("steps-again");
    let stop = "/console/jobs/training/steps-again/stop";
    let foreign = server.ask("POST", stop, &[("Origin", "http://evil.example")], "");
    assert_eq!(foreign.status, 403, "{}", foreign.text());
    let other_port = server.ask("POST", stop, &[("Origin", "http://127.0.0.1:1")], "");
    assert_eq!(other_port.status, 403, "{}", other_port.text());
    let own = format!("http://{}", server.address);
    let stopped = server.ask("POST", stop, &[("Origin", own.as_str())], "");
    assert_eq!(
        (stopped.status, stopped.header("location")),
        (303, Some("/console/jobs/training/steps-again"))
    );
    server.wait(
        "DescribeTrainingJob",
        &json!({"TrainingJobName": "steps-again"}),
        "TrainingJobStatus",
        "Stopped",
    );
}

/// On a server with keys, a browser signs in with the token that the command line prints.
pub(crate) fn people_sign_in_where_there_are_keys(program: &str) {
    let work = Workplace::new();
    let keys = [("KOKANEE_ACCESS_KEY", "team"), ("KOKANEE_SECRET_KEY", "a/secret+with=odd~characters")];
    let server = LocalServer::start(&work, &keys);
    assert_eq!(server.ask("GET", "/console/jobs", &[], "").status, 401);
    assert_eq!(server.ask("GET", "/console?token=00", &[], "").status, 401);
    let printed = work.run("local console --data data").well().stdout;
    let mut browser = Browser::start(program, &work.path("profile"));
    browser.look(WIDE);
    browser.open(&server.console("/jobs"));
    assert!(browser.text().contains("Sign in"));
    browser.problems();
    browser.open(printed.trim());
    assert!(browser.text().contains("Latest jobs"), "{}", browser.text());
    assert_eq!(browser.evaluate("location.search"), "", "the token does not stay in the address");
    browser.open(&server.console("/buckets"));
    assert!(browser.text().contains("No buckets yet"));
    assert_eq!(browser.problems(), Vec::<String>::new());
}
