//! A tuning of real trainings: Bayesian suggestions compared with random ones at the same cost, and with the defaults.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kokanee_testkit::quantiles;
use serde_json::Value;

use super::{CMUDICT, folder_of, kokanee, prepare, read_json};

/// The objective, as it is named among the measures of a training.
const OBJECTIVE: &str = "validation:perplexity";
const METRIC: &str = "perplexity";
/// Settings of all trainings: one pass over 103,493 words.
const SHARED: [&str; 4] =
    ["max_num_epochs=1", "bucket_width=50", "num_embed_target=64", "checkpoint_frequency_num_batches=100000"];
/// The searched ranges.
const RANGES: [&str; 6] = [
    "learning_rate=1e-4:3e-2:log",
    "rnn_num_hidden=32,64,128",
    "num_embed_source=16:64:log",
    "rnn_decoder_hidden_dropout=0:0.5",
    "batch_size=32:256:log",
    "optimizer_type=adam,sgd,rmsprop",
];
/// The sizes of the training with defaults: the greatest ones in the ranges. All other hyperparameters have SageMaker's defaults.
const DEFAULT_SIZES: [&str; 2] = ["rnn_num_hidden=128", "num_embed_source=64"];
const STRATEGIES: [&str; 2] = ["bayesian", "random"];
/// Numbers of trainings after which the best so far is reported.
const MILESTONES: [usize; 6] = [5, 10, 15, 20, 30, 60];

/// A training of a tuning.
struct Trial {
    /// Its position in the order in which trainings ended.
    ended: u64,
    objective: f64,
    seconds: f64,
    /// The tuned hyperparameters in the order of [`RANGES`].
    values: Vec<String>,
}

/// A tuning.
struct Tuning {
    strategy: &'static str,
    /// Strategy and seed: the name of its folder.
    name: String,
    /// The trials in the order in which they ended.
    trials: Vec<Trial>,
}

impl Tuning {
    fn first(&self, count: usize) -> &[Trial] {
        &self.trials[..count.min(self.trials.len())]
    }
}

