//! Measures the time from CreateTrainingJob to the first sign of a training, and to its end.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kokanee_testkit::median;

use crate::servers::Server;
use crate::{Options, folder, row};

const REPETITIONS: usize = 5;
const FIRST_UPDATE: &str = "first update: ";
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(_: &Options) -> Result<(), String> {
    let folder = folder()?;
    let data = folder.path().join("data");
    let server = Server::kokanee(&data)?;
    put_pairs(&server, folder.path())?;
    let mut connection = server.connect()?;
    let io = |error: std::io::Error| error.to_string();
    let (mut updates, mut ends) = (Vec::new(), Vec::new());
    for number in 0..REPETITIONS {
        let begun = Instant::now();
        connection.say("CreateTrainingJob", &request(number))?;
        let log = data.join(format!("jobs/us-east-1/job-{number}/log"));
        let until = |is_so: &mut dyn FnMut() -> Result<bool, String>| {
            while !is_so()? {
                if begun.elapsed() > PATIENCE {
                    return Err(format!(
                        "job {number} takes too long: {}",
                        fs::read_to_string(&log).unwrap_or_default()
                    ));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(begun.elapsed().as_secs_f64())
        };
        updates.push(until(&mut || Ok(fs::read_to_string(&log).unwrap_or_default().contains(FIRST_UPDATE)))?);
        let describe = format!("{{\"TrainingJobName\":\"job-{number}\"}}");
        ends.push(until(&mut || {
            let answer = connection.say("DescribeTrainingJob", &describe)?;
            if answer.contains("\"TrainingJobStatus\":\"Failed\"") {
                return Err(answer);
            }
            Ok(answer.contains("\"TrainingJobStatus\":\"Completed\""))
        })?);
    }
    fs::metadata(&data).map_err(io)?;
    row("seq2seq, CreateTrainingJob to its first update", median(updates), "s", "under 1");
    row("seq2seq, CreateTrainingJob to Completed (4 updates)", median(ends), "s", "");
    Ok(())
}

/// Puts sentences of numbers, and the same reversed, into the bucket.
fn put_pairs(server: &Server, folder: &Path) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    let words =
        |number: usize, length: usize| (0..length).map(move |at| format!("w{}", (number * 31 + at * 7) % 50));
    for (name, count) in [("train", 400), ("val", 40)] {
        let sentence = |number: usize| words(number, 3 + number % 9).collect::<Vec<_>>();
        let source: String = (0..count).map(|number| sentence(number).join(" ") + "\n").collect();
        let turned = |number: usize| sentence(number).into_iter().rev().collect::<Vec<_>>().join(" ") + "\n";
        let target: String = (0..count).map(turned).collect();
        fs::write(folder.join(format!("{name}.s")), source).map_err(io)?;
        fs::write(folder.join(format!("{name}.t")), target).map_err(io)?;
    }
    let mut prepare = Command::new(env!("CARGO_BIN_EXE_kokanee"));
    prepare.arg("prepare").current_dir(folder).stdout(Stdio::null());
    prepare.args([
        "--train-source",
        "train.s",
        "--train-target",
        "train.t",
        "--val-source",
        "val.s",
        "--val-target",
        "val.t",
    ]);
    let status = prepare.args(["--output-dir", "records", "--quiet"]).status().map_err(io)?;
    if !status.success() {
        return Err("kokanee prepare failed".to_owned());
    }
    let mut connection = server.connect()?;
    connection.ask("PUT /bucket HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"").map_err(io)?;
    for (channel, file) in [
        ("train", "train.rec"),
        ("validation", "val.rec"),
        ("vocab", "vocab.src.json"),
        ("vocab", "vocab.trg.json"),
    ] {
        let body = fs::read(folder.join("records").join(file)).map_err(io)?;
        let head = format!("PUT /bucket/{channel}/{file} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        connection.ask(&head, &body).map_err(io)?;
    }
    Ok(())
}

fn request(number: usize) -> String {
    let channel = |name: &str| {
        format!(
            r#"{{"ChannelName":"{name}","DataSource":{{"S3DataSource":{{"S3DataType":"S3Prefix","S3Uri":"s3://bucket/{name}"}}}}}}"#
        )
    };
    format!(
        r#"{{"TrainingJobName":"job-{number}","AlgorithmSpecification":{{"TrainingImage":
        "811284229777.dkr.ecr.us-east-1.amazonaws.com/seq2seq:1","TrainingInputMode":"File"}},"HyperParameters":{{"rnn_num_hidden":"64",
        "num_embed_source":"64","num_embed_target":"64","batch_size":"64","max_num_batches":"4","checkpoint_frequency_num_batches":"2",
        "max_seq_len_source":"16","max_seq_len_target":"16"}},"InputDataConfig":[{},{},{}],
        "RoleArn":"arn:aws:iam::000000000000:role/R","OutputDataConfig":{{"S3OutputPath":"s3://bucket/out"}},"ResourceConfig":
        {{"InstanceType":"ml.p3.2xlarge","InstanceCount":1,"VolumeSizeInGB":1}},"StoppingCondition":{{"MaxRuntimeInSeconds":600}}}}"#,
        channel("train"),
        channel("validation"),
        channel("vocab")
    )
}
