//! Measures what InvokeEndpoint adds to a model's own answer, compared with a relay that only copies bytes.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use kokanee_testkit::median;

use crate::client::Connection;
use crate::servers::Server;
use crate::{Options, folder, rate, row};

const CALLS: usize = 1000;
const CLIENTS: usize = 4;
const WINDOW: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(60);
/// Numbers of rows in a request: one that costs the model next to nothing, and one that takes it some work.
const ROWS: [usize; 2] = [20, 1000];
/// Number of sentences in a request to seq2seq.
const SENTENCES: usize = 32;

/// A request to be measured.
struct Ask {
    what: String,
    endpoint: &'static str,
    content_type: &'static str,
    body: Vec<u8>,
}

pub(crate) fn run(_: &Options) -> Result<(), String> {
    let folder = folder()?;
    let data = folder.path().join("data");
    let server = Server::kokanee(&data)?;
    deploy_kmeans(&server)?;
    deploy_seq2seq(&server)?;
    let csv = |count: usize| Ask {
        what: format!("{count} rows"),
        endpoint: "ep",
        content_type: "text/csv",
        body: rows(count),
    };
    let sentences = format!(r#"{{"instances":[{}]}}"#, [r#"{"data":"a b c d e f"}"#; SENTENCES].join(","));
    let seq2seq = Ask {
        what: format!("seq2seq, {SENTENCES} sentences"),
        endpoint: "letters",
        content_type: "application/json",
        body: sentences.into_bytes(),
    };
    for ask in ROWS.map(csv).into_iter().chain([seq2seq]) {
        measure(&ask, model(&data, ask.endpoint)?, server.address)?;
    }
    Ok(())
}

/// The address of the only instance of an endpoint.
fn model(data: &Path, endpoint: &str) -> Result<SocketAddr, String> {
    let instance = data.join("endpoints/us-east-1").join(endpoint);
    let ready = find(&instance, "ready.json").ok_or("the instance has no ready file")?;
    let content: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(ready).unwrap_or_default()).unwrap_or_default();
    content["address"]
        .as_str()
        .and_then(|address| address.parse().ok())
        .ok_or_else(|| "no address".to_owned())
}

fn measure(ask: &Ask, direct: SocketAddr, server: SocketAddr) -> Result<(), String> {
    let what = &ask.what;
    let path = format!("/endpoints/{}/invocations", ask.endpoint);
    let ways = [
        ("the model itself", direct, "/invocations"),
        ("InvokeEndpoint", server, path.as_str()),
        ("a relay of bytes", relay(direct).map_err(|error| error.to_string())?, "/invocations"),
    ];
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    let mut rates = [0.0; 3];
    // Taken in turns, so that a machine that gets slower slows all of them.
    for _ in 0..3 {
        for (index, (_, address, path)) in ways.iter().enumerate() {
            times[index].extend(latencies(*address, path, ask)?);
            rates[index] = f64::max(rates[index], carried(*address, path, ask)?);
        }
    }
    let medians = times.map(median);
    for (index, (name, ..)) in ways.iter().enumerate() {
        row(&format!("{what}, {name}: median"), medians[index] * 1e3, "ms", "");
        row(&format!("{what}, {name}: {CLIENTS} clients"), rates[index], "a second", "");
    }
    row(&format!("{what}, InvokeEndpoint adds"), (medians[1] - medians[0]) * 1e3, "ms", "under 0.5");
    row(&format!("{what}, a relay of bytes adds"), (medians[2] - medians[0]) * 1e3, "ms", "");
    row(&format!("{what}, InvokeEndpoint carries"), rates[1] / rates[0] * 100.0, "%", "95");
    row(&format!("{what}, a relay of bytes carries"), rates[2] / rates[0] * 100.0, "%", "");
    Ok(())
}

/// A relay that copies bytes between clients and `to` without interpreting them: two threads for each connection.
fn relay(to: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(model) = TcpStream::connect(to) else { continue };
            let _ = (client.set_nodelay(true), model.set_nodelay(true));
            let (Ok(client_too), Ok(model_too)) = (client.try_clone(), model.try_clone()) else { continue };
            std::thread::spawn(move || copy(client, model));
            std::thread::spawn(move || copy(model_too, client_too));
        }
    });
    Ok(address)
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// Creates the endpoint `letters` with a small recurrent model.
fn deploy_seq2seq(server: &Server) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions/0.1.0/rnn");
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(packed);
    archive.append_dir_all(".", folder).map_err(text)?;
    let packed = archive.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(text)?;
    let mut connection = server.connect()?;
    connection.ask("PUT /bucket/letters.tar.gz HTTP/1.1\r\nHost: 127.0.0.1\r\n", &packed).map_err(text)?;
    host(&mut connection, "letters", "seq2seq", "s3://bucket/letters.tar.gz")
}

/// Creates the endpoint `ep` with a k-means model of 50 columns.
fn deploy_kmeans(server: &Server) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let mut connection = server.connect()?;
    connection.ask("PUT /bucket HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"").map_err(text)?;
    connection.ask("PUT /bucket/in/rows.csv HTTP/1.1\r\nHost: 127.0.0.1\r\n", &rows(500)).map_err(text)?;
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
    host(&mut connection, "ep", "kmeans", "s3://bucket/out/model/output/model.tar.gz")
}

/// Creates a model, a configuration and an endpoint of the same name, with one instance.
fn host(connection: &mut Connection, name: &str, algorithm: &str, data: &str) -> Result<(), String> {
    let image = format!("174872318107.dkr.ecr.us-west-2.amazonaws.com/{algorithm}:1");
    connection.say(
        "CreateModel",
        &format!(
            r#"{{"ModelName":"{name}","PrimaryContainer":{{"Image":"{image}","ModelDataUrl":"{data}"}},
            "ExecutionRoleArn":"arn:aws:iam::000000000000:role/R"}}"#
        ),
    )?;
    connection.say(
        "CreateEndpointConfig",
        &format!(
            r#"{{"EndpointConfigName":"{name}","ProductionVariants":[{{"VariantName":"A","ModelName":"{name}","InitialInstanceCount":1,
            "InstanceType":"ml.c5.xlarge"}}]}}"#
        ),
    )?;
    connection
        .say("CreateEndpoint", &format!(r#"{{"EndpointName":"{name}","EndpointConfigName":"{name}"}}"#))?;
    until(connection, "DescribeEndpoint", &format!(r#"{{"EndpointName":"{name}"}}"#), "\"InService\"")
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

fn send(connection: &mut Connection, path: &str, ask: &Ask) -> Result<(), String> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {}\r\n", ask.content_type);
    let answer = connection.ask(&head, &ask.body).map_err(|error| format!("{path}: {error}"))?;
    if answer.status == 200 {
        return Ok(());
    }
    Err(format!("{path}: {}: {}", answer.status, String::from_utf8_lossy(&answer.body)))
}

fn latencies(address: SocketAddr, path: &str, ask: &Ask) -> Result<Vec<f64>, String> {
    let mut connection = Connection::new(address).map_err(|error| error.to_string())?;
    let time = |_| {
        let asked = Instant::now();
        send(&mut connection, path, ask)?;
        Ok(asked.elapsed().as_secs_f64())
    };
    (0..CALLS).map(time).collect()
}

fn carried(address: SocketAddr, path: &str, ask: &Ask) -> Result<f64, String> {
    let connect = || Connection::new(address).map_err(|error| error.to_string());
    rate(CLIENTS, WINDOW, connect, |connection, _| send(connection, path, ask))
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
