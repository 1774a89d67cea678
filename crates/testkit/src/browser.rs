//! A headless Chromium, driven by its DevTools protocol over a pipe: no port, no driver program.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

/// The maximum time for an answer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);
/// Roles of elements that people interact with, which must have names.
const NAMED_ROLES: [&str; 10] = [
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "slider",
    "image",
    "navigation",
    "table",
];

/// A browser with one page.
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Value,
    last_id: u64,
    problems: Vec<String>,
    loads: usize,
}

/// The appearance of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Width of the window in pixels.
    pub width: u32,
    /// Whether the reader prefers dark pages.
    pub is_dark: bool,
}

impl Browser {
    /// Starts the browser with an empty profile in this folder.
    pub fn start(program: &str, profile: &Path) -> Self {
        // Chromium reads commands from descriptor 3 and writes answers to 4. In containers the user is often root, and Chromium's sandbox
        // refuses to run as root.
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", program])
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the browser starts");
        let commands = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop_if(|last| *last == 0);
                let parsed = serde_json::from_slice(&message);
                if parsed.is_ok_and(|parsed| sender.send(parsed).is_err()) {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            child,
            commands,
            messages,
            session: Value::Null,
            last_id: 0,
            problems: Vec::new(),
            loads: 0,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].clone();
        for domain in ["Page", "Runtime", "Log", "Accessibility", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens an address, and waits until the page is completely loaded.
    pub fn open(&mut self, address: &str) {
        let loads = self.loads;
        let answer = self.call("Page.navigate", json!({"url": address}));
        assert_eq!(answer["errorText"], Value::Null, "{address}");
        self.loaded_after(loads);
    }

    /// Clicks on the first element that matches, and waits for the page that it leads to.
    pub fn follow(&mut self, selector: &str) {
        let loads = self.loads;
        self.click(selector);
        self.loaded_after(loads);
    }

    /// Clicks on the first element that matches.
    pub fn click(&mut self, selector: &str) {
        let script = format!("document.querySelector({}).click()", Value::from(selector));
        self.evaluate(&script);
    }

    /// Types into a field, with the events that scripts listen to.
    pub fn fill(&mut self, selector: &str, text: &str) {
        self.evaluate(&format!(
            "{{ const field = document.querySelector({}); field.value = {}; field.dispatchEvent(new Event('input', {{bubbles: true}})); }}",
            Value::from(selector),
            Value::from(text)
        ));
    }

    /// Chooses a file with these bytes.
    pub fn choose(&mut self, selector: &str, name: &str, bytes: &[u8]) {
        self.evaluate(&format!(
            "{{ const bytes = Uint8Array.from(atob('{}'), (letter) => letter.charCodeAt(0)); const files = new DataTransfer(); \
             files.items.add(new File([bytes], {})); document.querySelector({}).files = files.files; }}",
            BASE64.encode(bytes),
            Value::from(name),
            Value::from(selector)
        ));
    }

    /// Evaluates a script; returns its value.
    pub fn evaluate(&mut self, script: &str) -> Value {
        let parameters = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", parameters);
        assert_eq!(answer["exceptionDetails"], Value::Null, "{script}");
        answer["result"]["value"].clone()
    }

    /// The text of the page.
    pub fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the value of a script is true.
    pub fn wait_until(&mut self, script: &str) {
        let begun = Instant::now();
        while self.evaluate(script) != Value::Bool(true) {
            assert!(begun.elapsed() < PATIENCE, "{script} does not come true: {}", self.text());
            std::thread::sleep(POLL);
        }
    }

    /// Sets whether pages may run scripts, from the next page on.
    pub fn allow_scripts(&mut self, are_allowed: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !are_allowed}));
    }

    /// Changes the window and the preference for dark pages.
    pub fn look(&mut self, look: Look) {
        let metrics = json!({"width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if look.is_dark { "dark" } else { "light" };
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Writes a PNG of the whole page, cut at the height `tallest` in pixels.
    pub fn picture(&mut self, path: &Path, tallest: f64) {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let clip = json!({
            "x": 0, "y": 0, "scale": 1,
            "width": size["width"], "height": size["height"].as_f64().unwrap_or(tallest).min(tallest),
        });
        let parameters = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.call("Page.captureScreenshot", parameters);
        let bytes = BASE64.decode(answer["data"].as_str().unwrap_or_default()).expect("base64");
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, bytes).expect("writes");
    }

    /// The elements of the page that people interact with and that have no accessible name.
    pub fn nameless(&mut self) -> Vec<String> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        assert!(nodes.len() > 5, "the page is empty");
        let is_nameless = |node: &&Value| {
            let role = node["role"]["value"].as_str().unwrap_or_default();
            let is_used = node["ignored"] != true && NAMED_ROLES.contains(&role);
            is_used && node["name"]["value"].as_str().unwrap_or_default().trim().is_empty()
        };
        nodes.iter().filter(is_nameless).map(|node| format!("{}: {node}", node["role"]["value"])).collect()
    }

    /// Errors that scripts, the console and the network have reported since the last call.
    pub fn problems(&mut self) -> Vec<String> {
        // Events reported before an answer arrive before it.
        self.evaluate("1");
        std::mem::take(&mut self.problems)
    }

    fn loaded_after(&mut self, loads: usize) {
        let begun = Instant::now();
        while self.loads == loads {
            let left = PATIENCE.checked_sub(begun.elapsed()).expect("the page comes in time");
            let message = self.messages.recv_timeout(left).expect("the browser tells");
            self.note(&message);
        }
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_null() {
            command["sessionId"] = self.session.clone();
        }
        let bytes = [command.to_string().as_bytes(), b"\0"].concat();
        self.commands
            .write_all(&bytes)
            .and_then(|()| self.commands.flush())
            .expect("the browser takes commands");
        loop {
            let message = self.messages.recv_timeout(PATIENCE);
            let message =
                message.unwrap_or_else(|error| panic!("{method}: the browser does not answer: {error}"));
            if message["id"] == id {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let parameters = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.loads += 1,
            "Runtime.exceptionThrown" => self.problems.push(parameters["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" if parameters["type"] == "error" => {
                self.problems.push(parameters["args"].to_string());
            }
            "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                self.problems.push(parameters["entry"].to_string());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