/// Tunes with each strategy and seed (`--jobs N`, 30; `--parallel N`, 2; `--seeds N`, 3), trains with the defaults, and prints the
/// results. Existing trainings are not repeated. `--record FILE` writes every training into a CSV file.
pub(super) fn compare(args: &[String]) -> Result<(), String> {
    let (mut jobs, mut parallel, mut seeds, mut record) = ("30", "2", 3, None);
    let mut args = args.iter();
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--jobs" => jobs = value,
            "--parallel" => parallel = value,
            "--seeds" => {
                let count = value.parse().ok().filter(|count| (1..=100).contains(count));
                seeds = count.ok_or_else(|| format!("--seeds {value}: a number from 1 to 100 is needed"))?;
            }
            "--record" => record = Some(Path::new(value)),
            unknown => {
                return Err(format!(
                    "not understood: {unknown}; there are --jobs, --parallel, --seeds and --record"
                ));
            }
        }
    }
    let corpora = kokanee_testkit::corpora()?;
    let folder = folder_of("tuning")?;
    let records = folder.join("records");
    let file = |name: &str| corpora.join(CMUDICT.folder).join(name);
    if !records.join("val.rec").exists() {
        prepare(&CMUDICT, file, &records)?;
    }
    let mut tunings = Vec::new();
    for strategy in STRATEGIES {
        for seed in 0..seeds {
            let name = format!("{strategy}-{seed}");
            let output = folder.join(&name);
            let mut tune = kokanee("tune");
            tune.data(&records).settings(&SHARED).arg("--output").arg(&output);
            tune.arg("--objective").arg(OBJECTIVE).arg("--strategy").arg(strategy);
            for range in RANGES {
                tune.arg("--range").arg(range);
            }
            tune.arg("--jobs").arg(jobs).arg("--parallel").arg(parallel);
            tune.arg("--seed").arg(seed.to_string()).finish()?;
            tunings.push(Tuning { strategy, name, trials: trials(&output)? });
        }
    }
    let defaults = folder.join("defaults");
    if !defaults.join("model.tar.gz").exists() {
        let mut train = kokanee("train");
        train.data(&records).settings(&SHARED).settings(&DEFAULT_SIZES);
        train.arg("--output").arg(&defaults).arg("--set").arg("num_threads=1").finish()?;
    }
    let metrics = read_json(&defaults.join("metrics.json"))?;
    let checkpoint = metrics["checkpoints"].as_array().and_then(|all| all.last()).unwrap_or(&Value::Null);
    let perplexity = checkpoint["validation"][METRIC].as_f64().ok_or("the defaults have no perplexity")?;
    print!("{}", table(&tunings, perplexity));

    let mut models: Vec<(&str, PathBuf)> =
        tunings.iter().map(|tuning| (tuning.name.as_str(), folder.join(&tuning.name).join("best"))).collect();
    models.push(("defaults", defaults));
    for (name, model) in &models {
        println!("\n{name}:");
        let mut evaluate = kokanee("evaluate");
        let [source, target] = CMUDICT.test;
        evaluate
            .arg("--model")
            .arg(model)
            .arg("--source")
            .arg(file(source))
            .arg("--target")
            .arg(file(target));
        evaluate.arg("--output-json").arg(folder.join(format!("{name}.json"))).finish()?;
    }
    if let Some(path) = record {
        let all = tunings.iter().flat_map(|tuning| &tuning.trials);
        std::fs::write(path, recorded(all)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// The names of the searched hyperparameters.
fn names() -> impl Iterator<Item = &'static str> {
    RANGES.iter().filter_map(|range| Some(range.split_once('=')?.0))
}

/// The trainings that ended with a result, in the order in which they ended.
fn trials(output: &Path) -> Result<Vec<Trial>, String> {
    let history = read_json(&output.join("tuning.json"))?;
    let trial = |trial: &Value| {
        let value = |name: &str| Some(trial["values"][name].as_str()?.to_owned());
        Some(Trial {
            ended: trial["ended"].as_u64()?,
            objective: trial["objective"].as_f64()?,
            seconds: trial["seconds"].as_f64()?,
            values: names().map(value).collect::<Option<_>>()?,
        })
    };
    let mut trials: Vec<Trial> =
        history["trials"].as_array().into_iter().flatten().filter_map(trial).collect();
    trials.sort_by_key(|trial| trial.ended);
    Ok(trials)
}

fn least(trials: &[Trial]) -> Option<&Trial> {
    trials.iter().min_by(|a, b| a.objective.total_cmp(&b.objective))
}

/// A table of the best so far and its cost for each strategy: the median over the seeds, with the least and the greatest.
fn table(tunings: &[Tuning], defaults: f64) -> String {
    let mut text = format!("\n{OBJECTIVE} of one epoch, with the defaults {defaults:.3}\n\n| trainings |");
    for strategy in STRATEGIES {
        let _ = write!(text, " {strategy}, best so far | minutes of a core |");
    }
    text += "\n|---|";
    text += &"---|---|".repeat(STRATEGIES.len());
    let most = tunings.iter().map(|tuning| tuning.trials.len()).max().unwrap_or(0);
    for count in MILESTONES.into_iter().filter(|count| *count <= most) {
        let _ = write!(text, "\n| {count} |");
        for strategy in STRATEGIES {
            let own = || tunings.iter().filter(|tuning| tuning.strategy == strategy);
            let best: Vec<f64> = own()
                .map(|tuning| least(tuning.first(count)).map_or(f64::NAN, |trial| trial.objective))
                .collect();
            let minutes: Vec<f64> = own()
                .map(|tuning| tuning.first(count).iter().map(|trial| trial.seconds).sum::<f64>() / 60.0)
                .collect();
            let _ = write!(text, " {} | {} |", spread(&best, 3), spread(&minutes, 1));
        }
    }
    text += "\n\n";
    for tuning in tunings {
        let better = tuning.trials.iter().filter(|trial| trial.objective < defaults).count();
        let best = least(&tuning.trials)
            .map_or(String::new(), |trial| format!("{:.4}: {}", trial.objective, trial.values.join(", ")));
        let _ = writeln!(
            text,
            "{}: {better} of {} are better than the defaults; the best is {best}",
            tuning.name,
            tuning.trials.len()
        );
    }
    text
}

/// The median, with the least and the greatest if there are several values.
fn spread(values: &[f64], digits: usize) -> String {
    let [least, median, greatest] = quantiles(values.iter().copied(), [0.0, 0.5, 1.0]);
    match values.len() {
        0 => "-".to_owned(),
        1 => format!("{median:.digits$}"),
        _ => format!("{median:.digits$} ({least:.digits$}, {greatest:.digits$})"),
    }
}

/// The trainings in the format of the recorded task of `bench tuner`.
fn recorded<'a>(trials: impl Iterator<Item = &'a Trial>) -> String {
    let names: Vec<&str> = names().collect();
    let mut text = format!(
        "# seq2seq on CMUDict, one epoch: {OBJECTIVE} by hyperparameters, of `cargo xtask bench quality tuning --record FILE`.\n{},loss\n",
        names.join(",")
    );
    for trial in trials {
        let _ = writeln!(text, "{},{}", trial.values.join(","), trial.objective);
    }
    text
}
