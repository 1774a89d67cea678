//! Tests that a tuning job of `kokanee local` whose server is killed repeatedly has the same history as an undisturbed one.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::local::Local;
use crate::local_resources::{IMAGE, fill_bucket, training_job};
use crate::workplace::Workplace;

/// Number of kills for which CI has time; `cargo xtask soak tuning` sets more.
const KILLS: usize = 50;
const KILLS_VARIABLE: &str = "KOKANEE_TUNING_KILLS";
/// The longest life of a server.
const LONGEST_LIFE_MS: u64 = 250;
/// More trainings than there is time for in that many lives.
const TRAININGS_PER_KILL: f64 = 0.6;

#[test]
fn kills_change_nothing_in_the_history_of_a_tuning_job() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |count| count.parse().expect("a number"));
    let trainings = ((kills as f64 * TRAININGS_PER_KILL) as usize).clamp(5, 500);
    let work = Workplace::new();
    let server = Local::start(&work);
    fill_bucket(&server);
    tune(&server, "killed", trainings);
    server.kill();
    let mut random = 7_u64;
    for _ in 0..kills {
        std::fs::remove_file(work.path("data/server.json")).expect("is there");
        let server = Local::start(&work);
        // Knuth's generator: the same moments each time, as far as the machine allows.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((random >> 33) % LONGEST_LIFE_MS));
        let id = server.child.id().to_string();
        assert!(Command::new("kill").args(["-KILL", &id]).status().expect("kill is there").success());
        server.kill();
    }
    std::fs::remove_file(work.path("data/server.json")).expect("is there");
    let server = Local::start(&work);
    let killed = history(&server, "killed");
    tune(&server, "alone", trainings);
    let alone = history(&server, "alone");
    assert_eq!(killed.len(), trainings);
    for (number, (name, values, objective)) in killed.iter().enumerate() {
        assert!(name.starts_with(&format!("killed-{:03}-", number + 1)), "{name}");
        assert_eq!((values, objective), (&alone[number].1, &alone[number].2), "{name}");
        let log = work.read(&format!("data/jobs/us-east-1/{name}/log"));
        assert_eq!(
            log.matches("#quality_metric: host=algo-1, train msd").count(),
            1,
            "{name} trained once: {log}"
        );
    }
    let (_, all) = server
        .operation("ListTrainingJobs", &json!({"NameContains": "killed-", "MaxResults": 100}))
        .expect("answers");
    let count = all["TrainingJobSummaries"].as_array().map_or(0, Vec::len);
    assert_eq!(count, trainings.min(100), "no training job but those of the history");
    assert_eq!(server.interrupt(), Some(0));
}

/// Tunes k-means, one training after the other.
fn tune(server: &Local, name: &str, trainings: usize) {
    let mut definition = training_job("", IMAGE, &json!({}));
    let members = definition.as_object_mut().expect("an object");
    members.remove("TrainingJobName");
    members.remove("HyperParameters");
    members.insert("StaticHyperParameters".into(), json!({"feature_dim": "2", "mini_batch_size": "30"}));
    let mut test = definition["InputDataConfig"][0].clone();
    test["ChannelName"] = json!("test");
    definition["InputDataConfig"].as_array_mut().expect("a list").push(test);
    let input = json!({
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "RandomSeed": 3,
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "test:msd"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": trainings, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {
                "IntegerParameterRanges": [{"Name": "k", "MinValue": "2", "MaxValue": "6"}],
                "ContinuousParameterRanges": [{"Name": "local_lloyd_tol", "MinValue": "0", "MaxValue": "1"}],
            },
        },
        "TrainingJobDefinition": definition,
    });
    let (status, answer) = server.operation("CreateHyperParameterTuningJob", &input).expect("answers");
    assert_eq!(status, 200, "{answer}");
}

/// Name, values and objective of each training, in the order of their creation, when all have ended.
fn history(server: &Local, name: &str) -> Vec<(String, Value, Value)> {
    let job = json!({"HyperParameterTuningJobName": name});
    server.until("DescribeHyperParameterTuningJob", &job, "HyperParameterTuningJobStatus", "Completed");
    let mut input = json!({"HyperParameterTuningJobName": name, "SortBy": "CreationTime", "MaxResults": 100});
    let mut history = Vec::new();
    loop {
        let (status, page) =
            server.operation("ListTrainingJobsForHyperParameterTuningJob", &input).expect("answers");
        assert_eq!(status, 200, "{page}");
        for child in page["TrainingJobSummaries"].as_array().expect("a list") {
            assert_eq!(child["TrainingJobStatus"], "Completed", "{child:#}");
            let objective = child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"].clone();
            let name = child["TrainingJobName"].as_str().expect("a name").to_owned();
            history.push((name, child["TunedHyperParameters"].clone(), objective));
        }
        if page["NextToken"].is_null() {
            return history;
        }
        input["NextToken"] = page["NextToken"].clone();
    }
}
