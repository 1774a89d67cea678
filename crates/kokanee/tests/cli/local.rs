//! `kokanee local`: what it prints, what it keeps out, and what it runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::workplace::{Said, Workplace, said};

/// A server with its data in the folder `data`.
struct Local {
    child: Child,
    address: String,
}

impl Local {
    fn start(work: &Workplace) -> Self {
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

    /// Status and text of the answer to a list of jobs that is asked of `host`.
    fn list(&self, host: &str, more: &str) -> (u16, String) {
        self.call(host, more, "ListTrainingJobs", "{\"MaxResults\":100}").expect("answers")
    }

    /// Status and text of the answer to a call; none where the server is gone.
    fn call(&self, host: &str, more: &str, operation: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{more}X-Amz-Target: \
             SageMaker.{operation}\r\nContent-Type: application/x-amz-json-1.1\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer))
    }

    fn interrupt(mut self) -> Option<i32> {
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
    // A command that needs a server uses the one that runs.
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
    work.run("local --data data --host 0.0.0.0").refused(&["only addresses of this machine itself"]);
    work.run("local --region Mars").misused(&["us-east-1"]);
}

#[test]
fn a_killed_server_keeps_what_it_acknowledged() {
    let work = Workplace::new();
    for round in 0..3 {
        let mut server = Local::start(&work);
        let jobs = std::thread::scope(|scope| {
            let server = &server;
            let creating = scope.spawn(move || {
                let job = |number: &usize| {
                    let body = format!(
                        r#"{{"TrainingJobName":"job-{round}-{number}","AlgorithmSpecification":{{"TrainingImage":"mine:1",
                        "TrainingInputMode":"File"}},"RoleArn":"arn:aws:iam::000000000000:role/R","OutputDataConfig":{{"S3OutputPath":
                        "s3://b/o"}},"ResourceConfig":{{"InstanceType":"ml.m5.large","InstanceCount":1,"VolumeSizeInGB":1}}}}"#
                    );
                    let answer = server.call(&server.address, "", "CreateTrainingJob", &body);
                    matches!(answer, Some((200, _)))
                };
                (0..30).take_while(job).count()
            });
            std::thread::sleep(Duration::from_millis(60));
            let id = server.child.id().to_string();
            assert!(Command::new("kill").args(["-KILL", &id]).status().expect("kill is there").success());
            creating.join().expect("creates")
        });
        server.child.wait().expect("ends");
        std::fs::remove_file(work.path("data/server.json")).expect("it was left behind");
        let server = Local::start(&work);
        let (_, answer) = server.list(&server.address, "");
        let name = |number: usize| format!("\"job-{round}-{number}\"");
        assert!((0..jobs).all(|number| answer.contains(&name(number))), "{jobs}: {answer}");
        assert_eq!(server.interrupt(), Some(0));
    }
}
