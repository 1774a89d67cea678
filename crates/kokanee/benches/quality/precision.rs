//! Measures how training in bf16 affects quality: the same workloads in both precisions, with several seeds each.

use serde_json::Value;

use super::{WORKS, folder_of, read_json, run};

/// The compared workloads, short enough to be trained six times.
const COMPARED: [&str; 4] = ["multi30k", "cmudict-short", "multi30k-cnn-short", "cmudict-cnn-short"];
const PRECISIONS: [&str; 2] = ["f32", "bf16"];
const SEEDS: [&str; 3] = ["13", "14", "15"];

/// The compared measures: name, field of the evaluation, and factor.
const MEASURES: [(&str, &str, f64); 3] =
    [("perplexity", "perplexity", 1.0), ("BLEU", "bleu", 100.0), ("PER, %", "per", 100.0)];

/// Trains the workloads named in `args` (all of [`COMPARED`] without a name) in both precisions and prints the results. A training
/// that was already made is not repeated.
pub(super) fn compare(args: &[String]) -> Result<(), String> {
    let (names, options): (Vec<&String>, Vec<&String>) =
        args.iter().partition(|arg| COMPARED.contains(&arg.as_str()));
    let names: Vec<&str> =
        if names.is_empty() { COMPARED.to_vec() } else { names.iter().map(|n| n.as_str()).collect() };
    let mut table = String::from(
        "\n| work | precision | measure | each seed | mean | largest distance from it |\n|---|---|---|---|---|---|\n",
    );
    for name in names {
        let work = WORKS.iter().find(|work| work.name == name).ok_or("no such work")?;
        for precision in PRECISIONS {
            let mut evaluations = Vec::new();
            for seed in SEEDS {
                let label = format!("precision/{name}-{precision}-{seed}");
                let evaluation = folder_of(&label)?.join("evaluation-0.json");
                if !evaluation.exists() {
                    let set = [format!("precision={precision}"), format!("seed={seed}")];
                    let set = set.into_iter().flat_map(|setting| ["--set".to_owned(), setting]);
                    let all: Vec<String> = set.chain(options.iter().map(|&option| option.clone())).collect();
                    run(work, &label, &all)?;
                }
                evaluations.push(read_json(&evaluation)?);
            }
            for measure in MEASURES {
                table += &row(name, precision, measure, &evaluations);
            }
        }
    }
    println!("{table}");
    Ok(())
}

/// One measure for all seeds of one workload and precision.
fn row(
    name: &str,
    precision: &str,
    (title, field, factor): (&str, &str, f64),
    evaluations: &[Value],
) -> String {
    let values: Vec<f64> = evaluations.iter().filter_map(|e| Some(e[field].as_f64()? * factor)).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let farthest = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
    let each: Vec<String> = values.iter().map(|value| format!("{value:.2}")).collect();
    format!("| {name} | {precision} | {title} | {} | {mean:.2} | {farthest:.2} |\n", each.join(", "))
}
