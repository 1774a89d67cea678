//! Tests of the server as a program: finding its model, messages, signals, sudden death.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::workplace::{Workplace, model, said};

/// A server that was started as a program; it is killed at the end.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: String,
    /// Lines of its log, from the first.
    log: Mutex<mpsc::Receiver<String>>,
}

impl Served {
    /// Starts it, with a log of JSON, and waits until it listens.
    fn start(work: &Workplace, line: &str, environment: &[(&str, &str)]) -> Self {
        let port = if line.contains("--port") { "" } else { "--port 0" };
        let line = format!("serve {port} --threads 1 --log json {line}");
        let mut command = work.command(&line.split_whitespace().collect::<Vec<_>>());
        command.envs(environment.iter().copied()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let stderr = child.stderr.take().expect("piped");
        let (tell, log) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // The test may be over.
                let _ = tell.send(line);
            }
        });
        let mut served = Self { child, address: String::new(), log: Mutex::new(log) };
        let port =
            served.wait_for("listening")["address"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
        served.address = format!("127.0.0.1:{port}");
        served
    }

    pub(crate) fn ready(work: &Workplace, line: &str, environment: &[(&str, &str)]) -> Self {
        let served = Self::start(work, line, environment);
        served.wait_for("ready");
        served
    }

    /// The next line of the log with this message.
    fn wait_for(&self, message: &str) -> Value {
        loop {
            let line = self.log.lock().expect("no panic").recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("no {message:?}"));
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if line["message"] == message {
                return line;
            }
        }
    }

    fn send(&self, method: &str, path: &str, content_type: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        stream.write_all(&request(method, path, content_type, body.as_bytes())).expect("takes the request");
        stream
    }

    /// As [`Served::ask`], for bodies that may be refused before they are sent completely.
    pub(crate) fn ask_bytes(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).expect("connects");
        let _ = stream.write_all(&request(method, path, content_type, body));
        answer(stream)
    }

    /// A line of its memory in the system's statistics, in bytes.
    pub(crate) fn memory(&self, name: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kilobytes.and_then(|kilobytes| kilobytes.parse::<usize>().ok()).expect("a size") << 10
    }

    /// Status and body; status 0 if there is no response.
    pub(crate) fn ask(&self, method: &str, path: &str, content_type: &str, body: &str) -> (u16, String) {
        answer(self.send(method, path, content_type, body))
    }

    pub(crate) fn translate(&self, text: &str) -> String {
        let (status, body) = self.ask("POST", "/invocations", "text/plain", text);
        assert_eq!(status, 200, "{body}");
        body
    }

    fn signal(&self, name: &str) {
        let kill = std::process::Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill is there").success());
    }

    /// The exit code, if it ends by itself within a minute.
    fn ended(mut self) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("waits") {
                return status.code();
            }
            assert!(started.elapsed() < Duration::from_secs(60), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("UTF-8");
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return (0, text) };
    (head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), body.to_owned())
}

#[test]
fn a_model_is_served_as_the_notebooks_use_it() {
    let served = Served::ready(&Workplace::new(), &format!("--model {}", model()), &[]);
    assert_eq!(served.translate("a b c\n\nf d"), "A B C\n\nF D\n");
    let body = json!({"instances": [
        {"data": "a b", "configuration": {"attention_matrix": "true"}},
        {"data": "e e e"},
    ]});
    let (status, body) = served.ask("POST", "/invocations", "application/json", &body.to_string());
    let predictions = &serde_json::from_str::<Value>(&body).unwrap()["predictions"];
    assert_eq!(
        (status, &predictions[0]["target"], &predictions[1]),
        (200, &json!("A B"), &json!({"target": "E E E"}))
    );
    let matrix: Vec<Vec<f64>> = serde_json::from_value(predictions[0]["matrix"].clone()).unwrap();
    assert!(matrix.len() == 2 && matrix.iter().all(|row| row.len() == 2), "{matrix:?}");
    // The largest allowed attention, in pieces: the remedy in the refusal works.
    let long = |configuration: Value| {
        let body = json!({"instances": [{"data": "a b ".repeat(2048), "configuration": configuration}]});
        served.ask("POST", "/invocations", "application/json", &body.to_string())
    };
    let (status, body) = long(json!({"attention_matrix": true}));
    assert!(status == 400 && body.contains("set max_length to at most 512"), "{body}");
    let (status, body) = long(json!({"attention_matrix": true, "max_length": 512}));
    let matrix = &serde_json::from_str::<Value>(&body).unwrap()["predictions"][0]["matrix"];
    let matrix: Vec<Vec<f64>> = serde_json::from_value(matrix.clone()).unwrap();
    assert_eq!((status, matrix.len()), (200, 512));
    for row in matrix {
        let sum: f64 = row.iter().sum();
        assert!(row.len() == 4096 && (sum - 1.0).abs() < 1e-4, "{sum}");
    }
    for precision in ["bf16", "int8"] {
        let line = format!("--model {} --precision {precision}", model());
        let served = Served::ready(&Workplace::new(), &line, &[]);
        assert_eq!(served.translate("a b c"), "A B C\n", "{precision}");
    }
}

