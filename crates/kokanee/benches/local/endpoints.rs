//! What InvokeEndpoint adds to a model's own answer.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::servers::Server;
use crate::{Options, folder, median, rate, row};

const CALLS: usize = 1000;
const CLIENTS: usize = 4;
const WINDOW: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);
/// Rows of a request: one that costs the model next to nothing, and one that it works on.
const ROWS: [usize; 2] = [20, 1000];

pub(crate) fn run(_: &Options) -> Result<(), String> {
    let folder = folder()?;
    let data = folder.path().join("data");
    let server = Server::kokanee(&data)?;
    deploy(&server)?;
    let instance = data.join("endpoints/us-east-1/ep");
    let ready = find(&instance, "ready.json").ok_or("the instance has no ready file")?;
    let content: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(ready).unwrap_or_default()).unwrap_or_default();
    let direct: SocketAddr =
        content["address"].as_str().and_then(|address| address.parse().ok()).ok_or("no address")?;
    let ways = [
        ("the model itself", direct, "/invocations"),
        ("InvokeEndpoint", server.address, "/endpoints/ep/invocations"),
    ];
    ROWS.iter().try_for_each(|&count| measure(&ways, count))
}

fn measure(ways: &[(&str, SocketAddr, &str); 2], count: usize) -> Result<(), String> {
    let body = rows(count);
    let mut times = [Vec::new(), Vec::new()];
    let mut rates = [0.0, 0.0];
    // In turns, so that a machine that gets slower slows both.
    for _ in 0..3 {
        for (index, (_, address, path)) in ways.iter().enumerate() {
            times[index].extend(latencies(*address, path, &body)?);
            rates[index] = f64::max(rates[index], carried(*address, path, &body)?);
        }
    }
    let medians = times.map(|mut times| median(&mut times));
    for (index, (name, ..)) in ways.iter().enumerate() {
        row(&format!("{count} rows, {name}: median"), medians[index] * 1e3, "ms", "");
        row(&format!("{count} rows, {name}: {CLIENTS} clients"), rates[index], "a second", "");
    }
    row(&format!("{count} rows, InvokeEndpoint adds"), (medians[1] - medians[0]) * 1e3, "ms", "under 0.5");
    row(&format!("{count} rows, InvokeEndpoint carries"), rates[1] / rates[0] * 100.0, "%", "95");
    Ok(())
}

/// An endpoint with a k-means model of 50 columns.
fn deploy(server: &Server) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    let mut connection = server.connect()?;
    connection.ask("PUT /bucket HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"").map_err(io)?;
    connection.ask("PUT /bucket/in/rows.csv HTTP/1.1\r\nHost: 127.0.0.1\r\n", &rows(500)).map_err(io)?;
    let image = "174872318107.dkr.ecr.us-west-2.amazonaws.com/kmeans:1";
    connection.say(
        "CreateTrainingJob",
        &format!(
            r#"{{"TrainingJobName":"model","AlgorithmSpecification":{{"TrainingImage":"{image}","TrainingInputMode":"File"}},
            "HyperParameters":{{"k":"10","feature_dim":"50","mini_batch_size":"500"}},"InputDataConfig":[{{"ChannelName":"train",
            "ContentType":"text/csv;label_size=0","DataSource":{{"S3DataSource":{{"S3DataType":"S3Prefix","S3Uri":"s3://bucket/in"}}}}}}],
            "RoleArn":"arn:aws:iam::000000000000:role/R","OutputDataConfig":{{"S3OutputPath":"s3://bucket/out"}},"ResourceConfig":
            {{"InstanceType":"ml.c5.xlarge","InstanceCount":1,"VolumeSizeInGB":1}},"StoppingCondition":{{"MaxRuntimeInSeconds":60}}}}"#
        ),
    )?;
    until(&mut connection, "DescribeTrainingJob", r#"{"TrainingJobName":"model"}"#, "\"Completed\"")?;
    connection.say(
        "CreateModel",
        &format!(
            r#"{{"ModelName":"m","PrimaryContainer":{{"Image":"{image}","ModelDataUrl":"s3://bucket/out/model/output/model.tar.gz"}},
            "ExecutionRoleArn":"arn:aws:iam::000000000000:role/R"}}"#
        ),
    )?;
    connection.say(
        "CreateEndpointConfig",
        r#"{"EndpointConfigName":"c","ProductionVariants":[{"VariantName":"A","ModelName":"m","InitialInstanceCount":1,
        "InstanceType":"ml.c5.xlarge"}]}"#,
    )?;
    connection.say("CreateEndpoint", r#"{"EndpointName":"ep","EndpointConfigName":"c"}"#)?;
    until(&mut connection, "DescribeEndpoint", r#"{"EndpointName":"ep"}"#, "\"InService\"")
}

fn until(connection: &mut Connection, operation: &str, input: &str, part: &str) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let answer = connection.say(operation, input)?;
        if answer.contains(part) {
            return Ok(());
        }
        if answer.contains("\"Failed\"") || begun.elapsed() > PATIENCE {
            return Err(answer);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn rows(count: usize) -> Vec<u8> {
    let row = |number: usize| {
        let cells = (0..50).map(|column| format!("{}", (number * 37 + column * 11) % 100));
        cells.collect::<Vec<_>>().join(",") + "\n"
    };
    (0..count).map(row).collect::<String>().into_bytes()
}

fn ask(connection: &mut Connection, path: &str, body: &[u8]) -> Result<(), String> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n");
    let answer = connection.ask(&head, body).map_err(|error| format!("{path}: {error}"))?;
    if answer.status == 200 {
        return Ok(());
    }
    Err(format!("{path}: {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
}

fn latencies(address: SocketAddr, path: &str, body: &[u8]) -> Result<Vec<f64>, String> {
    let mut connection = Connection::new(address).map_err(|error| error.to_string())?;
    let time = |_| {
        let asked = Instant::now();
        ask(&mut connection, path, body)?;
        Ok(asked.elapsed().as_secs_f64())
    };
    (0..CALLS).map(time).collect()
}

fn carried(address: SocketAddr, path: &str, body: &[u8]) -> Result<f64, String> {
    let connect = || Connection::new(address).map_err(|error| error.to_string());
    rate(CLIENTS, WINDOW, connect, |connection, _| ask(connection, path, body))
}

fn find(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name) {
                return Some(found);
            }
        } else if entry.file_name() == name {
            return Some(path);
        }
    }
    None
}
