//! Tests of SageMaker's SDK as a client of `kokanee serve`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::serving::Server;
use crate::workplace::Workplace;

/// The Python that has SDK v2, or a message on what is missing.
pub(crate) fn python() -> Result<String, String> {
    python_with("sagemaker", "KOKANEE_PYTHON")
}

/// The Python that has SDK v3, or a message on what is missing.
pub(crate) fn python_of_v3() -> Result<String, String> {
    python_with("sagemaker-serve", "KOKANEE_PYTHON_SDK_V3")
}

fn python_with(package: &str, variable: &str) -> Result<String, String> {
    let program = std::env::var(variable).unwrap_or_else(|_| "python3".to_owned());
    let probe = format!("import importlib.metadata; importlib.metadata.version('{package}')");
    let mut command = Command::new(&program);
    command.args(["-c", &probe]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return Ok(program);
    }
    Err(format!("{program} has no package {package}; {variable} names another Python"))
}

/// The folder that has the packages of AWS's SDK for JavaScript, or a message on what is missing.
pub(crate) fn javascript() -> Result<String, String> {
    let variable = "KOKANEE_JAVASCRIPT";
    let folder = std::env::var(variable).map_err(|_| {
        format!("{variable} names no folder with AWS's SDK for JavaScript; `cargo xtask ci` makes one")
    })?;
    if !Path::new(&folder).join("node_modules/@aws-sdk/client-sagemaker").is_dir() {
        return Err(format!("{folder} has no package @aws-sdk/client-sagemaker"));
    }
    let mut command = Command::new("node");
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return Ok(folder);
    }
    Err("node is not installed".to_owned())
}

/// Tests the SDK's serializers and deserializers against a model of scikit-learn's centroids and scikit-learn's labels of rows.
pub(crate) fn serializers_and_deserializers_talk_to_the_server(python: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let golden = root.join("../../algorithms/kmeans/tests/golden");
    let work = Workplace::new();
    work.write("model/model_algo-1", std::fs::read(golden.join("model_algo-1")).expect("a model"));
    let server =
        Server::start(work.command(&["serve", "--model", "model", "--port", "0", "--log", "json"]), "kmeans");
    let output = Command::new(python)
        .args(["-W", "ignore"])
        .arg(root.join("tests/outside/python/kmeans_sdk.py"))
        .arg(&server.address)
        .arg(golden.join("rows.csv.gz"))
        .arg(golden.join("answers.json"))
        .stdin(Stdio::null())
        .output()
        .expect("Python starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("understand each other"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
