//! `kokanee local`, started for a test and stopped at its end, and calls of its API without a client library.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kokanee_testkit::http;
use serde_json::Value;

use crate::workplace::Workplace;

const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);
const DATA: &str = "data";

/// A server on the folder `data` of a workplace.
pub(crate) struct LocalServer<'a> {
    child: Child,
    pub(crate) address: SocketAddr,
    work: &'a Workplace,
}

impl<'a> LocalServer<'a> {
    /// Starts it with these environment variables, and waits until it answers.
    pub(crate) fn start(work: &'a Workplace, variables: &[(&str, &str)]) -> Self {
        let mut command =
            work.command(&["local", "--data", DATA, "--port", "0", "--jobs", "2", "--region", "us-east-1"]);
        command.envs(variables.iter().copied()).env("DOCKER_HOST", "unix:///nowhere.sock");
        command.env("CONTAINER_HOST", "unix:///nowhere.sock").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("starts");
        let file = work.path(DATA).join("server.json");
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "the server does not start");
            assert!(child.try_wait().expect("waits").is_none(), "the server ended");
            let text = fs::read_to_string(&file).unwrap_or_default();
            let content: Value = serde_json::from_str(&text).unwrap_or_default();
            let address = content["address"].as_str().and_then(|address| address.parse().ok());
            if let Some(address) = address.filter(|address| TcpStream::connect(address).is_ok()) {
                return Self { child, address, work };
            }
            std::thread::sleep(POLL);
        }
    }

    /// The address of a page of the console.
    pub(crate) fn console(&self, path: &str) -> String {
        format!("http://{}/console{path}", self.address)
    }

    /// A bucket's folder: files that are written there are objects.
    pub(crate) fn bucket(&self, name: &str) -> PathBuf {
        let folder = self.work.path(DATA).join("s3").join(name);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// Sends a request with these further headers.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> http::Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let mut stream = http::connect(self.address);
        stream.write_all(head.as_bytes()).expect("takes the request");
        http::read(&mut stream).expect("an answer")
    }

    /// Calls an operation of SageMaker that must succeed.
    #[track_caller]
    pub(crate) fn call(&self, operation: &str, input: &Value) -> Value {
        let target = format!("SageMaker.{operation}");
        let headers = [("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.1")];
        self.ask("POST", "/", &headers, &input.to_string()).ok().json()
    }

    /// Waits until a member of a description has this value.
    pub(crate) fn wait(&self, operation: &str, input: &Value, member: &str, want: &str) {
        let begun = Instant::now();
        loop {
            let described = self.call(operation, input);
            if described[member] == want {
                return;
            }
            assert_ne!(described[member], "Failed", "{described}");
            assert!(begun.elapsed() < PATIENCE, "{described}");
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for LocalServer<'_> {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