#[test]
fn the_container_finds_its_model_unpacked_or_not() {
    let files = ["config.json", "model.safetensors", "vocab.src.json", "vocab.trg.json"];
    let folder = crate::workplace::trained().join("model");
    let unpacked = Workplace::new();
    for file in files {
        unpacked.write(&format!("job/model/{file}"), std::fs::read(folder.join(file)).unwrap());
    }
    let packed = Workplace::new();
    packed.write("job/model/readme", "");
    kokanee_formats::archive::pack(&folder, &files, &packed.path("job/model/model.tar.gz")).unwrap();
    for work in [unpacked, packed] {
        let environment = [("SAGEMAKER_MAX_PAYLOAD_IN_MB", "3"), ("SAGEMAKER_BATCH", "true")];
        let served = Served::ready(&work, "--prefix job", &environment);
        assert_eq!(served.translate("c a"), "C A\n");
        let (_, parameters) = served.ask("GET", "/execution-parameters", "", "");
        assert_eq!(serde_json::from_str::<Value>(&parameters).unwrap()["MaxPayloadInMB"], 3);
    }
}

#[test]
fn what_cannot_be_served_is_told() {
    let work = Workplace::new();
    work.run("serve --prefix nowhere").refused(&["there is no folder nowhere/model", "--model"]);
    work.run("serve --port 0 --model nowhere").refused(&["no model at nowhere"]);
    work.run("serve --host 203.0.113.1 --model nowhere").refused(&["cannot listen on 203.0.113.1:8080"]);
    work.run("serve --host no-such-host.invalid --model nowhere")
        .refused(&["--host \"no-such-host.invalid\" cannot be resolved", "such as localhost"]);
    work.run("serve --url-prefix mt --model x").misused(&["expected a path such as /mt"]);
    work.run("serve --precision int4 --model x").misused(&["f32, bf16, int8"]);
    let mut command = work.command(&["serve", "--model", "x"]);
    command.env("SAGEMAKER_BATCH_STRATEGY", "ALL").env("SAGEMAKER_MAX_PAYLOAD_IN_MB", "many");
    said(command).refused(&["SAGEMAKER_BATCH_STRATEGY=\"ALL\"", "SAGEMAKER_MAX_PAYLOAD_IN_MB=\"many\""]);
    std::fs::write(work.path("model"), "no archive").unwrap();
    work.run("serve --port 0 --model model")
        .refused(&["model cannot be used: not a whole gzip-compressed tar archive"]);
    let served = Served::start(&work, &format!("--model {}", model()), &[]);
    let port = served.address.rsplit(':').next().unwrap();
    work.run(&format!("serve --port {port} --model {}", model())).refused(&["choose another --port"]);
}

#[test]
fn it_listens_on_a_name_of_this_machine_or_an_address() {
    for host in ["localhost", "127.0.0.1"] {
        let line = format!("--host {host} --model {}", model());
        assert_eq!(Served::ready(&Workplace::new(), &line, &[]).translate("a b"), "A B\n");
    }
}

