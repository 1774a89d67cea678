//! Tests of `kokanee local`: what it prints, what it refuses, and what it runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::workplace::{Said, Workplace, said};

/// Every request to a server is done within this time.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(180);

/// A server with its data in the folder `data`.
pub(crate) struct Local {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Local {
    pub(crate) fn start(work: &Workplace) -> Self {
        let mut command = work.command(&["local", "--data", "data", "--port", "0"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
        let started = Instant::now();
        let file = work.path("data/server.json");
        while !file.exists() {
            assert!(started.elapsed() < Duration::from_secs(60), "it does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        let content: serde_json::Value = serde_json::from_str(&work.read("data/server.json")).expect("JSON");
        Self { child, address: content["address"].as_str().expect("an address").to_owned() }
    }

    /// Status and text of the response to a list of jobs requested from `host`.
    fn list(&self, host: &str, more: &str) -> (u16, String) {
        self.call(host, more, "ListTrainingJobs", "{\"MaxResults\":100}").expect("answers")
    }

    /// Status and text of the response to a call; none if the server is gone.
    pub(crate) fn call(&self, host: &str, more: &str, operation: &str, body: &str) -> Option<(u16, String)> {
        let more = format!(
            "{more}X-Amz-Target: SageMaker.{operation}\r\nContent-Type: application/x-amz-json-1.1\r\n"
        );
        let (status, answer) =
            self.ask(&format!("POST / HTTP/1.1\r\nHost: {host}\r\n{more}"), body.as_bytes())?;
        Some((status, String::from_utf8(answer).ok()?))
    }

    /// Status and whole response to a request that begins with `head`; none if the server is gone.
    pub(crate) fn ask(&self, head: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let head = format!("{head}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
        Some((status, answer))
    }

    /// Status and response of an operation of SageMaker; none if the server is gone.
    pub(crate) fn operation(&self, operation: &str, input: &Value) -> Option<(u16, Value)> {
        let (status, answer) = self.call(&self.address, "", operation, &input.to_string())?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    /// Repeats a call until a member of the response has this value.
    pub(crate) fn until(&self, operation: &str, input: &Value, member: &str, value: &str) {
        let started = Instant::now();
        loop {
            let (_, answer) = self.operation(operation, input).expect("answers");
            if answer[member] == value {
                return;
            }
            assert!(started.elapsed() < LONGEST_WAIT && answer[member] != "Failed", "{answer:#}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Puts an object or creates a bucket.
    pub(crate) fn put(&self, path: &str, body: &[u8]) -> Option<u16> {
        Some(self.ask(&format!("PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"), body)?.0)
    }

    /// The bytes of an existing object.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        let (status, answer) =
            self.ask(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"), b"").expect("answers");
        assert_eq!(status, 200, "{path}");
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        answer[head + 4..].to_vec()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().expect("is killed");
        self.child.wait().expect("ends");
    }

    pub(crate) fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill is there").success());
        self.child.wait().expect("ends").code()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(work: &Workplace, script: &str) -> Said {
    said(work.command(&["local", "run", "--data", "data", "--", "sh", "-c", script]))
}

#[test]
fn a_server_has_its_folder_and_says_where_it_is() {
    let work = Workplace::new();
    work.run("local env --data data").refused(&["no local SageMaker runs on", "kokanee local"]);
    let server = Local::start(&work);
    work.run("local --data data --port 0").refused(&["is writing into this folder"]);
    let said = work.run("local env --data data").well();
    let url = format!("export AWS_ENDPOINT_URL='http://{}'", server.address);
    assert_eq!(said.lines()[0], url);
    let said = work.run("local env --data data --shell fish").well();
    assert!(said.stdout.starts_with("set -gx AWS_ENDPOINT_URL "), "{said:#?}");
    // A command that needs a server uses the running one.
    let said = run(&work, "echo $AWS_ENDPOINT_URL").well();
    assert_eq!(said.stdout.trim(), format!("http://{}", server.address));
    assert_eq!(server.interrupt(), Some(0));
    assert!(!work.path("data/server.json").exists());
    work.run("local env --data data").refused(&["no local SageMaker runs on"]);
}

#[test]
fn web_pages_are_refused() {
    let work = Workplace::new();
    let server = Local::start(&work);
    let (status, answer) = server.list(&server.address, "");
    assert!(status == 200 && answer.contains("TrainingJobSummaries"), "{answer}");
    let (status, answer) = server.list("evil.example", "");
    assert!(status == 403 && answer.contains("AccessDeniedException"), "{answer}");
    let (status, answer) = server.list(&server.address, "Origin: https://evil.example\r\n");
    assert!(status == 403 && !answer.contains("TrainingJobSummaries"), "{answer}");
}

#[test]
fn a_command_ends_as_it_ends() {
    let work = Workplace::new();
    let said = run(
        &work,
        "echo $AWS_DEFAULT_REGION; test -f $AWS_DATA_PATH/sts/2011-06-15/endpoint-rule-set-1.json && exit 7",
    );
    assert_eq!(said.code, Some(7), "{said:#?}");
    assert_eq!(run(&work, "kill -9 $$").code, Some(137));
    work.run("local run --data data -- no-such-program-here")
        .refused(&["there is no program no-such-program-here"]);
    work.run("local --data data --host 0.0.0.0")
        .refused(&["other machines may reach this address", "KOKANEE_SECRET_KEY"]);
    work.run("local --region Mars").misused(&["us-east-1"]);
    // Options of a server belong to the commands that start one, before or after the word `run`.
    work.run("local ps --port 1").misused(&["--port"]);
    work.run("local --jobs 1 ps")
        .misused(&["--jobs is an option of `kokanee local` and `kokanee local run`"]);
    work.run("local --log json run --data data -- true").misused(&["--log is an option of `kokanee local`"]);
    work.run("local --port 0 run --jobs 1 --data data -- true").well();
}

#[test]
fn jobs_are_listed_stopped_and_removed() {
    let work = Workplace::new();
    work.run("local ps --data data").refused(&["no local SageMaker runs on"]);
    let server = Local::start(&work);
    assert!(work.run("local ps --data data").well().stdout.starts_with("Nothing is running."));
    let body = r#"{"TrainingJobName":"Mine","AlgorithmSpecification":{"TrainingImage":"mine:1","TrainingInputMode":"File"},
        "RoleArn":"arn:aws:iam::000000000000:role/R","OutputDataConfig":{"S3OutputPath":"s3://b/o"},
        "ResourceConfig":{"InstanceType":"ml.m5.large","InstanceCount":1,"VolumeSizeInGB":1}}"#;
    let (status, answer) = server.call(&server.address, "", "CreateTrainingJob", body).expect("answers");
    assert_eq!(status, 200, "{answer}");
    let started = Instant::now();
    let listed = loop {
        let said = work.run("local ps --data data --all").well();
        if said.stdout.contains("Failed") {
            break said.stdout;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{said:#?}");
    };
    let row = listed.lines().last().expect("a row");
    assert!(row.starts_with("training job  Mine  Failed"), "{listed}");
    work.run("local stop Mine nothing --data data").refused(&["in status Failed", "there is no job"]);
    work.run("local --region eu-west-1 rm Mine --data data").refused(&["there is no job"]);
    work.run("local gc --older-than 1y --data data").misused(&["such as 30d"]);
    let said = work.run("local gc --older-than 0s --dry-run --data data").well();
    assert_eq!(said.stdout, "Mine: training job would be removed\n");
    let said = work.run("local gc --data data").well();
    assert_eq!(said.stdout, "No job ended that long ago.\n");
    assert_eq!(work.run("local rm mine --data data").well().stdout, "Mine: training job removed\n");
    assert_eq!(work.run("local ps -a --data data").well().stdout, "No jobs, endpoints or models yet.\n");
    assert_eq!(server.interrupt(), Some(0));
}