#[test]
fn the_log_has_a_line_a_request_and_no_text() {
    let served = Served::ready(&Workplace::new(), &format!("--model {}", model()), &[]);
    served.translate("a b c");
    let line = served.wait_for("request");
    let fields =
        ["id", "method", "route", "status", "type", "accept", "instances", "tokens_in", "tokens_out", "ms"];
    assert!(fields.iter().all(|field| line.get(field).is_some()), "{line}");
    assert_eq!(
        (&line["status"], &line["tokens_in"], &line["tokens_out"]),
        (&json!(200), &json!(3), &json!(3))
    );
    served.ask("POST", "/invocations", "application/json", r#"{"instances": [{"secret": 1}]}"#);
    let line = served.wait_for("request");
    assert!(line["code"] == "bad_request" && !line.to_string().contains("secret"), "{line}");

    let served = Served::ready(&Workplace::new(), &format!("--model {} --log-text", model()), &[]);
    served.translate("a b");
    let line = served.wait_for("text");
    assert_eq!((&line["source"], &line["target"]), (&json!("a b"), &json!("A B")));
    served.ask("POST", "/invocations", "application/json", r#"{"instances": [{"secret": 1}]}"#);
    let line =
        std::iter::repeat_with(|| served.wait_for("request")).find(|line| line["status"] == 400).unwrap();
    assert!(line.to_string().contains("secret"), "{line}");
}

#[test]
fn a_signal_ends_it_well() {
    for signal in ["-TERM", "-INT"] {
        let served = Served::ready(&Workplace::new(), &format!("--model {}", model()), &[]);
        // A request whose body is arriving is finished first.
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream
            .write_all(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\na ")
            .unwrap();
        while !served.ask("GET", "/metrics", "", "").1.contains("kokanee_requests_in_flight 2") {
            std::thread::sleep(Duration::from_millis(5));
        }
        served.signal(signal);
        served.wait_for("draining");
        stream.write_all(b"b").unwrap();
        assert_eq!(answer(stream), (200, "A B\n".to_owned()));
        assert_eq!(served.ended(), Some(0));
    }
}

#[test]
fn a_ready_file_tells_where_it_listens_as_long_as_it_does() {
    let work = Workplace::new();
    let path = work.path("ready.json");
    let line = format!("--model {} --ready-file {}", model(), path.display());
    let read = || std::fs::read_to_string(&path).ok();
    // The file of a run that was killed is replaced.
    std::fs::write(&path, "{\"pid\": 1}").unwrap();
    let served = Served::ready(&work, &line, &[]);
    let file: Value = serde_json::from_str(&read().unwrap()).unwrap();
    assert_eq!(file["address"], served.address.as_str());
    assert_eq!(format!("127.0.0.1:{}", file["port"]), served.address);
    assert_eq!(file["pid"], served.child.id());
    served.signal("-TERM");
    assert_eq!((served.ended(), read()), (Some(0), None));
    // A file that another process has written is not ours.
    let served = Served::ready(&work, &line, &[]);
    std::fs::write(&path, "another").unwrap();
    served.signal("-TERM");
    assert_eq!((served.ended(), read().as_deref()), (Some(0), Some("another")));
    // A file that cannot be written is refused before the model is loaded.
    let nowhere = format!("serve --port 0 --model {} --ready-file no/ready.json", model());
    work.run(&nowhere).refused(&["--ready-file no/ready.json: there is no folder no"]);
}

#[test]
fn a_second_signal_does_not_wait() {
    let served = Served::ready(&Workplace::new(), &format!("--model {}", model()), &[]);
    let _waits = served.send("POST", "/invocations", "text/plain", "a");
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.write_all(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n").unwrap();
    while !served.ask("GET", "/metrics", "", "").1.contains("kokanee_requests_in_flight 2") {
        std::thread::sleep(Duration::from_millis(5));
    }
    served.signal("-TERM");
    served.wait_for("draining");
    served.signal("-TERM");
    assert_eq!(served.ended(), Some(1));
}

#[test]
fn after_a_sudden_death_it_starts_as_if_nothing_had_been() {
    let work = Workplace::new();
    let line = format!("--model {}", model());
    let listing = || -> Vec<_> {
        let folder = crate::workplace::trained().join("model");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        files
    };
    let (before, mut port) = (listing(), None);
    for _ in 0..3 {
        let on = port.map_or(String::new(), |port: String| format!(" --port {port}"));
        let mut served = Served::ready(&work, &format!("{line}{on}"), &[]);
        assert_eq!(served.translate("d e"), "D E\n");
        // Killed with requests in progress, on a port that is used again at once.
        let long = "a b c d e f\n".repeat(3000);
        let waiting: Vec<_> =
            (0..4).map(|_| served.send("POST", "/invocations", "text/plain", &long)).collect();
        std::thread::sleep(Duration::from_millis(50));
        served.child.kill().unwrap();
        served.child.wait().unwrap();
        for stream in waiting {
            assert!(answer(stream).0 == 0, "half an answer is none");
        }
        port = served.address.rsplit(':').next().map(str::to_owned);
        assert_eq!(listing(), before, "nothing is written");
    }
}
